import { describe, expect, it } from "vitest";
import { type GatewayInput, hostOf, OptionError, portOf, readOptions } from "./options.js";

const kernel = "unix:///run/contixd.sock";
const input = (more: Partial<GatewayInput>): GatewayInput => ({
  ...{ listen: "127.0.0.1:8080", kernel },
  ...more,
});

describe("options of the gateway", () => {
  it("take what is said and fill in the rest", () => {
    const options = readOptions(input({ listen: "[::1]:0", choices: 4 }));
    expect(options).toMatchObject({ listen: "[::1]:0", choices: 4, keys: 256, tlsCert: "" });
    expect([hostOf(options.listen), portOf(options.listen)]).toEqual(["::1", 0]);
  });

  it.each<[string, Partial<GatewayInput>, RegExp]>([
    ["no port", { listen: "127.0.0.1" }, /^listen: a HOST:PORT/],
    ["an IPv6 address without brackets", { listen: "::1:80" }, /^listen/],
    ["a path for an address", { kernel: "/run/contixd.sock" }, /^kernel: an address/],
    ["a URL for a kernel", { kernel: "http://h:1" }, /^kernel/],
    ["an origin with a path", { corsOrigins: ["https://a.example/x"] }, /^corsOrigins\.0/],
    ["a body of nothing", { bodyBytes: 1 }, /^bodyBytes/],
    ["half a certificate", { tlsCert: "c.pem" }, /together/],
    ["the other half", { tlsKey: "k.pem" }, /together/],
    ["keys in the clear beyond this machine", { listen: "0.0.0.0:80" }, /beyond loopback/],
    ["an unknown option", { listne: "x" } as Partial<GatewayInput>, /listne/],
    ["two faults", { keys: 0, choices: 500 }, /choices.*keys|keys.*choices/],
  ])("refuse %s", (_what, more, why) => {
    expect(() => readOptions(input(more))).toThrow(OptionError);
    expect(() => readOptions(input(more))).toThrow(why);
  });

  it("let keys leave this machine under TLS, or behind a proxy that does it", () => {
    const away = { listen: "0.0.0.0:443" };
    expect(readOptions(input({ ...away, behindProxy: true })).behindProxy).toBe(true);
    expect(readOptions(input({ ...away, tlsCert: "c", tlsKey: "k" })).tlsKey).toBe("k");
    for (const listen of ["localhost:1", "127.8.0.1:1", "[::1]:1"]) {
      expect(readOptions(input({ listen })).listen).toBe(listen);
    }
  });
});
