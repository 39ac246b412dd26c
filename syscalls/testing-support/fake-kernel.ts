/**
 * A kernel for the SDK's own tests: an Attach server in this process that records
 * what it is sent and answers as the test says, frame by frame.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from "@grpc/grpc-js";
import type { Logprobs } from "../../proto/gen/contix/v1/calls.js";
import { Error as WireError } from "../../proto/gen/contix/v1/errno.js";
import {
  type ClientFrame,
  type Hello,
  KernelService,
  type Reply,
  type ServerFrame,
  type Syscall,
  Welcome,
} from "../../proto/gen/contix/v1/kernel.js";
import type { Args, CallName, Result } from "../wire/pending.js";

type Stream = ServerDuplexStream<ClientFrame, ServerFrame>;

/** One stream from a client. */
export class FakeSession {
  readonly hello: Hello;
  readonly #stream: Stream;

  constructor(hello: Hello, stream: Stream) {
    this.hello = hello;
    this.#stream = stream;
  }

  send(frame: NonNullable<ServerFrame["frame"]>): void {
    if (this.#stream.writable) this.#stream.write({ frame });
  }

  reply<K extends CallName>(
    { seq }: Pick<Syscall, "seq">,
    name: K,
    value: Result<K>,
    usage?: Reply["usage"],
  ): void {
    const result = { $case: name, value } as Reply["result"];
    this.send({ $case: "reply", value: { seq, usage, result } });
  }

  fail({ seq }: Pick<Syscall, "seq">, error: Partial<WireError>): void {
    const value = WireError.fromPartial(error);
    this.send({
      $case: "reply",
      value: { seq, usage: undefined, result: { $case: "error", value } },
    });
  }

  chunk({ seq }: Pick<Syscall, "seq">, text: string, logprobs?: Logprobs): void {
    const value = { seq, text, tokens: [1], prefilled: 0, of: 0, logprobs };
    this.send({ $case: "chunk", value });
  }

  prefilled({ seq }: Pick<Syscall, "seq">, prefilled: number, of: number): void {
    this.send({ $case: "chunk", value: { seq, text: "", tokens: [], prefilled, of } });
  }

  signal(name: string, fromPid = 0n): void {
    this.send({ $case: "signal", value: { name, fromPid, context: undefined, quota: undefined } });
  }

  /** Breaks the stream, as a lost transport would. */
  cut(): void {
    this.#stream.emit("error", { code: status.UNAVAILABLE, details: "the wire was cut" });
  }

  /** Ends the stream in good order. */
  end(): void {
    this.#stream.end();
  }
}

type Handler<K extends CallName> = (call: Syscall, args: Args<K>, session: FakeSession) => void;
type Hook<T> = (value: T, session: FakeSession) => void;

export class FakeKernel {
  readonly address: string;
  readonly sessions: FakeSession[] = [];
  readonly calls: Syscall[] = [];
  readonly credits: { seq: bigint; n: number }[] = [];
  readonly cancels: bigint[] = [];
  readonly acks: bigint[] = [];
  /** What the next hello is answered with; a rejection when it gives an error. */
  welcome: (hello: Hello) => Partial<Welcome> | { refuse: Partial<WireError> } = () => ({});
  onCancel: Hook<bigint> = (seq, session) => session.fail({ seq }, { name: "ECANCELED" });
  onCredit: Hook<{ seq: bigint; n: number }> = () => undefined;
  readonly #handlers = new Map<CallName, Handler<CallName>>();
  readonly #server = new Server();
  readonly #home: string;
  #waiters: (() => void)[] = [];

  constructor(home: string) {
    this.#home = home;
    this.address = `unix://${join(home, "kernel.sock")}`;
    this.#server.addService(KernelService, { attach: (stream: Stream) => this.#attach(stream) });
  }

  /** Answers calls of `name`; without a handler a call stays unanswered. */
  on<K extends CallName>(name: K, handler: Handler<K>): void {
    this.#handlers.set(name, handler as unknown as Handler<CallName>);
  }

  /** The first stream that attached. */
  get first(): FakeSession {
    const [session] = this.sessions;
    if (session === undefined) throw new Error("nobody attached");
    return session;
  }

  /** Resolves when `n` calls have been received in all. */
  async received(n: number): Promise<void> {
    while (this.calls.length < n) await new Promise<void>((heard) => this.#waiters.push(heard));
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(this.address, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Dies without a word, as by SIGKILL. */
  die(): void {
    this.#server.forceShutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die();
    await rm(this.#home, { recursive: true, force: true });
  }

  #attach(stream: Stream): void {
    let session: FakeSession | undefined;
    stream.on("data", ({ frame }: ClientFrame) => {
      if (frame?.$case === "hello") session = this.#hello(frame.value, stream);
      else if (session !== undefined && frame !== undefined) this.#frame(frame, session);
    });
    stream.on("end", () => stream.end());
    stream.on("error", () => undefined);
  }

  #hello(hello: Hello, stream: Stream): FakeSession | undefined {
    const answer = this.welcome(hello);
    if ("refuse" in answer) {
      const metadata = new Metadata();
      const error = WireError.encode(WireError.fromPartial(answer.refuse)).finish();
      metadata.set("contix-error-bin", Buffer.from(error));
      stream.emit("error", { code: status.UNAUTHENTICATED, details: "refused", metadata });
      return undefined;
    }
    const session = new FakeSession(hello, stream);
    this.sessions.push(session);
    const pid = (1n << 52n) | 17n;
    const value = Welcome.fromPartial({
      abi: 1,
      pid,
      run: 1,
      resumeToken: "resume",
      principal: "admin",
      kernelVersion: "0.0.0-fake",
      node: "n1",
      ...answer,
    });
    session.send({ $case: "welcome", value });
    return session;
  }

  #frame(frame: NonNullable<ClientFrame["frame"]>, session: FakeSession): void {
    if (frame.$case === "call") {
      this.calls.push(frame.value);
      const { call } = frame.value;
      if (call !== undefined) this.#handlers.get(call.$case)?.(frame.value, call.value, session);
      for (const heard of this.#waiters.splice(0)) heard();
    } else if (frame.$case === "cancel") {
      this.cancels.push(frame.value.seq);
      this.onCancel(frame.value.seq, session);
    } else if (frame.$case === "credit") {
      this.credits.push(frame.value);
      this.onCredit(frame.value, session);
    } else if (frame.$case === "ack") {
      this.acks.push(frame.value.ackedThrough);
    }
  }
}

/** Starts a fake kernel on a socket of its own. */
export async function startFakeKernel(): Promise<FakeKernel> {
  const kernel = new FakeKernel(await mkdtemp(join(tmpdir(), "contix-fake-")));
  await kernel.listen();
  return kernel;
}
