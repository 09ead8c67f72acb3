"""Completion results: values offered for a resource template stay only if what they make of it may be read."""

from collections.abc import Mapping
from typing import Final

import msgspec
from uritemplate import URITemplate

from mcp_acl.domain import Json, Request
from mcp_acl.engine.decision import judge, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.mcp.results import COMPLETION, Members, read_members, write_members
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

MAX_VALUES: Final = 1_000
"""How many values one answer may hold; the protocol allows 100 (MCP completion/complete)."""

_UNRESOLVED: Final = ("x", "1")
"""What stands for a variable that has no value yet. A value stays if one of them makes it readable: a guess, because whether
some value would is for no pattern to say.
"""


def filter_completion(view: View, request: Request, result: Members, hidden: list[str]) -> dict[str, object]:
    """The members of the result to change; the values taken out are added to `hidden`.

    Raises MessageError if the completion cannot be read (MCP completion/complete).
    """
    ref = request.message.params.get("ref")
    if not isinstance(ref, Mapping) or ref.get("type") != "ref/resource" or "completion" not in result:
        return {}
    members = read_members(result["completion"], "completion", COMPLETION)
    completion: dict[str, object] = dict(members)
    values = _strings(members.get("values"))
    template = URITemplate(str(ref.get("uri")))
    kept: list[str] = []
    for value in values:
        (kept if _readable(view, request, template, value) else hidden).append(value)
    if len(kept) == len(values):
        return {}
    completion["values"] = kept
    if "total" in completion:
        completion["total"] = len(kept)
    return {"completion": msgspec.Raw(write_members(completion))}


def _readable(view: View, request: Request, template: URITemplate, value: str) -> bool:
    """Whether what a value makes of the template may be read (RFC 6570)."""
    known = _variables(request.message.params, value)
    uris = {template.expand({**dict.fromkeys(template.variable_names, other), **known}) for other in _UNRESOLVED}
    return any(_may_read(view, request, uri) for uri in uris)


def _may_read(view: View, request: Request, uri: str) -> bool:
    if uri_refusal(uri, False):
        return False
    scope = Scope(request, "resources/read", uri, before_call=True)
    return judge(view.candidates("resources/read", uri), scope, view.revision).allowed


def _variables(params: Mapping[str, Json], value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    context = params.get("context")
    arguments = context.get("arguments") if isinstance(context, Mapping) else None
    if isinstance(arguments, Mapping):
        found = {name: text for name, text in arguments.items() if isinstance(text, str)}
    argument = params.get("argument")
    if isinstance(argument, Mapping) and isinstance(argument.get("name"), str):
        found[str(argument["name"])] = value
    return found


def _strings(raw: msgspec.Raw | None) -> list[str]:
    try:
        values = msgspec.json.decode(raw or b"", type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise MessageError("response", "the completion holds no list of texts") from None
    if len(values) > MAX_VALUES:
        raise MessageError("response", f"the completion holds more than {MAX_VALUES:,} values")
    return values
