"""What is told of decisions: all of them, once, no more than people may see; and never in the way of an answer."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.cli.sights import line_of, record_line
from mcp_acl.domain import Http, TokenState
from mcp_acl.gateway import Seen, Teller
from mcp_acl.gateway.watching import Watcher
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.observed import ObservedGate

POLICIES = compile_policies(
    [
        SourceFile(
            "w.yaml",
            b"version: 1\npolicy: w\nservers: [s]\nrules:\n  - {id: echo, methods: [tools/list, tools/call], name: echo}\n",
        )
    ]
)
TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"secret"},{"name":"other"}]}}'


class Watched:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.gate = ObservedGate([Watcher(self.seen.append)], POLICIES)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def asked(
    method: str, *, claims: dict[str, Any] | None = None, token: TokenState | None = None, **params: Any
) -> Question:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    state = token or (TokenState.NONE if claims is None else TokenState.VALID)
    return Question("s", body, claims or {}, state, filters_responses=True)


def test_call_is_told_with_its_target_and_rule(watched: Watched) -> None:
    answer = watched.gate.check(
        asked("tools/call", claims={"sub": "ann", "email": "ann@x"}, name="echo", arguments={"a": 1})
    )
    (seen,) = watched.seen
    assert answer.decision.allowed
    assert ("s", "ann", "tools/call", "echo", "allow", "granted") == seen[1:7]
    assert ["w/echo"] == [str(rule) for rule in seen.rules]
    assert answer.decision_id == seen.decision_id


def test_names_are_told_no_longer_than_can_be_kept_of_many(watched: Watched) -> None:
    watched.gate.check(asked("tools/call", claims={"sub": "s" * 100_000}, name="n" * 100_000))
    watched.gate.check(asked("m" * 100_000))
    assert max(len(text) for seen in watched.seen for text in (seen.principal, seen.method, seen.target)) <= 8192


def test_neither_claims_nor_arguments_are_told(watched: Watched) -> None:
    claims = {"sub": "ann", "email": "secret@x", "groups": ["hidden"]}
    watched.gate.check(asked("tools/call", claims=claims, name="echo", arguments={"password": "12345"}))
    (seen,) = watched.seen
    for text in (line_of(seen), record_line(seen)):
        assert not any(word in text for word in ("secret@x", "hidden", "12345", "password"))


@pytest.mark.parametrize(
    ("claims", "token", "principal"),
    [
        ({}, TokenState.NONE, "anonymous"),
        ({}, TokenState.MISSING, "(no token)"),
        ({}, TokenState.INVALID, "(invalid token)"),
        ({"sub": 5}, TokenState.VALID, "(no sub)"),
        ({"sub": ""}, TokenState.VALID, "(no sub)"),
    ],
)
def test_principal_without_a_subject_is_what_it_is(
    watched: Watched, claims: dict[str, Any], token: TokenState, principal: str
) -> None:
    watched.gate.check(asked("ping", claims=claims, token=token))
    assert [principal] == [seen.principal for seen in watched.seen]


def test_what_is_no_message_is_told_as_what_it_is(watched: Watched) -> None:
    for body, method in ((b"{", "POST"), (b"", "GET"), (b'{"jsonrpc":"2.0","id":1,"result":{}}', "POST")):
        watched.gate.check(Question("s", body, http=Http(method, "/mcp")))
    assert ["(unreadable)", "HTTP GET", "(response)"] == [seen.method for seen in watched.seen]


@pytest.mark.parametrize("pieces", [1, 7])
def test_list_is_told_with_what_was_shown_and_hidden(watched: Watched, pieces: int) -> None:
    answer = watched.gate.check(asked("tools/list"))
    filtering = watched.gate.filter_stream(answer.context, "application/json")
    for start in range(0, len(TOOLS), pieces):
        filtering.feed(TOOLS[start : start + pieces])
    filtering.close()
    (_, seen) = watched.seen
    assert ("filtered", 1, 2) == (seen.decision, seen.shown, seen.hidden)
    assert "1 shown, 2 hidden" in line_of(seen)


def test_whole_list_is_told_too_and_answered_as_without_watching(watched: Watched) -> None:
    answer = watched.gate.check(asked("tools/list"))
    reply = watched.gate.filter(answer.context, "application/json", TOOLS)
    assert Gate(POLICIES).filter(answer.context, "application/json", TOOLS).filtered.body == reply.filtered.body
    assert [("filtered", 1, 2)] == [(one.decision, one.shown, one.hidden) for one in watched.seen[1:]]


def test_response_that_is_withheld_is_told_once(watched: Watched) -> None:
    answer = watched.gate.check(asked("tools/list"))
    filtering = watched.gate.filter_stream(answer.context, "text/plain")
    for piece in (b"a", b"b"):
        filtering.feed(piece)
    filtering.close()
    assert ["withheld"] == [seen.decision for seen in watched.seen[1:]]


def test_response_that_cannot_be_looked_into_is_told(watched: Watched) -> None:
    answer = watched.gate.check(asked("tools/list"))
    watched.gate.withhold(answer.context, "application/json", "it is encoded")
    assert [("withheld", "it is encoded")] == [(seen.decision, seen.reason) for seen in watched.seen[1:]]


def test_response_in_which_nothing_was_hidden_is_not_told(watched: Watched) -> None:
    answer = watched.gate.check(asked("tools/call", name="echo"))
    watched.gate.filter(answer.context, "application/json", b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}')
    assert 1 == len(watched.seen)


def test_answer_does_not_depend_on_who_watches() -> None:
    def breaks(_: Seen) -> None:
        raise RuntimeError("broken")

    gate = ObservedGate([Watcher(breaks)], POLICIES)
    assert gate.check(asked("tools/call", name="echo")).decision.allowed
    assert not gate.check(asked("tools/call", name="secret")).decision.allowed


def test_terminal_obeys_nothing_of_what_peers_write(watched: Watched) -> None:
    name = "\x1b[2J\x9bevil\nALLOW\u202egnp.exe  two" + "x" * 5000
    watched.gate.check(asked("tools/call", claims={"sub": "\x1b]0;title\x07"}, name=name))
    (seen,) = watched.seen
    line = line_of(seen)
    assert line.count("\n") == 0
    assert len(line) < 1000
    assert "evil" in line
    assert "".join(char for char in line if not char.isprintable()).replace("\x1b", "") == ""
    assert "\x1b[2J" not in line
    assert "\x1b]" not in line
    record = record_line(seen)
    assert record.isascii()
    assert record.isprintable()
    assert name == json.loads(record)["target"]


# ---- beside the decisions -------------------------------------------------------------------------------------------


SEEN = Watched()
SEEN.gate.check(asked("ping"))


def test_slow_reader_holds_nobody_up_and_is_told_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_acl.gateway.telling._WAITING", 2)
    go_on, missed, written = threading.Event(), list[int](), list[Seen]()

    def write(seen: Seen) -> None:
        go_on.wait(20)
        written.append(seen)

    teller = Teller(write, missed.append)
    for _ in range(100):
        teller(SEEN.seen[0])
    go_on.set()
    teller.close()
    assert 100 == len(written) + sum(missed)
    assert written


def test_reader_that_has_gone_ends_the_telling_and_nothing_else() -> None:
    calls: list[Seen] = []

    def write(seen: Seen) -> None:
        calls.append(seen)
        raise BrokenPipeError

    teller = Teller(write, lambda _: None)
    for _ in range(3):
        teller(SEEN.seen[0])
    teller.close()
    assert 1 == len(calls)


def test_keeper_imports_nothing_of_the_project(root: Path) -> None:
    assert "mcp_acl" not in (root / "service" / "mcp_acl" / "gateway" / "keeper.py").read_text()
