"""The same bytes and headers to us and to every peer, to find a message that we allow as one thing and that runs as another.

What a peer runs of messages that we deny is counted by class: that is what strict intake is for.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from mcp_acl.domain import Http, Message, Reason
from mcp_acl.mcp.message import parse_message
from mcp_acl.runtime.gate import Gate, Question
from tests.peers.messages import Sent
from tests.peers.mutations import Mutated
from tests.peers.oracle import agrees
from tests.peers.running import Peer, Ran
from tests.peers.wire import Line


class Verdict(NamedTuple):
    """What was decided: why, and on which message if it was allowed."""

    reason: Reason
    message: Message | None = None

    @property
    def is_refused(self) -> bool:
        """Denied, and not because no rule grants it: for how it is written."""
        return self.message is None and self.reason not in {Reason.NO_MATCHING_RULE, Reason.UNKNOWN_METHOD}


Decide = Callable[[Sent], Verdict]

_AT_ONCE: Final = 200
_LATE: Final = 0.2
"""Seconds after the last answer in which a peer may still run something."""


class Bypass(NamedTuple):
    """A message that was allowed as one thing and ran as another."""

    what: str
    peer: str
    sent: Sent
    decided: Message
    ran: tuple[Ran, ...]


@dataclass
class Tally:
    """What became of the messages: by class; what was answered or ran by peer and class."""

    sent: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran_allowed: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran_denied: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran_refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    secrets: Counter[tuple[str, str]] = field(default_factory=Counter)
    bypasses: list[Bypass] = field(default_factory=list)

    def table(self, peers: Iterable[str]) -> str:
        """A line for each class: how many messages, how many allowed, how many refused for how they are written.

        Then, for each peer, how many of the refused ran; after the stroke, how many of them ran what no rule allows.
        """
        names = [*peers]
        rows = [("", "sent", "allowed", "refused", *names)]
        for what in [*sorted(self.sent), ""]:
            counts = [_sum(counter, what) for counter in (self.sent, self.allowed, self.refused)]
            cells = [f"{_of(self.ran_refused, one, what)}/{_of(self.secrets, one, what)}" for one in names]
            rows.append((what or "all", *map(str, counts), *cells))
        return "\n".join(f"{row[0]:22}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows)


def _sum(counter: Counter[str], what: str) -> int:
    return counter[what] if what else counter.total()


def _of(counter: Counter[tuple[str, str]], name: str, what: str) -> int:
    return sum(count for (peer, each), count in counter.items() if peer == name and what in {each, ""})


class _Asked(NamedTuple):
    mutated: Mutated
    verdict: Verdict


class Comparison:
    """Peers by name, each with its line, and what decides."""

    def __init__(self, peers: Mapping[str, tuple[Peer, Line]], decide: Decide) -> None:
        self._peers = peers
        self._decide = decide
        self._asked: list[_Asked] = []
        self.tally = Tally()

    def run(self, messages: Iterable[Mutated], tell: Callable[[int], None] = lambda _: None) -> Tally:
        """Ask about each message and send it to each peer. `tell` is told how many there were so far."""
        for peer, _ in self._peers.values():
            peer.ran()
        with ThreadPoolExecutor(len(self._peers)) as pool:
            for some in _portions(messages):
                first = len(self._asked)
                self._asked += [_Asked(one, self._decide(one.sent)) for one in some]
                self._count(self._asked[first:])
                list(pool.map(lambda name: self._send(name, first), self._peers))  # noqa: B023 - it ends before the next
                self._settle()
                tell(len(self._asked))
        time.sleep(_LATE)
        self._settle()
        return self.tally

    def _count(self, asked: Iterable[_Asked]) -> None:
        for one in asked:
            self.tally.sent[one.mutated.what] += 1
            self.tally.allowed[one.mutated.what] += one.verdict.message is not None
            self.tally.refused[one.mutated.what] += one.verdict.is_refused

    def _send(self, name: str, first: int) -> None:
        _, line = self._peers[name]
        for number, one in enumerate(self._asked[first:], first):
            if line.send(one.mutated.sent, str(number)) is None:
                self.tally.unanswered[name, one.mutated.what] += 1

    def _settle(self) -> None:
        for name, (peer, _) in self._peers.items():
            by_message: dict[str, list[Ran]] = {}
            for ran in peer.ran():
                by_message.setdefault(ran.message, []).append(ran)
            for number, all_ran in by_message.items():
                self._judge(name, self._asked[int(number)], tuple(all_ran))

    def _judge(self, name: str, asked: _Asked, ran: tuple[Ran, ...]) -> None:
        what, decided = asked.mutated.what, asked.verdict.message
        if decided is None:
            self.tally.ran_denied[name, what] += 1
            self.tally.ran_refused[name, what] += asked.verdict.is_refused
            self.tally.secrets[name, what] += asked.verdict.is_refused and any("secret" in one.name for one in ran)
        elif len(ran) == 1 and agrees(decided, ran[0]):
            self.tally.ran_allowed[name, what] += 1
        else:
            self.tally.bypasses.append(Bypass(what, name, asked.mutated.sent, decided, ran))


def _portions(messages: Iterable[Mutated]) -> Iterator[list[Mutated]]:
    rest = iter(messages)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def http_of(sent: Sent) -> Http:
    """The headers as a gateway hands them over: all of them, with every value."""
    headers: dict[str, list[str]] = {}
    for name, value in sent.headers:
        headers.setdefault(name.lower(), []).append(value.decode("latin-1").strip(" \t"))
    return Http(path="/mcp", headers=headers)


def by(gate: Gate) -> Decide:
    """What the gate decides."""

    def decide(sent: Sent) -> Verdict:
        decision = gate.check(Question("canary", sent.body, http=http_of(sent), filters_responses=True)).decision
        return Verdict(decision.reason, parse_message(sent.body) if decision.allowed else None)

    return decide
