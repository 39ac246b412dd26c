/** The gRPC health service, as a stranger asks it. */
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../proto/gen/grpc/health/v1/health.js";

/** "SERVING", "NOT_SERVING", or the gRPC status of a service that is not known. */
export async function health(address: string, service = ""): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  const said = await checkHealth(client, service);
  client.close();
  return typeof said === "string" ? said : `status ${said.code}`;
}

/** The status by its name, or the error. */
export function checkHealth(client: Client, service: string): Promise<string | ServiceError> {
  const { path, requestSerialize, responseDeserialize } = HealthService.check;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
      (error, reply) => resolve(error ?? ServingStatus[reply?.status ?? 0] ?? ""),
    );
  });
}
