"""What a message asks for: the methods and names that must all be granted. Knows the method table, not the rules.

A target is read only where it can be read in one way. Shapes that the protocol does not have are errors, so that nothing a
server may act on goes undecided.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from mcp_acl.domain import Json, Message, MessageKind
from mcp_acl.mcp.message import refuse_lookalikes
from mcp_acl.mcp.methods import Method, MethodClass
from mcp_acl.mcp.quoting import quoted
from mcp_acl.problems import MessageError

MAX_DEMANDS: Final = 1_000
"""How many different targets one message may name."""

_REF: Final = frozenset({"type", "name", "uri"})
_ARGUMENT: Final = frozenset({"name", "value"})
_CONTEXT: Final = frozenset({"arguments"})
_SUBSCRIPTIONS: Final[Mapping[str, str]] = {
    "resourceSubscriptions": "resources/subscribe",
    "taskIds": "tasks/get",
}
_FLAGS: Final = frozenset({"toolsListChanged", "promptsListChanged", "resourcesListChanged"})
_REFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "ref/prompt": ("prompts/get", "name"),
    "ref/resource": ("resources/read", "uri"),
}


INPUTS: Final = "inputRequests"
"""The member of a result, or of a task's notification, that holds requests to the client."""

ANSWERS: Final = "inputResponses"
"""The member of a request that answers them."""

ELICITATIONS: Final = "elicitations"
"""The member of an error's data that holds what the user is asked."""

_INPUT: Final = frozenset({"method", "params"})
_ELICIT: Final = "elicitation/create"


class Demand(NamedTuple):
    """One target: the method whose rules decide it and its name, None if the message does not say one.

    `may_be_template` says that a URI template's text may stand where a URI is asked for.
    """

    method: str
    name: str | None
    may_be_template: bool = False


def demands_of(message: Message, row: Method) -> tuple[Demand, ...]:
    """Every target the message names, none twice; empty for methods that are decided without one.

    Raises MessageError (`params`) if what decides has a shape the protocol does not know.
    """
    read = _READERS.get(row.method_class)
    return read(message.params, row) if read else ()


def _target(params: Mapping[str, Json], row: Method) -> tuple[Demand, ...]:
    return (Demand(row.decided_as, target_of(params, row)),)


def brings_answers(params: Mapping[str, Json]) -> bool:
    """Whether a request answers what the client was asked; an empty object answers nothing, and whatever is no object is in doubt."""
    if ANSWERS not in params:
        return False
    answers = params[ANSWERS]
    return not isinstance(answers, Mapping) or bool(answers)


def inputs_of(asked: Json) -> tuple[Message, ...]:
    """The requests inside `inputRequests`, each by its key (MCP 2026-07-28, multi round-trip requests).

    Raises MessageError (`params`) if one is not a request that can be read in one way.
    """
    if not isinstance(asked, Mapping):
        raise MessageError("params", "the member `inputRequests` must be an object")
    return tuple(_input(key, value) for key, value in asked.items())


def elicitations_of(asked: Json) -> tuple[Message, ...]:
    """What an error asks the user before its request is tried again, as requests (MCP 2025-11-25, URL elicitation required).

    Raises MessageError (`params`) if one is not an object.
    """
    if not isinstance(asked, list) or len(asked) > MAX_DEMANDS:
        raise MessageError("params", f"the member `elicitations` must be an array of at most {MAX_DEMANDS}")
    return tuple(_input(str(number), {"method": _ELICIT, "params": one}) for number, one in enumerate(asked))


def _input(key: str, value: Json) -> Message:
    if not isinstance(value, Mapping):
        raise MessageError("params", f"the input request {quoted(key)} must be an object")
    refuse_lookalikes(value, _INPUT, "params")
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str) or not isinstance(params, Mapping):
        raise MessageError(
            "params", f"the input request {quoted(key)} must have a `method`, and `params` that are an object"
        )
    return Message(MessageKind.REQUEST, method, key, params)


def target_of(params: Mapping[str, Json], row: Method) -> str | None:
    """The text at the row's target path, or None if there is none."""
    found: Json = params
    for member in row.target:
        found = found.get(member) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


def _completion(params: Mapping[str, Json], _: Method) -> tuple[Demand, ...]:
    """As getting the prompt, or reading the resource or template, that `ref` names (MCP completion/complete)."""
    ref = params.get("ref")
    if not isinstance(ref, Mapping):
        raise MessageError("params", "the member `ref` must be an object")
    for member, exact in (("ref", _REF), ("argument", _ARGUMENT), ("context", _CONTEXT)):
        value = params.get(member)
        if isinstance(value, Mapping):
            refuse_lookalikes(value, exact, "params")
    kind = ref.get("type")
    known = _REFERENCES.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise MessageError("params", 'the `type` of `ref` must be "ref/prompt" or "ref/resource"')
    method, member = known
    name = ref.get(member)
    return (Demand(method, name if isinstance(name, str) else None, may_be_template=True),)


def _listen(params: Mapping[str, Json], _: Method) -> tuple[Demand, ...]:
    """Every URI and task id in the filter. A kind of subscription that is not known is refused (MCP subscriptions/listen)."""
    wanted = params.get("notifications")
    if not isinstance(wanted, Mapping):
        raise MessageError("params", "the member `notifications` must be an object")
    demands: dict[Demand, None] = {}
    for member, value in wanted.items():
        if member in _SUBSCRIPTIONS:
            demands |= dict.fromkeys(Demand(_SUBSCRIPTIONS[member], name) for name in _names(member, value))
        elif member not in _FLAGS:
            raise MessageError("params", f"the subscription {quoted(member)} is not known")
        elif not isinstance(value, bool):
            raise MessageError("params", f"the member `{member}` must be true or false")
    if len(demands) > MAX_DEMANDS:
        raise MessageError("params", f"more than {MAX_DEMANDS} subscriptions in one message; send several")
    return tuple(demands)


def _names(member: str, value: Json) -> list[str]:
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(names) != len(value):
        raise MessageError("params", f"the member `{member}` must be an array of strings")
    return names


_READERS: Final[Mapping[MethodClass, Callable[[Mapping[str, Json], Method], tuple[Demand, ...]]]] = {
    MethodClass.TARGET: _target,
    MethodClass.TASK: _target,
    MethodClass.COMPLETION: _completion,
    MethodClass.LISTEN: _listen,
}
