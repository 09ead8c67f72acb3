"""Faults, each injected for real into a service that runs: what becomes of decisions, of records, of health. The table is docs/faults.md."""

import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mcp_acl.cli.exits import Exit
from mcp_acl.client import Client, MisuseError, Question
from mcp_acl.domain import Reason, TaskFact
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime import observed
from mcp_acl.runtime.decision_log import DecisionLog, Kept, LogFile, Masking
from mcp_acl.runtime.memory import Memory
from mcp_acl.runtime.observed import ObservedGate
from tests.gateways import authz_envoy, clients, envoys
from tests.gateways.exchanges import CALL, RESULT
from tests.gateways.upstreams import upstream, whole
from tests.hosts.conftest import HOSTS
from tests.installed import ROOT
from tests.runtime.weather import NOON, WEATHER, ask, body, call
from tests.service.started import serving, until

MIB = 1024 * 1024
LARGE = ["x" * 900_000] * 4
ANN = {"iss": "https://id", "sub": "ann"}
FLAGS = ["--listen", "127.0.0.1:0", "--reload", "0.1", "--worker-timeout", "2"]
WORKERS = {"grpcio": ["--workers", "2"], "envoy": []}


@dataclass
class Service:
    """A service that watches, remembers and records, of two workers but for Envoy's; and the ids of all that it has denied."""

    directory: Path
    process: "subprocess.Popen[str]"
    addresses: list[str]
    pids: list[int]
    denied: list[str] = field(default_factory=list)

    @property
    def policies(self) -> Path:
        return self.directory / "policies"

    @property
    def store(self) -> Path:
        return self.directory / "memory.db"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def decides(self, *addresses: str) -> bool:
        """Whether every worker (or those at addresses) says that it is ready, allows what is granted, and denies what is not."""
        return all(map(self._decides, addresses or self.addresses))

    def _decides(self, address: str) -> bool:
        with suppress(Exception), Client(address, timeout=20.0) as client:
            denial = client.check(Question("weather", call("nobody-may")))
            if denial.decision_id:
                self.denied.append(denial.decision_id)
            granted = client.check(Question("weather", call("forecast", city="Oslo")))
            return bool(granted) and Reason.NO_MATCHING_RULE == denial.reason and client.healthy()
        return False

    def follows(self) -> bool:
        """Whether every worker says that what is in force is what the directory holds."""
        with closing_all(self.addresses) as opened:
            return all(client.healthy("mcp_acl.policies") for client in opened)

    def has_recorded_all(self) -> bool:
        lines = (self.directory / "decisions.jsonl").read_text().splitlines()
        return set(self.denied) <= {json.loads(line)["id"] for line in lines}

    def makes(self, task_id: str) -> bool:
        """Let Ann make a task by the first worker, and say whether the last one knows that it is hers. Her response is never touched."""
        message = body("tools/call", name="forecast", arguments={"city": "Oslo"}, task={"ttl": 60_000})
        result = {"task": {"taskId": task_id, "status": "working", "ttl": 60_000}}
        response = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": result})
        with closing_all(self.addresses) as opened:
            first, last = opened[0], opened[-1]
            verdict = first.check(Question("weather", message, claims=ANN, filters_responses=True))
            assert response == first.filter(verdict, "application/json", response).body
            reason = last.check(Question("weather", body("tasks/get", taskId=task_id), claims=ANN)).reason
        assert reason in {Reason.TASK_OWNER, Reason.TASK_NOT_OWNED}
        return Reason.TASK_OWNER == reason


@contextmanager
def closing_all(addresses: list[str]) -> Iterator[list[Client]]:
    opened = [Client(address, timeout=20.0) for address in addresses]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


