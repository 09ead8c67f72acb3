"""What a condition sees of one request: every variable, made when it is first asked for.

A slot that is not filled is made by the row of `_MAKERS`; a fact that this message does not bring raises `EvalError`.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from mcp_acl.domain import Json, Request
from mcp_acl.expr.cel.values import PartialMap, Timestamp
from mcp_acl.expr.el import roots
from mcp_acl.expr.el.values import Headers
from mcp_acl.mcp.methods import METHODS
from mcp_acl.mcp.revisions import revision_in_header, revision_in_message
from mcp_acl.policy.facts import UNKNOWN_BEFORE_CALL
from mcp_acl.problems import EvalError

ARGUMENT_HEADERS: Final = "mcp-param-"
"""Headers that mirror tool arguments (MCP 2026-07-28, transports): as unknown in a list as the arguments are."""

_NOTHING: Final[dict[str, Json]] = {}
_WITH_ARGUMENTS: Final = frozenset({"tools/call", "prompts/get"})
_OF_TOOLS: Final = frozenset({"tools/list", "tools/call"})
_TOOL_DEFAULTS: Final = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
"""What a tool's missing annotations mean (MCP 2025-03-26, ToolAnnotations)."""


class Scope:
    """One request about one target. `before_call` hides what comes later.

    `entry` is what the list entry shown says of itself, None if there is none or if the server is not trusted with it.
    """

    __slots__ = (
        "annotations",
        "arguments",
        "attributes",
        "before_call",
        "claims",
        "el_api",
        "el_arguments",
        "el_context",
        "el_dictionaries",
        "el_endpoints",
        "el_mcp",
        "el_meta",
        "el_node",
        "el_now",
        "el_properties",
        "el_request",
        "el_request_content",
        "el_request_json_content",
        "el_subscription",
        "el_token",
        "entry",
        "feature",
        "headers",
        "http_method",
        "meta",
        "method",
        "name",
        "path",
        "protocol_version",
        "remote_address",
        "request",
        "server",
        "target",
        "time",
    )

    def __init__(
        self,
        request: Request,
        method: str,
        target: str | None,
        entry: Mapping[str, Json] | None = None,
        *,
        before_call: bool = False,
    ) -> None:
        self.request = request
        self.method = method
        self.target = target
        self.entry = entry
        self.before_call = before_call
        self.claims = request.claims

    def __getattr__(self, attribute: str) -> object:
        make = _MAKERS.get(attribute)
        if make is None:
            raise AttributeError(attribute)
        value = make(self)
        setattr(self, attribute, value)
        return value

    @property
    def unknown(self) -> frozenset[str]:
        """The variables not known yet."""
        return UNKNOWN_BEFORE_CALL if self.before_call else frozenset()


def _server(scope: Scope) -> object:
    return scope.request.server


def _feature(scope: Scope) -> object:
    row = METHODS.get(scope.method)
    return row.feature.value if row is not None and row.feature is not None else ""


def _name(scope: Scope) -> object:
    if scope.target is None:
        raise _missing("mcp.name", "the message has no target")
    return scope.target


def _arguments(scope: Scope) -> object:
    if scope.before_call or scope.method not in _WITH_ARGUMENTS:
        raise _missing("mcp.arguments", f"`{scope.method}` has none")
    arguments = scope.request.message.params.get("arguments", _NOTHING)
    if not isinstance(arguments, dict):
        raise _missing("mcp.arguments", "they are not an object")
    return arguments


def _meta(scope: Scope) -> object:
    meta = scope.request.message.params.get("_meta", _NOTHING)
    if scope.before_call or not isinstance(meta, Mapping):
        raise _missing("mcp.meta", "it is not an object")
    return meta


def _protocol_version(scope: Scope) -> object:
    """What the message states, or else its header (MCP 2025-06-18, protocol version header)."""
    params = scope.request.message.params
    stated = revision_in_message(params)
    if stated is None:
        stated = params.get("protocolVersion")
    if stated is None:
        stated = revision_in_header(scope.request.http.headers)
    if not isinstance(stated, str):
        raise _missing("mcp.protocol_version", "the message does not state one")
    return stated


