import { describe, expect, it } from "vitest";
import { Admission } from "./admission.js";

const full = expect.objectContaining({ code: "EAGAIN", retryAfterUs: expect.any(Number) });

describe("admission", () => {
  it("is bounded, and a place given back is free again", () => {
    const admission = new Admission(1, 1);
    admission.enter(1n);
    admission.enter(1n);
    expect(() => admission.enter(2n)).toThrow(full);
    admission.leave(1n, 500_000);
    admission.enter(2n);
    expect(admission.admitted).toBe(2);
  });

  it("keeps room for others, whatever one process asks for", () => {
    const admission = new Admission(16, 512);
    let hog = 0;
    expect(() => {
      for (; hog <= admission.limit; hog++) admission.enter(1n);
    }).toThrow(full);
    expect(hog).toBeGreaterThan(400);
    for (let pid = 2n; pid < 50n; pid++) admission.enter(pid);
    for (; hog > 0; hog--) admission.leave(1n);
    expect(admission.admitted).toBe(48);
    admission.enter(1n);
  });

  it("says when to come back: never at once, never by a service that did not happen", () => {
    const admission = new Admission(4, 0);
    const before = admission.retryAfterUs();
    admission.enter(1n);
    admission.leave(1n, 0);
    expect(admission.retryAfterUs()).toBe(before);
    for (let i = 0; i < 200; i++) {
      admission.enter(1n);
      admission.leave(1n, 1);
    }
    expect(admission.retryAfterUs()).toBe(10_000);
  });
});
