/**
 * Failures as OpenAI's API says them: `{error: {message, type, param, code}}` under an HTTP
 * status. One table maps the kernel's errno names; the client libraries decide by status
 * (and `Retry-After`) whether to try again.
 */
import { ConnectionError, type Errno, SyscallError } from "../../syscalls/index.js";

interface Detail {
  readonly type?: string;
  readonly code?: string | null;
  /** The parameter of the request at fault. */
  readonly param?: string | null;
  readonly retryAfterMs?: number;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  /** When to try again; 0: not said. */
  readonly retryAfterMs: number;

  constructor(
    readonly status: number,
    message: string,
    detail: Detail = {},
  ) {
    super(message);
    this.type = detail.type ?? (status >= 500 ? "server_error" : "invalid_request_error");
    this.code = detail.code ?? null;
    this.param = detail.param ?? null;
    this.retryAfterMs = detail.retryAfterMs ?? 0;
  }

  /** The body of the answer, or the `data` of a last event. */
  get body(): object {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }

  get headers(): Record<string, string> {
    const wait = this.retryAfterMs;
    const headers: Record<string, string> = {};
    // The second is what OpenAI's libraries look for first; seconds alone are too coarse.
    if (wait > 0) headers["retry-after"] = String(Math.ceil(wait / 1000));
    if (wait > 0) headers["retry-after-ms"] = String(Math.ceil(wait));
    if (this.status === 401) headers["www-authenticate"] = "Bearer";
    return headers;
  }
}

interface Row {
  readonly status: number;
  readonly type?: string;
  /** Where OpenAI has no code for it, the errno's name is the code. */
  readonly code?: string;
}

const LIMIT = { type: "rate_limit_error" };

const ROWS: Partial<Record<Errno, Row>> = {
  EACCES: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  EPERM: { status: 403, type: "permission_error", code: "insufficient_permissions" },
  EMODEL: { status: 404, code: "model_not_found" },
  ENOENT: { status: 404 },
  ESRCH: { status: 404 },
  EINVAL: { status: 400, code: "invalid_value" },
  EBADF: { status: 400 },
  ENOMEM: { status: 400, code: "context_length_exceeded" },
  E2BIG: { status: 413 },
  EMSGSIZE: { status: 413 },
  EAGAIN: { status: 429, ...LIMIT, code: "rate_limit_exceeded" },
  EMFILE: { status: 429, ...LIMIT },
  EDQUOT: { status: 429, type: "insufficient_quota", code: "insufficient_quota" },
  EBUSY: { status: 409 },
  ENOSYS: { status: 501 },
  ESHUTDOWN: { status: 503, code: "kernel_unavailable" },
  ETIMEDOUT: { status: 504, code: "timeout" },
};

/** The kernel's arguments whose parameter has another name. */
const PARAMS: Readonly<Record<string, string>> = {
  chat: "messages",
  role: "messages",
  "the number of stop strings": "stop",
  // A key is no parameter.
  token: "",
};
/** When to come again while the kernel is away or full, and it does not say. */
const AGAIN_MS = 1000;

/** How any failure is answered. What is not typed stays inside. */
export function toApiError(
  error: unknown,
  inputParam: "messages" | "prompt" = "messages",
): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof SyscallError) return fromKernel(error, inputParam);
  if (error instanceof ConnectionError) {
    const { cause } = error;
    // The key was revoked, and the kernel cut its attachment.
    if (cause instanceof SyscallError && cause.code === "EACCES")
      return fromKernel(cause, inputParam);
    const message = "the kernel is away; try again";
    return new ApiError(503, message, { code: "kernel_unavailable", retryAfterMs: AGAIN_MS });
  }
  return new ApiError(500, "internal error", { code: "internal_error" });
}

function fromKernel(error: SyscallError, inputParam: string): ApiError {
  const { code, argument } = error;
  const row = ROWS[code] ?? { status: 500 };
  const message = error.message.replace(`${code}: `, "");
  const param = argument === "input" ? inputParam : (PARAMS[argument] ?? argument);
  const tooLong = code === "ENOMEM" && argument !== "input";
  const waits = code === "EAGAIN" || code === "ESHUTDOWN";
  return new ApiError(tooLong ? 503 : row.status, message, {
    ...(row.type !== undefined && !tooLong && { type: row.type }),
    code: tooLong ? code : (row.code ?? code),
    param: param === "" ? null : param,
    retryAfterMs: error.retryAfterMs || (waits ? AGAIN_MS : 0),
  });
}
