/** Lines of a socket, each once it is whole. */
import type { Socket } from "node:net";

export function lines(socket: Socket, hear: (line: string) => void): void {
  let rest = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    const whole = (rest + text).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) hear(line);
  });
}
