"""When questions are asked: as many at once as are told, or at planned moments that wait for nobody. Knows no wire.

A closed loop asks again when it is answered, so a server that stalls is asked less; an open one asks on, and its latencies are counted from
the moment that was planned, whatever hindered the asking: the server's stall and the client's own are both in them. How late the client
itself was is told beside them, so that nobody takes its limit for the server's.

Whatever has been asked is waited for, but not for ever: lines that do not answer are closed, and their answers are wrong.
"""

import asyncio
import gc
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Final

from mcp_acl.bench.alarm import Alarm
from mcp_acl.bench.exchange import Line

_MOST_WAITING: Final = 100_000
"""Questions that an open loop leaves unanswered; more are wrong at once."""
_SECOND: Final = 1_000_000_000


def _nothing() -> None:
    """What is called where nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Span:
    """For how many seconds: questions that count, questions before them that do not, and the wait for the last answers."""

    seconds: float
    warm_up: float = 0.0
    patience: float = 5.0

    @property
    def longest(self) -> float:
        """Seconds until whatever is not over is ended."""
        return self.warm_up + self.seconds + self.patience


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a loop, its warm-up left out. Times are ns, of all answers, the wrong ones among them.

    `client_cpu`: µs of this process for each answer. `lateness`: of an open loop, how much later than planned each question was asked.
    `reasons`: why answers were wrong, where lines know it; of all their time.
    """

    seconds: float
    answers: int
    wrong: int
    latencies: "array[int]"
    client_cpu: float
    lateness: "array[int]" = field(default_factory=lambda: array("q"))
    reasons: Counter[str] = field(default_factory=Counter)


async def closed_loop(
    lines: Sequence[Line],
    in_flight: int,
    span: Span,
    *,
    answers: int = sys.maxsize,
    began: Callable[[], None] = _nothing,
) -> Outcome:
    """Keep `in_flight` questions open, spread over the lines, for the span, or until so many answers have come if that is sooner.

    `began` is called when the warm-up is over. A place whose line is broken asks no more.
    """
    tally = _Tally(lines, began)
    places = [_Place(tally, line) for line, _ in zip(cycle(lines), range(min(in_flight, answers)), strict=False)]
    tally.open = len(places)

    def begin() -> None:
        tally.begin()
        tally.most = answers

    with _undisturbed():
        begun = asyncio.get_running_loop().call_later(span.warm_up, begin)
        if not span.warm_up:
            begun.cancel()
            begin()
        tally.until = time.perf_counter_ns() + round((span.warm_up + span.seconds) * _SECOND)
        for place in places:
            place.ask()
        await tally.ended(span.longest)
        begun.cancel()
    return tally.outcome()


async def open_loop(
    lines: Sequence[Line],
    rate: float,
    span: Span,
    *,
    seed: int | None = None,
    began: Callable[[], None] = _nothing,
) -> Outcome:
    """Ask `rate` times a second, each line in its turn, whether or not there are answers.

    At even distances; with `seed`, at random ones (Poisson), the same for the same seed.
    """
    tally = _Tally(lines, began)
    offsets = _even(rate) if seed is None else _poisson(rate, seed)
    plan = _Plan(tally, lines, offsets, span)
    with _undisturbed(), plan.alarm:
        plan.start()
        await tally.ended(span.longest)
    return tally.outcome(plan.lateness)


class _Tally:
    """What is counted. `open`: what must end before the loop does."""

    def __init__(self, lines: Sequence[Line], began: Callable[[], None]) -> None:
        self.latencies = array("q")
        self.wrong = 0
        self.open = 0
        self.until = 0
        self.most = sys.maxsize
        self._lines = lines
        self._began = began
        self._started = self._last = time.perf_counter_ns()
        self._cpu = time.process_time_ns()
        self._over = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Count from here."""
        del self.latencies[:]
        self.wrong = 0
        self._began()
        self._cpu = time.process_time_ns()
        self._started = self._last = time.perf_counter_ns()

    def close(self) -> None:
        """One place less."""
        self.open -= 1
        if not self.open and not self._over.done():
            self._over.set_result(None)

    async def ended(self, seconds: float) -> None:
        """Wait until all has ended; what has not by then is ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._over
        except TimeoutError:
            for line in self._lines:
                line.close()
        self._last = time.perf_counter_ns()
        self._cpu = time.process_time_ns() - self._cpu

    def outcome(self, lateness: "array[int] | None" = None) -> Outcome:
        """What came of it. A question without an answer, even now, is a wrong one."""
        answers = len(self.latencies) + self.open
        reasons: Counter[str] = Counter()
        for line in self._lines:
            reasons.update(line.reasons)
        return Outcome(
            (self._last - self._started) / _SECOND,
            answers,
            self.wrong + self.open,
            self.latencies,
            self._cpu / 1000 / max(answers, 1),
            array("q") if lateness is None else lateness,
            reasons,
        )