@pytest.fixture(scope="module", params=HOSTS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all faults: it has to outlive each of them."""
    directory = tmp_path_factory.mktemp("faults")
    (directory / "policies").mkdir()
    (directory / "policies" / "weather.yaml").write_text(WEATHER)
    flags = [
        *FLAGS,
        *WORKERS[request.param],
        "--store",
        str(directory / "memory.db"),
        "--decision-log",
        str(directory / "decisions.jsonl"),
    ]
    log = directory / "log"
    with serving(directory / "policies", *flags, host=request.param, log=log) as (process, told):
        found = Service(directory, process, told["listening"], told["pids"])
        yield found
        process.terminate()
        process.wait(60)
        assert found.denied
        assert found.has_recorded_all()


def only(host: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", [host], indirect=True)


def test_store_that_somebody_holds(service: Service) -> None:
    with closing(sqlite3.connect(service.store, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert [False, False, False] == [service.makes(f"held{number}") for number in range(3)]
        assert service.decides()
        holder.execute("ROLLBACK")
    assert "what is remembered cannot be used" in service.log
    assert service.makes("afterwards")


def test_policies_that_are_gone_and_come_back(service: Service) -> None:
    away = service.directory / "away"
    service.policies.rename(away)
    until(lambda: not service.follows())
    assert service.decides()
    assert "cannot be read: no such file or directory" in service.log
    away.rename(service.policies)
    until(service.follows)
    assert service.decides()


@only("grpcio")
def test_worker_that_hangs_is_replaced(service: Service) -> None:
    first, last = service.addresses
    assert service.decides(last)  # what it has not written when it stops, another writes
    with stopped(service.pids[1]):
        with Client(last, timeout=0.5) as client:
            assert "unavailable" == client.check(Question("weather", call("forecast", city="Oslo"))).reason
        assert service.decides(first)
        until(lambda: service.decides(last))
    until(service.has_recorded_all)
    assert "worker 1 has been silent for 2 s; it is killed" in service.log


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@only("grpcio")
def test_worker_that_has_no_memory_left(service: Service) -> None:
    first, last = service.addresses
    pid = service.pids[0]
    for room in (0, 4, 8):
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (used + room * MIB, resource.RLIM_INFINITY))
        assert not passes_large(first)
        assert service.decides(last)
    with suppress(ProcessLookupError):  # it may have ended, and another have taken its place
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(service.decides)
    assert passes_large(first)


def passes_large(address: str) -> bool:
    """Whether a message passes that is granted, and takes much memory."""
    with suppress(MisuseError), Client(address, timeout=60.0) as client:  # what cannot be unpacked may look misused
        return bool(client.check(Question("weather", call("forecast", city="Oslo", padding=LARGE))))
    return False


@only("grpcio")
def test_store_that_is_damaged_and_taken_away(service: Service) -> None:
    files = [service.store.with_name(f"memory.db{end}") for end in ("", "-wal")]
    for file in files:
        file.write_bytes(b"\xff" * file.stat().st_size)
    service.makes("damaged")  # whether that is known depends on what SQLite has at hand
    assert service.decides()
    os.kill(children(service.process.pid)[0], signal.SIGKILL)
    until(lambda: "before it was ready" in service.log)
    assert 1 == sum(service.decides(address) for address in service.addresses)
    for file in service.directory.glob("memory.db*"):
        file.unlink()
    until(service.decides)


@only("envoy")
def test_envoy_that_hangs_is_killed_and_ends_the_service(service: Service) -> None:
    assert service.decides()
    (inside,) = children(service.process.pid)
    with stopped(inside):
        assert Exit.UNUSABLE == service.process.wait(60)
    assert service.process.stdout is not None
    assert "Envoy has been silent for 2 s; it is killed" in service.process.stdout.read()
    assert service.has_recorded_all()


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "faults.md").read_text()))
    files = [file for pattern in ("", "*/", "runtime/*/") for file in (ROOT / "tests").glob(f"{pattern}test_*.py")]
    found = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert named
    assert set() == named - found


# ---- the clock ------------------------------------------------------------------------------------------------------

MORNING = """\
version: 1
policy: morning
servers: [weather]
rules:
  - {id: morning, methods: [tools/call], name: forecast, cel: request.time.getHours() < 13}
"""


@pytest.mark.parametrize("hours", [-7, 7])
def test_clock_that_jumps_and_comes_back(hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [NOON]

    def clock() -> datetime:
        return times[-1]

    records = tmp_path / "decisions.jsonl"
    fact = TaskFact("https://id", "ann", "forecast")
    policies = compile_policies([SourceFile("morning.yaml", MORNING.encode())])
    log = DecisionLog(LogFile(records, MIB, 1), str(records), Masking(), Kept())
    monkeypatch.setattr(observed, "time_ns", lambda: int(clock().timestamp()) * observed.NANOS)
    with closing(Memory(clock=lambda: clock().timestamp())) as memory, closing(log):
        gate = ObservedGate([log], policies, memory=memory, clock=clock)
        memory.learn_task("weather", "t1", fact, 3600.0)
        seen = []
        for jump in (0, hours, 0):
            times.append(NOON + timedelta(hours=jump))
            seen.append((gate.check(ask(call("forecast"))).decision.allowed, "t1" in memory.tasks("weather")))
    later = (hours < 0, hours < 0)
    assert [(True, True), later, (True, True)] == seen
    told = [datetime.fromisoformat(json.loads(line)["time"]) for line in records.read_text().splitlines()]
    assert times[1:] == told


# ---- too much -------------------------------------------------------------------------------------------------------


def test_gateway_lets_nothing_pass_that_was_refused_for_being_too_much(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "weather.yaml").write_text(WEATHER)
    flags = ["--listen", "127.0.0.1:0", "--max-calls", "1", "--server", "weather"]
    with (
        serving(tmp_path / "policies", *flags) as (_, told),
        upstream() as server,
        authz_envoy.gateway(tmp_path, told["listening"][0]) as authz,
        envoys.gateway(told["listening"][0], server.port, tmp_path / "ext_proc") as proc,
        Client(told["listening"], timeout=20.0) as client,
    ):
        server.reset(whole(RESULT))
        turns: Any = client.check_stream(iter([Question("weather", body("ping"))] * 2))
        assert next(turns)
        assert 403 == authz.ask(CALL).status
        assert 503 == clients.ask(proc.port, CALL).status
        assert ([], []) == (authz.upstream.came, server.arrived)
        turns.close()
        until(lambda: 200 == authz.ask(CALL).status)
        until(lambda: RESULT == clients.ask(proc.port, CALL).body)
