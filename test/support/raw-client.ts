/** A client of the ABI without the SDK: frames as they are, also broken ones. */
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  ClientFrame,
  KernelService,
  type Reply,
  type ServerFrame,
  type Syscall,
} from "../../proto/gen/contix/v1/kernel.js";

type Frame = NonNullable<ClientFrame["frame"]>;
type Answer = NonNullable<ServerFrame["frame"]>;

export class RawClient {
  readonly received: Answer[] = [];
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<Buffer, ServerFrame>;
  #waiters: (() => void)[] = [];
  ended = false;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#stream = this.#client.makeBidiStreamRequest(
      KernelService.attach.path,
      (bytes: Buffer) => bytes,
      KernelService.attach.responseDeserialize,
    );
    this.#stream.on("data", ({ frame }: ServerFrame) => {
      if (frame) this.received.push(frame);
      this.#tell();
    });
    const over = (): void => {
      this.ended = true;
      this.#tell();
    };
    this.#stream.on("end", over);
    this.#stream.on("error", over);
  }

  send(frame: Frame): void {
    this.sendBytes(Buffer.from(ClientFrame.encode({ frame }).finish()));
  }
  sendBytes(bytes: Buffer): void {
    this.#stream.write(bytes);
  }
  hello(token: string, resume: { pid?: bigint; run?: number; resumeToken?: string } = {}): void {
    const value = {
      abi: 1,
      token,
      name: "raw",
      features: [],
      pid: 0n,
      run: 0,
      resumeToken: "",
      ...resume,
    };
    this.send({ $case: "hello", value });
  }
  call(seq: bigint, call: NonNullable<Syscall["call"]>, over: Partial<Syscall> = {}): void {
    this.send({ $case: "call", value: syscall(seq, call, over) });
  }

  /** The first frame received, or to come, that `pick` takes. Undefined when the stream ends before. */
  async find<T>(pick: (frame: Answer) => T | undefined): Promise<T | undefined> {
    for (let next = 0; ; ) {
      for (; next < this.received.length; next++) {
        const frame = this.received[next];
        const found = frame && pick(frame);
        if (found !== undefined) return found;
      }
      if (this.ended) return undefined;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }
  welcome() {
    return this.find((frame) => (frame.$case === "welcome" ? frame.value : undefined));
  }
  reply(seq: bigint): Promise<Reply | undefined> {
    return this.find((f) => (f.$case === "reply" && f.value.seq === seq ? f.value : undefined));
  }
  async errorOf(seq: bigint): Promise<string> {
    const reply = await this.reply(seq);
    return reply?.result?.$case === "error"
      ? reply.result.value.name
      : `no error: ${reply?.result?.$case}`;
  }

  /** Stops and goes on reading from the connection. */
  pause(): void {
    this.#stream.pause();
  }
  resume(): void {
    this.#stream.resume();
  }

  /** Breaks the connection, as a killed program does. */
  break(): void {
    this.#stream.cancel();
    this.#client.close();
  }
  /** Ends in order. */
  close(): void {
    this.#stream.end();
    this.#client.close();
  }

  #tell(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

export function syscall(
  seq: bigint,
  call: NonNullable<Syscall["call"]>,
  over: Partial<Syscall> = {},
): Syscall {
  return { seq, handle: 0, timeoutUs: 0n, ackedThrough: 0n, credit: 0, call, ...over };
}

export function generateCall(prompt: string, over: object = {}): NonNullable<Syscall["call"]> {
  const value = {
    input: { $case: "prompt" as const, value: prompt },
    maxTokens: 0,
    sampling: undefined,
    stop: [],
    stream: false,
    ignoreEos: false,
    model: "",
    progress: false,
    ...over,
  };
  return { $case: "generate", value };
}

/** One unary Call; resolves with the reply or the gRPC error. */
export function unary(
  address: string,
  token: string,
  call: Syscall,
): Promise<Reply | ServiceError> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  if (token !== "") metadata.set("authorization", `Bearer ${token}`);
  return new Promise((resolve) => {
    const { path, requestSerialize, responseDeserialize } = KernelService.call;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      call,
      metadata,
      (error, reply) => {
        client.close();
        resolve(error ?? (reply as Reply));
      },
    );
  });
}
