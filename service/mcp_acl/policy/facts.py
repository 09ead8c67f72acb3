"""The table of variables: what a condition may read, where it comes from, and when it is known.

Documentation, both languages' environments and the engine's scope read these rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mcp_acl.expr.el.roots import EL_VARIABLES
from mcp_acl.expr.nodes import Environment, Type, Variable


class Source(StrEnum):
    """Where a fact comes from, as far as deciding differs by it."""

    PRINCIPAL = "principal"
    """Who asks and how: claims, the HTTP request, attributes. A list that depends on it must not be shared."""

    ENTRY = "entry"
    """The target: in a list it differs from entry to entry."""

    CALL = "call"
    """Only the call will bring it: unknown while a list is shown."""

    HEADERS = "headers"
    """Known, but for the headers that mirror arguments."""

    MESSAGE = "message"
    """The method, the server, the time: the same for everybody who asks."""


class When(StrEnum):
    """Whether a fact can be read."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    ERROR = "error"
    TRUSTED = "known of a trusted server"
    PARTLY = "known, but for `Mcp-Param-*`"


@dataclass(frozen=True, slots=True)
class FactRow:
    """One variable: in a call, while a list is shown, in a completion, in a response."""

    variable: Variable
    language: str
    sources: frozenset[Source]
    in_call: When = When.KNOWN
    in_list: When = When.KNOWN
    in_completion: When = When.KNOWN
    in_response: When = When.KNOWN


def _row(language: str, variable: Variable, *sources: Source) -> FactRow:
    kinds = frozenset(sources)
    if Source.CALL in kinds:
        return FactRow(variable, language, kinds, When.KNOWN, When.UNKNOWN, When.UNKNOWN, When.UNKNOWN)
    if Source.HEADERS in kinds:
        return FactRow(variable, language, kinds, When.KNOWN, When.PARTLY, When.PARTLY, When.PARTLY)
    if variable.name == "mcp.annotations":
        return FactRow(variable, language, kinds, When.TRUSTED, When.TRUSTED, When.ERROR, When.TRUSTED)
    return FactRow(variable, language, kinds)


def _cel(name: str, attribute: str, kind: Type, doc: str, *sources: Source) -> FactRow:
    return _row("cel", Variable(name, attribute, kind, doc), *sources)


CEL_FACTS: Final = (
    _cel("claims", "claims", Type.MAP, "the verified token claims; empty for an anonymous principal", Source.PRINCIPAL),
    _cel("mcp.server", "server", Type.STRING, "the server's id", Source.MESSAGE),
    _cel("mcp.method", "method", Type.STRING, "the method decided; in a list the list method", Source.MESSAGE),
    _cel("mcp.feature", "feature", Type.STRING, "the method's feature, or `''`", Source.MESSAGE),
    _cel("mcp.name", "name", Type.STRING, "tool or prompt name, URI, template or task id", Source.ENTRY),
    _cel("mcp.arguments", "arguments", Type.MAP, "the arguments of `tools/call`, `prompts/get`", Source.CALL),
    _cel("mcp.protocol_version", "protocol_version", Type.STRING, "the MCP revision stated", Source.PRINCIPAL),
    _cel("mcp.meta", "meta", Type.MAP, "the message's `_meta`", Source.CALL),
    _cel(
        "mcp.annotations",
        "annotations",
        Type.MAP,
        "the annotations that the server has listed, tools with defaults",
        Source.ENTRY,
    ),
    _cel(
        "request.headers", "headers", Type.MAP, "by lower-case name, joined by `, `", Source.PRINCIPAL, Source.HEADERS
    ),
    _cel("request.path", "path", Type.STRING, "the HTTP path", Source.PRINCIPAL),
    _cel("request.method", "http_method", Type.STRING, "the HTTP method", Source.PRINCIPAL),
    _cel("request.remote_address", "remote_address", Type.STRING, "the caller's address", Source.PRINCIPAL),
    _cel("request.time", "time", Type.TIMESTAMP, "when the request arrived, UTC", Source.MESSAGE),
    _cel("attributes", "attributes", Type.MAP, "the gateway's own facts", Source.PRINCIPAL),
)

_EL_SOURCES: Final[Mapping[str, tuple[Source, ...]]] = {
    "request": (Source.PRINCIPAL, Source.HEADERS),
    "request.content": (Source.CALL,),
    "request.jsonContent": (Source.CALL,),
    "mcp": (Source.ENTRY, Source.PRINCIPAL),
    "mcp.arguments": (Source.CALL,),
    "mcp.meta": (Source.CALL,),
    "now": (Source.MESSAGE,),
}
"""What is not listed here comes from claims or the gateway's attributes."""

EL_FACTS: Final = tuple(
    _row("el", variable, *_EL_SOURCES.get(variable.name, (Source.PRINCIPAL,))) for variable in EL_VARIABLES
)

CEL_ENVIRONMENT: Final[Environment] = {row.variable.name: row.variable for row in CEL_FACTS}
EL_ENVIRONMENT: Final[Environment] = {row.variable.name: row.variable for row in EL_FACTS}

_BY_ATTRIBUTE: Final = {row.variable.attribute: row for row in (*CEL_FACTS, *EL_FACTS)}


def sources_of(variables: frozenset[Variable]) -> frozenset[Source]:
    """Where all that a condition reads comes from."""
    return frozenset(source for one in variables for source in _BY_ATTRIBUTE[one.attribute].sources)


UNKNOWN_BEFORE_CALL: Final = frozenset(
    row.variable.attribute for row in (*CEL_FACTS, *EL_FACTS) if Source.CALL in row.sources
)
"""The scope attributes that only the call will bring."""


UNKNOWN_BEFORE_ENTRY: Final = frozenset(
    row.variable.attribute for row in (*CEL_FACTS, *EL_FACTS) if Source.ENTRY in row.sources
)
"""Those that differ from entry to entry of a list."""


def render_facts() -> str:
    """The rows as a Markdown table."""
    lines = [
        "| variable | in a call | in a list | in a completion | in a response | what it is |",
        "|---|---|---|---|---|---|",
    ]
    for row in (*CEL_FACTS, *EL_FACTS):
        name = f"`#{row.variable.name}`" if row.language == "el" else f"`{row.variable.name}`"
        when = (row.in_call, row.in_list, row.in_completion, row.in_response)
        lines.append(f"| {' | '.join([name, *when, row.variable.doc])} |")
    return "\n".join(lines) + "\n"


PARTLY_BEFORE_CALL: Final = frozenset(
    row.variable.attribute for row in (*CEL_FACTS, *EL_FACTS) if Source.HEADERS in row.sources
)
"""Those of which the call will bring a part."""
