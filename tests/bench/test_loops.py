"""Loops: what they ask, when, and what they say came of it. Lines here are no connections, and answer as they are told."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from mcp_acl.bench import loops
from mcp_acl.bench.alarm import Alarm
from mcp_acl.bench.histogram import latency_of
from mcp_acl.bench.loops import Outcome, Span, closed_loop, open_loop

Answered = Callable[[bool], None]
SHORT = Span(0.2, patience=0.2)


class Prompt:
    """Answers in the next turn of the event loop."""

    def __init__(self, *, right: bool = True) -> None:
        self.reasons: Counter[str] = Counter()
        self.asked = self.open = self.most_open = 0
        self.is_closed = False
        self._right = right

    def ask(self, answered: Answered) -> None:
        self.asked += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.take(answered)

    def take(self, answered: Answered) -> None:
        asyncio.get_running_loop().call_soon(self.answer, answered)

    def answer(self, answered: Answered) -> None:
        self.open -= 1
        answered(self._right)

    def close(self) -> None:
        self.is_closed = True


class Silent(Prompt):
    """Answers when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Answered] = []

    def take(self, answered: Answered) -> None:
        self.waiting.append(answered)

    def close(self) -> None:
        super().close()
        for answered in self.waiting:
            answered(False)


class Mute(Silent):
    """Does not answer even then."""

    def close(self) -> None:
        self.is_closed = True


class Broken(Prompt):
    """Answers before it has returned."""

    def take(self, answered: Answered) -> None:
        self.open -= 1
        answered(False)


class Stalls(Prompt):
    """Answers nothing between two moments, and all of it then."""

    def __init__(self, begins: float, ends: float) -> None:
        super().__init__()
        self._start: float | None = None
        self._begins, self._ends = begins, ends

    def take(self, answered: Answered) -> None:
        loop = asyncio.get_running_loop()
        if self._start is None:
            self._start = loop.time()
        is_stalled = self._begins <= loop.time() - self._start < self._ends
        at = self._start + self._ends if is_stalled else loop.time()
        loop.call_at(at, self.answer, answered)


def closed(line: Prompt, in_flight: int = 4, span: Span = SHORT, answers: int = 1_000_000_000) -> Outcome:
    return asyncio.run(closed_loop([line], in_flight, span, answers=answers))


def opened(line: Prompt, rate: float = 500, span: Span = SHORT, seed: int | None = None) -> Outcome:
    return asyncio.run(open_loop([line], rate, span, seed=seed))


# ---- closed ------------------------------------------------------------------------------------------------------------


def test_a_closed_loop_keeps_as_many_questions_open_as_it_is_told() -> None:
    line = Prompt()
    found = closed(line, 7)
    assert line.most_open == 7
    assert line.open == 0
    assert (found.answers, found.wrong) == (line.asked, 0)
    assert len(found.latencies) == found.answers
    assert found.seconds >= 0.2
    assert not line.is_closed


def test_a_closed_loop_spreads_its_questions_over_lines() -> None:
    lines = [Prompt(), Prompt(), Prompt()]
    asyncio.run(closed_loop(lines, 6, SHORT))
    assert [line.most_open for line in lines] == [2, 2, 2]


@pytest.mark.parametrize("answers", [2, 4, 100])
def test_a_closed_loop_ends_with_the_last_answer_that_is_wanted(answers: int) -> None:
    line = Prompt()
    found = closed(line, 4, Span(20.0), answers=answers)
    assert found.answers == line.asked == answers


def test_wrong_answers_are_counted_and_asked_again() -> None:
    found = closed(Prompt(right=False), answers=50)
    assert (found.answers, found.wrong) == (50, 50)


def test_the_warm_up_does_not_count() -> None:
    line = Prompt()
    at_start: list[int] = []

    async def run() -> Outcome:
        return await closed_loop(
            [line], 4, Span(0.1, warm_up=0.1), began=lambda: at_start.append(line.asked), answers=10_000_000
        )

    found = asyncio.run(run())
    assert at_start[0] > 4
    # Those that were open when it ended have been asked before, and are answered after.
    assert found.answers == line.asked - at_start[0] + 4
    assert found.seconds < 5


def test_answers_that_do_not_come_are_wrong_and_end_in_time() -> None:
    line = Silent()
    found = closed(line, 3)
    assert (found.answers, found.wrong) == (3, 3)
    assert line.is_closed
    assert min(found.latencies) >= 200_000_000


def test_a_line_that_never_answers_ends_nothing_else() -> None:
    for found in (closed(Mute(), 3), opened(Mute(), 50)):
        assert found.wrong == found.answers > 0


