"""What records of decisions have in common is written once: that changes no record, whatever came before it."""

import json
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcp_acl.domain import Direction, Http, InexactNumber, Json, RuleRef, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime import observed
from mcp_acl.runtime.decision_log import Masking, record
from mcp_acl.runtime.decision_log.record import Decisions
from mcp_acl.runtime.gate import Question
from mcp_acl.runtime.observed import Decided, ObservedGate, Observer

RULES = """\
version: 1
policy: w
servers: [s, t]
rules:
  - {id: echo, methods: [tools/list, tools/call, prompts/get], name: echo}
  - {id: bobs, methods: [tools/call], name: bobs, cel: claims.sub == "bob"}
  - {id: no, effect: deny, methods: [tools/call, prompts/get], name: no}
"""


def policies(text: str, file: str = "w.yaml") -> PolicySet:
    return compile_policies([SourceFile(file, text.encode())])


POLICIES = policies(RULES)
OTHERS = [policies(RULES, "v.yaml"), policies(f"# x\n{RULES}"), policies(RULES.replace("id: echo", "id: other"))]
SUBJECTS: list[Json] = [
    InexactNumber("9007199254740993"),
    None,
    [1],
    {},
    1,
    1.0,
    True,
    "1",
    "True",
    "x" * 300,
    "\ud800\u2028",
]
CLAIMS: dict[str, Json] = {"iss": "i", "sub": "ann"}


class Keeping(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Decided] = []

    def decided(self, every: Sequence[Decided]) -> None:
        self.seen += every


def message(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


CANCELLED = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'


def call(name: str = "echo") -> Question:
    return Question("s", message("tools/call", name=name), CLAIMS, TokenState.VALID)


def principal_of(question: Question) -> list[tuple[str, Json]]:
    """As a log shows it."""
    shown = {"x" * 300: "x" * 300, "\ud800\u2028": "?\u2028"}
    found = [(name, question.claims[name]) for name in ("iss", "sub") if name in question.claims]
    return [(name, shown.get(value, value) if isinstance(value, str) else plain(value)) for name, value in found]


def plain(value: Json) -> Json:
    return value.text if isinstance(value, InexactNumber) else value


QUESTIONS = [
    *(call(name) for name in ("echo", "", "secret", "x" * 5000, "\u2028é")),
    *(call(name) for name in ("no", "bobs")),
    call("bobs")._replace(claims={"sub": "bob"}),
    call("bobs")._replace(claims={}),
    *(call()._replace(server=server) for server in ("t", "nowhere")),
    *(call()._replace(message=CANCELLED, direction=direction) for direction in Direction),
    *(call()._replace(token=token, claims={}) for token in (TokenState.NONE, TokenState.MISSING)),
    call()._replace(http=Http(headers={"mcp-name": ["secret"]})),
    call()._replace(token=TokenState.INVALID),
    call()._replace(direction=Direction.SERVER_TO_CLIENT),
    call()._replace(claims={"sub": "bob"}),
    *(call()._replace(claims={"iss": "i", "sub": one}) for one in SUBJECTS),
    call()._replace(claims={"iss": "ann", "sub": "i"}),
    call()._replace(claims={"sub": "ann"}),
    call()._replace(claims={}),
    call()._replace(http=Http(headers={"traceparent": [f"00-{'1' * 32}-{'2' * 16}-01"]})),
    call()._replace(message=b"{"),
    *(call()._replace(message=message("prompts/get", name=name)) for name in ("echo", "secret", "no")),
    call()._replace(message=message("tools/list")),
    call()._replace(message=message("tools/list"), filters_responses=True),
]


def recorded(decisions: Decisions, decided: Decided) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decisions.record(decided))
    assert found["time"] == datetime.fromtimestamp(decided.time // 1000 / 1e6, UTC).isoformat(
        timespec="microseconds"
    ).replace("+00:00", "Z")
    return {**found, "id": "", "seconds": 0, "time": ""}


@example(asked=[(question, one) for one in (POLICIES, *OTHERS) for question in QUESTIONS])
@given(asked=st.lists(st.tuples(st.sampled_from(QUESTIONS), st.sampled_from([POLICIES, *OTHERS])), max_size=40))
def test_no_record_depends_on_what_was_asked_before(asked: list[tuple[Question, PolicySet]]) -> None:
    """It is as that of a gate, and in a log, that have seen nothing."""
    used, log = Keeping(), Decisions(Masking())
    gate = ObservedGate([used], POLICIES)
    for question, in_force in asked:
        gate.policies = in_force
        decision = gate.check(question).decision
        fresh = Keeping()
        ObservedGate([fresh], in_force).check(question)
        found = recorded(log, used.seen[-1])
        assert recorded(Decisions(Masking()), fresh.seen[-1]) == found
        assert (question.server, question.token, question.direction, in_force.revision) == (
            *(found["server"], found["token"]),
            *(found["direction"], found["revision"]),
        )
        assert (decision.effect, decision.reason, decision.response_needs) == (
            *(found["effect"], found["reason"]),
            found["response_needs"],
        )
        assert list(decision.rules) == [RuleRef(**rule) for rule in found["rules"]]
        assert [repr(one) for one in principal_of(question)] == [repr(one) for one in found["principal"].items()]


def test_sets_and_answers_of_these_questions_differ() -> None:
    """In everything that is written once."""
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    for one in (POLICIES, *OTHERS):
        gate.policies = one
        for question in QUESTIONS:
            gate.check(question)
    assert 2 == len({one.revision for one in (POLICIES, *OTHERS)})
    likenesses = {one.likeness for one in keeping.seen if one.likeness.is_shared}
    fields = [(*astuple(one)[:5], *one.decision) for one in likenesses]
    # Errors and message are none of it; effect, and what a response needs, follow from the rest.
    for left_out in range(len(fields[0])):
        others = [(*one[:left_out], *one[left_out + 1 :]) for one in fields]
        assert (left_out in FOLLOWS) is (len(set(others)) == len(set(fields))), left_out


FOLLOWS = {5, 9, 10, 11}


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
    for name in "abc":
        principal = {"iss": "i", "sub": name}
        gate.check(call()._replace(claims=principal))
        assert principal == recorded(log, keeping.seen[-1])["principal"]
    assert len(log._principals) in {1, 2}


def test_answer_does_not_depend_on_what_is_made_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    monkeypatch.setattr(observed, "target_told", int)
    assert gate.check(call()).decision.allowed
    assert not keeping.seen
    assert "could not be told" in caplog.text
