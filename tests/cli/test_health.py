"""`health`: serving, not serving, no answer; over TCP, a socket file, TLS and mTLS."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from tests.certificates import secured
from tests.cli.conftest import Run
from tests.serving import Handler, Status, answering, serving

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def saying(status: int) -> Handler:
    def handler(path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        assert path == "/grpc.health.v1.Health/Check"
        next(requests)
        yield health_pb2.HealthCheckResponse(status=status).SerializeToString()

    return handler


def test_service_that_is_serving_ends_with_0(run: Run, policies: Path) -> None:
    with serving(policies) as address:
        result = run("health", "--address", address)
        assert (0, f"{address}: serving\n", "") == (result.exit_code, result.stdout, result.stderr)
        named = run("health", "--address", address, "--service", "mcp_acl.v1.AccessControl", "--json")
        assert 0 == named.exit_code
        assert {"serving": True, "address": address, "service": "mcp_acl.v1.AccessControl"} == json.loads(named.stdout)
        unknown = run("health", "--address", address, "--service", "nothing")
        assert (2, "error: there is no service `nothing` there\n") == (unknown.exit_code, unknown.stderr)


@pytest.mark.parametrize("status", [NOT_SERVING, 0, 9])
def test_service_that_is_not_serving_ends_with_1(run: Run, status: int) -> None:
    with answering(saying(status)) as address:
        result = run("health", "--address", address)
        assert (1, f"{address}: not serving\n") == (result.exit_code, result.stdout)
        assert json.loads(run("health", "--address", address, "--json").stdout)["serving"] is False


def test_service_that_does_not_answer_ends_with_2(run: Run, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/acl"
    result = run("health", "--address", address)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"error: there is no answer from `{address}`: UNAVAILABLE")
    as_json = run("health", "--address", address, "--json")
    assert (2, "input") == (as_json.exit_code, json.loads(as_json.stdout)["problems"][0]["code"])


def test_service_that_answers_otherwise_ends_with_2(run: Run) -> None:
    def handler(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        yield from ()
        next(requests)
        raise Status(grpc.StatusCode.PERMISSION_DENIED)

    with answering(handler) as address:
        result = run("health", "--address", address)
    assert (2, True) == (result.exit_code, "PERMISSION_DENIED" in result.stderr)


@pytest.mark.parametrize(
    "options",
    [
        ["--address", "9191"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--tls-ca", "nowhere"],
        ["--tls-key", "nowhere"],
    ],
)
def test_options_that_cannot_be_used_end_with_2(run: Run, options: list[str]) -> None:
    result = run("health", *options)
    assert (2, "", True) == (result.exit_code, result.stdout, result.stderr.startswith("error: "))


def test_socket_file_is_asked_by_the_program_itself(policies: Path, tmp_path: Path) -> None:
    with serving(policies, "--listen", f"unix:{tmp_path}/acl") as address:
        ended = subprocess.run(
            [sys.executable, "-m", "mcp_acl", "health", "--address", address], capture_output=True, check=False
        )
    assert (0, b"") == (ended.returncode, ended.stderr)


def test_service_with_tls_is_asked_with_what_it_asks_for(run: Run, tmp_path: Path) -> None:
    credentials, given = secured(tmp_path)
    with answering(saying(health_pb2.HealthCheckResponse.SERVING), credentials=credentials) as address:
        ask = ["health", "--address", address, *given["ca"]]
        shown = [*given["cert"], *given["key"]]
        assert 0 == run(*ask, *shown, "--tls-name", "acl.internal").exit_code
        assert 2 == run(*ask, *shown).exit_code
        assert 2 == run(*ask, "--tls-name", "acl.internal").exit_code
        assert 2 == run("health", "--address", address, "--tls").exit_code
