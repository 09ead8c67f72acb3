"""Observers are told of every decision, once and in order, before its answer can be used; and no answer depends on them."""

import threading
from collections.abc import Sequence

import pytest

from mcp_acl.runtime.observed import Decided, ObservedGate, Observer, each
from tests.runtime.weather import POLICIES, ask, call


class Keeping(Observer):
    """Keeps what it is told: the ids of decisions, together if they were told together."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def decided(self, every: Sequence[Decided]) -> None:
        self.told.append([decided.answer.decision_id for decided in every])


class Breaking(Observer):
    """Breaks at some decisions."""

    def __init__(self, *breaks: str) -> None:
        self._breaks = breaks
        self.made: list[str] = []

    def decided(self, every: Sequence[Decided]) -> None:
        self.made = each(every, self._made)

    def _made(self, decided: Decided) -> str:
        if decided.likeness.target in self._breaks:
            raise KeyError(decided.likeness.target)
        return decided.likeness.target


def asked(gate: ObservedGate, *names: str) -> list[str]:
    return [gate.check(ask(call(name))).decision_id for name in names]


def test_of_one_question_observers_are_told_before_its_answer_is_there() -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    assert [[one] for one in asked(gate, "forecast", "secret")] == keeping.told


def test_of_several_they_are_told_together_at_the_end() -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    for _ in range(2):
        with gate.batch:
            ids = asked(gate, "forecast", "secret", "history")
            assert not keeping.told
        assert [ids] == keeping.told
        keeping.told.clear()
    with gate.batch:
        pass
    assert not keeping.told
    assert [asked(gate, "forecast")] == keeping.told


def test_they_are_told_although_it_ends_with_an_error() -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    ids: list[str] = []

    def ends() -> None:
        with gate.batch:
            ids.extend(asked(gate, "forecast", "secret"))
            raise KeyError

    with pytest.raises(KeyError):
        ends()
    assert [ids] == keeping.told


def test_batch_in_a_batch_loses_nothing() -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    with gate.batch:
        ids = asked(gate, "forecast")
        with gate.batch:
            ids += asked(gate, "secret")
        ids += asked(gate, "history")
    assert ids == [one for told in keeping.told for one in told]


def test_what_another_thread_asks_meanwhile_does_not_wait_for_it() -> None:
    keeping = Keeping()
    gate = ObservedGate([keeping], POLICIES)
    with gate.batch:
        own = asked(gate, "forecast")
        others: list[str] = []
        thread = threading.Thread(target=lambda: others.extend(asked(gate, "secret")))
        thread.start()
        thread.join()
        assert [others] == keeping.told
        own += asked(gate, "forecast")
    assert [others, own] == keeping.told


def test_what_breaks_at_one_tells_of_the_others_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    breaking, keeping = Breaking("secret"), Keeping()
    gate = ObservedGate([breaking, keeping], POLICIES)
    with gate.batch:
        ids = asked(gate, "forecast", "secret", "history")
    assert (["forecast", "history"], [ids]) == (breaking.made, keeping.told)
    assert f"decision {ids[1]} could not be told" in caplog.text


def test_what_breaks_as_a_whole_keeps_nobody_else_from_being_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    breaking, keeping = Breaking(), Keeping()
    gate = ObservedGate([breaking, keeping], POLICIES)
    monkeypatch.setattr(breaking, "decided", None)
    assert [asked(gate, "forecast")] == keeping.told
    assert "an observer could not be told" in caplog.text
