import { describe, expect, it } from "vitest";
import { chooseFiles } from "./pull-choose.js";
import { parseHubSpec } from "./pull-spec.js";

const files = (...paths: string[]) => paths.map((path, i) => ({ path, size: 1000 * (i + 1) }));
const choose = (paths: string[], wanted?: string) => chooseFiles(files(...paths), wanted, "hf:a/b");
const mainOf = (paths: string[], wanted?: string) => choose(paths, wanted).main;

describe("which files of a repository make a model", () => {
  const quantized = ["m.Q2_K.gguf", "m.Q4_K_M.gguf", "m.Q8_0.gguf", "README.md"];

  it("takes the only GGUF file, else that in Q8_0, else that in Q4_K_M", () => {
    expect(mainOf(["x/m.IQ1_S.gguf", "mmproj-m.gguf", "imatrix.gguf"])).toBe("x/m.IQ1_S.gguf");
    expect(mainOf(quantized)).toBe("m.Q8_0.gguf");
    expect(mainOf(quantized.filter((name) => !name.includes("Q8")))).toBe("m.Q4_K_M.gguf");
    expect(choose(quantized).files.map(({ path }) => path)).toEqual(["m.Q8_0.gguf"]);
  });

  it("takes what is named: by path, file name or quantization, in any case", () => {
    expect(mainOf(quantized, "m.Q2_K.gguf")).toBe("m.Q2_K.gguf");
    expect(mainOf(["x/m-Q2_K.gguf", "m-Q4_0.gguf"], "m-Q2_K.gguf")).toBe("x/m-Q2_K.gguf");
    expect(mainOf(quantized, "q4_k_m")).toBe("m.Q4_K_M.gguf");
    expect(mainOf(["Q4_0.gguf", "Q4_1.gguf"], "Q4_1")).toBe("Q4_1.gguf");
    const ends = () => mainOf(["m.Q4_K_M.gguf"], "M");
    expect(ends).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  it("lists the choices when it is the user's", () => {
    const several = () => choose(["m.Q2_K.gguf", "m.Q3_K.gguf"]);
    expect(several).toThrow(/name one after a colon: m.Q2_K.gguf \(0.00 MB\), m.Q3_K.gguf/);
    const twice = () => choose(["a/m.Q8_0.gguf", "b/m.Q8_0.gguf"], "Q8_0");
    expect(twice).toThrow(/several files "Q8_0": give the path of one of these: a\/m/);
    expect(() => choose(quantized, "Q5_0")).toThrow(/no graph "Q5_0": it has m.Q2_K.gguf/);
    expect(() => choose(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"])).toThrow(/in parts/);
    expect(() => choose(["model.safetensors"])).toThrow(/it has model.safetensors/);
    expect(() => choose([])).toThrow(/it has no files/);
  });

  it("takes a graph with its data, configuration and tokenizer", () => {
    const hub = [
      "config.json",
      "tokenizer.json",
      "README.md",
      "onnx/model.onnx",
      "onnx/model.onnx_data",
    ];
    const more = [
      "onnx/model.onnx_data_1",
      "onnx/model_q4.onnx",
      "onnx/model_q4.onnx_data",
      "x.bin",
    ];
    const paths = (wanted?: string) => choose([...hub, ...more], wanted).files.map((f) => f.path);
    expect(new Set(paths())).toEqual(new Set([...hub, "onnx/model.onnx_data_1"]));
    expect(choose([...hub, ...more])).toMatchObject({ kind: "onnx", main: "onnx/model.onnx" });
    expect(paths("q4")).toEqual(
      expect.arrayContaining(["onnx/model_q4.onnx", "onnx/model_q4.onnx_data", "config.json"]),
    );
    expect(paths("q4")).not.toContain("onnx/model.onnx_data");
    expect(mainOf(["model.onnx", "config.json", "tokenizer.json"])).toBe("model.onnx");
    expect(() => choose(["onnx/model.onnx", "config.json"])).toThrow(/has no tokenizer.json/);
  });
});

describe("how a model of a hub is written", () => {
  it("has a repository, and perhaps a revision and a file", () => {
    const parsed = (text: string) => Object.values(parseHubSpec(text));
    expect(parsed("hf:a/b")).toEqual(["a/b", undefined, undefined]);
    expect(parsed("hf:a/b.c-d:Q8_0")).toEqual(["a/b.c-d", undefined, "Q8_0"]);
    expect(parsed("hf:a/b@refs/pr/1:x/y.gguf")).toEqual(["a/b", "refs/pr/1", "x/y.gguf"]);
  });

  it.each([
    "hf:",
    "hf:a",
    "hf:a/b/c",
    "hf:../b",
    "hf:a/..",
    "hf:a/b@",
    "hf:a/b:",
    "hf:a b/c",
    "a/b",
  ])("refuses %s", (text) => {
    expect(() => parseHubSpec(text)).toThrow(/write hf:OWNER\/REPO, /);
  });
});
