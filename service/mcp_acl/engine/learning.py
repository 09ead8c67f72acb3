"""What a response brings that outlives it: a task it creates, and whose; the tools of a server whose annotations are trusted.

Learned is only what can be read in one way, from the answer to the very request. Whoever remembers it decides what it is worth.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from mcp_acl.domain import InexactNumber, Learned, MessageKind, Request, TaskFact, ToolDefinition
from mcp_acl.engine.decision import owns
from mcp_acl.mcp.limits import Limits
from mcp_acl.mcp.message import parse_json, refuse_lookalikes
from mcp_acl.mcp.results import read_list, read_members, watched
from mcp_acl.mcp.tasks import created_task
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

MAX_TOOLS: Final = 10_000
"""How many tools are learned from one list."""

MAX_DEFINITION: Final = 64 * 1024
"""Bytes of a tool's definition that is learned."""

_LIMITS: Final = Limits(size=MAX_DEFINITION)
_TOOLS: Final = watched("tools")
_TOOL: Final = frozenset({"name", "annotations"})


def learned_of(view: View, request: Request, answers: str | int | None, result: bytes) -> Learned | None:
    """What is learned from a result in an answer to `answers`, before anything is taken out of it; None if nothing."""
    message = request.message
    learn = _LEARNERS.get(message.method)
    if learn is None or message.kind is not MessageKind.REQUEST or answers != message.id:
        return None
    return learn(view, request, result)


def _tasks(_: View, request: Request, result: bytes) -> Learned | None:
    """The task that a call became. Where the claims name nobody it is nobody's."""
    claims, tool = request.claims, request.message.params.get("name")
    fact = TaskFact(str(claims.get("iss")), str(claims.get("sub")), str(tool))
    created = created_task(request.message, result) if owns(request, fact) else None
    return None if created is None else Learned(tasks={created.task_id: (fact, created.seconds)})


def _tools(view: View, _: Request, result: bytes) -> Learned | None:
    """Every tool of the list whose definition can be read in one way; of two with one name neither."""
    if not view.settings.trust_annotations:
        return None
    raws = read_list(read_members(result, "result", _TOOLS)["tools"])[:MAX_TOOLS]
    found = [definition for raw in raws if (definition := _definition(bytes(raw))) is not None]
    counts = Counter(name for name, _ in found)
    tools = {name: definition for name, definition in found if counts[name] == 1}
    return Learned(tools=tools) if tools else None


def _definition(raw: bytes) -> tuple[str, ToolDefinition] | None:
    """A tool's name and definition, None if it is in doubt.

    The digest is of all of it: what is only shown to people in one member is read by a model in another.
    """
    try:
        entry = parse_json(raw, _LIMITS)
        if not isinstance(entry, Mapping):
            return None
        refuse_lookalikes(entry, _TOOL, "entry")
    except MessageError:
        return None
    name, annotations = entry.get("name"), entry.get("annotations", {})
    if not isinstance(name, str) or not isinstance(annotations, Mapping):
        return None
    return name, ToolDefinition(sha256(_canonical(entry)).digest(), annotations)


def _written(number: object) -> msgspec.Raw:
    """A number that is passed on as its digits."""
    assert isinstance(number, InexactNumber)
    return msgspec.Raw(number.text.encode())


_canonical: Final = msgspec.json.Encoder(order="sorted", enc_hook=_written).encode

_LEARNERS: Final[Mapping[str, Callable[[View, Request, bytes], Learned | None]]] = {
    "tools/call": _tasks,
    "tools/list": _tools,
}
