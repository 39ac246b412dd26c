// Fetches the nats-server that tests of the NATS door start, if there is none yet: it may be
// compiled from its source, for which no test's time is enough.
import { ensureNatsServer } from "../dist/cli/nats/find.js";

try {
  await ensureNatsServer({ onTry: (source) => console.log(`nats-server: ${source}`) });
} catch (error) {
  console.error(`${error.message}; tests of the NATS door will fail`);
}
