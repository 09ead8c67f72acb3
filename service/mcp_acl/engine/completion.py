"""Completion results: values offered for a resource template stay only if what they make of it may be read."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from mcp_acl.domain import Json, Request
from mcp_acl.engine.decision import judge, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.mcp.results import Members, read_members, write_members
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

_EXPRESSION: Final = re.compile(r"\{([A-Za-z0-9_.%]+)\}")
_UNRESOLVED: Final = "x"
"""Stands for a variable that has no value yet; what is readable for it need not be for another."""


def filter_completion(view: View, request: Request, result: Members, hidden: list[str]) -> dict[str, object]:
    """The members of the result to change; the values taken out are added to `hidden`.

    Raises MessageError if the completion cannot be read (MCP completion/complete).
    """
    ref = request.message.params.get("ref")
    if not isinstance(ref, Mapping) or ref.get("type") != "ref/resource" or "completion" not in result:
        return {}
    template = ref.get("uri")
    members = read_members(result["completion"], "completion")
    completion: dict[str, object] = dict(members)
    values = _strings(members.get("values"))
    kept = [value for value in values if _readable(view, request, str(template), value)]
    if len(kept) == len(values):
        return {}
    hidden += [value for value in values if value not in kept]
    completion["values"] = kept
    if "total" in completion:
        completion["total"] = len(kept)
    return {"completion": msgspec.Raw(write_members(completion))}


def expand(template: str, values: Mapping[str, str]) -> str:
    """A level 1 URI template with its variables put in (RFC 6570 §3.2.2), reserved characters as percent triplets."""

    def value_of(match: re.Match[str]) -> str:
        return quote(values.get(match.group(1), _UNRESOLVED), safe="-._~")

    return _EXPRESSION.sub(value_of, template)


def _readable(view: View, request: Request, template: str, value: str) -> bool:
    uri = expand(template, _variables(request.message.params, value))
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
        return msgspec.json.decode(raw or b"", type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise MessageError("response", "the completion holds no list of texts") from None
