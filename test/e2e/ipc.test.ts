/** Messages between real processes, through the SDK. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { RequestRefused } from "../../syscalls/index.js";
import { spawnAgent, start, until } from "../support/kernels.js";

it("a killed peer ends requests, pipes and locks; what it said and logged is there", async () => {
  const kernel = await start();
  await using os = await kernel.connect();
  const { reader, writer } = await os.ipc.pipe();
  await using lock = await os.ipc.lock("l");
  const child = await spawnAgent(
    os,
    `const [number] = (await os.ipc.recv()).handles;
     const writer = os.ipc.handle(number).writer();
     await (await os.ipc.lock("l")).acquire();
     await writer.write("x".repeat(40_000));
     await os.sys.log("written", { fields: { bytes: 40_000 } });
     for await (const request of os.ipc.serve()) {
       if (request.text === "no?") await request.refuse("no");
       else if (request.text !== "never") await request.reply(request.text + "!");
     }`,
  );
  await os.ipc.send(child.pid, "write", { handles: [writer] });
  expect((await os.ipc.request(child.pid, "hello")).text).toBe("hello!");
  await expect(os.ipc.request(child.pid, "no?")).rejects.toThrow(RequestRefused);
  expect(await lock.tryAcquire()).toBeNull();
  const held = lock.acquire();
  const never = os.ipc.request(child.pid, "never");
  never.catch(() => undefined);
  const log = (await os.proc.ps()).find(({ pid }) => pid === child.pid)?.log ?? "";
  await until(async () => (await readFile(log, "utf8")).includes('"bytes":40000'));
  await child.kill("KILL");
  await expect(never).rejects.toMatchObject({ code: "ESRCH" });
  expect((await held).token).toBeGreaterThan(1n);
  let bytes = 0;
  for await (const data of reader) bytes += data.length;
  expect(bytes).toBe(40_000);
});

it("an alarm rings; a schedule that can never fire says why", async () => {
  const kernel = await start();
  await using os = await kernel.connect();
  const rung = new Promise<string>((resolve) => os.on("ALRM", ({ name }) => resolve(name)));
  expect(await os.time.alarm(60_000)).toBe(0);
  expect(await os.time.alarm(10)).toBeGreaterThan(0);
  expect(await rung).toBe("ALRM");
  const never = os.time.schedule("never", "0 0 31 2 *", { inbox: true });
  await expect(never).rejects.toMatchObject({ code: "EINVAL", argument: "cron" });
  await os.time.schedule("often", "* * * * * *", { inbox: true });
  expect(JSON.parse((await os.ipc.recv()).text)).toMatchObject({ schedule: "often" });
});
