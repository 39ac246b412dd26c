/** Is there room on the disk? Asked before long work, so that it does not fail at its end. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { ContixError } from "../../../proto/errno.js";

/** Free bytes on the disk of a directory that may not exist yet; Infinity when it can not be told. */
export type FreeBytes = (dir: string) => Promise<number>;

export const freeBytes: FreeBytes = async (dir) => {
  for (let at = dir; ; at = dirname(at)) {
    try {
      const { blocks, bavail, bsize } = await statfs(at);
      // Some file systems know no sizes, and say 0 of 0.
      return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
    } catch (error) {
      const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!absent || dirname(at) === at) return Number.POSITIVE_INFINITY;
    }
  }
};

/**
 * @throws ContixError ENOSPC with both numbers when `bytes` more do not fit on the
 * disk of `dir`. `what` needs them: "the download".
 */
export async function needSpace(
  dir: string,
  bytes: number,
  what: string,
  free: FreeBytes = freeBytes,
): Promise<void> {
  const available = await free(dir);
  if (bytes <= available) return;
  const numbers = `${what} needs ${inMiB(bytes)}, ${inMiB(available)} are free`;
  throw new ContixError("ENOSPC", `no space left on the disk of ${dir}: ${numbers}`);
}

function inMiB(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
