/** The gRPC health service, as a stranger asks it. */
import { Client, credentials } from "@grpc/grpc-js";
import {
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/gen/grpc/health/v1/health.js";

/** "SERVING", "NOT_SERVING", or the gRPC status of a service that is not known. */
export function health(address: string, service = ""): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = HealthService.check;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
      (error, reply) => {
        client.close();
        resolve(error ? `status ${error.code}` : (ServingStatus[reply?.status ?? 0] ?? ""));
      },
    );
  });
}
