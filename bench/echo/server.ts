/**
 * The process at the other end of the bare echoes.
 * usage: server.js JSON (`EchoServer`); sends "ready" to the process that forked it.
 */
import { serveGrpcEcho } from "./grpc.js";
import { serveNatsEcho } from "./nats.js";
import { EchoServer } from "./settings.js";

const { grpc, home, bytes } = EchoServer.parse(JSON.parse(process.argv[2] ?? ""));
await serveGrpcEcho(grpc, bytes);
if (home !== "") await serveNatsEcho(home, bytes);
process.on("disconnect", () => process.exit());
process.send?.("ready");
