"""`serve`: what is said when it starts, and what keeps it from starting. It runs in a process of its own, on loopback."""

import json
import os
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
from tests.certificates import Certified
from tests.cli.conftest import Run
from tests.cli.test_check import ODD
from tests.runtime.weather import body


@contextmanager
def serving(policies: Path, *args: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    command = [sys.executable, "-m", "mcp_acl", "serve", "--policies", str(policies), "--listen", "127.0.0.1:0", *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def asked(address: str, method: str, message: bytes = b"", *, wait: bool = False) -> bytes:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/{method}")
        answer: bytes = call(message, timeout=20, wait_for_ready=wait)
        return answer


def policies_of(address: str) -> list[str]:
    return [policy.id for policy in pb.GetPolicySetResponse.FromString(asked(address, "GetPolicySet")).policies]


def revision_at(address: str, *, wait: bool = False) -> str:
    request = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=body("ping"))
    return pb.CheckResponse.FromString(asked(address, "Check", request.SerializeToString(), wait=wait)).revision


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_first_line_says_where_and_a_signal_ends_with_0(policies: Path, sign: signal.Signals) -> None:
    with serving(policies) as (process, line):
        assert line.startswith("listening on 127.0.0.1:")
        assert revision_at(line.split()[-1])
        process.send_signal(sign)
        assert 0 == process.wait(10)


def test_first_line_as_json_and_findings_beside_it(policies: Path) -> None:
    (policies / "odd.yaml").write_text(ODD)
    with serving(policies, "--json", "--admin-listen", "127.0.0.1:0") as (process, line):
        found = json.loads(line)
        _, admin = found["listening"]
        assert ["odd", "weather"] == [policy["id"] for policy in found["policies"]] == policies_of(admin)
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


@pytest.mark.parametrize("args", [(), ("--admin-listen", "127.0.0.1:0")])
def test_every_worker_has_an_address_of_its_own_and_is_replaced_there(policies: Path, args: tuple[str, ...]) -> None:
    with serving(policies, "--workers", "2", "--json", *args) as (process, line):
        found = json.loads(line)
        addresses = found["listening"]
        assert (2 * (2 if args else 1), ["weather"]) == (len(set(addresses)), [one["id"] for one in found["policies"]])
        assert 2 == len({*found["pids"]} - {process.pid})
        os.kill(found["pids"][-1], signal.SIGKILL)
        assert {revision_at(address, wait=True) for address in addresses} == {found["revision"]}
        process.terminate()
        assert 0 == process.wait(20)


def test_what_is_wrong_with_every_worker_is_said_once(policies: Path) -> None:
    (policies / "broken.yaml").write_text("rules")
    with serving(policies, "--workers", "3") as (process, line):
        _, errors = process.communicate(timeout=20)
    assert ("", 2, 1) == (line, process.returncode, errors.count("broken.yaml:1"))
    assert "worker 0 ended with code 2 before it was ready" in errors


def test_worker_reads_no_variable_of_its_own(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_ACL_WORKERS", "2")
    monkeypatch.setenv("MCP_ACL_DRAIN", "0.01")
    with serving(policies, "--json") as (process, line):
        assert 2 == len(json.loads(line)["listening"])
        process.terminate()
        assert 0 == process.wait(20)


def test_service_that_is_attached_ends_with_its_input(policies: Path) -> None:
    with serving(policies, "--attached") as (process, line):
        assert json.loads(line)["listening"]
        assert process.stdin is not None
        process.stdin.close()
        assert 0 == process.wait(20)


@pytest.mark.parametrize("good", [True, False])
def test_service_in_standby_has_everything_and_listens_when_it_is_told_to(
    policies: Path, certified: Certified, tmp_path: Path, good: bool
) -> None:
    if not good:
        certified.key.write_text("no key")
    socket = tmp_path / "acl.sock"
    tls = ("--tls-cert", str(certified.cert), "--tls-key", str(certified.key))
    with serving(policies, "--attached", "--standby", "--admin-listen", f"unix:{socket}", *tls) as (process, line):
        if not good:
            assert ("", 2) == (line, process.wait(60))
            return
        assert {"loaded": True} == json.loads(line)
        assert not socket.exists()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert f"unix:{socket}" == json.loads(process.stdout.readline())["listening"][1]
        process.stdin.close()
        assert 0 == process.wait(60)


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


def test_service_without_standard_streams_ends_as_ever(policies: Path, tmp_path: Path) -> None:
    socket = tmp_path / "acl.sock"
    command = f"exec {sys.executable} -m mcp_acl serve --policies {policies} --listen unix:{socket} <&- >&-"
    process = subprocess.Popen(["/bin/sh", "-c", command], stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"listening" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    assert 0 == process.wait(20)
    process.stderr.close()


def test_code_in_the_working_directory_is_not_run(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit(7)")
    command = [sys.executable, "-P", "-m", "mcp_acl", "serve", "--policies", str(policies)]
    command += ["--listen", "127.0.0.1:0", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on ")
        process.terminate()


@pytest.mark.parametrize("workers", [1, 2])
def test_store_that_cannot_be_used_ends_with_2(policies: Path, tmp_path: Path, workers: int) -> None:
    store = tmp_path / "nowhere" / "memory.db"
    with serving(policies, "--store", str(store), "--workers", str(workers)) as (process, line):
        _, errors = process.communicate(timeout=30)
    assert (2, "") == (process.returncode, line)
    assert "--store: it cannot be used: no such file or directory" in errors


def test_workers_that_find_no_place_for_a_file_end_with_2(
    run: Run, policies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(server, "TemporaryDirectory", full)
    result = run("serve", "--policies", policies, "--listen", "127.0.0.1:0", "--workers", "2")
    assert 2 == result.exit_code
    assert "store: there is no place for a file that the workers share; name one" in result.stderr
