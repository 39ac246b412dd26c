/** Messages between processes of one kernel, over the trap itself. */
import { mailConformance } from "../../test/conformance/ipc-mail.js";
import { syncConformance } from "../../test/conformance/ipc-sync.js";
import { IpcPair } from "../../test/support/ipc-pair.js";

const alone = (): Promise<IpcPair> => IpcPair.make(async () => undefined);
mailConformance("on one kernel", alone);
syncConformance("on one kernel", alone);
