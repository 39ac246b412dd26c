import { expect, it } from "vitest";
import { redacted, withoutUser } from "./url.js";

const URLS = [
  "nats://host:4222",
  "nats://bob:secret@host:4222",
  "tls://token@host:4222/n2",
  "nats://bob:p@ss,w/o:rd@host:4222",
  "nats://a:secret@one:1,tls://b:secret@two:2,nats://three:3",
  "embedded:4222",
  "",
];

it("takes the user out of each URL, whatever the password holds, and leaves the rest", () => {
  expect(URLS.map(withoutUser)).toEqual([
    "nats://host:4222",
    "nats://host:4222",
    "tls://host:4222/n2",
    "nats://host:4222",
    "nats://one:1,tls://two:2,nats://three:3",
    "embedded:4222",
    "",
  ]);
});

it("says where there was one", () => {
  expect(URLS.map(redacted)).toEqual([
    "nats://host:4222",
    "nats://***@host:4222",
    "tls://***@host:4222/n2",
    "nats://***@host:4222",
    "nats://***@one:1,tls://***@two:2,nats://three:3",
    "embedded:4222",
    "",
  ]);
});
