"""The service over policies that change elsewhere while it is asked: each host, one worker and two, the gateway, and beside a sidecar."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.health import POLICIES
from mcp_acl.gen import acl_pb2 as pb
from tests.gateways import commands
from tests.hosts.running import python_of
from tests.installed import ROOT
from tests.runtime.remote.hosting import hosting, tar
from tests.runtime.remote.repositories import BROKEN, Repository, policy
from tests.runtime.weather import body

SECONDS = 60.0
FORMS = [("grpcio", 1), ("grpcio", 2), ("envoy", 1)]


class Service:
    """A service that is running, and what it says."""

    def __init__(self, addresses: list[str], pids: list[int], log: Path) -> None:
        self.addresses = addresses
        self.pids = pids
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def in_force(self, address: str) -> pb.GetPolicySetResponse:
        return pb.GetPolicySetResponse.FromString(_asked(address, f"/{SERVICE}/GetPolicySet", b""))

    def allows(self, address: str) -> bool:
        request = pb.CheckRequest(
            server="weather",
            direction=pb.DIRECTION_CLIENT_TO_SERVER,
            raw=body("tools/call", name="forecast", arguments={}),
        )
        answer = _asked(address, f"/{SERVICE}/Check", request.SerializeToString())
        return pb.CheckResponse.FromString(answer).decision == pb.DECISION_ALLOW

    def is_current(self, address: str) -> bool:
        request = health_pb2.HealthCheckRequest(service=POLICIES).SerializeToString()
        answer = health_pb2.HealthCheckResponse.FromString(_asked(address, "/grpc.health.v1.Health/Check", request))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def everywhere(self, holds: Callable[[pb.GetPolicySetResponse], bool]) -> None:
        """Wait until it holds of every worker."""
        until = time.monotonic() + SECONDS
        while not all(holds(self.in_force(address)) for address in self.addresses):
            assert time.monotonic() < until, self.log
            time.sleep(0.05)


def _asked(address: str, path: str, message: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(path)
        answer: bytes = call(message, timeout=SECONDS, wait_for_ready=True)
        return answer


@contextmanager
def serving(cache: Path, host: str, workers: int, *flags: str) -> Iterator[Service]:
    """With every worker's own address; what people ask is served beside, on a second one."""
    log = cache.with_name("log")
    command = [python_of(host), "-m", "mcp_acl", "serve", "--policies", str(cache), "--host", host, "--json"]
    command += ["--listen", "127.0.0.1:0", "--workers", str(workers), "--reload", "0.05", *flags]
    command += ["--policies-interval", "1", "--admin-listen", "127.0.0.1:0"]
    path = os.pathsep.join([str(ROOT / "service"), os.environ.get("PYTHONPATH", "")])
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, "PYTHONPATH": path}
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            told = json.loads(line)
            assert "listening" in told, told
            yield Service(told["listening"][1::2], told["pids"], log)
        finally:
            process.terminate()
            assert 0 == process.wait(SECONDS), log.read_text()


def commit_at(answer: pb.GetPolicySetResponse) -> str:
    return answer.revision


def refused_for(answer: pb.GetPolicySetResponse) -> list[str]:
    return [one.code for one in answer.refused.problems] if answer.HasField("refused") else []


@pytest.mark.parametrize(("host", "workers"), FORMS)
def test_repository_that_changes_while_the_service_is_asked(
    repository: Repository, cache: Path, host: str, workers: int
) -> None:
    first = repository.git("rev-parse", "HEAD")
    with serving(cache, host, workers, "--policies-from", repository.url, "--policies-ref", "main") as service:
        service.everywhere(lambda found: first[:12] in found.revision)
        assert all(map(service.allows, service.addresses))

        second = repository.commit({"a.yaml": policy("a").replace("{id: one", "{id: one, effect: deny")})
        service.everywhere(lambda found: second[:12] in found.revision)
        assert not any(map(service.allows, service.addresses))

        repository.commit({"b.yaml": BROKEN})
        service.everywhere(lambda found: refused_for(found) == ["unknown-method"])
        assert not any(map(service.is_current, service.addresses))
        assert not any(map(service.allows, service.addresses))

        repository.git("reset", "--quiet", "--hard", first)
        third = repository.commit({"c.yaml": policy("c")})
        service.everywhere(lambda found: third[:12] in found.revision and not refused_for(found))
        assert all(map(service.is_current, service.addresses))
        assert all(map(service.allows, service.addresses))

        repository.bare.rename(repository.bare.with_name("away"))
        service.everywhere(lambda found: refused_for(found) == ["remote-unreachable"])
        assert all(map(service.allows, service.addresses))
        assert 1 == service.log.count("unknown-method")
        assert 1 == service.log.count("history was rewritten")
        assert 1 == service.log.count("it cannot be fetched")

    with serving(cache, host, workers, "--policies-from", repository.url, "--policies-ref", "main") as service:
        service.everywhere(lambda found: third[:12] in found.revision)
        assert all(map(service.allows, service.addresses))


