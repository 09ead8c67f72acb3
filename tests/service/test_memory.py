"""What one worker has learned all know: one worker and four answer alike, with a store that is given or one of their own."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mcp_acl.client import Client, Question, Verdict
from mcp_acl.domain import Reason, TaskFact
from mcp_acl.runtime.memory import Memory
from tests.runtime.weather import WEATHER, body, policies_in
from tests.service.started import SECONDS, serving

ANN = TaskFact("https://id", "ann", "forecast")
OWNERS = {"t1": "ann", "t2": "bob"}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return policies_in(tmp_path)


def learn(file: Path, task_id: str, subject: str) -> None:
    with closing(Memory(file)) as memory:
        assert memory.learn_task("weather", task_id, ANN._replace(subject=subject))
        assert task_id in memory.tasks("weather")


def reasons(told: dict[str, Any]) -> set[tuple[str, ...]]:
    """What each worker answers Ann and Bob who ask for tasks."""
    return {answers(address) for address in told["listening"]}


def answers(address: str) -> tuple[str, ...]:
    with Client(address, timeout=20.0) as client:
        return tuple(
            client.check(
                Question("weather", body("tasks/get", taskId=task_id), claims={"iss": "https://id", "sub": subject})
            ).reason
            for task_id in ("t1", "t2", "t3")
            for subject in ("ann", "bob")
        )


def expected(*owned: Sequence[str]) -> set[tuple[str, ...]]:
    asked = [(task_id, subject) for task_id in ("t1", "t2", "t3") for subject in ("ann", "bob")]
    return {tuple(Reason.TASK_OWNER if one in owned else Reason.TASK_NOT_OWNED for one in asked)}


def stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(SECONDS)


@pytest.mark.parametrize(("host", "workers"), [("grpcio", 1), ("grpcio", 4), ("envoy", 1), ("envoy", 2)])
def test_every_worker_knows_what_was_learned_before_and_meanwhile(
    policies: Path, tmp_path: Path, host: str, workers: int
) -> None:
    store = tmp_path / "memory.db"
    learn(store, "t1", "ann")
    flags = ["--listen", "127.0.0.1:0", "--workers", str(workers), "--store", str(store)]
    for owned in ([("t1", "ann")], [("t1", "ann"), ("t2", "bob")]):
        with serving(policies, *flags, host=host) as (process, told):
            assert workers == len(told["listening"])
            assert expected(*owned) == reasons(told)
            learn(store, "t2", "bob")
            assert expected(("t1", "ann"), ("t2", "bob")) == reasons(told)
            stop(process)
    assert store.exists()


def test_workers_without_a_store_share_a_file_of_their_own_that_ends_with_them(
    policies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    with serving(policies, "--listen", "127.0.0.1:0", "--workers", "4") as (process, told):
        (directory,) = own.glob("mcp-acl-*")
        assert 0o700 == directory.stat().st_mode & 0o777
        assert expected() == reasons(told)
        learn(directory / "memory.db", "t1", "ann")
        assert expected(("t1", "ann")) == reasons(told)
        os.kill(told["pids"][0], signal.SIGKILL)
        assert expected(("t1", "ann")) == {answers(address) for address in told["listening"][1:]}
        stop(process)
    assert [] == list(own.iterdir())


def test_one_worker_without_a_store_makes_no_file(
    policies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    with serving(policies, "--listen", "127.0.0.1:0") as (_, told):
        assert expected() == reasons(told)
        assert [] == list(own.iterdir())


TRUSTING = """\
version: 1
policy: trusting
servers: [weather]
settings: {trust_annotations: true}
rules:
  - {id: listing, methods: [tools/list]}
  - {id: reading, methods: [tools/call], name: history, cel: 'mcp.annotations.readOnlyHint'}
"""


def result_of(**result: object) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": result})


def test_what_one_worker_learns_of_a_response_every_worker_knows(policies: Path) -> None:
    (policies / "trusting.yaml").write_text(TRUSTING)
    claims = {"iss": "https://id", "sub": "ann"}
    (policies / "weather.yaml").write_text(
        WEATHER.replace("servers: [weather]", "servers: [weather]\nsettings: {trust_annotations: true}")
    )
    calls = body("tools/call", name="forecast", arguments={"city": "Oslo"}, task={"ttl": 60_000})
    reads = Question("weather", body("tools/call", name="history", arguments={}), claims=claims)

    with serving(policies, "--listen", "127.0.0.1:0", "--workers", "4") as (_, told):
        first, *others = told["listening"]

        def bring(message: bytes, response: bytes) -> None:
            with Client(first, timeout=20.0) as client:
                verdict = client.check(Question("weather", message, claims=claims, filters_responses=True))
                assert client.filter(verdict, "application/json", response).body == response

        def reading() -> set[bool]:
            return {bool(asked(address, reads)) for address in told["listening"]}

        bring(calls, result_of(task={"taskId": "t1", "status": "working", "ttl": 60_000}))
        assert expected(("t1", "ann")) == {answers(address) for address in (first, *others)}
        assert {False} == reading()
        tool = {"name": "history", "description": "what was", "annotations": {"readOnlyHint": True}}
        bring(body("tools/list"), result_of(tools=[tool]))
        assert {True} == reading()
        bring(body("tools/list"), result_of(tools=[{**tool, "description": "what will be"}]))
        assert {False} == reading()


def asked(address: str, question: Question) -> Verdict:
    with Client(address, timeout=20.0) as client:
        return client.check(question)
