"""The roots of Gravitee's expressions: which names there are, and how their values are built from a request's facts.

`EL_VARIABLES` are the variables, by the attribute where a scope keeps each. `#request.content` and `#request.jsonContent`,
`#mcp.arguments` and `#mcp.meta` are variables of their own, because they come with the call alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.comparing import hash_ordered
from mcp_acl.expr.el.jsonpath import json_content
from mcp_acl.expr.el.temporal import JavaDate
from mcp_acl.expr.el.values import (
    NO_MAKERS,
    Array,
    Attributes,
    Bean,
    Context,
    Headers,
    JsonText,
    LinkedList,
    Makers,
    MultiMap,
    stored_name,
)
from mcp_acl.expr.nodes import Environment, Type, Variable

EL_VARIABLES: Final = (
    Variable("context", "el_context", Type.OTHER, "only `.attributes`: the principal's and the gateway's facts"),
    Variable("request", "el_request", Type.OTHER, "the HTTP request: method, path, headers, params, timestamp, …"),
    Variable("request.content", "el_request_content", Type.STRING, "the message as JSON text"),
    Variable("request.jsonContent", "el_request_json_content", Type.MAP, "the message as a map"),
    Variable("subscription", "el_subscription", Type.DYN, "the subscription, from the attribute of that name"),
    Variable("api", "el_api", Type.DYN, "the API, from the attribute of that name"),
    Variable("properties", "el_properties", Type.DYN, "the API's properties, from the attribute of that name"),
    Variable("dictionaries", "el_dictionaries", Type.DYN, "dictionaries, from the attribute of that name"),
    Variable("endpoints", "el_endpoints", Type.DYN, "endpoints, from the attribute of that name"),
    Variable("node", "el_node", Type.DYN, "the gateway node, from the attribute of that name"),
    Variable("token", "el_token", Type.MAP, "the verified claims (not in Gravitee)"),
    Variable("mcp", "el_mcp", Type.OTHER, "the message: server, method, feature, name, … (not in Gravitee)"),
    Variable("mcp.arguments", "el_arguments", Type.MAP, "the arguments of the call (not in Gravitee)"),
    Variable("mcp.meta", "el_meta", Type.MAP, "the message's `_meta` (not in Gravitee)"),
    Variable("now", "el_now", Type.INT, "when the request arrived, in milliseconds since 1970; read by `new Date()`"),
)

NOW: Final = "now"
"""The variable that is not written `#now`: what reads the time in Java reads it."""

REQUEST_PROPERTIES: Final = tuple(
    (
        "contextPath headers host id localAddress method params path pathInfo pathInfos pathParams paths remoteAddress "
        "scheme ssl timestamp transactionId uri version"
    ).split()
)
SUBSCRIPTION_PROPERTIES: Final = ("apiProductId", "applicationName", "clientId", "id", "metadata", "type")
API_PROPERTIES: Final = ("id", "name", "properties", "version")
NODE_PROPERTIES: Final = ("id", "shardingTags", "tenant", "version", "zone")
MCP_PROPERTIES: Final = ("annotations", "feature", "method", "name", "protocol_version", "server")

PROPERTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "context": ("attributes",),
    "request": REQUEST_PROPERTIES,
    "subscription": SUBSCRIPTION_PROPERTIES,
    "api": API_PROPERTIES,
    "node": NODE_PROPERTIES,
    "mcp": MCP_PROPERTIES,
}
"""The properties of the roots that are objects; any other is an error."""

_DATES: Final = ("exp", "nbf", "iat")
_NUMBERS: Final = (int, float)
_NO_CLIENT: Final = Bean({**dict.fromkeys(("c", "cn", "dn", "e", "l", "o", "ou")), "attributes": {}, "defined": False})
_NO_TLS: Final = Bean({"client": _NO_CLIENT, "clientHost": None, "clientPort": None, "server": _NO_CLIENT})
_NOT_GIVEN: Final[Mapping[str, object]] = {
    **{name: None for name in REQUEST_PROPERTIES if name not in ("paths", "pathInfos")},
    "ssl": _NO_TLS,
    "pathParams": MultiMap(),
}


# ---- claims ----------------------------------------------------------------------------------------------------------


def claims_value(claims: Mapping[str, object]) -> dict[str, object]:
    """Token claims as Gravitee's `jwt.claims`: `aud` always a list, `exp`, `nbf` and `iat` dates, whole numbers Long."""
    made = dict(claims)
    audience = made.get("aud")
    if isinstance(audience, str):
        made["aud"] = [audience]
    for name in _DATES:
        seconds = made.get(name)
        if isinstance(seconds, _NUMBERS) and not isinstance(seconds, bool):
            made[name] = _date(int(seconds))
    return made


@lru_cache(maxsize=4096)
def _date(seconds: int) -> JavaDate:
    """A moment; most requests bring those of a token seen before."""
    return JavaDate(seconds * 1000)


def principal_makers(claims: Mapping[str, object]) -> Makers:
    """What makes the attributes that say who asks, from verified claims; without claims each is null.

    They are the makers of `context_root`, so no attribute of the gateway can stand in for them.
    """
    return Makers(_NAMES, _OF_PRINCIPAL if claims else _OF_NOBODY, claims)


def _roles(claims: Mapping[str, object]) -> object:
    for name in ("scope", "scp"):
        scopes = claims.get(name)
        if isinstance(scopes, str):
            return [one for one in scopes.split(" ") if one]
        if isinstance(scopes, list | tuple):
            return list(scopes)
    return None


def _client(claims: Mapping[str, object]) -> object:
    audience = claims.get("aud")
    first = audience[0] if isinstance(audience, list | tuple) and audience else audience
    return next((one for one in (claims.get("client_id"), claims.get("azp"), first) if isinstance(one, str)), None)