def test_worker_that_takes_the_place_of_another_reads_what_is_in_force(repository: Repository, cache: Path) -> None:
    with serving(cache, "grpcio", 2, "--policies-from", repository.url) as service:
        second = repository.commit({"b.yaml": policy("b")})
        service.everywhere(lambda found: second[:12] in found.revision)
        repository.commit({"c.yaml": BROKEN})
        service.everywhere(lambda found: refused_for(found) == ["unknown-method"])
        os.kill(service.pids[1], signal.SIGKILL)
        service.everywhere(lambda found: second[:12] in found.revision and refused_for(found) == ["unknown-method"])


def test_one_process_fetches_for_all(repository: Repository, cache: Path) -> None:
    with serving(cache, "grpcio", 2, "--policies-from", repository.url) as service:
        commit = repository.commit({"b.yaml": policy("b")})
        service.everywhere(lambda found: commit[:12] in found.revision)
        assert 1 == service.log.count(f"policies fetched: commit {commit}")


def test_service_over_a_directory_that_a_sidecar_fills_tells_what_it_refused(
    repository: Repository, cache: Path
) -> None:
    sync = [sys.executable, "-m", "mcp_acl", "sync", "--policies", str(cache), "--policies-from", repository.url]
    assert 0 == subprocess.run(sync, check=False, capture_output=True).returncode
    with (
        subprocess.Popen(
            [*sync, "--follow", "--policies-interval", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as sidecar,
        serving(cache / "current", "grpcio", 1) as service,
    ):
        commit = repository.commit({"b.yaml": policy("b")})
        service.everywhere(lambda found: commit[:12] in found.revision)
        repository.commit({"c.yaml": BROKEN})
        service.everywhere(lambda found: refused_for(found) == ["unknown-method"])
        sidecar.terminate()
        assert 0 == sidecar.wait(SECONDS)


def test_service_does_not_start_on_a_commit_that_nobody_signed(
    repository: Repository, cache: Path, signers: Path
) -> None:
    command = [sys.executable, "-m", "mcp_acl", "serve", "--policies", str(cache), "--listen", "127.0.0.1:0"]
    command += ["--policies-from", repository.url, "--policies-signers", str(signers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (2, "") == (done.returncode, done.stdout)
    assert "it is not signed; sign it by SSH" in done.stderr


@pytest.mark.parametrize("form", commands.FORMS)
def test_gateway_follows_an_archive(tmp_path: Path, form: str) -> None:
    def tools(port: int) -> list[str]:
        reply = commands.ask(port, "/weather/mcp", commands.call("tools/list")).reply
        return [one["name"] for one in reply["result"]["tools"]]

    with hosting(tmp_path, None) as host, commands.recording() as server:
        host.archives["p.tar.gz"] = (tar({"a.yaml": commands.FORECASTS}), '"1"')
        flags = ["--policies-from", host.url("p.tar.gz", "http"), "--policies-interval", "1"]
        upstreams = [f"weather={server.url}"]
        with commands.gateway(tmp_path, tmp_path / "cache", upstreams, *flags, form=form) as running:
            assert ["forecast"] == tools(running.port)
            other = commands.FORECASTS.replace("name: forecast", "name: history")
            host.archives["p.tar.gz"] = (tar({"a.yaml": other}), '"2"')
            commands.until(lambda: tools(running.port) == ["history"])
