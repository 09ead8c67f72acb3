"""The soak: a short one holds what a long one claims, and what is wrong in any of it is seen."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.table import for_gateways
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.runtime.gate import Gate

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HAPPENS = {"killed", "back", "refused", "reloaded", "renamed", "turned", "certified"}
DENIED = {"a-1": ("no_policy", "r1"), "a-2": ("no_policy", "r2")}


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Of the benchmarks, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(name)


def record(ident: str, reason: str = "no_policy", revision: str = "r1", **others: str) -> bytes:
    said = {"kind": "decision", "id": ident, "effect": "deny", "reason": reason, "revision": revision, **others}
    return json.dumps(said).encode() + b"\n"


def test_short_run_holds_what_a_long_one_claims(tmp_path: Path) -> None:
    files = {name: tmp_path / f"soak.{name}" for name in ("json", "html")}
    flags = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent / "service")}
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--seconds", "1", "--fill", "0.1", *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found, page = json.loads(files["json"].read_bytes()), files["html"].read_text()
    assert [True] * 5 + [None] * 2 == [claim["holds"] for claim in found["claims"]], "memory is for long runs"
    assert 0 < found["denials"] < found["answers"]
    assert HAPPENS == {event["kind"] for event in found["events"]}
    assert {"supervisor", "worker 0", "worker 1"} == {name for one in found["seconds"] for name in one["memory"]}
    assert 4 == page.count('<svg class="plot"')
    for claim in found["claims"]:
        assert claim["name"] in page
        assert claim["name"] in done.stdout


def test_right_answers_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = module("soak_questions", monkeypatch)
    turns = questions.Turns()
    for _ in range(2):
        for row in questions.rows():
            answer = answered(row.request, turns.current.files)
            assert "" == questions.fault_of(row, turns.known, answer, 1), row.name
        turns.next()
    assert {True, False} == {row.ebb.allowed for row in questions.rows()}


def answered(request: bytes, files: Any) -> pb.CheckResponse:
    """What the handlers say, without a service."""
    check = for_gateways(Gate(compile_policies(files)))[f"/{SERVICE}/Check"]
    assert callable(check)
    answer = check(request)
    assert isinstance(answer, bytes)
    return pb.CheckResponse.FromString(answer)


def test_answers_that_are_not_right_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = module("soak_questions", monkeypatch)
    turns = questions.Turns()
    before, row = turns.current, next(row for row in questions.rows() if row.name == "granted at ebb")
    answer = answered(row.request, before.files)
    turns.next()
    before.until = 10
    assert "" == questions.fault_of(row, turns.known, answer, 9)
    assert "turn 0 was over" == questions.fault_of(row, turns.known, answer, 11)
    answer.revision = turns.current.revision
    assert "is not" in questions.fault_of(row, turns.known, answer, 11)
    answer.revision = "broken"
    assert "never in force" in questions.fault_of(row, turns.known, answer, 11)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"d": record("a-1") + record("a-2", revision="r2")}, {}),
        ({"d.1": record("a-1"), "d-000001": record("a-2", revision="r2")}, {}),
        ({"d": record("a-1")}, {"lost": 1}),
        ({"d": record("a-1") + record("a-2", kind="response")}, {"lost": 1}),
        ({"d": record("a-1") + record("a-2", reason="token_invalid", revision="r2")}, {"other": 1}),
        ({"d": record("a-1") + record("a-2")}, {"other": 1}),
        ({"d": record("a-1") * 2 + record("a-2", revision="r2")}, {"twice": 1}),
        ({"d": record("a-1")[:20] + b"\n" + record("a-1") + record("a-2", revision="r2")}, {"torn": 1}),
        ({"d": record("a-1")[:20] + record("a-1") + record("a-2", revision="r2")}, {"torn": 1, "lost": 1}),
    ],
)
def test_every_denial_is_looked_up_in_every_file(
    files: dict[str, bytes], fault: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found = module("soak_service", monkeypatch).found_in(tmp_path, DENIED)
    assert fault == {name: getattr(found, name) for name in ("lost", "other", "twice", "torn") if getattr(found, name)}


def seconds(early: float, late: float) -> list[dict[str, Any]]:
    """Twenty, in the last of which a worker has more memory."""
    counts = dict.fromkeys(("asked", "answered", "waiting", "again", "p50", "p99", "late"), 1)
    return [
        {"at": float(at), **counts, "memory": {"supervisor": 50.0, "worker 0": early if at < 15 else late}}
        for at in range(20)
    ]


RUN: dict[str, Any] = {
    "made": "2026-11-28T00:00:00Z",
    "command": ["soak.py"],
    "machine": {"system": "", "processor": "", "cores": 2, "python": ""},
    "versions": {},
    **dict.fromkeys(("seed", "capacity", "rate", "questions", "answers", "denials"), 10),
    **dict.fromkeys(("wrong", "unanswered", "dropped"), 0),
    "length": 1000.0,
    "again": {},
    "faults": {},
    "latency": {"p50": 1, "p90": 1, "p99": 1, "p999": 1, "max": 1},
    "log": {},
    "failures": [],
    "seconds": seconds(50.0, 51.0),
    "events": [{"at": 1.0, "kind": kind, "says": ""} for kind in sorted(HAPPENS)],
}
"""A run of which every claim holds."""


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"wrong": 1}, "No answer is wrong"),
        ({"answers": 0}, "No answer is wrong"),
        ({"unanswered": 1}, "Every question is answered"),
        ({"dropped": 1}, "No record of a denial is lost"),
        ({"denials": 0}, "No record of a denial is lost"),
        ({"failures": ["a client with no certificate was let in"]}, "Whatever happens takes hold"),
        ({"events": []}, "Whatever happens takes hold"),
        ({"seconds": seconds(50.0, 53.0)}, "Memory is flat: worker 0"),
    ],
)
def test_claim_that_does_not_hold_is_said(change: dict[str, Any], claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = module("soak_results", monkeypatch)
    run = msgspec.convert({**RUN, **change}, results.Soak)
    assert [] == [one.name for one in results.claims(msgspec.convert(RUN, results.Soak)) if one.holds is not True]
    assert [claim] == [one.name for one in results.claims(run) if one.holds is False]