# ---- roots -----------------------------------------------------------------------------------------------------------


def context_root(attributes: Mapping[str, object], makers: Makers = NO_MAKERS) -> Context:
    """`#context`. Attribute names may carry Gravitee's prefix or not; `makers` make values when first asked for."""
    return Context(Attributes(attributes, makers))


def request_root(headers: Headers, params: Mapping[str, Sequence[str]] | None = None, **values: object) -> Bean:
    """`#request`, its body aside. `values` are properties by Gravitee's names; asking for one not given is an error.

    `timestamp` is milliseconds since 1970.
    """
    made = {**values, "headers": headers, "params": multi_map(params or {})}
    for name, source in (("paths", "path"), ("pathInfos", "pathInfo")):
        path = values.get(source)
        if isinstance(path, str):
            made[name] = _segments(path)
    return Bean(made)


def multi_map(values: Mapping[str, Sequence[str]]) -> MultiMap:
    """Names with all their values, as Gravitee keeps parameters."""
    return MultiMap({name: LinkedList(many) for name, many in values.items()})


def _segments(path: str) -> Array:
    parts = path.split("/")
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return Array(tuple(parts), "String")


def object_root(name: str, value: object) -> object:
    """`#subscription`, `#api` or `#node` from the attribute of that name: an object with its known properties, or null."""
    if not isinstance(value, Mapping):
        return None
    return Bean({**dict.fromkeys(PROPERTIES[name]), **value})


def map_root(value: object) -> object:
    """`#properties`, `#dictionaries` or `#endpoints` from the attribute of that name: a map, or null."""
    return value if isinstance(value, Mapping) else None


def mcp_root(values: Mapping[str, object]) -> Bean:
    """`#mcp`: the properties that this message has; asking for another is an error."""
    return Bean(values)


def json_text(value: object) -> JsonText:
    """A JSON value as its text, which `#jsonPath` need not read again."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_inexact)
    return JsonText(text, json_content(value))


def _inexact(value: object) -> str:
    """A number that cannot be written as one; as a value it stays an error."""
    return value.text if isinstance(value, InexactNumber) else ""


def json_map(value: object) -> object:
    """`#request.jsonContent`: a JSON object as Java's HashMap, and an empty map for anything else."""
    content = json_content(value)
    return hash_ordered(content) if isinstance(content, dict) else {}


_ROWS: Final[Mapping[str, Callable[[Mapping[str, object]], object]]] = {
    "jwt.claims": claims_value,
    "jwt": lambda claims: Bean({"claims": claims_value(claims)}),
    "user": lambda claims: claims.get("sub"),
    "user.roles": _roles,
    "oauth.payload": json_text,
    "oauth.client_id": _client,
}
_NAMES: Final = frozenset(_ROWS)
_OF_PRINCIPAL: Final = {stored_name(name): make for name, make in _ROWS.items()}
_OF_NOBODY: Final = dict.fromkeys(_OF_PRINCIPAL, lambda _: None)


# ---- a scope from plain data -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class PlainScope:
    """A scope whose every variable is given beforehand."""

    el_context: object = None
    el_request: object = None
    el_request_content: object = None
    el_request_json_content: object = None
    el_subscription: object = None
    el_api: object = None
    el_properties: object = None
    el_dictionaries: object = None
    el_endpoints: object = None
    el_node: object = None
    el_token: object = None
    el_mcp: object = None
    el_arguments: object = None
    el_meta: object = None
    el_now: object = 0


def scope_from_fixture(fixture: Mapping[str, object], now: int | None = None) -> tuple[Environment, PlainScope]:
    """The environment and scope of plain data: `attributes`, `request`, `subscription`, `api`, `dictionaries`, `endpoints`, `node`.

    `jwt.claims` among the attributes are claims as in a token; `request` has `method`, `path`, `headers`, `params`, `content` (a JSON
    value) and more by their Gravitee names. `now` is milliseconds since 1970, by default the request's `timestamp`.
    """
    request = _section(fixture, "request")
    attributes = dict(_section(fixture, "attributes"))
    claims = _section(attributes, "jwt.claims")
    if claims:
        attributes["jwt.claims"] = claims_value(claims)
    timestamp = request.get("timestamp")
    api = _section(fixture, "api")
    scope = PlainScope(
        el_context=context_root(attributes),
        el_request=_request_of(request),
        el_request_content=json_text(request["content"]) if "content" in request else None,
        el_request_json_content=json_map(request.get("content")),
        el_subscription=object_root("subscription", fixture.get("subscription")),
        el_api=object_root("api", fixture.get("api")),
        el_properties=map_root(fixture.get("properties", api.get("properties"))),
        el_dictionaries=map_root(fixture.get("dictionaries")),
        el_endpoints=map_root(fixture.get("endpoints")),
        el_node=object_root("node", fixture.get("node")),
        el_token=claims_value(claims),
        el_mcp=mcp_root(_section(fixture, "mcp")),
        el_now=now if now is not None else timestamp if isinstance(timestamp, int) else 0,
    )
    return {variable.name: variable for variable in EL_VARIABLES}, scope


def _section(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def _many(data: Mapping[str, object]) -> dict[str, list[str]]:
    return {name: [str(one) for one in many] for name, many in data.items() if isinstance(many, list | tuple)}


def _request_of(request: Mapping[str, object]) -> Bean:
    """All there is to know of the request: what is not given is null."""
    values = {**_NOT_GIVEN, **{name: request[name] for name in REQUEST_PROPERTIES if name in request}}
    headers, params = _many(_section(values, "headers")), _many(_section(values, "params"))
    plain = {name: value for name, value in values.items() if name not in ("headers", "params")}
    return request_root(Headers(headers), params, **plain)
