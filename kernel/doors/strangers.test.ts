/** What the door says of itself to clients that know only gRPC: its health and its services. */
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/gen/grpc/health/v1/health.js";
import { checkHealth } from "../../test/support/health.js";
import { Health } from "./health.js";
import { addReflection } from "./reflection.js";

const SERVICE = "contix.v1.Kernel";
const health = new Health(["", SERVICE]);
const server = new Server();
let client: Client;

beforeAll(async () => {
  health.addTo(server);
  addReflection(server, [SERVICE]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(() => {
  client.close();
  server.forceShutdown();
});

/** The answer, or the details of its error. */
async function check(service: string): Promise<string> {
  const said = await checkHealth(client, service);
  return typeof said === "string" ? said : said.details;
}

test("health is told of the server, of its services, and of none that is not there", async () => {
  expect(await check("")).toBe("NOT_SERVING");
  health.set("", true);
  expect(await check("")).toBe("SERVING");
  expect(await check(SERVICE)).toBe("NOT_SERVING");
  expect(await check("other")).toBe("Health status unknown for service other");
  const { path, requestSerialize, responseDeserialize } = HealthService.list;
  const all = await new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error, reply) =>
      error ? reject(error) : resolve(reply?.statuses),
    );
  });
  expect(all).toEqual({
    "": { status: ServingStatus.SERVING },
    [SERVICE]: { status: ServingStatus.NOT_SERVING },
  });
});

test("whoever watches hears of every change, of a service too that comes later", async () => {
  const { path, requestSerialize, responseDeserialize } = HealthService.watch;
  const watching = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
    service: "later",
  });
  const heard: string[] = [];
  const over = new Promise((resolve) => watching.once("error", resolve));
  for await (const { status } of watching) {
    heard.push(ServingStatus[status] ?? "");
    if (heard.length === 1) health.set("later", true);
    if (heard.length === 2) health.set("later", false);
    if (heard.length === 3) break;
  }
  expect(heard).toEqual(["SERVICE_UNKNOWN", "SERVING", "NOT_SERVING"]);
  watching.cancel();
  await over;
});

/** Sends these messages, and gives what came back; the end of the stream as its status. */
function reflect(version: string, ...requests: Buffer[]): Promise<[Buffer[], number]> {
  const same = (bytes: Buffer): Buffer => bytes;
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const call = client.makeBidiStreamRequest(path, same, same);
  const answers: Buffer[] = [];
  call.on("data", (bytes: Buffer) => answers.push(bytes));
  call.on("error", () => {});
  for (const request of requests) call.write(request);
  call.end();
  return new Promise((resolve) => call.on("status", ({ code }) => resolve([answers, code])));
}

/** A field of a request that holds a text. */
const asking = (field: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);
const LIST_SERVICES = 7;
const FILE_CONTAINING_SYMBOL = 4;

test.each(["v1", "v1alpha"])(
  "reflection %s names the services and describes them",
  async (version) => {
    const [answers, code] = await reflect(
      version,
      asking(LIST_SERVICES, "*"),
      asking(FILE_CONTAINING_SYMBOL, SERVICE),
      asking(FILE_CONTAINING_SYMBOL, "no.such.Symbol"),
    );
    expect(code).toBe(0);
    const [services, file, none] = answers.map((bytes) => bytes.toString("latin1"));
    expect(services).toContain(SERVICE);
    expect(services).not.toContain("Health");
    expect(file).toContain("contix.v1.ServerFrame");
    expect(none).toContain("Symbol not found: no.such.Symbol");
  },
);

test("bytes that are no request end their stream, and nobody else's", async () => {
  const [answers, code] = await reflect("v1", Buffer.from([0xff, 0xff, 0xff]));
  expect([answers, code]).toEqual([[], 3]);
  const [after] = await reflect("v1", asking(LIST_SERVICES, "*"));
  expect(after).toHaveLength(1);
});
