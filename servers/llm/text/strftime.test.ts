import { expect, it } from "vitest";
import { strftime } from "./strftime.js";

it("writes dates as C does", () => {
  const date = new Date("2024-03-05T13:07:09Z");
  expect(strftime(date, "%d %b %Y, %A %a %B %y-%m-%e")).toBe(
    "05 Mar 2024, Tuesday Tue March 24-03- 5",
  );
  expect(strftime(date, "%H:%M:%S %I %p %Z 100%% %-d %-I %Q")).toBe(
    "13:07:09 01 PM UTC 100% 5 1 %Q",
  );
  expect(strftime(new Date("2024-03-05T00:00:00Z"), "%I %p %-H")).toBe("12 AM 0");
});
