/** The audit log of a home, ready to be written. */
import type { Clock, Randomness } from "../../clock.js";
import type { Config } from "../../config.js";
import type { Log } from "../../log.js";
import { memoryBytes } from "../../units.js";
import { auditDirectory, openKey } from "./files.js";
import { HeadExport, type HeadSink, headFile } from "./heads.js";
import { AuditLog } from "./log.js";
import { openLog } from "./open.js";

export interface HomeAudit {
  readonly audit: AuditLog;
  /** Exports the heads to one more place, such as a subject of NATS. */
  exportTo(sink: HeadSink): void;
  /** Writes what waits, the heads too, and ends. */
  close(): Promise<void>;
}

interface Needs {
  readonly config: Pick<Config, "home" | "auditHeads" | "auditFile" | "auditFiles">;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Log;
}

/** Opens the log of the home, which is there. EIO when its key is no key; errors of the disk. */
export async function openAudit({ config, clock, random, log }: Needs): Promise<HomeAudit> {
  const directory = auditDirectory(config.home);
  const key = openKey(directory, random);
  const opened = await openLog(directory, clock.wall());
  for (const { note, text } of opened.notes) log.error({ note, text }, "the audit log");
  const heads = new HeadExport(log);
  if (config.auditHeads !== "") heads.add(headFile(config.auditHeads));
  const audit = new AuditLog({
    ...opened,
    ...key,
    clock,
    log,
    fileBytes: memoryBytes(config.auditFile, 0),
    files: config.auditFiles,
    onHead: (line) => heads.head(line),
  });
  return {
    audit,
    exportTo: (sink) => heads.add(sink),
    async close() {
      await audit.close();
      await heads.flush();
    },
  };
}
