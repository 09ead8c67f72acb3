"""A soak's questions on their way: asked again where that may be, judged, and counted. Knows no policy and no process.

Latency counts from the moment that was planned, through all that a question takes: the answer that is asked for again, and the list that is filtered.
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

from google.protobuf.message import DecodeError
from soak_lines import LOST, OK, Lines
from soak_questions import Row, Turn, drawn, fault_of, list_body, list_fault_of, rows

from mcp_acl.bench.alarm import Alarm
from mcp_acl.gen import acl_pb2 as pb

AGAIN: Final[Mapping[str, tuple[str, float]]] = {
    LOST: ("", 0.02),
    "14": ("UNAVAILABLE", 0.02),
    "1": ("CANCELLED", 0.1),
    "8": ("RESOURCE_EXHAUSTED", 0.1),
}
"""What may be asked again, its name, and after how many seconds; any other status is wrong."""
_MOST_WORDS: Final = 20
_SECOND: Final = 1_000_000_000


class Counted:
    """What came of the questions. Latencies and lateness are ns, of what was not yet taken."""

    def __init__(self) -> None:
        self.asked = self.answered = self.answers = self.wrong = 0
        self.again: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.denied: dict[str, tuple[str, str]] = {}
        """Reason and revision by decision id: what the log must say, too."""
        self.latencies = array("q")
        self.lateness = array("q")

    @property
    def waiting(self) -> int:
        return self.asked - self.answered

    def fault(self, what: str) -> None:
        """Count a wrong answer."""
        self.wrong += 1
        _count(self.faults, what)

    def ask_again(self, why: str) -> None:
        """Count one that did not come."""
        _count(self.again, why)

    def take(self) -> tuple["array[int]", "array[int]"]:
        """Latencies and lateness since they were last taken."""
        taken = self.latencies, self.lateness
        self.latencies, self.lateness = array("q"), array("q")
        return taken


def _count(found: Counter[str], what: str) -> None:
    found[what if what in found or len(found) < _MOST_WORDS else "something else"] += 1


class Asker:
    """Asks what is drawn. A line (`exchange.Line`) too, so that a closed loop can ask by it."""

    def __init__(self, checks: Lines, filters: Lines, turns: Mapping[str, Turn], seed: int) -> None:
        self.counted = Counted()
        self.reasons: Mapping[str, int] = self.counted.faults
        self._checks = checks
        self._filters = filters
        self._turns = turns
        self._rows: Iterator[Row] = drawn(rows(), seed)
        self._list = list_body()
        self._denials: dict[tuple[str, str], tuple[str, str]] = {}

    def ask(self, answered: Callable[[bool], None]) -> None:
        """As `exchange.Line`: the next question."""
        self._begin(time.perf_counter_ns(), answered)

    def ask_at(self, planned: int) -> None:
        """The next question, which was planned for then."""
        self.counted.lateness.append(time.perf_counter_ns() - planned)
        self._begin(planned, _nobody)

    def close(self) -> None:
        """As `exchange.Line`; the lines are their owner's."""

    def _begin(self, planned: int, told: Callable[[bool], None]) -> None:
        self.counted.asked += 1
        row = next(self._rows)

        def over(right: bool) -> None:
            self.counted.answered += 1
            self.counted.latencies.append(time.perf_counter_ns() - planned)
            told(right)

        def judge(answer: bytes, asked: int) -> None:
            context = self._judged(row, answer, asked)
            if context is None or row.shown is None:
                over(context is not None)
            else:
                request = pb.FilterResponseRequest(context=context, content_type="application/json", body=self._list)
                self._put(self._filters, request.SerializeToString(), judge_list, over)

        def judge_list(answer: bytes, asked: int) -> None:
            over(self._list_judged(row, answer, asked))

        self._put(self._checks, row.request, judge, over)

    def _put(
        self, lines: Lines, request: bytes, judge: Callable[[bytes, int], None], over: Callable[[bool], None]
    ) -> None:
        """Ask until there is an answer."""
        asked = time.perf_counter_ns()

        def answered(status: str, answer: bytes) -> None:
            if status == OK:
                self.counted.answers += 1
                judge(answer, asked)
                return
            code, _, words = status.partition(" ")
            if code not in AGAIN:
                self.counted.fault(f"status {status}")
                over(False)
                return
            name, pause = AGAIN[code]
            self.counted.ask_again(": ".join(filter(None, (name, words))))
            asyncio.get_running_loop().call_later(pause, self._put, lines, request, judge, over)

        lines.ask(request, answered)

    def _judged(self, row: Row, answer: bytes, asked: int) -> bytes | None:
        """What the response is handed over with, None if the answer is wrong."""
        try:
            found = pb.CheckResponse.FromString(answer)
            fault = fault_of(row, self._turns, found, asked)
        except DecodeError:
            fault = "an answer cannot be read"
        if not fault and found.decision == pb.DECISION_DENY:
            fault = self._keep(found)
        if fault:
            self.counted.fault(f"{row.name}: {fault}")
            return None
        return found.context

    def _keep(self, found: pb.CheckResponse) -> str:
        """Remember a denial, whose record must be in the log."""
        denied = self.counted.denied
        if found.decision_id in denied:
            return f"two decisions have the id `{found.decision_id}`"
        said = (found.reason, found.revision)
        denied[found.decision_id] = self._denials.setdefault(said, said)
        return ""

    def _list_judged(self, row: Row, answer: bytes, asked: int) -> bool:
        try:
            fault = list_fault_of(row, self._turns, pb.FilterResponseResponse.FromString(answer), asked)
        except (DecodeError, ValueError, TypeError, KeyError):
            fault = "an answer cannot be read"
        if fault:
            self.counted.fault(f"{row.name}: {fault}")
        return not fault


def _nobody(_: bool) -> None:
    """Who asks by a plan does not wait."""


class Plan:
    """Questions at random moments, `rate` a second, whether or not there are answers. A context: it asks from its beginning to its end."""

    def __init__(self, asker: Asker, rate: float, seed: int) -> None:
        self._asker = asker
        self._rate = rate
        self._draw = Random(seed)
        self._alarm = Alarm(self._ring)
        self._next = 0

    def __enter__(self) -> None:
        self._alarm.__enter__()
        self._next = time.perf_counter_ns()
        self._ring()

    def __exit__(self, *_: object) -> None:
        self._alarm.__exit__(*_)

    def _ring(self) -> None:
        while self._next <= time.perf_counter_ns():
            self._asker.ask_at(self._next)
            self._next += round(self._draw.expovariate(self._rate) * _SECOND)
        self._alarm.set(self._next)
