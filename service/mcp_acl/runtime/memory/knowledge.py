"""What a gate knows beyond a message: by a file or memory of its own, or because it was said."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from mcp_acl.domain import Learned, TaskFact, ToolDefinition, ToolFact
from mcp_acl.mcp.quoting import quoted
from mcp_acl.runtime.memory.file import Store
from mcp_acl.runtime.memory.tasks import Tasks
from mcp_acl.runtime.memory.tools import Tools

DAY: Final = 86_400.0
_NOTHING: Final[Mapping[str, Any]] = {}


class Knowledge(Protocol):
    """What a gate asks, and tells what it has learned."""

    def tasks(self, server: str, /) -> Mapping[str, TaskFact]:
        """What is known of the server's tasks, by id."""

    def tools(self, server: str, /) -> Mapping[str, ToolFact]:
        """What is known of the server's tools, by name."""

    def learn(self, server: str, learned: Learned, /) -> Sequence[str]:
        """Remember it, as far as that may be; what to report of it."""


class Given(NamedTuple):
    """What is known because it was said, of any server; it learns nothing."""

    given_tasks: Mapping[str, TaskFact] = _NOTHING
    given_tools: Mapping[str, ToolFact] = _NOTHING

    def tasks(self, _: str, /) -> Mapping[str, TaskFact]:
        """What was said of tasks."""
        return self.given_tasks

    def tools(self, _: str, /) -> Mapping[str, ToolFact]:
        """What was said of tools."""
        return self.given_tools

    def learn(self, _: str, __: Learned, /) -> Sequence[str]:
        """Nothing."""
        return ()


class Bounds(NamedTuple):
    """How long and how much: seconds for a task of which the server does not say it, and for a tool since it was last seen; how many."""

    task_seconds: float = 7 * DAY
    tool_seconds: float = 30 * DAY
    tasks: int = 100_000
    tools: int = 20_000


_BOUNDS: Final = Bounds()


class Memory:
    """The memory of a service; without a file, of this process alone. `clock`: seconds since 1970.

    For several threads. Raises StoreError when made, if the file cannot be used; nothing later.
    """

    def __init__(
        self, file: Path | None = None, bounds: Bounds = _BOUNDS, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = Store(file)
        self._tasks = Tasks(self._store, clock, bounds.task_seconds, bounds.tasks)
        self._tools = Tools(self._store, clock, bounds.tool_seconds, bounds.tools)

    def close(self) -> None:
        """Close the file; from here on nothing is known."""
        self._store.close()

    def tasks(self, server: str, /) -> Mapping[str, TaskFact]:
        """Who made which task of the server, by its id."""
        return self._tasks.of(server)

    def tools(self, server: str, /) -> Mapping[str, ToolFact]:
        """The tools of the server that were seen and have not changed since, by name."""
        return self._tools.of(server)

    def learn(self, server: str, learned: Learned, /) -> tuple[str, ...]:
        """Remember what a response brought. What is to be reported: tasks that are another's, tools that have changed."""
        claimed = [
            f"task {quoted(task_id)} is another's than it was now said to be; it stays"
            for task_id, (fact, seconds) in learned.tasks.items()
            if not self.learn_task(server, task_id, fact, seconds)
        ]
        changed = self.learn_tools(server, learned.tools) if learned.tools else ()
        return (*claimed, *(f"tool {quoted(name)} {_CHANGED}" for name in changed))

    def learn_task(self, server: str, task_id: str, fact: TaskFact, seconds: float | None = None) -> bool:
        """Remember who made a task, for so many seconds. False if it is another's, which it stays."""
        return self._tasks.learn(server, task_id, fact, seconds)

    def learn_tools(self, server: str, definitions: Mapping[str, ToolDefinition]) -> tuple[str, ...]:
        """Remember the tools of a list. Returned are the names of those that have changed, once each: nothing is known of them any more."""
        return self._tools.learn(server, definitions)


_CHANGED: Final = "is not defined as it was; its annotations are not known until `mcp-acl memory accept`"
