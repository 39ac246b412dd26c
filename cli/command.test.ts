import { Command, InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { addPlaceOptions, finish, fullAddress, number, placeOf, whole } from "./command.js";
import { CliError } from "./errors.js";

function parse(...argv: string[]): ReturnType<typeof placeOf> {
  const program = addPlaceOptions(new Command("contix")).enablePositionalOptions();
  let place: ReturnType<typeof placeOf> | undefined;
  const child = program.command("ps").action((_options: object, self: Command) => {
    place = placeOf(self);
  });
  finish(child, ["contix ps"]);
  program.parse(argv, { from: "user" });
  if (place === undefined) throw new Error("the command did not run");
  return place;
}

describe("the global options", () => {
  it("may stand before and after the command; the nearer one wins", () => {
    expect(parse("--home", "/a", "ps").home).toBe("/a");
    expect(parse("ps", "--home", "/b").home).toBe("/b");
    expect(parse("--home", "/a", "ps", "--home", "/b").home).toBe("/b");
  });

  it("say whether the user named a home", () => {
    expect(parse("ps").homeGiven).toBe(false);
    expect(parse("ps", "--home", "/b").homeGiven).toBe(true);
  });

  it("take an address as people write it", () => {
    expect(fullAddress("127.0.0.1:7777")).toBe("grpc://127.0.0.1:7777");
    expect(fullAddress("[::1]:7777")).toBe("grpc://[::1]:7777");
    expect(fullAddress("/run/x.sock")).toBe("unix:///run/x.sock");
    expect(fullAddress("unix:///run/x.sock")).toBe("unix:///run/x.sock");
    expect(() => fullAddress("nonsense")).toThrow(CliError);
    expect(() => fullAddress("ftp://host/x.sock")).toThrow(/there are unix:\/\//);
  });
});

describe("numbers on the command line", () => {
  it("must be whole where they are counts", () => {
    expect(whole(1)("12")).toBe(12);
    for (const wrong of ["0", "1.5", "x", "", "1e3", "0x10"])
      expect(() => whole(1)(wrong)).toThrow(InvalidArgumentError);
    expect(whole(-20, 19)("-20")).toBe(-20);
    expect(() => whole(-20, 19)("20")).toThrow(/from -20 to 19/);
  });

  it("must be within their bounds", () => {
    expect(number(0, 1)("0.95")).toBe(0.95);
    for (const wrong of ["-0.1", "1.1", "NaN", "Infinity", " ", "x"])
      expect(() => number(0, 1)(wrong)).toThrow(InvalidArgumentError);
  });
});
