/**
 * Compiles one model for the daemon, which goes on serving meanwhile: says where
 * it lies, or why not, as one line of JSON. It ends when the daemon does.
 */
import { ConfigSchema } from "../kernel/config.js";
import { ContixError } from "../proto/errno.js";
import { compileHere, type Prepared } from "./served-models.js";

const [name = "", recipe, kv] = process.argv.slice(2);
const form = ConfigSchema.pick({ recipe: true, kv: true }).parse({ recipe, kv });
// The daemon never writes: the end of this pipe is its own end.
process.stdin.on("end", () => process.exit(1)).resume();

function say(prepared: Prepared): void {
  process.stdout.write(JSON.stringify(prepared), () => process.exit(0));
}

compileHere(name, form).then(
  (dir) => say({ dir }),
  (error: unknown) => {
    const code = error instanceof ContixError ? error.code : "EIO";
    say({ code, message: error instanceof Error ? error.message : String(error) });
  },
);
