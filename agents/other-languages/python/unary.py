"""One call without a stream and without stubs: the kernel says itself, by reflection, what it speaks.

python unary.py NAME [JSON]        such as: python unary.py generate '{"prompt": "Once", "maxTokens": 9}'

It prints the reply as JSON. A refusal ends it with 1, and the gRPC status and the kernel's own error.
"""
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from kernel import connect

name, text = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "{}")

with connect() as (channel, token):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName("contix.v1.Kernel").FindMethodByName("Call")
    syscall = message_factory.GetMessageClass(method.input_type)
    reply = message_factory.GetMessageClass(method.output_type)
    failure = message_factory.GetMessageClass(pool.FindMessageTypeByName("contix.v1.Error"))
    request = json_format.Parse(f'{{"{name}": {text}}}', syscall())
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=syscall.SerializeToString,
        response_deserializer=reply.FromString,
    )
    try:
        answer = call(request, metadata=[("authorization", f"Bearer {token}")], timeout=60)
        print(json_format.MessageToJson(answer))
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        for key, value in error.trailing_metadata():
            if key == "contix-error-bin":
                print(json_format.MessageToJson(failure.FromString(value)), file=sys.stderr)
        sys.exit(1)
