/** One life of a driver: its OS process, and the socket on its file descriptor 3. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { type FrameChannel, frames } from "../../proto/frame.js";
import { FromDriver, ToDriver } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Log } from "../log.js";
import { DRIVER_NICE, giveWay } from "../proc/priority.js";

export interface DriverEvents {
  message(message: FromDriver): void;
  /** Called once, after its last message. `killed`: by a signal, whoever sent it. */
  gone(how: string, killed: boolean): void;
}

export class DriverProcess {
  readonly #child: ChildProcess;
  readonly #channel: FrameChannel<ToDriver> | undefined;

  constructor(command: readonly string[], events: DriverEvents, log: Log) {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    this.#child = child;
    lowerPriority(child);
    let over = false;
    const gone = (how: string, killed: boolean): void => {
      if (over) return;
      over = true;
      events.gone(how, killed);
    };
    child.once("error", (error) => gone(error.message, false));
    // Not "exit": what it said last, its fault above all, is still to be read then.
    child.once("close", (code, signal) => gone(signal ?? `exit code ${code}`, signal !== null));
    // Without file descriptors to spare it has none; "error" follows.
    const socket = child.stdio?.[3] as Duplex | undefined;
    if (!socket) return;
    this.#channel = frames(socket, FromDriver, ToDriver, events.message, (error) => {
      if (error) log.warn({ err: error.message }, "driver connection broke");
      this.kill();
    });
  }

  get osPid(): number {
    return this.#child.pid ?? 0;
  }

  send(message: NonNullable<ToDriver["msg"]>): void {
    this.#channel?.send({ msg: message });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function lowerPriority({ pid }: ChildProcess): void {
  if (pid !== undefined) giveWay(pid, DRIVER_NICE);
}