def test_a_broken_line_is_not_asked_for_ever() -> None:
    line = Broken()
    found = closed(line, 3, Span(20.0))
    assert (line.asked, found.answers, found.wrong) == (3, 3, 3)


# ---- open --------------------------------------------------------------------------------------------------------------


def test_an_open_loop_asks_what_is_planned_and_no_more() -> None:
    lines = [Prompt(), Prompt()]
    found = asyncio.run(open_loop(lines, 500, SHORT))
    assert [line.asked for line in lines] == [50, 50]
    assert (found.answers, found.wrong) == (100, 0)
    assert len(found.lateness) == 100
    assert min(found.lateness) >= 0


def test_an_open_loop_asks_on_while_nobody_answers() -> None:
    line = Silent()
    found = opened(line)
    assert line.asked == 100
    assert (found.answers, found.wrong) == (100, 100)
    assert line.is_closed


def test_a_stall_of_the_server_is_in_the_latencies_of_an_open_loop() -> None:
    """Of 400 questions some 80 meet the stall of 200 ms, evenly: without the plan, one or none would tell of it."""
    found = opened(Stalls(0.3, 0.5), 400, Span(1.0))
    assert found.answers == 400
    assert latency_of(found.latencies).p99 > 150_000
    assert sum(latency > 90_000_000 for latency in found.latencies) > 20


def test_a_stall_of_the_client_is_in_the_latencies_and_in_the_lateness() -> None:
    class Sleeps(Prompt):
        """Takes the event loop's time, once."""

        def take(self, answered: Answered) -> None:
            if self.asked == 100:
                time.sleep(0.1)
            super().take(answered)

    found = opened(Sleeps(), 1000, Span(0.5))
    assert found.answers == 500
    assert max(found.lateness) > 90_000_000
    assert sum(latency > 40_000_000 for latency in found.latencies) > 30


def test_the_warm_up_of_an_open_loop_does_not_count() -> None:
    line = Prompt()
    began: list[int] = []

    async def run() -> Outcome:
        return await open_loop([line], 500, Span(0.2, warm_up=0.1), began=lambda: began.append(line.asked))

    found = asyncio.run(run())
    assert line.asked == 150
    assert began == [50]
    assert found.answers == len(found.lateness) == 100


def test_an_answer_to_the_warm_up_does_not_count_when_it_comes_late() -> None:
    line = Silent()
    found = opened(line, 100, Span(0.1, warm_up=0.1, patience=0.1))
    assert line.asked == 20
    assert (found.answers, found.wrong) == (10, 10)


def test_what_waits_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_MOST_WAITING", 10)
    line = Silent()
    found = opened(line, 500)
    assert line.asked == 10
    assert (found.answers, found.wrong) == (100, 100)


def test_a_broken_line_does_not_hinder_the_others() -> None:
    found = asyncio.run(open_loop([Broken(), Prompt()], 500, SHORT))
    assert (found.answers, found.wrong) == (100, 50)


def test_random_moments_are_the_same_for_the_same_seed() -> None:
    def first(moments: Iterator[int]) -> list[int]:
        return list(islice(moments, 2000))

    found = first(loops._poisson(1000, 7))
    assert found == sorted(found) == first(loops._poisson(1000, 7)) != first(loops._poisson(1000, 8))
    assert found[-1] == pytest.approx(2_000_000_000, rel=0.1)
    assert first(loops._even(1000))[:3] == [0, 1_000_000, 2_000_000]
    assert opened(Prompt(), seed=3).wrong == 0


def test_reasons_are_those_of_the_lines() -> None:
    line = Prompt(right=False)
    line.reasons["why"] = 3
    assert closed(line, answers=3).reasons == {"why": 3}


@pytest.mark.parametrize("platform", ["linux", "other"])
def test_an_alarm_rings_when_it_is_set_and_not_before(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)

    async def run() -> list[int]:
        rung: list[int] = []
        done = asyncio.get_running_loop().create_future()

        def ring() -> None:
            rung.append(time.perf_counter_ns() - moments[len(rung)])
            if len(rung) == len(moments):
                done.set_result(None)
            else:
                alarm.set(moments[len(rung)])

        start = time.perf_counter_ns()
        moments = [start + 2_000_000, start + 2_000_001, start + 9_000_000]
        with Alarm(ring) as alarm:
            alarm.set(moments[0])
            async with asyncio.timeout(20):
                await done
        return rung

    # An event loop's own timers may be early by what they round away.
    assert min(asyncio.run(run())) >= (0 if platform == "linux" else -1_000_000)
