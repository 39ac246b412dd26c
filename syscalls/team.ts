/** What an agent of a team (`contix run -f team.yaml`) knows of the team. */
import { checkText } from "./check.js";
import { Mailbox } from "./ipc-mail.js";
import type { Session } from "./wire/session.js";

/** `os.team()`: this agent's name, its inbox, and the mailboxes that it may send to. */
export class Team {
  readonly #session: Session;
  readonly #links: ReadonlyMap<string, number>;
  /** The team's name. */
  readonly name: string;
  /** This agent's name in the manifest; its copies share it, and the inbox. */
  readonly agent: string;
  /** Which of its copies this is: from 1. */
  readonly copy: number;

  /** Made by `os.team()`. Error when this program was not started as one of a team. */
  constructor(session: Session, env: NodeJS.ProcessEnv = process.env) {
    const { TEAM_NAME: name, TEAM_AGENT: agent, TEAM_COPY = "1", TEAM_LINKS = "" } = env;
    if (name === undefined || agent === undefined) {
      throw new Error("this program is in no team: start it by `contix run -f team.yaml`");
    }
    this.#session = session;
    this.name = name;
    this.agent = agent;
    this.copy = Number(TEAM_COPY);
    // Names in the order in which their handles were passed on.
    const handles = (env.CONTIX_HANDLES ?? "").split(",").map(Number);
    this.#links = new Map(TEAM_LINKS.split(",").map((link, i) => [link, handles[i] ?? 0]));
  }

  /**
   * The mail to this agent. A message is this copy's until it acknowledges it: when the copy
   * ends before, it is delivered again.
   *
   * @example
   * for await (const mail of team.inbox) {
   *   await team.to("critic").send(await answer(mail.text));
   *   await mail.ack();
   * }
   */
  get inbox(): Mailbox {
    return this.#mailbox("inbox");
  }

  /** The inbox of another agent, one of this agent's `sends_to`. */
  to(agent: string): Mailbox {
    return this.#mailbox(checkText("agent", agent));
  }

  #mailbox(link: string): Mailbox {
    const handle = this.#links.get(link) ?? 0;
    if (handle > 0) return new Mailbox(this.#session, handle);
    const known = [...this.#links.keys()].filter((name) => name !== "inbox").join(", ");
    throw new Error(
      `${this.agent} may not send to "${link}"; its sends_to in the manifest: ${known || "nobody"}`,
    );
  }
}
