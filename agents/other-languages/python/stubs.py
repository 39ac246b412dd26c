"""The messages and the service, made from proto/ when first imported."""
import importlib
import pathlib
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

_PROTO = pathlib.Path(__file__).parents[3] / "proto"
_GENERATED = tempfile.TemporaryDirectory(prefix="contix-stubs-")

_status = protoc.main([
    "protoc",
    f"-I{_PROTO}",
    f"--python_out={_GENERATED.name}",
    f"--grpc_python_out={_GENERATED.name}",
    *map(str, (_PROTO / "contix" / "v1").glob("*.proto")),
])
if _status != 0:
    raise ImportError(f"protoc ended with {_status}")
sys.path.insert(0, _GENERATED.name)
kernel_pb2 = importlib.import_module("contix.v1.kernel_pb2")
kernel_pb2_grpc = importlib.import_module("contix.v1.kernel_pb2_grpc")
errno_pb2 = importlib.import_module("contix.v1.errno_pb2")
