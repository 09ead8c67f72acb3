"""Calls that become tasks: by the request, and by the result that names one. Knows no policy, and not whose a task is."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from mcp_acl.domain import Json, Message, MessageKind
from mcp_acl.mcp.methods import TASKS_EXTENSION
from mcp_acl.mcp.results import NULL, Members, read_members, text_of, watched
from mcp_acl.problems import MessageError

_CREATED: Final = watched("resultType", "task", "taskId", "ttlMs")
_TASK: Final = watched("taskId", "ttl")
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"


class Created(NamedTuple):
    """A task that a result names, and its life in seconds, None if that is not said or has no end."""

    task_id: str
    seconds: float | None


def may_become_task(message: Message) -> bool:
    """Whether a call asks for a task (MCP 2025-11-25), or its client says that it knows what to do with one (tasks extension)."""
    if message.method != "tools/call" or message.kind is not MessageKind.REQUEST:
        return False
    found: Json = message.params.get("_meta")
    for name in (_CAPABILITIES, "extensions"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return "task" in message.params or (isinstance(found, Mapping) and TASKS_EXTENSION in found)


def created_task(message: Message, result: msgspec.Raw) -> Created | None:
    """The task that a call became: in `task` if it asked for one, else the result itself, if it says that it is one.

    None if it became none, or if which one is in doubt.
    """
    try:
        task, ttl = read_members(result, "result", _CREATED), "ttlMs"
        if "task" in message.params and "task" in task:
            task, ttl = read_members(task["task"], "task", _TASK), "ttl"
        elif text_of(task, "resultType") != "task":
            return None
    except MessageError:
        return None
    task_id = text_of(task, "taskId")
    return Created(task_id, _seconds(task, ttl)) if task_id else None


def _seconds(task: Members, name: str) -> float | None:
    """A time given in milliseconds; None if it is none."""
    try:
        milliseconds = msgspec.json.decode(task.get(name, NULL), type=float)
    except msgspec.MsgspecError:
        return None
    return milliseconds / 1000 if milliseconds >= 0 else None
