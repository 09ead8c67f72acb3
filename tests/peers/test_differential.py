"""No server runs what was not decided: mutated messages, by us and by servers of every SDK.

`MCP_ACL_MESSAGES` says how many messages (each goes to every server), `MCP_ACL_SEED` from which seed they are drawn.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from random import Random
from typing import Any

import pytest

from mcp_acl.domain import Message, MessageKind, Reason
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate, Question
from tests.peers.differential import Comparison, Tally, Verdict, by, http_of
from tests.peers.messages import ALLOWED, LEGACY, MODERN, POLICY, SECRET, Asked, Sent, honest, text_of, value_of
from tests.peers.mutations import MUTATIONS, Mutated, mutated
from tests.peers.running import Peer, running
from tests.peers.wire import Line

MESSAGES = int(os.environ.get("MCP_ACL_MESSAGES", "300"))
SEED = int(os.environ.get("MCP_ACL_SEED", "1"))

PEERS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("python", "python", ("--json",)),
    ("python+", "python", ("--sessions",)),
    ("ts1", "typescript-1", ("--json",)),
    ("ts1+", "typescript-1", ("--express", "--sessions")),
    ("ts2", "typescript-2", ("--json",)),
    ("ts2+", "typescript-2", ()),
    ("go", "go", ("--json",)),
    ("go+", "go", ("--sessions",)),
)
"""A short name for the table, the peer and its flags; `+` are those with event streams, most of them with sessions."""
SPEAK_MODERN = ("python", "python+", "ts2", "ts2+", "go")

Lines = Mapping[str, tuple[Peer, Line]]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    directory = tmp_path_factory.mktemp("peers")
    lines: dict[str, tuple[Peer, Line]] = {}
    with ExitStack() as stack:
        for name, peer, flags in PEERS:
            if peer == "go" and os.environ.get("WITHOUT_GO"):
                say(f"without `{name}`: WITHOUT_GO is set")
                continue
            one = stack.enter_context(running(peer, directory, *flags))
            lines[name] = one, Line(one, session="--sessions" in flags)
            stack.callback(lines[name][1].close)
        yield lines


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate(compile_policies([SourceFile("canary.yaml", POLICY.encode())]))


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what is not tested, and the figures of a long run


def drawn(count: int, seed: int) -> Iterator[Mutated]:
    rng = Random(seed)  # noqa: S311 - a test
    return (mutated(rng) for _ in range(count))


def shown(tally: Tally) -> str:
    return "\n".join(
        f"{one.what}: {one.peer} ran {one.ran}\n  allowed: {one.decided}\n  {one.sent.headers}\n  {one.sent.body!r}"
        for one in tally.bypasses[:10]
    )


def test_no_server_runs_what_was_not_decided(peers: Lines, gate: Gate) -> None:
    began = time.monotonic()

    def tell(count: int) -> None:
        if count % 5000 == 0:
            say(f"{count} messages, {time.monotonic() - began:.0f} s")

    tally = Comparison(peers, by(gate)).run(drawn(MESSAGES, SEED), tell)
    say(f"{MESSAGES} messages to {len(peers)} servers in {time.monotonic() - began:.0f} s, seed {SEED}")
    say(f"of messages that were refused, servers ran / servers ran what is secret:\n{tally.table(peers)}")
    say(f"ran as decided: {tally.ran_allowed.total()}, not answered: {dict(tally.unanswered)}")
    assert [] == tally.bypasses, shown(tally)
    assert tally.ran_allowed.total() > MESSAGES / 10


@pytest.mark.parametrize("version", [LEGACY, MODERN])
def test_honest_messages_are_allowed_and_run_and_secret_ones_would_run(peers: Lines, gate: Gate, version: str) -> None:
    decide = by(gate)
    messages = [*ALLOWED, *SECRET]
    assert [True] * len(ALLOWED) + [False] * len(SECRET) == [
        decide(honest(one, version)).message is not None for one in messages
    ]
    tally = Comparison(peers, decide).run(Mutated(text_of(one), honest(one, version)) for one in messages)
    speaking = [name for name in peers if version == LEGACY or name in SPEAK_MODERN]
    assert [] == tally.bypasses
    assert {(name, text_of(one)) for name in speaking for one in ALLOWED} == {*tally.ran_allowed}
    assert {(name, text_of(one)) for name in speaking for one in SECRET} == {*tally.ran_denied}


def test_every_class_of_mutation_is_drawn() -> None:
    counts = {one.what for one in drawn(5000, SEED)}
    assert {*MUTATIONS, "honest", "honest, secret", "two at once"} == counts


# ---- that the comparison can fail -----------------------------------------------------------------------------------


def first_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def by_a_lenient_reader(gate: Gate, sent: Sent) -> Verdict:
    """The gate behind a reader that takes the first of repeated keys, where servers take the last, and asks no more."""
    try:
        value = json.loads(sent.body, object_pairs_hook=first_of)
        message = Message(MessageKind.REQUEST, value["method"], 1, value["params"])
    except (ValueError, LookupError, TypeError):
        return Verdict(Reason.MESSAGE_REFUSED)
    decision = gate.check(Question("canary", message, http=http_of(sent))).decision
    return Verdict(decision.reason, message if decision.allowed else None)


def test_a_lenient_reader_is_caught(peers: Lines, gate: Gate) -> None:
    asked = value_of(Asked("tools/call", {"name": "echo"}), LEGACY)
    twice = text_of(asked).replace('"name":"echo"', '"name":"echo","n\\u0061me":"secret_delete"')
    sent = honest(ALLOWED[0], LEGACY)._replace(body=twice.encode())
    assert Reason.MESSAGE_REFUSED is by(gate)(sent).reason
    tally = Comparison(peers, lambda one: by_a_lenient_reader(gate, one)).run([Mutated("twice", sent)])
    ran = {(one.peer, ran.name) for one in tally.bypasses for ran in one.ran}
    assert {("python", "secret_delete"), ("ts1", "secret_delete"), ("ts2", "secret_delete")} <= ran
