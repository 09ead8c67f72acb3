"""What a response brings that outlives it: a task it creates, and whose; the tools of a server whose annotations are trusted.

Learned is only what can be read in one way, from the answer to the very request. Whoever remembers it decides what it is worth.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from mcp_acl.domain import InexactNumber, Learned, MessageKind, Request, TaskFact, ToolDefinition
from mcp_acl.engine.decision import owns
from mcp_acl.mcp.limits import Limits
from mcp_acl.mcp.message import parse_json, refuse_lookalikes
from mcp_acl.mcp.results import EntryReader, Members
from mcp_acl.mcp.tasks import created_task
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

MAX_TOOLS: Final = 10_000
"""How many tools of one list are read."""

MAX_DEFINITION: Final = 64 * 1024
"""Bytes of a tool's definition that is read."""

_LIMITS: Final = Limits(size=MAX_DEFINITION)
_TOOL: Final = frozenset({"name", "annotations"})
_READER: Final = EntryReader("name")


def learned_of(
    view: View, request: Request, answers: str | int | None, result: msgspec.Raw, members: Members
) -> Learned | None:
    """What is learned from a result in an answer to `answers`, before anything is taken out of it; None if nothing."""
    message = request.message
    learn = _LEARNERS.get(message.method)
    if learn is None or message.kind is not MessageKind.REQUEST or answers != message.id:
        return None
    return learn(view, request, result, members)


def together(one: Learned, other: Learned) -> Learned:
    """What two messages brought. Which of two answers to one request a client takes nobody knows, so a tool that differs is in doubt."""
    differing = {
        name: _in_doubt([tool.digest, other.tools[name].digest])
        for name, tool in one.tools.items()
        if name in other.tools and tool.digest != other.tools[name].digest
    }
    return Learned({**one.tasks, **other.tasks}, {**one.tools, **other.tools, **differing})


def _tasks(_: View, request: Request, result: msgspec.Raw, members: Members) -> Learned | None:
    """The task that a call became. Where the claims name nobody it is nobody's."""
    if "task" not in members and "taskId" not in members:
        return None
    claims, tool = request.claims, request.message.params.get("name")
    fact = TaskFact(str(claims.get("iss")), str(claims.get("sub")), str(tool))
    created = created_task(request.message, result) if owns(request, fact) else None
    return None if created is None else Learned(tasks={created.task_id: (fact, created.seconds)})


def _tools(view: View, _: Request, __: msgspec.Raw, members: Members) -> Learned | None:
    """Every tool of the list by its name. What is in doubt is learned as that, so that nothing older counts any more."""
    if not view.settings.trust_annotations:
        return None
    entries = _READER.read(members["tools"])
    by_name: dict[str, list[bytes]] = {}
    for entry, name in zip(entries.raws, entries.names, strict=True):
        if name is not None:
            by_name.setdefault(name, []).append(msgspec.json.encode(entry))
    tools = {
        name: _definition(texts[0]) if len(texts) == 1 and number < MAX_TOOLS else _in_doubt(texts)
        for number, (name, texts) in enumerate(by_name.items())
    }
    return Learned(tools=tools) if tools else None


def _definition(text: bytes) -> ToolDefinition:
    """What a tool says of itself. The digest is of all of it: what only people are shown in one member a model reads in another."""
    try:
        entry = parse_json(text, _LIMITS)
        assert isinstance(entry, Mapping)  # it has a name
        refuse_lookalikes(entry, _TOOL, "entry")
    except MessageError:
        return _in_doubt([text])
    annotations = entry.get("annotations", {})
    if not isinstance(annotations, Mapping):
        return _in_doubt([text])
    return ToolDefinition(sha256(_canonical(entry)).digest(), annotations)


def _in_doubt(texts: Sequence[bytes]) -> ToolDefinition:
    """A definition that cannot be read in one way: another than all that can."""
    return ToolDefinition(sha256(b"\0".join(texts)).digest(), {})


def _written(number: object) -> msgspec.Raw:
    """A number that is passed on as its digits."""
    assert isinstance(number, InexactNumber)
    return msgspec.Raw(number.text.encode())


_canonical: Final = msgspec.json.Encoder(order="sorted", enc_hook=_written).encode

_LEARNERS: Final[Mapping[str, Callable[[View, Request, msgspec.Raw, Members], Learned | None]]] = {
    "tools/call": _tasks,
    "tools/list": _tools,
}
