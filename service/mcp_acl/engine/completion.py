"""Completion results: values offered for a resource template stay only if what they make of it may be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from uritemplate import URITemplate

from mcp_acl.domain import Request
from mcp_acl.engine.reading import read_decision
from mcp_acl.mcp.results import COMPLETION, Members, read_members, write_members
from mcp_acl.mcp.uris import MAX_LENGTH
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

MAX_VALUES: Final = 100
"""How many values one answer may hold (MCP completion/complete)."""

MAX_VARIABLES: Final = 32
"""How many variables a template may name, one as often as it stands there, if its values are to be read."""

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
    leads = _Leads(view, request, _template(str(ref.get("uri"))))
    kept: list[str] = []
    for value in values:
        (kept if leads.may_be_read(value) else hidden).append(value)
    if len(kept) == len(values):
        return {}
    completion["values"] = kept
    if "total" in completion:
        completion["total"] = len(kept)
    return {"completion": msgspec.Raw(write_members(completion))}


def _template(text: str) -> URITemplate:
    try:
        template = URITemplate(text)
    except ValueError:
        raise MessageError("response", "the template of the completion cannot be read") from None
    if _places(template) > MAX_VARIABLES:
        raise MessageError("response", f"the template of the completion names more than {MAX_VARIABLES} variables")
    return template


def _places(template: URITemplate) -> int:
    """How many values an expansion holds."""
    return sum(len(expression.variables) for expression in template.variables)


@dataclass(frozen=True, slots=True)
class _Leads:
    """Where the values of one completion lead."""

    view: View
    request: Request
    template: URITemplate

    def may_be_read(self, value: str) -> bool:
        """Whether what a value makes of the template may be read (RFC 6570)."""
        known = self._known(value)
        if known is None or max(map(len, known.values())) * _places(self.template) > MAX_LENGTH:
            return False
        names = self.template.variable_names
        uris = {self.template.expand({**dict.fromkeys(names, other), **known}) for other in _UNRESOLVED}
        return any(read_decision(self.view, self.request, uri).allowed for uri in uris)

    def _known(self, value: str) -> Mapping[str, str] | None:
        """The variables that have a value, or None if the value is for none of them."""
        params, names = self.request.message.params, self.template.variable_names
        argument, context = params.get("argument"), params.get("context")
        asked = argument.get("name") if isinstance(argument, Mapping) else None
        if not isinstance(asked, str) or asked not in names:
            return None
        given = context.get("arguments") if isinstance(context, Mapping) else None
        others = given.items() if isinstance(given, Mapping) else ()
        return {**{name: text for name, text in others if isinstance(text, str) and name in names}, asked: value}


def _strings(raw: msgspec.Raw | None) -> list[str]:
    try:
        values = msgspec.json.decode(raw or b"", type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise MessageError("response", "the completion holds no list of texts") from None
    if len(values) > MAX_VALUES:
        raise MessageError("response", f"the completion holds more than {MAX_VALUES:,} values")
    return values
