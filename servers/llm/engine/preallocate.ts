/** Disk space, taken before it is needed: what was promised can not run out later. */

import type { FileHandle } from "node:fs/promises";
import { constants } from "node:os";
import { koffi } from "../native.js";

type Fallocate = (fd: number, offset: number, length: number) => Promise<number>;

let loaded: Fallocate | undefined;

/** posix_fallocate, on a thread of the pool; undefined where the C library has none. */
function fallocate(): Fallocate | undefined {
  if (process.platform !== "linux") return undefined;
  loaded ??= load();
  return loaded;
}

function load(): Fallocate {
  const library = koffi.load("libc.so.6");
  const call = library.func("int posix_fallocate(int fd, int64_t offset, int64_t length)");
  return (...args) =>
    new Promise((resolve, reject) => {
      call.async(...args, (error: Error | null, errno: number) => {
        if (error) reject(error);
        else resolve(errno);
      });
    });
}

/** A system call's error, as Node's own are. */
class SystemError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/**
 * Makes the first `length` bytes of a file its own on the disk, without changing those that
 * are. A file system that can not promise that gives the length alone.
 * @throws an error with the system's `code`, ENOSPC when there is no room
 */
export async function preallocate(file: FileHandle, length: number): Promise<void> {
  const { EINTR, EINVAL, ENOSPC, ENOSYS, EOPNOTSUPP } = constants.errno;
  const allocate = fallocate();
  let errno = EOPNOTSUPP;
  if (allocate !== undefined) {
    do errno = await allocate(file.fd, 0, length);
    while (errno === EINTR);
  }
  if (errno === ENOSPC) throw new SystemError("ENOSPC", `no room for ${length} bytes on the disk`);
  if (errno === 0) return;
  if (errno !== EOPNOTSUPP && errno !== EINVAL && errno !== ENOSYS) {
    const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0];
    throw new SystemError(name ?? `errno ${errno}`, `${length} bytes could not be allocated`);
  }
  await file.truncate(length);
}
