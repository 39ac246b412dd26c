/** fetch with patience and plain words: what a server refuses becomes a typed error. */
import { ContixError } from "../../../proto/errno.js";

/** Bytes as they lie on the server: ranges and lengths mean nothing of packed ones. */
export const identityHeaders = { "accept-encoding": "identity" } as const;

/**
 * fetch, but the answer's head must come within `ms`.
 * @throws ContixError ETIMEDOUT, EIO with the reason; the signal's reason when aborted.
 */
export async function fetchWithin(
  ms: number,
  url: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), ms);
  const signals = init.signal ? [init.signal, tooLate.signal] : [tooLate.signal];
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any(signals) });
  } catch (error) {
    init.signal?.throwIfAborted();
    if (tooLate.signal.aborted)
      throw new ContixError("ETIMEDOUT", `no answer within ${ms / 1000} s`);
    throw new ContixError("EIO", causeOf(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** What a status other than 2xx means. The body, which nobody reads, is closed. */
export async function refusalOf(response: Response): Promise<ContixError> {
  await response.body?.cancel().catch(() => {});
  const { status } = response;
  const said = `the server says ${`${status} ${response.statusText}`.trim()}`;
  if (status === 401 || status === 403) {
    const how = "it may be private, gated or not there: accept its terms on the hub, set HF_TOKEN";
    return new ContixError("EACCES", `${said}: ${how}`);
  }
  const retryAfterUs = retryAfter(response.headers.get("retry-after"));
  if (status === 429 || (status === 503 && retryAfterUs > 0)) {
    return new ContixError("EAGAIN", said, { retryAfterUs });
  }
  // A server in trouble may recover; a file that is not there will not come.
  const passing = status >= 500 || status === 408;
  return new ContixError(passing ? "EIO" : "ENOENT", said);
}

/** fetch hides the reason ("fetch failed") in its cause. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}

const UNREACHABLE = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH"];

/**
 * Whether nobody is there at all (who was not there before is then not worth waiting for),
 * or fetch itself refuses: a port or a scheme that it does not speak to, a redirect loop.
 */
export function isHopeless(error: ContixError): boolean {
  const failed = error.cause;
  if (!(failed instanceof TypeError)) return false;
  const { cause } = failed;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === undefined || UNREACHABLE.some((name) => name === code);
}

/** Seconds or a date, as microseconds from now. */
function retryAfter(text: string | null): number {
  if (text === null) return 0;
  if (/^\d+$/.test(text.trim())) return Number(text) * 1e6;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now()) * 1000;
}
