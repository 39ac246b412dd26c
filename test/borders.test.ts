/** The borders of the house: who may import whom. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Room → the rooms it may import from, besides itself. */
const MAY: Record<string, readonly string[]> = {
  proto: [],
  kernel: ["proto"],
  syscalls: ["proto"],
  servers: ["proto"],
  agents: [],
};
/** Packages that only certain rooms may know: the kernel knows no model, tool or file format. */
const PACKAGES: Record<string, readonly string[]> = {
  koffi: ["servers", "cli", "bench"],
  "onnxruntime-node": ["servers", "cli", "bench"],
  "@huggingface/": ["servers", "bench"],
  commander: ["cli", "bench"],
  hono: ["servers", "bench"],
  "@hono/": ["servers", "bench"],
  "prom-client": ["servers", "bench"],
};

/** Rooms within a room that may import more, and why. */
const EXCEPT: Record<string, readonly string[]> = {
  // A client of the kernel like any other: it holds no right of its own, only its callers' keys.
  "servers/gateway/": ["syscalls"],
};

function sources(room: string): string[] {
  return readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .filter((name) => !/(^|\/)(gen|node_modules)\//.test(name))
    .map((name) => join(room, name));
}

/** What a source imports, statically or dynamically. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g);
  return [...found].map((match) => match[1] ?? "");
}

function roomOf(file: string, specifier: string): string {
  if (!specifier.startsWith(".")) return "";
  const target = normalize(join(dirname(file), specifier));
  return relative(".", target).split("/")[0] ?? "";
}

function allowed(file: string, may: readonly string[]): readonly string[] {
  const more = Object.entries(EXCEPT).find(([folder]) => file.startsWith(folder));
  return [...may, ...(more?.[1] ?? [])];
}

describe.each(Object.entries(MAY))("%s", (room, may) => {
  it("imports only its own and what it may", () => {
    const wrong: string[] = [];
    for (const file of sources(room)) {
      // A test may look behind a border; what it tests may not.
      if (file.endsWith(".test.ts")) continue;
      for (const specifier of importsOf(file)) {
        const target = roomOf(file, specifier);
        if (target !== "" && target !== room && !allowed(file, may).includes(target)) {
          wrong.push(`${file} imports ${specifier}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe.each(Object.entries(PACKAGES))("package %s", (name, rooms) => {
  it("is known only where it belongs", () => {
    const wrong: string[] = [];
    for (const room of ["proto", "kernel", "syscalls", "servers", "agents", "cli", "bench"]) {
      if (rooms.includes(room)) continue;
      for (const file of sources(room)) {
        for (const specifier of importsOf(file)) {
          const is = name.endsWith("/") ? specifier.startsWith(name) : specifier === name;
          if (is) wrong.push(`${file} imports ${specifier}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

it("agents know nothing but the SDK", () => {
  const known = /^(contix|node:.+|\.\/.+)$/;
  const wrong = sources("agents").flatMap((file) =>
    importsOf(file)
      .filter((specifier) => !known.test(specifier) && !file.endsWith(".test.ts"))
      .map((specifier) => `${file} imports ${specifier}`),
  );
  expect(wrong).toEqual([]);
});
