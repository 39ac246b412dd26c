import { describe, expect, it } from "vitest";
import { Mailboxes } from "./mailboxes.js";

const mail = (id: bigint, from: bigint) => ({ id, from, topic: "", body: new Uint8Array() });

function receivers() {
  const mailboxes = new Mailboxes();
  const got: string[] = [];
  const wait = (who: string, from = 0n): (() => void) =>
    mailboxes.wait(9n, { from, take: ({ id }) => got.push(`${who} ${id}`) });
  return { mailboxes, got, wait };
}

describe("mailboxes", () => {
  it("hand each message to one receiver: the first that wants it", () => {
    const { mailboxes, got, wait } = receivers();
    wait("picky", 5n);
    wait("first");
    wait("second");
    mailboxes.deliver(9n, mail(1n, 4n));
    mailboxes.deliver(9n, mail(2n, 5n));
    mailboxes.deliver(9n, mail(3n, 5n));
    mailboxes.deliver(9n, mail(4n, 5n));
    expect(got).toEqual(["first 1", "picky 2", "second 3"]);
  });

  it("deliver nothing to one that gave up, nor to another process", () => {
    const { mailboxes, got, wait } = receivers();
    wait("cancelled")();
    wait("waits");
    mailboxes.deliver(8n, mail(1n, 4n));
    mailboxes.deliver(9n, mail(2n, 4n));
    expect(got).toEqual(["waits 2"]);
  });

  it("do not mix up a receiver that gave up late with those that came after it", () => {
    const { mailboxes, got, wait } = receivers();
    const late = wait("early");
    mailboxes.deliver(9n, mail(1n, 4n));
    wait("later");
    late();
    mailboxes.deliver(9n, mail(2n, 4n));
    expect(got).toEqual(["early 1", "later 2"]);
  });
});
