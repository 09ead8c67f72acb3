"""Tools that call other tools: the call inside, as a request of its own, so that both need a grant."""

from collections.abc import Iterator, Sequence

from mcp_acl.domain import Json, Request
from mcp_acl.mcp.message import refuse_lookalikes
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.servers import Wrapper
from mcp_acl.problems import MessageError


def inner_calls(wrappers: Sequence[Wrapper], request: Request) -> Iterator[Request]:
    """The calls inside a call of a tool, those inside of them among them; none if it is no wrapper.

    Raises MessageError (`params`) if a name inside cannot be read in one way. Arguments nest no deeper than a message may.
    """
    name = request.message.params.get("name")
    for wrapper in wrappers:
        if isinstance(name, str) and wrapper.tool == name:
            inner = _inner(wrapper, request)
            yield inner
            yield from inner_calls(wrappers, inner)


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
