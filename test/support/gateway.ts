/** A gateway in this process, before a test kernel of its own. */
import OpenAI, { type ClientOptions } from "openai";
import { pino } from "pino";
import { type GatewayInput, readOptions } from "../../servers/gateway/options.js";
import { startGateway } from "../../servers/gateway/server.js";
import {
  startTestKernel,
  type TestKernel,
  type TestKernelOptions,
} from "../../syscalls/testing.js";

export interface TestGateway extends AsyncDisposable {
  readonly kernel: TestKernel;
  /** `http://127.0.0.1:PORT` */
  readonly address: string;
  readonly port: number;
  /** OpenAI's own client, with the administrator's key unless said otherwise. */
  client(options?: ClientOptions): OpenAI;
  /** A request with the administrator's key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A figure of /metrics; NaN when it is not there. */
  figure(line: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startTestGateway(
  kernelOptions: TestKernelOptions = {},
  options: Partial<GatewayInput> = {},
): Promise<TestGateway> {
  const kernel = await startTestKernel(kernelOptions);
  const settings = readOptions({ listen: "127.0.0.1:0", kernel: kernel.address, ...options });
  const gateway = await startGateway(settings, pino({ level: "silent" }));
  const { address } = gateway;
  const fetchWithKey = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = { authorization: `Bearer ${kernel.token}`, ...init.headers };
    return fetch(`${address}${path}`, { ...init, headers });
  };
  return {
    kernel,
    address,
    port: Number(new URL(address).port),
    client: (more) =>
      new OpenAI({ apiKey: kernel.token, baseURL: `${address}/v1`, maxRetries: 0, ...more }),
    fetch: fetchWithKey,
    figure: async (line) => {
      const text = await (await fetchWithKey("/metrics")).text();
      const found = text.split("\n").find((one) => one.startsWith(`${line} `));
      return Number(found?.slice(line.length + 1) ?? Number.NaN);
    },
    stop: () => gateway.stop(),
    [Symbol.asyncDispose]: async () => {
      await gateway.stop();
      await kernel.stop();
    },
  };
}
