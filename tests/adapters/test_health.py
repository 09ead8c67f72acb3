"""Health as bytes."""

import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.health import POLICIES, Health
from mcp_acl.adapters.status import ApiError, Code

Status = health_pb2.HealthCheckResponse


def status(health: Health, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    assert health.watched(request) == health.check(request)
    return int(Status.FromString(health.check(request)).status)


@pytest.mark.parametrize("service", ["", SERVICE, POLICIES])
def test_service_is_serving_until_the_drain(service: str) -> None:
    health = Health()
    assert Status.SERVING == status(health, service)
    health.draining = True
    assert Status.NOT_SERVING == status(health, service)


def test_policies_that_are_not_those_of_the_directory_are_told_and_the_service_serves() -> None:
    health = Health(lambda: False)
    assert [Status.SERVING, Status.SERVING, Status.NOT_SERVING] == [
        status(health, one) for one in ("", SERVICE, POLICIES)
    ]


def test_name_that_is_not_here_is_not_found_and_a_watcher_is_told() -> None:
    request = health_pb2.HealthCheckRequest(service="other").SerializeToString()
    with pytest.raises(ApiError) as caught:
        Health().check(request)
    assert Code.NOT_FOUND is caught.value.code
    assert Status.SERVICE_UNKNOWN == Status.FromString(Health().watched(request)).status


def test_bytes_that_are_no_request_are_misuse() -> None:
    with pytest.raises(ApiError, match="HealthCheckRequest"):
        Health().check(b"\xff\xff")