class _Place:
    """One question that is open, and the next when it is answered."""

    __slots__ = ("_answered", "_asked", "_is_asking", "_line", "_tally")

    def __init__(self, tally: _Tally, line: Line) -> None:
        self._tally = tally
        self._line = line
        self._asked = 0
        self._is_asking = False
        self._answered = self._take

    def ask(self) -> None:
        """Ask for the first time."""
        self._asked = time.perf_counter_ns()
        self._ask()

    def _ask(self) -> None:
        self._is_asking = True
        self._line.ask(self._answered)
        if self._is_asking:
            self._is_asking = False
        else:
            # Answered before it was sent: the line is broken, and would answer so for ever.
            self._tally.close()

    def _take(self, right: bool) -> None:
        now, tally = time.perf_counter_ns(), self._tally
        tally.latencies.append(now - self._asked)
        if not right:
            tally.wrong += 1
        if self._is_asking:
            self._is_asking = False
        elif now < tally.until and len(tally.latencies) + tally.open <= tally.most:
            self._asked = now
            self._ask()
        else:
            tally.close()


class _Plan:
    """The moments of an open loop, and what is asked at them."""

    def __init__(self, tally: _Tally, lines: Sequence[Line], offsets: Iterator[int], span: Span) -> None:
        self.alarm = Alarm(self._ring)
        self.lateness = array("q")
        self._tally = tally
        self._lines = cycle(lines)
        self._offsets = offsets
        self._span = span
        self._start = self._next = self._first = self._end = 0
        self._is_counting = False

    def start(self) -> None:
        """Begin now."""
        self._start = time.perf_counter_ns()
        self._first = self._start + round(self._span.warm_up * _SECOND)
        self._end = self._first + round(self._span.seconds * _SECOND)
        # The plan itself is open until its end.
        self._tally.open = 1
        self._step()
        self._ring()

    def _step(self) -> None:
        self._next = self._start + next(self._offsets)

    def _ring(self) -> None:
        """Ask what is due, and set the alarm for what is not."""
        now = time.perf_counter_ns()
        while self._next <= now and self._next < self._end:
            self._ask(self._next, now)
            self._step()
            now = time.perf_counter_ns()
        if not self._is_counting and self._next >= self._first and now >= self._first:
            self._begin()
        if self._next < self._end:
            self.alarm.set(self._next)
        else:
            self._tally.close()

    def _ask(self, planned: int, now: int) -> None:
        tally = self._tally
        if not self._is_counting and planned >= self._first:
            self._begin()
        self.lateness.append(now - planned)
        if tally.open > _MOST_WAITING:
            tally.latencies.append(now - planned)
            tally.wrong += 1
            return
        tally.open += 1

        def answered(right: bool) -> None:
            if self._is_counting and planned < self._first:
                # Asked in the warm-up.
                tally.close()
                return
            tally.latencies.append(time.perf_counter_ns() - planned)
            if not right:
                tally.wrong += 1
            tally.close()

        next(self._lines).ask(answered)

    def _begin(self) -> None:
        self._is_counting = True
        del self.lateness[:]
        self._tally.begin()


def _even(rate: float) -> Iterator[int]:
    at = 0
    while True:
        yield round(at * _SECOND / rate)
        at += 1


def _poisson(rate: float, seed: int) -> Iterator[int]:
    draw = Random(seed)  # noqa: S311 - the same again is what is wanted
    at = 0.0
    while True:
        at += draw.expovariate(rate)
        yield round(at * _SECOND)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the collection of garbage: its pauses would be taken for the server's."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
