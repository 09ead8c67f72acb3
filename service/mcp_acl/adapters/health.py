"""grpc.health.v1 as bytes: what the service says of itself. Knows no host; how a watcher waits is the host's business.

The empty name and the service's own are SERVING until the drain begins. `POLICIES` says whether what the policy directory holds is what
is in force: NOT_SERVING while a set was refused and the one before it stands.
"""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.status import ApiError, Code
from mcp_acl.runtime.load import Load

CHECK: Final = "/grpc.health.v1.Health/Check"
WATCH: Final = "/grpc.health.v1.Health/Watch"
POLICIES: Final = "mcp_acl.policies"

_Status: Final = health_pb2.HealthCheckResponse


def _always() -> bool:
    return True


class Health:
    """The health of one process. `is_current`: the policies in force are those of the directory. `load` is for its host to count."""

    def __init__(self, is_current: Callable[[], bool] = _always, load: Load | None = None) -> None:
        self._is_current = is_current
        self.load = Load() if load is None else load
        self.draining = False

    def check(self, body: bytes) -> bytes:
        """The answer to Check. Raises ApiError: NOT_FOUND for the name of a service that is not here."""
        answer = self.watched(body)
        if answer == _UNKNOWN:
            raise ApiError("there is no such service", Code.NOT_FOUND)
        return answer

    def watched(self, body: bytes) -> bytes:
        """The answer that Watch would give now. Raises ApiError."""
        try:
            service = health_pb2.HealthCheckRequest.FromString(body).service
        except DecodeError:
            raise ApiError("the request is not a `grpc.health.v1.HealthCheckRequest`") from None
        if service not in ("", SERVICE, POLICIES):
            return _UNKNOWN
        serving = not self.draining and (service != POLICIES or self._is_current())
        return _SERVING if serving else _NOT_SERVING


_UNKNOWN: Final = bytes(_Status(status=_Status.SERVICE_UNKNOWN).SerializeToString())
_SERVING: Final = bytes(_Status(status=_Status.SERVING).SerializeToString())
_NOT_SERVING: Final = bytes(_Status(status=_Status.NOT_SERVING).SerializeToString())
