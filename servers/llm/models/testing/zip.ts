/** Writes zip archives, sound ones and dishonest ones; for tests. */
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipOptions {
  /** Packed; stored as they are by default. */
  readonly deflate?: boolean;
  /** The size that the archive claims of each file, instead of its own. */
  readonly claim?: number;
}

const DEFLATE = 8;

/** The bytes of an archive of `files`, by path. */
export function zipBytes(
  files: Readonly<Record<string, Uint8Array>>,
  options: ZipOptions = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, content] of Object.entries(files)) {
    const name = Buffer.from(path);
    const packed = options.deflate ? deflateRawSync(content) : content;
    // Version, flags, method, time, date, checksum, both sizes, lengths of name and extra.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(options.deflate ? DEFLATE : 0, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(options.claim ?? content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\0", "latin1"), common, tail, name]));
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, packed]);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}