def _annotations(scope: Scope) -> object:
    annotations = _listed_annotations(scope)
    if not isinstance(annotations, Mapping):
        raise _missing("mcp.annotations", "they are not an object")
    return {**_TOOL_DEFAULTS, **annotations} if scope.method in _OF_TOOLS else annotations


def _listed_annotations(scope: Scope) -> object:
    """Those of the entry in a list; in a call those that the server has listed before."""
    if scope.entry is not None:
        return scope.entry.get("annotations", _NOTHING)
    tool = scope.request.tools.get(scope.target or "") if scope.method == "tools/call" else None
    if tool is None:
        raise _missing("mcp.annotations", "a server that is trusted with them has not listed them")
    return tool.annotations


def _headers(scope: Scope) -> object:
    joined = {name: ", ".join(values) for name, values in scope.request.http.headers.items()}
    return PartialMap(joined, ARGUMENT_HEADERS) if scope.before_call else joined


def _time(scope: Scope) -> object:
    return Timestamp.of(scope.request.time)


def _missing(name: str, why: str) -> EvalError:
    return EvalError(f"`{name}` is not available: {why}")


# ---- the roots of EL ----------------------------------------------------------------------------------------------


def _el_context(scope: Scope) -> object:
    return roots.context_root(scope.request.attributes, roots.principal_makers(scope.request.claims))


def _el_request(scope: Scope) -> object:
    http = scope.request.http
    path, _, query = http.path.partition("?")
    headers = Headers(http.headers, ARGUMENT_HEADERS if scope.before_call else "")
    return roots.request_root(
        headers,
        parse_qs(query, keep_blank_values=True),
        method=http.method,
        path=path,
        uri=http.path,
        host=headers.first("host"),
        remoteAddress=http.remote_address,
        timestamp=scope.el_now,
    )


def _body(scope: Scope) -> Mapping[str, Json]:
    message = scope.request.message
    known = {"jsonrpc": "2.0", "id": message.id, "method": message.method, "params": message.params}
    return {name: value for name, value in known.items() if value not in (None, "", {})}


def _el_mcp(scope: Scope) -> object:
    """Every property of `#mcp` that this message has."""
    found: dict[str, object] = {}
    for name in roots.MCP_PROPERTIES:
        try:
            found[name] = getattr(scope, name)
        except EvalError:
            continue
    return roots.mcp_root(found)


def _el_now(scope: Scope) -> object:
    return Timestamp.of(scope.request.time).nanos // 1_000_000


_EL_MAKERS: Final[Mapping[str, Callable[[Scope], object]]] = {
    "el_context": _el_context,
    "el_request": _el_request,
    "el_request_content": lambda scope: roots.json_text(_body(scope)),
    "el_request_json_content": lambda scope: roots.json_map(_body(scope)),
    "el_subscription": lambda scope: roots.object_root("subscription", scope.request.attributes.get("subscription")),
    "el_api": lambda scope: roots.object_root("api", scope.request.attributes.get("api")),
    "el_properties": lambda scope: roots.map_root(scope.request.attributes.get("properties")),
    "el_dictionaries": lambda scope: roots.map_root(scope.request.attributes.get("dictionaries")),
    "el_endpoints": lambda scope: roots.map_root(scope.request.attributes.get("endpoints")),
    "el_node": lambda scope: roots.object_root("node", scope.request.attributes.get("node")),
    "el_token": lambda scope: roots.claims_value(scope.request.claims),
    "el_mcp": _el_mcp,
    "el_arguments": lambda scope: roots.json_map(scope.arguments),
    "el_meta": lambda scope: roots.json_map(scope.meta),
    "el_now": _el_now,
}


_MAKERS: Final[Mapping[str, Callable[[Scope], object]]] = {
    "server": _server,
    "feature": _feature,
    "name": _name,
    "arguments": _arguments,
    "meta": _meta,
    "protocol_version": _protocol_version,
    "annotations": _annotations,
    "headers": _headers,
    "path": lambda scope: scope.request.http.path,
    "http_method": lambda scope: scope.request.http.method,
    "remote_address": lambda scope: scope.request.http.remote_address,
    "time": _time,
    "attributes": lambda scope: scope.request.attributes,
    **_EL_MAKERS,
}
