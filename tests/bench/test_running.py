"""Services to measure: what they are started with, that they see what changes, and that none is left behind."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from mcp_acl.bench.accounting import used_by
from mcp_acl.bench.running import ServerError, running
from mcp_acl.bench.workloads import Shape, workload
from mcp_acl.client import Client, Question
from mcp_acl.policy.source import SourceFile
from tests.installed import ROOT, needed

SECONDS = 30.0
WORK = workload(Shape(rules=3), 1)
ASKED = Question("bench", b'{"jsonrpc":"2.0","id":1,"method":"ping"}')


def revision_at(address: str) -> str:
    with Client(address, timeout=SECONDS) as client:
        return client.check(ASKED).revision


def other_python() -> str:
    """The Python that has the extra `envoy`."""
    return str(needed(ROOT / ".venv-envoy" / "bin" / "python", "Python with Envoy", "WITHOUT_ENVOY"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """That Python has what mcp-acl needs, and not mcp-acl itself."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "service"))


@pytest.mark.parametrize("host", ["grpcio", "envoy"])
def test_service_answers_uses_the_processor_and_is_gone_at_the_end(host: str) -> None:
    with running(host, WORK.policies, other_python() if host == "envoy" else sys.executable) as service:
        assert revision_at(service.address)
        processes = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
        used = used_by([service.pid])
        assert used is not None
        assert 0 < used.cpu == sum(used.parts.values())
        assert 1 < used.memory
    assert not service.directory.exists()
    psutil.wait_procs(processes, timeout=SECONDS)
    assert not [one for one in processes if one.is_running()]


def test_service_that_is_measured_in_vain_is_ended_too() -> None:
    with pytest.raises(KeyboardInterrupt), running("grpcio", WORK.policies) as service:
        raise KeyboardInterrupt
    assert not psutil.pid_exists(service.pid)
    assert not service.directory.exists()


def test_policies_that_are_put_in_the_place_of_others_are_seen() -> None:
    with running("grpcio", WORK.policies, changes=True) as service:
        first = revision_at(service.address)
        service.put(WORK.changed)
        assert first != _next(service.address, first)
        service.put(WORK.policies)
        assert {file.name for file in WORK.policies} == {path.name for path in service.directory.glob("*.yaml")}
        assert first == _next(service.address, revision_at(service.address), first)


def _next(address: str, before: str, wanted: str = "") -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = revision_at(address)
        if found == wanted or (not wanted and found != before):
            return found
        time.sleep(0.05)
    return before


def test_variables_of_ours_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_ACL_LISTEN", "nowhere")
    monkeypatch.setenv("MCP_ACL_WORKERS", "2")
    with running("grpcio", WORK.policies) as service:
        assert [] == psutil.Process(service.pid).children()


def test_service_that_does_not_start_says_why() -> None:
    with pytest.raises(ServerError, match=r"p0\.yaml"), running("grpcio", [SourceFile("p0.yaml", b"rules")]):
        pass
    with pytest.raises(ServerError, match="`/nowhere/python` cannot be run"), running("grpcio", (), "/nowhere/python"):
        pass


def test_service_that_ends_without_a_word_is_not_called_late(tmp_path: Path) -> None:
    ended = tmp_path / "python"
    ended.write_text("#!/bin/sh\nexit 0\n")
    ended.chmod(0o755)
    with pytest.raises(ServerError, match=r"^it ended before it was ready$"), running("grpcio", (), str(ended)):
        pass


def test_service_that_is_never_ready_is_not_waited_for(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(ServerError, match=r"not ready within 0\.2 s"), running("grpcio", (), str(slow), seconds=0.2):
        pass


def test_processes_that_are_not_there_have_used_nothing() -> None:
    assert used_by([]) is None
    assert used_by([2**22 + 1]) is None


def test_what_is_used_is_counted_from_before() -> None:
    before = used_by([os.getpid()])
    assert before is not None
    end = before.cpu + 100_000
    while (after := used_by([os.getpid()])) is not None and after.cpu < end:
        sum(range(10_000))
    assert after is not None
    assert after.since(before).cpu == pytest.approx(after.cpu - before.cpu)
    assert after.memory == after.since(before).memory
