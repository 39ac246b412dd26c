/** Chat templates that do what those of the common families do, in short. */
import { describe, expect, it } from "vitest";
import { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { ByteDetokenizer } from "./detokenizer.js";
import { ModelText } from "./model-text.js";
import { END, SPECIAL, START, smallModel, smallText } from "./testing/models.js";
import { scoredTokenizer, WHOLE } from "./testing/pieces.js";
import { readVocabulary } from "./vocabulary.js";

const { EMPTY, CLOSED, ASSISTANT } = ChatTail;
const IM_END = 258;

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const system = (content: string): Message => ({ role: "system", content });

/** Text of tokens, special ones written out. */
function show(text: ModelText, tokens: readonly number[], names: ReadonlyMap<number, string>) {
  const detokenizer = new ByteDetokenizer(text.tokenBytes);
  return tokens.map((token) => names.get(token) ?? detokenizer.push(token)).join("");
}

const CHATML_NAMES = new Map(SPECIAL.map((name, i) => [256 + i, name]));

/** Llama 2: instructions in brackets, the system's within the first; roles take turns. */
const LLAMA2 =
  "{% if messages[0]['role'] == 'system' %}{% set rule = messages[0]['content'] %}" +
  "{% set turns = messages[1:] %}{% else %}{% set rule = false %}{% set turns = messages %}{% endif %}" +
  "{% for m in turns %}" +
  "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}" +
  "{% if loop.index0 == 0 and rule != false %}{% set said = '<<' + rule + '>>' + m['content'] %}" +
  "{% else %}{% set said = m['content'] %}{% endif %}" +
  "{% if m['role'] == 'user' %}{{ bos_token + '[' + said.strip() + ']' }}" +
  "{% else %}{{ ' ' + said.strip() + ' ' + eos_token }}{% endif %}{% endfor %}";

/** Llama 3: a head of its own for each turn, and a date if there is a clock. */
const LLAMA3 =
  "{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}" +
  "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '1 Jan 2024' %}" +
  "{%- endif %}{%- endif %}{%- if tools is not none %}{{- 'tools!' }}{%- endif %}" +
  "{%- if messages[0]['role'] == 'system' %}{%- set rule = messages[0]['content']|trim %}" +
  "{%- set messages = messages[1:] %}{%- else %}{%- set rule = '' %}{%- endif %}" +
  "{{- '<|im_start|>system\\n' + date_string + '\\n' + rule + '<|im_end|>' }}" +
  "{%- for message in messages %}" +
  "{{- '<|im_start|>' + message['role'] + '\\n\\n' + message['content'] | trim + '<|im_end|>' }}" +
  "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n\\n' }}{%- endif %}";

/** Qwen 3: an answer's chain of thought is written only behind the last question. */
const QWEN3 =
  "{%- set ns = namespace(last=messages|length - 1, seeking=true) %}" +
  "{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}" +
  "{%- if ns.seeking and message.role == 'user' and message.content is string %}" +
  "{%- set ns.seeking = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}" +
  "{%- for message in messages %}{%- if message.role != 'assistant' %}" +
  "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}" +
  "{%- else %}{%- set content = message.content %}{%- set thought = '' %}" +
  "{%- if message.reasoning_content is string %}{%- set thought = message.reasoning_content %}" +
  "{%- elif '</think>' in content %}" +
  "{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}" +
  "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}" +
  "{%- if loop.index0 > ns.last and (loop.last or thought) %}" +
  "{{- '<|im_start|>assistant\\n<think>\\n' + thought + '\\n</think>\\n\\n' + content + '<|im_end|>\\n' }}" +
  "{%- else %}{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}{%- endif %}" +
  "{%- endif %}{%- endfor %}" +
  "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

/** Gemma 3: the system's words stand before the first question, the assistant is "model". */
const GEMMA3 =
  "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}" +
  "{%- set first = messages[0]['content'] + '\\n\\n' -%}{%- set turns = messages[1:] -%}" +
  "{%- else -%}{%- set first = '' -%}{%- set turns = messages -%}{%- endif -%}" +
  "{%- for message in turns -%}" +
  "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}" +
  "{{ raise_exception('Roles must take turns') }}{%- endif -%}" +
  "{%- if message['role'] == 'assistant' -%}{%- set role = 'model' -%}" +
  "{%- else -%}{%- set role = message['role'] -%}{%- endif -%}" +
  "{{ '<|im_start|>' + role + '\\n' + (first if loop.first else '') }}" +
  "{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- endif -%}" +
  "{{ '<|im_end|>\\n' }}{%- endfor -%}" +
  "{%- if add_generation_prompt -%}{{ '<|im_start|>model\\n' }}{%- endif -%}";

function chatml(template: string) {
  const text = smallText({ chatTemplate: template });
  return (messages: readonly Message[], tail: ChatTail, prompt = true, lastToken = 0): string => {
    const options = { generationPrompt: prompt, lastToken };
    return show(text, text.encodeChat(messages, tail, options), CHATML_NAMES);
  };
}

describe("chat templates of the families", () => {
  it("Llama 2's", () => {
    const vocabulary = readVocabulary(scoredTokenizer({ spacePrefix: true }));
    const model = smallModel({ chatTemplate: LLAMA2, bosId: 1, addBos: true, eosIds: [2] });
    const text = new ModelText(model, vocabulary);
    const names = new Map(WHOLE.map((name, id) => [id, name]));
    const chat = (messages: readonly Message[], tail: ChatTail, prompt = true, lastToken = 0) =>
      text.encodeChat(messages, tail, { generationPrompt: prompt, lastToken });
    const shown = (...args: Parameters<typeof chat>) => show(text, chat(...args), names);
    expect(shown([system("be"), user("hi")], EMPTY)).toBe("<s> [<<be>>hi]");
    expect(shown([user("c")], ASSISTANT, true, 99)).toBe(" </s><s> [c]");
    expect(shown([user("c")], ASSISTANT, true, 2)).toBe("<s> [c]");
    // A context that is extended is the context that is rendered as a whole.
    const whole = chat([user("a"), assistant("b"), user("c")], EMPTY);
    const first = chat([user("a"), assistant("b")], EMPTY, false);
    expect([...first, ...chat([user("c")], CLOSED)]).toEqual(whole);
    expect(() => chat([user("a"), user("b")], EMPTY)).toThrow(/take turns/);
  });

  it("Llama 3's", () => {
    const chat = chatml(LLAMA3);
    const head = `<|endoftext|>${START}system\n1 Jan 2024\n`;
    const asked = `${START}user\n\nHi${END}${START}assistant\n\n`;
    expect(chat([system(" Be kind. "), user("Hi")], EMPTY)).toBe(`${head}Be kind.${END}${asked}`);
    expect(chat([user("Hi")], ASSISTANT, true, IM_END)).toBe(asked);
    expect(chat([system("Be kind.")], EMPTY, false)).toBe(`${head}Be kind.${END}`);
  });

  it("Qwen 3's, which drops a chain of thought that is over", () => {
    const chat = chatml(QWEN3);
    const turns = [user("A"), assistant("<think>\nhm\n</think>\n\nB"), user("C")];
    const written = `${START}user\nA${END}\n${START}assistant\nB${END}\n`;
    const asked = `${START}user\nC${END}\n${START}assistant\n`;
    expect(chat(turns, EMPTY)).toBe(written + asked);
    // Given turns are written as they are from then on.
    expect(chat(turns.slice(0, 2), EMPTY, false)).toBe(written);
    expect(chat(turns.slice(1, 2), CLOSED, false)).toBe(`${START}assistant\nB${END}\n`);
    // A generated answer stays what it is: only what follows is added.
    expect(chat([user("C")], ASSISTANT, true, IM_END)).toBe(`\n${asked}`);
    expect(chat([user("C")], ASSISTANT, true, 65)).toBe(`${END}\n${asked}`);
    expect(chat([user("C")], CLOSED)).toBe(asked);
  });

  it("Gemma 3's", () => {
    const chat = chatml(GEMMA3);
    expect(chat([system("Be."), user("Hi ")], EMPTY)).toBe(
      `<|endoftext|>${START}user\nBe.\n\nHi${END}\n${START}model\n`,
    );
    expect(chat([user("So")], ASSISTANT, true, IM_END)).toBe(
      `\n${START}user\nSo${END}\n${START}model\n`,
    );
    // The system's words are written with the question: not before it is there.
    expect(() => chat([system("Be.")], EMPTY, false)).toThrow(/give the whole conversation/);
    expect(() => chat([system("Be.")], CLOSED)).toThrow(
      expect.objectContaining({ code: "EINVAL", message: expect.stringMatching(/take turns/) }),
    );
  });

  it("one that must have the date gets it", () => {
    const template = "{{ strftime_now('%A %d %B %Y %H:%M') }}{% for m in messages %}.{% endfor %}";
    const model = smallModel({ chatTemplate: template });
    const vocabulary = readVocabulary(scoredTokenizer());
    const text = new ModelText(model, vocabulary, () => new Date("2024-02-29T23:59:00Z"));
    const tokens = text.encodeChat([user("a")], EMPTY, { generationPrompt: true, lastToken: 0 });
    expect(show(text, tokens, new Map())).toBe("Thursday 29 February 2024 23:59.");
  });
});
