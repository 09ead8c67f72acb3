"""`serve`: what is said when it starts, and what keeps it from starting. It runs in a process of its own, on loopback."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl import server
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.hosts import grpcio
from mcp_acl.runtime.settings import Settings
from tests.cli.conftest import Run
from tests.cli.test_check import ODD


@contextmanager
def serving(policies: Path, *args: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    command = [sys.executable, "-m", "mcp_acl", "serve", "--policies", str(policies), "--listen", "127.0.0.1:0", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def policies_of(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/GetPolicySet")
        return [policy.id for policy in pb.GetPolicySetResponse.FromString(call(b"", timeout=10)).policies]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_first_line_says_where_and_a_signal_ends_with_0(policies: Path, sign: signal.Signals) -> None:
    with serving(policies) as (process, line):
        assert line.startswith("listening on 127.0.0.1:")
        assert ["weather"] == policies_of(line.split()[-1])
        process.send_signal(sign)
        assert 0 == process.wait(10)


def test_first_line_as_json_and_findings_beside_it(policies: Path) -> None:
    (policies / "odd.yaml").write_text(ODD)
    with serving(policies, "--json") as (process, line):
        found = json.loads(line)
        assert ["odd", "weather"] == [policy["id"] for policy in found["policies"]] == policies_of(found["listening"])
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert "odd.yaml:4:" in errors
    assert f"revision {found['revision']}" in errors


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ("0.0.0.0:0", "--insecure"),
        ("9191", "host:port"),
        ("127.0.0.1:99999", "not a port"),
        ("unix:/nowhere/at/all.sock", "there is no directory"),
        ("127.0.0.1:" + 5000 * "9", "not a port"),
    ],
)
def test_address_that_cannot_be_used_ends_with_2(run: Run, policies: Path, listen: str, text: str) -> None:
    result = run("serve", "--policies", policies, "--listen", listen)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: --listen: ")
    assert text in result.stderr


@pytest.mark.parametrize("drain", ["inf", "nan", "-1", "soon"])
def test_drain_is_a_number_of_seconds(run: Run, policies: Path, drain: str) -> None:
    result = run("serve", "--policies", policies, "--listen", "127.0.0.1:0", "--drain", drain)
    assert (2, "", True) == (result.exit_code, result.stdout, "--drain" in result.stderr)


def test_policies_that_are_refused_end_with_2(run: Run, policies: Path) -> None:
    (policies / "broken.yaml").write_text("rules")
    assert 2 == run("serve", "--policies", policies, "--listen", "127.0.0.1:0").exit_code


@pytest.mark.parametrize(("listen", "for_people"), [("127.0.0.1:0", True), ("0.0.0.0:0", False)])
def test_what_shows_claims_and_policies_is_served_on_loopback_alone(
    policies: Path, listen: str, for_people: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[set[str]] = []

    async def run(table: dict[str, object], *_: object) -> None:
        served.append(set(table))

    monkeypatch.setattr(grpcio, "run", run)
    server.serve(Settings(policies=policies, listen=listen, insecure=True), lambda *_: None)
    (paths,) = served
    assert for_people == (f"/{SERVICE}/Explain" in paths) == (f"/{SERVICE}/GetPolicySet" in paths)
    assert {f"/{SERVICE}/Check", f"/{SERVICE}/FilterResponse"} <= paths


def test_service_runs_without_uvloop(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[str] = []

    async def run(*_: object) -> None:
        import asyncio  # noqa: PLC0415 - the loop that runs this

        loops.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr(grpcio, "run", run)
    server.serve(Settings(policies=policies), lambda *_: None)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    server.serve(Settings(policies=policies), lambda *_: None)
    assert ["uvloop", "asyncio.unix_events"] == loops


def test_service_is_an_asgi_application_too(policies: Path) -> None:
    assert callable(server.asgi_application(policies))
