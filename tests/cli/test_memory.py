"""`memory`: what is remembered, shown; a tool that changed, accepted; tools, forgotten. While a service uses the file."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcp_acl.domain import TaskFact, ToolDefinition
from mcp_acl.runtime.memory import Memory
from tests.cli.conftest import Run

ANN = TaskFact("https://idp", "ann", "forecast")
FIRST, SECOND = ToolDefinition(b"1", {"readOnlyHint": True}), ToolDefinition(b"2", {"readOnlyHint": False})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def memory(store: Path) -> Iterator[Memory]:
    """Two servers' tasks and tools, one tool of them changed."""
    with closing(Memory(store, clock=lambda: 4e9)) as memory:
        for task_id in ("t1", "t2"):
            memory.learn_task("weather", task_id, ANN)
        memory.learn_task("bank", "t1", ANN)
        memory.learn_tools("weather", {"look": FIRST, "act": FIRST})
        memory.learn_tools("bank", {"pay\n": FIRST})
        memory.learn_tools("weather", {"act": SECOND})
        yield memory


@pytest.mark.usefixtures("memory")
def test_what_is_remembered_is_shown(run: Run, store: Path) -> None:
    result = run("memory", "show", "--store", store)
    since = "2096-10-02T07:06:40Z"
    expected = [
        "3 tasks, 3 tools",
        f"bank     pay\\u000a  seen     {since}",
        f"weather  act        changed  {since}",
        f"weather  look       seen     {since}",
    ]
    assert (0, expected, "") == (result.exit_code, result.stdout.splitlines(), result.stderr)
    found = json.loads(run("memory", "show", "--store", store, "--json").stdout)
    assert {"bank": 1, "weather": 2} == found["tasks"]
    assert {"server": "weather", "tool": "act", "state": "changed", "since": since} in found["tools"]
    assert 3 == len(found["tools"])


def test_nothing_is_shown_as_nothing(run: Run, store: Path) -> None:
    Memory(store).close()
    assert "0 tasks, 0 tools\n" == run("memory", "show", "--store", store).stdout
    assert {"tasks": {}, "tools": []} == json.loads(run("memory", "show", "--store", store, "--json").stdout)


def test_accepted_tool_is_known_as_it_was_seen_last(run: Run, memory: Memory, store: Path) -> None:
    assert "act" not in memory.tools("weather")
    result = run("memory", "accept", "weather", "act", "--store", store)
    assert (0, "accepted `act` of `weather`\n") == (result.exit_code, result.stdout)
    assert SECOND.annotations == memory.tools("weather")["act"].annotations
    assert () == memory.learn_tools("weather", {"act": SECOND})
    assert ("act",) == memory.learn_tools("weather", {"act": FIRST})
    assert {"accepted": 1} == json.loads(run("memory", "accept", "weather", "act", "--store", store, "--json").stdout)


def test_forgotten_tools_are_new_when_they_are_seen_again(run: Run, memory: Memory, store: Path) -> None:
    assert "forgot 1 tool of `weather`\n" == run("memory", "forget", "weather", "act", "--store", store).stdout
    assert ["look"] == list(memory.tools("weather"))
    assert () == memory.learn_tools("weather", {"act": FIRST})
    assert {"forgotten": 2} == json.loads(run("memory", "forget", "weather", "--store", store, "--json").stdout)
    assert ([], ["pay\n"]) == (list(memory.tools("weather")), list(memory.tools("bank")))
    assert 2 == len(memory.tasks("weather"))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["accept", "weather", "look"], "`weather` has no tool `look` that has changed"),
        (["accept", "bank", "act"], "`bank` has no tool `act` that has changed"),
        (["accept", "weather"], "TOOL: it is missing"),
        (["accept"], "SERVER: it is missing"),
        (["forget"], "SERVER: it is missing"),
        (["forget", "weather", ""], "TOOL: it is missing"),
        (["forget", "nobody"], "of `nobody` no tool is remembered"),
        (["forget", "weather", "pay"], "of `weather` no tool `pay` is remembered"),
        (["show", "weather"], "`show` shows everything; leave the names out"),
    ],
)
def test_what_cannot_be_done_ends_with_2(run: Run, store: Path, given: list[str], why: str) -> None:
    result = run("memory", *given, "--store", store)
    assert (2, "", f"error: {why}\n") == (result.exit_code, result.stdout, result.stderr)
    assert why == json.loads(run("memory", *given, "--store", store, "--json").stdout)["problems"][0]["message"]


def test_file_that_is_none_is_not_made(run: Run, store: Path) -> None:
    for action in (["show"], ["accept", "a", "b"], ["forget", "a"]):
        result = run("memory", *action, "--store", store)
        assert (2, f"error: --store: `{store}`: there is no such file\n") == (result.exit_code, result.stderr)
    assert not store.exists()
    store.write_bytes(b"x" * 5000)
    store.chmod(0o600)
    assert "file is not a database" in run("memory", "show", "--store", store).stderr


def test_damage_that_is_met_on_the_way_ends_with_2(run: Run, memory: Memory, store: Path) -> None:
    memory._store._writer._connection.execute("DROP TABLE tools")
    for action in (["show"], ["accept", "a", "b"], ["forget", "a"]):
        result = run("memory", *action, "--store", store)
        assert (2, f"error: --store: `{store}`: it cannot be used: no such table: tools\n") == (
            result.exit_code,
            result.stderr,
        )
