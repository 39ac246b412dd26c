/**
 * The kernel's lines to a NATS server, one an account, and what is known of them: up
 * when all are. They reconnect for ever; while one is down nothing is published, because
 * late news is worse than none and a buffer has no bound. A server whose operator keeps
 * the system account to himself gives two lines.
 */
import { rootCertificates } from "node:tls";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { ContixError } from "../../proto/errno.js";
import type { Log } from "../log.js";
import { type Accounts, type Part, userOf } from "./accounts.js";

const CONNECT_MS = 5_000;
/** A user that the server does not know is asked about first, of us, who do not listen yet: that takes it 5 s. */
const SYSTEM_MS = 10_000;
/** Bytes that may be under way to the server before it counts as stuck. */
const MOST_UNDER_WAY = 64 * 1024 * 1024;
/** After so many bytes the server is asked how far it is. */
const ASK_EVERY = 1024 * 1024;

/** What a line says of itself when nothing goes by it any more. */
const DOWN: ReadonlySet<string> = new Set(["disconnect", "staleConnection", "close"]);

type Opened = Readonly<Record<"auth" | "agents", NatsConnection>> & {
  readonly system: NatsConnection | undefined;
};

export interface LinesOptions {
  /** `nats://host:port` or `tls://host:port`. */
  readonly url: string;
  /** PEM of the CA of the server's certificate, besides those that Node trusts; "": none. */
  readonly ca: string;
  readonly accounts: Accounts;
  readonly log: Log;
  /** Hears when all lines are up, and when they are no more. */
  readonly onState: (up: boolean) => void;
}

export class Lines {
  readonly #options: LinesOptions;
  readonly #lines: Opened;
  readonly #down = new Set<Part>();
  /** Who waits until the lines are back. */
  readonly #waiting: (() => void)[] = [];
  /** All are up, and the server knows what is listened to on them. */
  #listening = true;
  #closed = false;
  #unasked = 0;
  #underWay = 0;

  private constructor(options: LinesOptions, lines: Opened) {
    this.#options = options;
    this.#lines = lines;
    void this.#watch("auth", lines.auth);
    void this.#watch("agents", lines.agents);
    if (lines.system) void this.#watch("system", lines.system);
  }

  /** Connects them. EIO when there is no server, EACCES when it does not know this kernel. */
  static async open(options: LinesOptions): Promise<Lines> {
    const opened: NatsConnection[] = [];
    const line = async (part: Part): Promise<NatsConnection> => {
      const made = await open(options, part);
      opened.push(made);
      return made;
    };
    try {
      const [auth, agents] = await Promise.all([line("auth"), line("agents")]);
      const system = await line("system").catch((error: unknown) => withoutSystem(options, error));
      return new Lines(options, { auth, agents, system });
    } catch (error) {
      for (const made of opened) void made.close();
      throw refusal(options, error);
    }
  }

  get up(): boolean {
    return this.#down.size === 0 && !this.#closed;
  }
  get maxPayload(): number {
    return this.#lines.agents.info?.max_payload ?? 1 << 20;
  }

  /**
   * Resolves when all lines are up and the server knows what is listened to on them. They come
   * back one by one: whoever is let in on one may speak before we hear the other. And one that
   * the server has cut looks well until we read of its end, so it is asked.
   */
  async listening(): Promise<void> {
    while (!this.#closed) {
      if (this.#listening && (await this.#agentsAnswer()) && this.#listening) return;
      if (!this.#listening) await this.#back();
    }
  }

  line(part: "auth" | "agents"): NatsConnection {
    return this.#lines[part];
  }
  get system(): NatsConnection | undefined {
    return this.#lines.system;
  }

  /** Publishes to agents. False: the lines are down, and it is dropped. */
  publish(subject: string, body: Uint8Array): boolean {
    if (!this.up) return false;
    this.#lines.agents.publish(subject, body);
    this.#count(body.length + subject.length);
    return true;
  }

  /** Resolves when the server has taken what was published to agents, or the line was cut. */
  async taken(): Promise<void> {
    if (this.up) await this.#lines.agents.flush().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#release();
    const lines = Object.values(this.#lines);
    await Promise.all(lines.map((line) => line?.close().catch(() => undefined)));
  }

  /** A server that reads no more would have us hold everything: then the line is cut, and made again. */
  #count(bytes: number): void {
    this.#unasked += bytes;
    if (this.#unasked < ASK_EVERY) return;
    const asked = this.#unasked;
    this.#unasked = 0;
    this.#underWay += asked;
    const answered = (): void => {
      this.#underWay -= asked;
    };
    this.#lines.agents.flush().then(answered, answered);
    if (this.#underWay < MOST_UNDER_WAY) return;
    this.#options.log.warn({ bytes: this.#underWay }, "NATS takes nothing; its line is cut");
    this.#lines.agents.reconnect().catch(() => undefined);
  }

  async #watch(part: Part, line: NatsConnection): Promise<void> {
    for await (const { type } of line.status()) {
      const was = this.up;
      if (DOWN.has(type)) this.#down.add(part);
      if (type === "reconnect") this.#down.delete(part);
      if (this.up === was) continue;
      this.#listening = false;
      if (this.up) void this.#listen();
      this.#options.onState(this.up);
    }
  }

  /** What was subscribed to is with the server when it has answered. */
  async #listen(): Promise<void> {
    const { auth, agents } = this.#lines;
    const flushed = await Promise.all([auth.flush(), agents.flush()]).catch(() => undefined);
    // Cut again meanwhile: the next reconnect brings us here.
    if (!flushed || !this.up) return;
    this.#listening = true;
    this.#release();
  }

  async #agentsAnswer(): Promise<boolean> {
    const flushed = this.#lines.agents.flush();
    return flushed.then(
      () => true,
      () => false,
    );
  }

  #back(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function open({ url, ca, accounts }: LinesOptions, part: Part): Promise<NatsConnection> {
  return connect({
    servers: url,
    name: userOf(part),
    user: userOf(part),
    pass: accounts.passwords[part],
    timeout: part === "system" ? SYSTEM_MS : CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    ...(ca === "" ? {} : { tls: { ca: [...rootCertificates, ca].join("\n") } }),
  });
}

/** Rethrows what is not the server's no. */
function withoutSystem(options: LinesOptions, error: unknown): undefined {
  if (refusal(options, error).code !== "EACCES") throw error;
  const { url, log } = options;
  log.warn({ url }, "no system account: connections can not be cut; users live for minutes");
  return undefined;
}

function refusal({ url, accounts }: LinesOptions, error: unknown): ContixError {
  const message = error instanceof Error ? error.message : String(error);
  if (/authorization/i.test(message)) {
    const how = `write \`include ${accounts.path}\` into its configuration and reload it`;
    return new ContixError("EACCES", `${url} does not know this kernel: ${how}`);
  }
  return new ContixError("EIO", `${url}: ${message}`, { cause: error });
}
