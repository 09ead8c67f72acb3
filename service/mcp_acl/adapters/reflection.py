"""gRPC server reflection, as a session of bytes: the library's servicer answers, one message at a time. Knows no host.

The library speaks v1alpha; v1 has the same messages under another name (grpc/reflection/v1/reflection.proto), so both paths have it.
"""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.status import ApiError

NAMES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
PATHS: Final = tuple(f"/{name}/ServerReflectionInfo" for name in NAMES)

_SERVICER: Final[Any] = reflection.ReflectionServicer((SERVICE, "grpc.health.v1.Health", *NAMES))


class ReflectionSession:
    """One call: each request has one answer."""

    is_over = False
    held = 0

    def __init__(self, _: Metadata) -> None:
        """Nothing that comes with the call matters."""

    def feed(self, message: bytes) -> Sequence[bytes]:
        """The answer to a request. Raises ApiError."""
        try:
            request = reflection_pb2.ServerReflectionRequest.FromString(message)
        except DecodeError:
            raise ApiError("the request is not a `grpc.reflection.v1.ServerReflectionRequest`") from None
        return [answer.SerializeToString() for answer in _SERVICER.ServerReflectionInfo(iter([request]), None)]

    def close(self) -> Sequence[bytes]:
        """Nothing is due at the end."""
        return ()
