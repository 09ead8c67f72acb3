"""Whether a service is serving: gRPC's standard question. For checks that are begun again and again, so it takes in little else."""

from contextlib import closing
from typing import Final

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.client.channels import Channels
from mcp_acl.client.failures import UNKNOWN_SERVICE
from mcp_acl.client.targets import Tls
from mcp_acl.client.values import MisuseError, UnavailableError

PATH: Final = "/grpc.health.v1.Health/Check"


def ask_health(address: str, service: str = "", *, tls: Tls | None = None, timeout: float = 1.0) -> bool:
    """Whether it is serving, asked by a connection of its own. Raises MisuseError, and UnavailableError that names the address."""
    with closing(Channels(address, tls, timeout, (PATH,))) as channels:
        try:
            return asked(channels, service)
        except UnavailableError as error:
            raise UnavailableError(f"there is no answer from `{address}`: {error}") from error


def asked(channels: Channels, service: str) -> bool:
    """Whether it is serving. Raises UnavailableError, and MisuseError for the name of a service that is not there."""
    try:
        return is_serving(channels.ask(PATH, request_for(service)))
    except UnavailableError as error:
        if error.code == UNKNOWN_SERVICE:
            raise unknown(service) from error
        raise


def unknown(service: str) -> MisuseError:
    """The error for the name of a service that is not there."""
    return MisuseError(f"there is no service `{service}` there")


def request_for(service: str) -> bytes:
    """The question. The empty name stands for the service as a whole."""
    return bytes(health_pb2.HealthCheckRequest(service=service).SerializeToString())


def is_serving(body: bytes) -> bool:
    """What was answered. Raises UnavailableError for what is no answer."""
    try:
        status = health_pb2.HealthCheckResponse.FromString(body).status
    except DecodeError:
        raise UnavailableError("the answer is not a `grpc.health.v1.HealthCheckResponse`") from None
    return bool(status == health_pb2.HealthCheckResponse.SERVING)
