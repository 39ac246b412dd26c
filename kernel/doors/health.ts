/**
 * The standard gRPC health service: the health of the whole server is that of the service "".
 *
 * It is written out here because the package that serves it reads its .proto file with a parser
 * of its own whenever the kernel starts, which costs more than the kernel's own code.
 */
import {
  status as grpcStatus,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthListRequest,
  type HealthListResponse,
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/gen/grpc/health/v1/health.js";

type Watcher = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** The longest list, as the protocol says; a longer one is refused. */
const MOST_LISTED = 100;

export class Health {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #watchers = new Map<string, Set<Watcher>>();

  /** @param services known from the start, and not serving yet */
  constructor(services: readonly string[]) {
    for (const service of services) this.#statuses.set(service, ServingStatus.NOT_SERVING);
  }

  set(service: string, serving: boolean): void {
    const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    this.#statuses.set(service, status);
    for (const watcher of this.#watchers.get(service) ?? []) watcher.write({ status });
  }

  addTo(server: Server): void {
    server.addService(HealthService, {
      check: (
        call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        answer: sendUnaryData<HealthCheckResponse>,
      ) => this.#check(call.request.service, answer),
      watch: (call: Watcher) => this.#watch(call),
      list: (
        _call: ServerUnaryCall<HealthListRequest, HealthListResponse>,
        answer: sendUnaryData<HealthListResponse>,
      ) => this.#list(answer),
    });
  }

  #check(service: string, answer: sendUnaryData<HealthCheckResponse>): void {
    const status = this.#statuses.get(service);
    const details = `Health status unknown for service ${service}`;
    if (status === undefined) answer({ code: grpcStatus.NOT_FOUND, details });
    else answer(null, { status });
  }

  /** Says it now and whenever it is set; a service that is not known may come to be. */
  #watch(call: Watcher): void {
    const { service } = call.request;
    const watchers = this.#watchers.get(service) ?? new Set();
    this.#watchers.set(service, watchers.add(call));
    call.on("cancelled", () => {
      watchers.delete(call);
      // Whoever asks for made-up names leaves nothing behind.
      if (watchers.size === 0) this.#watchers.delete(service);
    });
    call.write({ status: this.#statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN });
  }

  #list(answer: sendUnaryData<HealthListResponse>): void {
    if (this.#statuses.size > MOST_LISTED) {
      answer({ code: grpcStatus.RESOURCE_EXHAUSTED, details: "Too many services to list." });
      return;
    }
    const statuses = [...this.#statuses].map(([name, status]) => [name, { status }] as const);
    answer(null, { statuses: Object.fromEntries(statuses) });
  }
}
