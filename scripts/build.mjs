// Builds everything a clone needs: protobuf code, the descriptor set for reflection, JavaScript.
//   node scripts/build.mjs [--proto-only | --plain]
// With --plain the programs stay one file a module, for profiles that point to them.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

function run(command, ...args) {
  const result = spawnSync(`node_modules/.bin/${command}`, args, { stdio: "inherit" });
  if (result.status !== 0) {
    console.error(`build: ${command} ${args.join(" ")} failed`);
    process.exit(result.status ?? 1);
  }
}

run("buf", "generate");
run("buf", "build", "-o", "proto/gen/contix.binpb");
if (!process.argv.includes("--proto-only")) {
  const plain = process.argv.includes("--plain");
  // tsc writes nothing twice, and the bundles stand where it wrote the programs.
  if (plain) rmSync("dist/.tsbuildinfo", { force: true });
  run("tsc", "-p", "tsconfig.build.json");
  mkdirSync("dist/proto/gen", { recursive: true });
  cpSync("proto/gen/contix.binpb", "dist/proto/gen/contix.binpb");
  cpSync("servers/llm/models/calibration.txt", "dist/servers/llm/models/calibration.txt");
  if (!plain) await bundle(root);
  for (const bin of ["contix", "contixd"]) {
    chmodSync(`dist/cli/${bin}.js`, 0o755);
    // In a clone `npx contix` looks here first; without it npx would install the clone into its cache.
    rmSync(`node_modules/.bin/${bin}`, { force: true });
    symlinkSync(`../../dist/cli/${bin}.js`, `node_modules/.bin/${bin}`);
  }
}
