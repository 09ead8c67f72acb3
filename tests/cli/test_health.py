"""`health`: serving, not serving, no answer; over TCP, a socket file, TLS and mTLS."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.__main__ import main
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


def test_program_asks_a_socket_file_with_no_more_than_that_takes(policies: Path, tmp_path: Path) -> None:
    with serving(policies, "--listen", f"unix:{tmp_path}/acl") as address:
        command = [sys.executable, "-X", "importtime", "-m", "mcp_acl", "health", "--address", address]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, f"{address}: serving\n") == (ended.returncode, ended.stdout)
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "grpc" in loaded
    assert not {"typer", "pydantic", "msgspec", "mcp_acl.cli", "mcp_acl.engine", "mcp_acl.mcp"} & loaded


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--timeout", "20"],
        ["--service", "nothing"],
        ["--service", "nöthing"],
        ["--timeout", "0"],
        ["--timeout", "soon"],
        ["--timeout", "20", "--json"],
        ["--service"],
        ["--serivce", "x"],
    ],
    ids=" ".join,
)
def test_program_says_the_same_as_the_command_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    def handler(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        if health_pb2.HealthCheckRequest.FromString(next(requests)).service:
            raise Status(grpc.StatusCode.NOT_FOUND)
        yield health_pb2.HealthCheckResponse(status=NOT_SERVING).SerializeToString()

    with answering(handler) as address:
        given = ["health", "--address", address, *flags]
        result = run(*given)
        monkeypatch.setattr(sys, "argv", ["mcp-acl", *given])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = capsys.readouterr()
    said = result.stderr.replace("root health", "mcp-acl health")
    assert (result.exit_code, result.stdout, said) == (ended.value.code, out, err)


def test_program_says_the_same_of_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = ["health", "--address", f"unix:{tmp_path}/acl"]
    result = run(*given)
    monkeypatch.setattr(sys, "argv", ["mcp-acl", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (2, result.stderr) == (ended.value.code, capsys.readouterr().err)


def test_service_with_tls_is_asked_with_what_it_asks_for(run: Run, tmp_path: Path) -> None:
    credentials, given = secured(tmp_path)
    with answering(saying(health_pb2.HealthCheckResponse.SERVING), credentials=credentials) as address:
        ask = ["health", "--address", address, *given["ca"]]
        shown = [*given["cert"], *given["key"]]
        assert 0 == run(*ask, *shown, "--tls-name", "acl.internal").exit_code
        assert 2 == run(*ask, *shown).exit_code
        assert 2 == run(*ask, "--tls-name", "acl.internal").exit_code
        assert 2 == run("health", "--address", address, "--tls").exit_code
