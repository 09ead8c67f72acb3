"""What is remembered, for how long and how much of it; that nothing of it is ever in the way of an answer."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.domain import InexactNumber, Json, Learned, TaskFact, ToolDefinition, ToolFact
from mcp_acl.runtime.memory import Bounds, Memory
from mcp_acl.runtime.memory import file as file_module
from mcp_acl.runtime.memory.lookup import LONGEST, Recent
from mcp_acl.runtime.memory.tasks import LONGEST_LIFE
from mcp_acl.runtime.memory.tools import LARGEST

ANN, BOB = TaskFact("https://idp", "ann", "forecast"), TaskFact("https://idp", "bob", "forecast")
IDS = [f"t{number}" for number in range(50)]
BOUNDS = Bounds(task_seconds=1000.0, tool_seconds=1000.0, tasks=4, tools=8)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "process"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Memory:
    return Memory(tmp_path / "memory.db" if request.param == "file" else None, BOUNDS, clock=clock)


def tool(digest: bytes, **annotations: Json) -> ToolDefinition:
    return ToolDefinition(digest, annotations)


def forget_recent(memory: Memory) -> None:
    memory._tasks._recent = Recent()


# ---- tasks ----------------------------------------------------------------------------------------------------------


def test_task_is_known_under_its_server_alone(memory: Memory) -> None:
    assert memory.learn_task("weather", "t1", ANN)
    assert memory.learn_task("bank", "t1", BOB)
    assert (ANN, BOB, None) == tuple(memory.tasks(one).get("t1") for one in ("weather", "bank", ""))
    assert {"t1": ANN} == dict(memory.tasks("weather"))
    assert 1 == len(memory.tasks("weather"))
    assert "t2" not in memory.tasks("weather")


@pytest.mark.parametrize("other", [BOB, ANN._replace(issuer="https://other"), ANN._replace(tool="history")])
def test_first_owner_stays(memory: Memory, clock: Clock, other: TaskFact) -> None:
    memory.learn_task("weather", "t1", ANN)
    assert not memory.learn_task("weather", "t1", other)
    assert memory.learn_task("weather", "t1", ANN)
    forget_recent(memory)
    assert ANN == memory.tasks("weather")["t1"]
    clock.now += 1001
    assert memory.learn_task("weather", "t1", other)
    assert other == memory.tasks("weather")["t1"]


@pytest.mark.parametrize(
    ("seconds", "life"), [(None, 1000.0), (5.0, 5.0), (0.0, 0.0), (-1.0, 0.0), (1e300, LONGEST_LIFE)]
)
def test_task_is_known_for_as_long_as_was_said(
    memory: Memory, clock: Clock, seconds: float | None, life: float
) -> None:
    start = clock.now
    memory.learn_task("weather", "t1", ANN, seconds)
    for later in (0.0, life / 2, life - 1e-3):
        clock.now = start + later
        assert (ANN if later < life else None) == memory.tasks("weather").get("t1")
    clock.now = start + life
    assert "t1" not in memory.tasks("weather")
    assert [] == list(memory.tasks("weather"))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_life_that_is_no_number_is_none_or_the_longest(memory: Memory, clock: Clock, seconds: float) -> None:
    memory.learn_task("weather", "t1", ANN, seconds)
    assert (seconds == float("inf")) is ("t1" in memory.tasks("weather"))
    clock.now += LONGEST_LIFE
    assert "t1" not in memory.tasks("weather")


def test_task_that_is_said_again_lives_on_but_is_not_written_each_time(memory: Memory, clock: Clock) -> None:
    memory.learn_task("weather", "t1", ANN)
    writes = writes_of(memory)
    clock.now += 50
    memory.learn_task("weather", "t1", ANN)
    assert writes == writes_of(memory)
    clock.now += 450
    memory.learn_task("weather", "t1", ANN)
    memory.learn_task("weather", "t1", ANN, 10.0)
    clock.now += 950
    forget_recent(memory)
    assert "t1" in memory.tasks("weather")


def writes_of(memory: Memory) -> int:
    return memory._store._writer._connection.total_changes


def test_claim_that_comes_between_looking_and_writing_is_the_first(
    memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.learn_task("weather", "t1", ANN, 10.0)
    monkeypatch.setattr(memory._tasks, "_owner", lambda *_: None)
    assert not memory.learn_task("weather", "t1", BOB, 1000.0)
    monkeypatch.undo()
    assert ANN == memory.tasks("weather")["t1"]
    clock.now += 10
    assert "t1" not in memory.tasks("weather")


def test_oldest_tasks_go_of_the_server_that_has_the_most(memory: Memory) -> None:
    memory.learn_task("bank", "t0", ANN)
    for number in range(6):
        memory.learn_task("weather", f"t{number}", ANN)
    forget_recent(memory)
    assert ["t0"] == list(memory.tasks("bank"))
    assert ["t3", "t4", "t5"] == sorted(memory.tasks("weather"))


def test_number_of_tasks_is_kept_within_a_hundredth(clock: Clock) -> None:
    memory = Memory(None, Bounds(tasks=500), clock=clock)
    for number in range(1600):
        memory.learn_task("weather", f"t{number}", ANN)
        if number % 100 == 0:
            assert len(memory.tasks("weather")) <= 505
    assert len(memory.tasks("weather")) > 490
    assert "t1599" in memory.tasks("weather")


def test_expired_tasks_leave_the_file(clock: Clock) -> None:
    memory = Memory(None, Bounds(task_seconds=10.0), clock=clock)
    for number in range(50):
        memory.learn_task("weather", f"t{number}", ANN)
    clock.now += 11
    memory.learn_task("bank", "t", ANN)
    assert 1 == memory._store._writer._connection.execute("SELECT count(*) FROM tasks").fetchone()[0]


@pytest.mark.parametrize("long", ["x" * (LONGEST + 1), "\ud800"])
def test_what_is_too_long_or_no_text_is_not_remembered(
    memory: Memory, caplog: pytest.LogCaptureFixture, long: str
) -> None:
    facts = [("weather", "t", ANN._replace(**{name: long})) for name in TaskFact._fields]
    for server, task_id, fact in [*facts, (long, "t", ANN), ("weather", long, ANN)]:
        assert memory.learn_task(server, task_id, fact)
        assert task_id not in memory.tasks(server)
    assert () == memory.learn_tools("weather", {long: tool(b"1")}) == memory.learn_tools(long, {"a": tool(b"1")})
    assert long not in memory.tools("weather")
    assert "a" not in memory.tools(long)
    assert "" == caplog.text


@pytest.mark.parametrize("odd", ["x" * LONGEST, "", "a\0b", "'; DROP TABLE tasks; --", "é\n\u202e", "%", "_"])
def test_any_other_text_is_remembered_as_it_is(memory: Memory, odd: str) -> None:
    fact = TaskFact(odd, odd, odd)
    memory.learn_task(odd, odd, fact)
    memory.learn_tools(odd, {odd: tool(b"1", title=odd)})
    forget_recent(memory)
    assert {odd: fact} == dict(memory.tasks(odd))
    assert {odd: ToolFact({"title": odd})} == dict(memory.tools(odd))
    assert "a" not in memory.tasks(odd)


def test_owner_at_hand_is_looked_up_again_after_a_minute(memory: Memory, clock: Clock) -> None:
    memory.learn_task("weather", "t1", ANN)
    memory._store._writer._connection.execute("DELETE FROM tasks")
    assert "t1" in memory.tasks("weather")
    clock.now += 61
    assert "t1" not in memory.tasks("weather")


def test_what_is_at_hand_is_bounded() -> None:
    recent: Recent[int] = Recent()
    for number in range(20_000):
        recent.put(("weather", str(number)), number)
        assert recent.get(("weather", "0")) == 0
    assert len(recent._young) + len(recent._old) <= 8192
    assert recent.get(("weather", "1")) is None


# ---- tools ----------------------------------------------------------------------------------------------------------


def test_tool_is_known_as_it_was_seen(memory: Memory) -> None:
    assert () == memory.learn_tools("weather", {"a": tool(b"1", readOnlyHint=True), "b": tool(b"2")})
    assert {"a": ToolFact({"readOnlyHint": True}), "b": ToolFact({})} == dict(memory.tools("weather"))
    assert {} == dict(memory.tools("bank"))


def test_number_that_parsers_read_differently_stays_one(memory: Memory) -> None:
    memory.learn_tools("weather", {"a": tool(b"1", x=[InexactNumber("1e999")])})
    found: Any = memory.tools("weather")["a"].annotations["x"]
    assert "1e999" == found[0].text


def test_tool_that_changed_is_told_once_and_known_no_more(memory: Memory, clock: Clock) -> None:
    first, second = {"a": tool(b"1", readOnlyHint=True), "b": tool(b"2")}, {"a": tool(b"9", readOnlyHint=True)}
    memory.learn_tools("weather", first)
    memory.learn_tools("bank", first)
    assert ("a",) == memory.learn_tools("weather", second)
    for definitions in (second, first, {"a": tool(b"8")}, second):
        assert () == memory.learn_tools("weather", definitions)
        assert ["b"] == list(memory.tools("weather"))
        assert "a" not in memory.tools("weather")
    assert ["a", "b"] == sorted(memory.tools("bank"))
    # It is told again only when it has been forgotten, and that takes a life without being seen.
    for _ in range(5):
        clock.now += 900
        memory.learn_tools("weather", second)
        assert "a" not in memory.tools("weather")
    clock.now += 1001
    assert () == memory.learn_tools("weather", second)
    assert ["a"] == list(memory.tools("weather"))


def test_tool_is_forgotten_when_it_has_not_been_seen_for_its_life(memory: Memory, clock: Clock) -> None:
    for _ in range(3):
        memory.learn_tools("weather", {"a": tool(b"1")})
        clock.now += 999
        assert "a" in memory.tools("weather")
    clock.now += 1
    assert "a" not in memory.tools("weather")
    assert () == memory.learn_tools("weather", {"a": tool(b"2")})
    assert "a" in memory.tools("weather")


def test_list_that_says_nothing_new_is_not_written(memory: Memory, clock: Clock) -> None:
    memory.learn_tools("weather", {"a": tool(b"1"), "b": tool(b"2")})
    writes = writes_of(memory)
    clock.now += 99
    memory.learn_tools("weather", {"a": tool(b"1")})
    memory.learn_tools("weather", {})
    assert writes == writes_of(memory)


def test_none_makes_way_for_others(memory: Memory) -> None:
    """A server may have two of eight, and what it adds beyond does not push out what it has shown."""
    memory.learn_tools("weather", {"a": tool(b"1"), "b": tool(b"2"), "c": tool(b"3")})
    memory.learn_tools("weather", {f"more{number}": tool(b"4") for number in range(20)})
    assert ["a", "b"] == sorted(memory.tools("weather"))
    assert ("a",) == memory.learn_tools("weather", {"c": tool(b"3"), "a": tool(b"9")})
    for server in ("s1", "s2", "s3", "s4", "s5"):
        memory.learn_tools(server, {"a": tool(b"1"), "b": tool(b"2")})
    assert [2, 2, 2, 0, 0] == [len(memory.tools(f"s{number}")) for number in (1, 2, 3, 4, 5)]


def test_one_list_brings_a_thousand_new_tools_at_the_most_and_every_change(clock: Clock) -> None:
    memory = Memory(None, Bounds(), clock=clock)
    memory.learn_tools("weather", {"a": tool(b"1")})
    flood = {f"new{number}": tool(b"4") for number in range(3000)}
    assert ("a",) == memory.learn_tools("weather", {**flood, "a": tool(b"2")})
    assert 1000 == len(memory.tools("weather"))


@pytest.mark.parametrize(
    "annotations", [{"x": "x" * LARGEST}, {"x": "\ud800"}, {"x": 1 << 70}], ids=["large", "no text", "huge number"]
)
def test_annotations_that_cannot_be_kept_are_not_known_and_count_as_a_definition(
    memory: Memory, annotations: Mapping[str, Json]
) -> None:
    assert () == memory.learn_tools("weather", {"a": ToolDefinition(b"1", annotations), "b": tool(b"2")})
    assert ["b"] == list(memory.tools("weather"))
    assert "a" not in memory.tools("weather")
    assert ("a", "b") == memory.learn_tools("weather", {"a": tool(b"2"), "b": ToolDefinition(b"3", annotations)})
    assert [] == list(memory.tools("weather"))


# ---- both, and what is reported -----------------------------------------------------------------------------------


def test_what_was_learned_is_remembered_and_reported(memory: Memory) -> None:
    learned = Learned({"t1": (ANN, 10.0), "t2": (ANN, None)}, {"a": tool(b"1")})
    assert () == memory.learn("weather", learned) == memory.learn("weather", Learned())
    assert (ANN, ANN) == (memory.tasks("weather")["t1"], memory.tasks("weather")["t2"])
    reports = memory.learn("weather", Learned({"t2": (BOB, None)}, {"a": tool(b"2"), "b`\n": tool(b"1")}))
    assert [
        "task `t2` is another's than it was now said to be; it stays",
        "tool `a` is not defined as it was; its annotations are not known until `mcp-acl memory accept`",
    ] == list(reports)


def test_threads_agree_on_who_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "WAIT", 20.0)
    memory = Memory(tmp_path / "memory.db")
    won: list[tuple[str, str]] = []
    begin = threading.Barrier(8)

    def claim(name: str) -> None:
        fact = ANN._replace(subject=name)
        begin.wait()
        claimed = [task_id for task_id in IDS if memory.learn_task("weather", task_id, fact)]
        won.extend((task_id, name) for task_id in claimed if memory.tasks("weather").get(task_id) == fact)

    threads = [threading.Thread(target=claim, args=(f"p{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(IDS) == len(won) == len(dict(won))
    forget_recent(memory)
    assert dict(won) == {name: fact.subject for name, fact in memory.tasks("weather").items()}


def test_after_the_end_nothing_is_known_and_nothing_raises(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    memory.learn_tools("weather", {"a": tool(b"1")})
    memory.close()
    with caplog.at_level(logging.ERROR):
        assert "a" not in memory.tools("weather")
        assert memory.learn_task("weather", "t1", ANN)
        assert "t1" not in memory.tasks("weather")
        assert () == memory.learn_tools("weather", {"a": tool(b"2")})
        assert {} == {**memory.tools("weather"), **memory.tasks("weather")}
    assert "closed" in caplog.text
