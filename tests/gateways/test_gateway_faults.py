"""What `mcp-acl gateway` does when what decides goes wrong, in both forms: what is not decided does not pass. Real processes, really broken."""

import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateways.commands import (
    FORMS,
    SECONDS,
    Gateway,
    Recording,
    ask,
    call,
    environment_of_tests,
    gateway,
    processes_of,
    recording,
    started,
    until,
)
from tests.gateways.faulty import CHANGE, CHANGES, GO_ON
from tests.runtime.weather import policies_in

POLICY = """
version: 1
policy: weather
servers: [weather]
rules:
  - {id: some, methods: [tools/list, tools/call], name: [forecast, raises, exits, dies, is busy]}
"""
FAULTY = "tests.gateways.faulty"


@pytest.fixture
def server() -> Iterator[Recording]:
    with recording() as found:
        yield found


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return policies_in(tmp_path, POLICY)


@pytest.fixture(params=FORMS)
def faulty(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    policies: Path,
    server: Recording,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gateway]:
    """A gateway that goes wrong where it is asked to."""
    monkeypatch.setenv(GO_ON, str(tmp_path / "go on"))
    with gateway(tmp_path, policies, [f"weather={server.url}"], form=request.param, program=FAULTY) as running:
        yield running


def status_of(running: Gateway, name: str) -> int:
    """How a call ends; 0 if it is broken off."""
    try:
        return ask(running.port, "/weather/mcp", call("tools/call", name=name)).status
    except (OSError, http.client.HTTPException):
        return 0


def called(server: Recording) -> list[bytes]:
    return [one.body for one in server.arrived]


def test_error_and_exit_of_a_handler_deny_that_call_alone(faulty: Gateway, server: Recording) -> None:
    for name in ("raises", "exits"):
        assert status_of(faulty, name) in (500, 503)
        assert [] == called(server)
        assert 200 == status_of(faulty, "forecast")
        assert 1 == len(called(server))
        server.arrived.clear()


def test_busy_handler_denies_what_it_keeps_waiting_and_holds_up_nothing_else(
    faulty: Gateway, server: Recording, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as pool:
        busy = pool.submit(status_of, faulty, "is busy")
        until(lambda: "is busy" in faulty.log)
        waits = pool.submit(status_of, faulty, "forecast")
        assert 404 == ask(faulty.port, "/nowhere").status
        assert [504, 504] == [busy.result(), waits.result()]
    (tmp_path / "go on").touch()
    until(lambda: status_of(faulty, "forecast") == 200)
    assert all(b"forecast" in body for body in called(server))


def test_death_of_what_decides_is_the_end_of_all(faulty: Gateway, server: Recording, tmp_path: Path) -> None:
    assert status_of(faulty, "dies") in (0, 503)
    assert faulty.ended() in (2, 3)
    until(lambda: not processes_of(tmp_path))
    assert [] == called(server)
    assert 0 == status_of(faulty, "forecast")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("form", FORMS)
def test_nothing_passes_undecided_while_envoy_ends(
    tmp_path: Path, policies: Path, server: Recording, form: str, sign: signal.Signals
) -> None:
    denied: list[int] = []
    goes_on = threading.Event()

    def deny() -> None:
        while not goes_on.is_set():
            denied.append(status_of(running, "delete"))

    with gateway(tmp_path, policies, [f"weather={server.url}"], form=form) as running, ThreadPoolExecutor() as pool:
        for _ in range(4):
            pool.submit(deny)
        try:
            until(lambda: denied.count(200) > 20)
            (envoy,) = (one for one in processes_of(tmp_path) if one.split()[1].endswith("/envoy"))
            os.kill(int(envoy.split()[0]), sign)
            assert 2 == running.ended()
        finally:
            goes_on.set()
    assert [] == called(server)
    while "and the gateway has ended" not in (said := running.line()):
        assert said
    assert "Envoy " in said


@pytest.mark.parametrize("change", CHANGES)
def test_one_process_does_not_start_when_a_remedy_is_missing(
    policies: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv(CHANGE, change)
    command = [*started("one process", FAULTY), "--policies", str(policies), "--listen", "127.0.0.1:0"]
    command += ["--upstream", "weather=http://127.0.0.1:1/mcp"]
    env = environment_of_tests()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False, env=env)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "error: Envoy is not as it must be: " in ended.stderr
    assert CHANGES[change][1] in ended.stderr
