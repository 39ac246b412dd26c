import { readFileSync } from "node:fs";

/** Whether an OS process has ended, also when nobody has asked for its exit code yet. */
export function isOver(osPid: number): boolean {
  try {
    return readFileSync(`/proc/${osPid}/stat`, "utf8").includes(") Z ");
  } catch {
    return true;
  }
}
