/** `contix ask …`: calls that wait for somebody's word. */
import type { Command } from "commander";
import type { Os, Question } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { usage } from "../errors.js";
import { clip, duration, table } from "../format.js";
import { interruptible, print, printJson } from "../terminal.js";

const DETAIL = 80;

interface Options {
  readonly json?: true;
  readonly follow?: true;
}

/** `contix ask` */
export function registerAsk(program: Command): void {
  const ask = program
    .command("ask")
    .description(
      "Calls of agents that wait until somebody has said yes, because the handle they use asks first. No answer in time is a no.",
    )
    .option("-f, --follow", "each question as it comes, until Ctrl-C")
    .option("--json", "as JSON: one array, or with --follow a line each")
    .action((options: Options, self: Command) => {
      return withKernel(self, (os) => (options.follow ? follow(os, options) : list(os, options)));
    });
  const ls = ask
    .command("ls")
    .description("The questions that are open.")
    .option("--json", "as JSON: one array")
    .action((options: Options, self: Command) => withKernel(self, (os) => list(os, options)));
  finish(ls, ["contix ask ls"]);
  const allow = ask
    .command("allow")
    .description("Let the call go on, once.")
    .argument("<id>", "of the question")
    .action((id: string, _: unknown, self: Command) => {
      return withKernel(self, async (os) => {
        await os.cap.ask.allow(questionId(id));
        print(`question ${id}: allowed`);
      });
    });
  finish(allow, ["contix ask allow 3"]);
  const deny = ask
    .command("deny")
    .description("Refuse the call.")
    .argument("<id>", "of the question")
    .option("--reason <text>", "what the agent is told")
    .action((id: string, { reason }: { readonly reason?: string }, self: Command) => {
      return withKernel(self, async (os) => {
        await os.cap.ask.deny(questionId(id), reason ?? "");
        print(`question ${id}: denied`);
      });
    });
  finish(deny, ['contix ask deny 3 --reason "not on a Friday"']);
  finish(ask, ["contix ask ls", "contix ask --follow", "contix ask allow 3"]);
}

async function withKernel(self: Command, act: (os: Os) => Promise<void>): Promise<void> {
  await using os = await attach(placeOf(self), "contix ask");
  await act(os);
}

async function list(os: Os, { json }: Options): Promise<void> {
  const questions = await os.cap.ask.list();
  if (json === true) printJson(questions.map(plain));
  else print(questionsTable(questions, out));
}

async function follow(os: Os, { json }: Options): Promise<void> {
  await interruptible(async (signal) => {
    try {
      for await (const question of os.cap.ask.questions({ signal })) {
        if (json === true) print(JSON.stringify(plain(question)));
        else print(questionLine(question));
      }
    } catch (error) {
      // Ctrl-C is how it ends.
      if (!signal.aborted) throw error;
    }
  });
}

/** The table of `contix ask ls`. */
export function questionsTable(questions: readonly Question[], colours: Colours): string {
  if (questions.length === 0) return "nothing waits for an answer";
  const columns = [
    { title: "ID", right: true },
    { title: "AGENT" },
    { title: "NAME" },
    { title: "PRINCIPAL" },
    { title: "CALL" },
    { title: "ON" },
    { title: "LEFT", right: true },
    { title: "DETAIL" },
  ];
  const rows = questions.map((question) => [
    ...[String(question.id), question.pid, question.process, question.principal],
    ...[question.call, question.object === "" ? "-" : question.object],
    ...[duration(question.leftMs * 1000), clip(question.detail, DETAIL)],
  ]);
  return table(columns, rows, colours.bold);
}

/** A question as `contix ask --follow` tells it. */
export function questionLine({ id, pid, process, call, object, detail, leftMs }: Question): string {
  const on = object === "" ? "" : ` on ${object}`;
  const within = duration(leftMs * 1000);
  return `${id}: ${pid} (${process}) wants ${call}${on}: ${clip(detail, DETAIL)}\n   within ${within}: contix ask allow ${id}, or contix ask deny ${id}`;
}

function plain(question: Question): object {
  return { ...question, id: String(question.id) };
}

function questionId(text: string): string {
  if (/^\d{1,19}$/.test(text)) return text;
  throw usage(`"${text}" is no question's id; \`contix ask ls\` shows them`);
}
