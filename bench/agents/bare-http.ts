/**
 * A bare HTTP server beside the gateway: Node's own, which answers everything with 400. Forked
 * with no settings; sends its address. What a flood of it costs others is not the gateway's.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((incoming, outgoing) => {
  incoming.resume();
  outgoing.writeHead(400).end();
});
server.on("clientError", (_error, socket) => {
  if (!socket.writable) socket.destroy();
  else socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
});
server.listen(0, "127.0.0.1", () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on("disconnect", () => process.exit());
