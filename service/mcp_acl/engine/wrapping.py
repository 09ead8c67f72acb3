"""Tools that call other tools: the call inside, as a request of its own, so that both need a grant."""

from collections.abc import Iterator, Sequence
from typing import Final

from mcp_acl.domain import Json, Request
from mcp_acl.mcp.message import refuse_lookalikes
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.servers import Wrapper
from mcp_acl.problems import MessageError

MAX_CALLS: Final = 100
"""How many calls may be inside of one. Where two wrappers share the inner arguments, each level that a message nests doubles them."""


def inner_calls(wrappers: Sequence[Wrapper], request: Request) -> Iterator[Request]:
    """The calls inside a call of a tool, each followed by those inside of it; none if it is no wrapper.

    Raises MessageError (`params`) if a name inside cannot be read in one way, or if there are too many.
    """
    for number, call in enumerate(_calls_inside(wrappers, request)):
        if number == MAX_CALLS:
            raise MessageError("params", f"the call holds more than {MAX_CALLS} others; send them one by one")
        yield call


def _calls_inside(wrappers: Sequence[Wrapper], request: Request) -> Iterator[Request]:
    name = request.message.params.get("name")
    for wrapper in wrappers:
        if isinstance(name, str) and wrapper.tool == name:
            inner = _inner(wrapper, request)
            yield inner
            yield from _calls_inside(wrappers, inner)


def _inner(wrapper: Wrapper, request: Request) -> Request:
    """Where the setting does not say which argument holds the inner arguments, conditions that read them break."""
    given = request.message.params.get("arguments")
    arguments = given if isinstance(given, dict) else {}
    refuse_lookalikes(arguments, frozenset({wrapper.argument, wrapper.arguments}), "params")
    name = arguments.get(wrapper.argument)
    if not isinstance(name, str):
        why = f"the tool {quoted(wrapper.tool)} calls another; its argument {quoted(wrapper.argument)} must be the name"
        raise MessageError("params", why)
    inner: dict[str, Json] = {
        "name": name,
        "arguments": arguments.get(wrapper.arguments) if wrapper.arguments else None,
    }
    return request._replace(message=request.message._replace(params={**request.message.params, **inner}))
