/**
 * Decoding at the door: protobuf strings must be UTF-8 (the wire format says so,
 * a lenient reader replaces what is not), and what cannot be decoded becomes a
 * value that the door answers with EPROTO, instead of a broken stream.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ContixError } from "../../proto/errno.js";

class StrictReader extends BinaryReader {
  override string(): string {
    return super.string(true);
  }
}

/** A message that could not be decoded. */
export class Malformed {
  constructor(readonly error: ContixError) {}
}

/** Decodes strictly; the result is the message or why there is none. */
export function decodeStrictly<T>(
  decode: (reader: BinaryReader) => T,
  bytes: Uint8Array,
): T | Malformed {
  try {
    return decode(new StrictReader(bytes));
  } catch (error) {
    const why = error instanceof TypeError ? "a string is not valid UTF-8" : String(error);
    return new Malformed(new ContixError("EPROTO", `malformed message: ${why}`));
  }
}
