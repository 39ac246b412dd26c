/**
 * A process for tests of sudden death: imports a GGUF and kills itself with -9 at
 * the first progress of a phase. Arguments: library root, file, name, phase.
 */
import { openLibrary } from "../library.js";

const [root = "", file = "", name = "", phase = ""] = process.argv.slice(2);
await openLibrary(root).importFile(file, {
  name,
  onProgress: (progress) => {
    if (progress.phase === phase) process.kill(process.pid, "SIGKILL");
  },
});
