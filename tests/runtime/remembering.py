"""What the tests of memory run in processes of their own."""

import resource
from collections.abc import Sequence
from pathlib import Path
from threading import Barrier

from mcp_acl.domain import TaskFact, ToolDefinition
from mcp_acl.runtime.memory import Memory
from mcp_acl.runtime.memory import file as file_module

IDS = [f"t{number}" for number in range(200)]
ROUNDS = 20


def claim(file: Path, barrier: Barrier, name: str) -> tuple[dict[str, str], Sequence[str], bool]:
    """Claim every task, and list a tool that changes with each round.

    Who owns what in the end, the changes that were told here, whether anything went wrong.
    """
    vars(file_module)["WAIT"] = 20.0
    barrier.wait()
    memory = Memory(file)
    for task_id in IDS:
        memory.learn_task("weather", task_id, TaskFact("i", name, "x"))
    told: list[str] = []
    for number in range(ROUNDS):
        memory.learn_tools("weather", {f"tool{number}": ToolDefinition(b"1", {})})
        barrier.wait()
        told += memory.learn_tools("weather", {f"tool{number}": ToolDefinition(b"2", {})})
        barrier.wait()
    owners = {task_id: fact.subject for task_id, fact in memory.tasks("weather").items()}
    went_wrong = memory._store._writer._quiet_until > 0
    memory.close()
    return owners, told, went_wrong


def fill_up(file: Path, room: int) -> tuple[int, int]:
    """Learn where files may grow by so many bytes alone: how many tasks are known, of how many."""
    memory = Memory(file)
    fact = TaskFact("i", "ann", "x")
    memory.learn_task("weather", "first", fact)
    size = max(one.stat().st_size for one in file.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, size + room))
    ids = ["first", *(f"t{number:0200}" for number in range(3000))]
    assert all(memory.learn_task("weather", task_id, fact) for task_id in ids)
    known = memory.tasks("weather")
    found = [known.get(task_id) for task_id in ids]
    assert found[0] == fact
    assert {None, fact} == set(found)
    return sum(one == fact for one in found), len(ids)
