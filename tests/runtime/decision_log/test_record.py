"""What records of decisions have in common is written once: that changes no record, whatever came before it."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.domain import Direction, Json, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime import observed
from mcp_acl.runtime.decision_log import Masking, record
from mcp_acl.runtime.decision_log.record import Decisions
from mcp_acl.runtime.gate import Question
from mcp_acl.runtime.observed import Decided, ObservedGate, Observer

RULES = b"version: 1\npolicy: w\nservers: [s]\nrules:\n  - {id: echo, methods: [tools/list, tools/call], name: echo}\n"
POLICIES = compile_policies([SourceFile("w.yaml", RULES)])
OTHERS = [compile_policies([SourceFile("v.yaml", RULES)]), compile_policies([SourceFile("w.yaml", b"# x\n" + RULES)])]
CLAIMS: dict[str, Json] = {"iss": "i", "sub": "ann"}
NOW = datetime.now(UTC)


class Keeping(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Decided] = []

    def decided(self, decided: Decided) -> None:
        self.seen.append(decided)


def message(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def call(name: str = "echo") -> Question:
    return Question("s", message("tools/call", name=name), CLAIMS, TokenState.VALID)


QUESTIONS = [
    *(call(name) for name in ("echo", "", "secret", "x" * 5000, "\u2028é")),
    call()._replace(server="t"),
    call()._replace(token=TokenState.INVALID),
    call()._replace(direction=Direction.SERVER_TO_CLIENT),
    call()._replace(claims={"sub": "bob"}),
    call()._replace(claims={"sub": None, "iss": [1]}),
    call()._replace(message=b"{"),
    call()._replace(message=message("prompts/get", name="echo")),
    call()._replace(message=message("tools/list")),
    call()._replace(message=message("tools/list"), filters_responses=True),
]


def recorded(decisions: Decisions, decided: Decided) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decisions.record(decided, NOW))
    return {**found, "id": "", "seconds": 0}


@given(asked=st.lists(st.tuples(st.sampled_from(QUESTIONS), st.sampled_from([POLICIES, *OTHERS])), max_size=40))
def test_no_record_depends_on_what_was_asked_before(asked: list[tuple[Question, PolicySet]]) -> None:
    """It is as that of a gate, and in a log, that have seen nothing."""
    used, log = Keeping(), Decisions(Masking())
    gate = ObservedGate([used], POLICIES)
    for question, policies in asked:
        gate.policies = policies
        gate.check(question)
        fresh = Keeping()
        ObservedGate([fresh], policies).check(question)
        found = recorded(log, used.seen[-1])
        assert recorded(Decisions(Masking()), fresh.seen[-1]) == found
        assert (question.server, question.token, question.direction, policies.revision) == (
            *(found["server"], found["token"]),
            *(found["direction"], found["revision"]),
        )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (observed, record):
        monkeypatch.setattr(module, "_REMEMBERED", 2)
    keeping, log = Keeping(), Decisions(Masking())
    gate = ObservedGate([keeping], POLICIES)
    names = ["a", "a", "b", "c", "a", "x" * 300, "x" * 300]
    for name in names:
        gate.check(call(name))
    likenesses = [one.likeness for one in keeping.seen]
    assert [True, False, False, False, False, False] == [one is other for one, other in pairwise(likenesses)]
    assert likenesses[0] is not likenesses[4]
    assert [True] * 5 + [False] * 2 == [one.is_shared for one in likenesses]
    assert names == [recorded(log, one)["target"] for one in keeping.seen]
    assert len(log._known) == 2


def test_answer_does_not_depend_on_what_is_made_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    monkeypatch.setattr(observed, "target_told", int)
    assert gate.check(call()).decision.allowed
    assert not keeping.seen
    assert "could not be told" in caplog.text
