import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { defaultHome, loadConfig } from "./config.js";

const home = mkdtempSync(join(tmpdir(), "contix-config-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const file = (text: string): void => writeFileSync(join(home, "config.yaml"), text);

describe("the configuration", () => {
  it("is defaults, then the file, then the environment, then flags", () => {
    file("slots: 2\nquantum: 3\nqueueLimit: 4\nlimits: { processes: 9 }\n");
    const config = loadConfig({ home, slots: 8 }, { CONTIX_SLOTS: "7", CONTIX_QUANTUM: "6" });
    expect(config).toMatchObject({ home, slots: 8, quantum: 6, queueLimit: 4, policy: "rr" });
    expect(config.limits.processes).toBe(9);
    expect(config.limits.messageBytes).toBe(1 << 20);
  });

  it("takes flags that are not given, and empty variables, for nothing", () => {
    file("");
    expect(loadConfig({ home, slots: undefined }, { CONTIX_SLOTS: "" }).slots).toBe(16);
    expect(defaultHome({ CONTIX_HOME: "" })).toBe(join(homedir(), ".contix"));
  });

  it("takes a model's form from the environment, as flags do", () => {
    file("");
    const form = loadConfig({ home }, { CONTIX_KV: "int8", CONTIX_RECIPE: "q8" });
    expect(form).toMatchObject({ kv: "int8", recipe: "q8" });
  });

  it("keeps a name that looks like a number a name", () => {
    file("");
    expect(loadConfig({ home }, { CONTIX_MODEL: "135" }).model).toBe("135");
  });

  it.each([
    ["slots: 0", {}, {}, /slots: .*config\.yaml/],
    ["", { CONTIX_SLOTS: "many" }, {}, /slots: .*CONTIX_SLOTS/],
    ["", {}, { driverOptions: "{" }, /driverOptions: must be JSON/],
    ["", {}, { driverOptions: "[]" }, /driverOptions: must be JSON/],
    ["", {}, { slots: 65 }, /slots: [^(]*$/],
    ["colour: red", {}, {}, /configuration: Unrecognized key.*colour.*config\.yaml/],
    ["limits: { procs: 1 }", {}, {}, /limits: Unrecognized key.*procs/],
    ["- 1", {}, {}, /must be a map/],
    ["a: [", {}, {}, /config\.yaml/],
    ["slots: 0\nquantum: 0", {}, {}, /slots.*quantum/],
    ["", {}, { listen: "0.0.0.0:1" }, /loopback/],
    ["", {}, { home: "" }, /home: is empty/],
  ])("says of %j %j %j what is wrong and where", (text, env, flags, says) => {
    file(text);
    expect(() => loadConfig({ home, ...flags }, env)).toThrow(says);
  });
});

describe("TCP beyond loopback", () => {
  it("is refused without TLS, whatever names the machine", () => {
    const load = (listen: string, more: object = {}) =>
      loadConfig({ home: "/nonexistent", listen, ...more }, {});
    for (const listen of ["0.0.0.0:7777", "[::]:7777", "10.1.2.3:7777", "host.example:7777"]) {
      expect(() => load(listen)).toThrow(/beyond loopback, where TLS is required: give tlsCert/);
    }
    for (const listen of ["127.0.0.1:7777", "127.9.9.9:7777", "localhost:7777", "[::1]:7777"]) {
      expect(load(listen).listen).toBe(listen);
    }
    expect(load("0.0.0.0:1", { tlsCert: "a", tlsKey: "b" }).tlsCert).toBe("a");
    expect(() => load("0.0.0.0:1", { tlsCert: "a" })).toThrow(/tlsKey.*go together/);
    expect(() => load("127.0.0.1:1", { tlsClientCa: "a" })).toThrow(/tlsClientCa.*only over TLS/);
  });
});
