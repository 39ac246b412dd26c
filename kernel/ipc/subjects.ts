/**
 * Subjects and patterns, as NATS has them: words with dots between. In a pattern `*`
 * is any one word, and `>` at the end is one word or more.
 */
import { ContixError } from "../../proto/errno.js";

const LONGEST = 256;
/** No blanks, no control characters, nothing that is a wildcard. */
const WORD = /^[^\s\p{Cc}.*>]+$/u;

/** A subject that can be published to. Throws EINVAL that names `argument`. */
export function checkSubject(argument: string, subject: string): string {
  if (subject.length > LONGEST || !subject.split(".").every((word) => WORD.test(word))) {
    throw wrong(argument, subject, "words with dots between, without * and >");
  }
  return subject;
}

/** A pattern that can be subscribed to. Throws EINVAL that names `argument`. */
export function checkPattern(argument: string, pattern: string): string {
  const words = pattern.split(".");
  const good = words.every(
    (word, i) => WORD.test(word) || word === "*" || (word === ">" && i === words.length - 1),
  );
  if (!good || pattern.length > LONGEST) {
    throw wrong(argument, pattern, "words with dots between; * for one word, > for all at the end");
  }
  return pattern;
}

/** Whether the subject is one of those that the pattern stands for. */
export function matches(pattern: string, subject: string): boolean {
  return covers(pattern, subject);
}

/** Whether each subject that `inner` stands for is one of `outer` too. */
export function covers(outer: string, inner: string): boolean {
  const wide = outer.split(".");
  const narrow = inner.split(".");
  for (const [i, word] of wide.entries()) {
    const other = narrow[i];
    if (other === undefined) return false;
    if (word === ">") return true;
    if (other === ">" || (word !== "*" && word !== other)) return false;
  }
  return wide.length === narrow.length;
}

function wrong(argument: string, text: string, right: string): ContixError {
  const message = `${argument} is "${text.slice(0, LONGEST)}"; it must be ${right}, ${LONGEST} characters at most`;
  return new ContixError("EINVAL", message, { argument });
}
