// Bundles the programs that people wait for: Node reads a few files instead of hundreds.
//
// A bundle stands where tsc put the program's own file, so that whoever starts `dist/cli/contixd.js`
// gets it; what else tsc made stays beside it, for the SDK's users and for tests. Whatever a module
// finds relative to itself (its worker, its driver, a data file) it must find from a bundle too:
// `import.meta.url` and `__dirname` are replaced by what they are in the module's own file.
import { readdir, readFile, rm } from "node:fs/promises";
import { relative, sep } from "node:path";
import { build } from "esbuild";

const PROGRAMS = [
  "cli/contix.ts",
  "cli/contixd.ts",
  "cli/prepare.ts",
  "servers/llm/main.ts",
  "servers/llm/fake/main.ts",
  "servers/llm/text/worker.ts",
  "servers/llm/engine/swap-worker.ts",
  // Clocks are put into the very modules that the driver runs on.
  "bench/harness/traced-driver.ts",
];

/** They bring native code, which they look for beside themselves. */
const NATIVE = ["koffi", "onnxruntime-node"];

/** What every bundle begins with: the folder that all of them lie under, and CommonJS's `require`. */
const BANNER = `import { createRequire as contixCreateRequire } from "node:module";
import { dirname as contixDirname } from "node:path";
const require = contixCreateRequire(import.meta.url);
const contixDist = import.meta.url.slice(0, import.meta.url.lastIndexOf("/dist/") + "/dist/".length);`;

/** Bundles into `dist` of the tree at `root`, which is compiled. */
export async function bundle(root) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: PROGRAMS,
    outdir: "dist",
    outbase: ".",
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.20",
    sourcemap: true,
    sourcesContent: false,
    external: NATIVE,
    banner: { js: BANNER },
    logLevel: "warning",
    plugins: [{ name: "places", setup: (plugin) => keepPlaces(plugin, root) }],
    metafile: true,
  });
  // Only now, and only what nobody names any more: a program may be starting meanwhile.
  for (const name of await readdir("dist/chunks")) {
    if (!(`dist/chunks/${name}` in metafile.outputs)) await rm(`dist/chunks/${name}`);
  }
}

function keepPlaces(plugin, root) {
  plugin.onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
    const source = await readFile(path, "utf8");
    const file = relative(root, path).split(sep).join("/");
    const inPackage = /^(?:.*\/)?node_modules\/(.+)$/.exec(file)?.[1];
    if (inPackage === undefined) {
      if (!source.includes("import.meta.url")) return undefined;
      const url = `new URL(${JSON.stringify(file.replace(/\.ts$/, ".js"))}, contixDist).href`;
      return { contents: source.replaceAll("import.meta.url", url), loader: "ts" };
    }
    if (!source.includes("__dirname")) return undefined;
    const folder = `contixDirname(contixCreateRequire(contixDist).resolve(${JSON.stringify(inPackage)}))`;
    return { contents: source.replaceAll("__dirname", folder), loader: "js" };
  });
}
