"""What a gateway says around a message that is not ours to believe at once: server, principal, attributes. One place, one order.

For the interfaces that other projects have made: each brings what it has as `Told`, and what becomes of it is decided here. Nothing that a
client can write is believed unless a setting names it. Knows no message of any interface.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import json_of
from mcp_acl.domain import Json, TokenState
from mcp_acl.mcp.message import parse_json
from mcp_acl.problems import MessageError
from mcp_acl.runtime.trace import traceparent_in

SERVER_METADATA: Final = "x-mcp-acl-server"
"""gRPC metadata that names the server: of the gateway's own call, where no client writes."""
SERVER_EXTENSION: Final = "mcp_acl_server"
"""Entry of ext_authz' `context_extensions` that names the server."""
FILTERED_EXTENSION: Final = "mcp_acl_filtered_behind"
"""Entry of ext_authz' `context_extensions` that says whether an ext_proc behind it filters responses: `true` or `false`."""
NAMESPACE: Final = "mcp_acl"
"""Namespace of metadata in which `server` names the server."""
FAILURE: Final = "jwt_failure"
"""Key beside the claims that says why there are none (jwt_authn, `failed_status_in_metadata`)."""

SETTING: Final = "setting `server`"
"""Where the server is from if nothing else names one."""

_REMEMBERED_SIZE: Final = 4096
"""Bytes of the largest claims that are remembered."""
_NOT_SENT: Final = "Jwt is missing"
"""What jwt_authn says where no token came."""
_NONE: Final[Mapping[str, Json]] = {}
_NOTHING_TOLD: Final = Struct()


@dataclass(frozen=True, slots=True)
class Sources:
    """Which of a gateway's facts count, by the settings of the same names. `jwt` are pairs of namespace and key."""

    server: str = ""
    server_attribute: str = ""
    jwt: tuple[tuple[str, str], ...] = (("envoy.filters.http.jwt_authn", "jwt_payload"),)
    mtls_principals: bool = False
    claims_header: str = ""
    anonymous: bool = True
    attribute_metadata: tuple[str, ...] = ()


class Told(NamedTuple):
    """What came beside a message, by the way it came.

    `metadata` is that of the gRPC call, `namespaces` dynamic metadata, `extensions` what the route's configuration adds, `principal` the name in
    a client certificate that the gateway has verified, `attributes` what the gateway was told to send, `headers` the client's.
    """

    metadata: Metadata = ()
    namespaces: Mapping[str, Struct] = {}
    extensions: Mapping[str, str] = {}
    principal: str = ""
    attributes: Mapping[str, Json] = _NONE
    headers: Mapping[str, Sequence[str]] = {}


class Facts(NamedTuple):
    """What is believed. `origins` says of `server`, `token` and each attribute where it is from; `trace` is the call's own `traceparent`."""

    server: str
    claims: Mapping[str, Json]
    token: TokenState
    attributes: Mapping[str, Json]
    origins: Mapping[str, str]
    trace: str = ""


def facts_from(sources: Sources, told: Told) -> Facts:
    """What is believed of what was told. Raises ApiError if the gateway's own words contradict each other or cannot be read."""
    server, server_origin = _server(sources, told)
    token, claims, token_origin = _principal(sources, told)
    attributes = dict(_attributes(sources, told))
    origins = {"server": server_origin, "token": token_origin}
    origins |= {f"attributes.{name}": origin for name, (_, origin) in attributes.items()}
    trace = traceparent_in(told.metadata)
    return Facts(server, claims, token, {name: value for name, (value, _) in attributes.items()}, origins, trace)


def _server(sources: Sources, told: Told) -> tuple[str, str]:
    """The first that names one, the nearest to the route first."""
    if SERVER_EXTENSION in told.extensions:
        return told.extensions[SERVER_EXTENSION], f"context extension `{SERVER_EXTENSION}`"
    named = [value for name, value in told.metadata if name == SERVER_METADATA]
    if len(set(named)) > 1:
        raise ApiError(f"the gRPC metadata `{SERVER_METADATA}` names several servers; send one")
    if named:
        return named[0], f"gRPC metadata `{SERVER_METADATA}`"
    if (space := told.namespaces.get(NAMESPACE)) is not None and "server" in space.fields:
        return space.fields["server"].string_value, f"metadata `{NAMESPACE}/server`"
    if sources.server_attribute in told.attributes:
        value = told.attributes[sources.server_attribute]
        return value if isinstance(value, str) else "", f"attribute `{sources.server_attribute}`"
    return sources.server, SETTING


def _principal(sources: Sources, told: Told) -> tuple[TokenState, Mapping[str, Json], str]:
    """A verified token before a verified certificate before a header that a setting names (nothing else is looked at).

    A token that is no good counts before those two, but after any that is good: of several providers, one says that it is not its own.
    """
    spaces = [(namespace, key, told.namespaces.get(namespace, _NOTHING_TOLD)) for namespace, key in sources.jwt]
    for namespace, key, space in spaces:
        if key in space.fields:
            return TokenState.VALID, _claims(space, key), f"metadata `{namespace}/{key}`"
    for namespace, _, space in spaces:
        if FAILURE in space.fields and _failed(space):
            return TokenState.INVALID, _NONE, f"metadata `{namespace}/{FAILURE}`"
    if sources.mtls_principals and told.principal:
        return TokenState.VALID, {"sub": told.principal}, "client certificate"
    if sources.claims_header and (values := told.headers.get(sources.claims_header.lower())):
        return *_in_header(values), f"header `{sources.claims_header}`"
    if sources.anonymous:
        return TokenState.NONE, _NONE, "no token"
    return TokenState.MISSING, _NONE, "no token, setting `anonymous`"


def _failed(space: Struct) -> bool:
    """Whether a token came and is no good."""
    failure = space.fields[FAILURE].struct_value.fields
    return "message" not in failure or failure["message"].string_value != _NOT_SENT


def _claims(space: Struct, key: str) -> Mapping[str, Json]:
    if space.fields[key].WhichOneof("kind") != "struct_value":
        raise ApiError(f"the metadata `{key}` holds no claims: let `payload_in_metadata` write it")
    claims = space.fields[key].struct_value
    wire = claims.SerializeToString()
    return _json(claims, key) if len(wire) > _REMEMBERED_SIZE else _known_claims(wire, key)


@lru_cache(1024)
def _known_claims(wire: bytes, key: str) -> Mapping[str, Json]:
    """A principal sends many messages with one token, and a gateway its claims with each. Nothing changes the values that are read."""
    return _json(Struct.FromString(wire), key)


def _in_header(values: Sequence[str]) -> tuple[TokenState, Mapping[str, Json]]:
    """Claims as JSON, or as the payload of a JWT is written (RFC 7515 §2). What cannot be read is a token that is no good."""
    if len(values) != 1:
        return TokenState.INVALID, _NONE
    (text,) = values
    try:
        body = text.encode() if text.startswith("{") else base64.b64decode(_padded(text), b"-_", validate=True)
        claims = parse_json(body)
    except (MessageError, binascii.Error, ValueError):
        return TokenState.INVALID, _NONE
    return (TokenState.VALID, claims) if isinstance(claims, dict) else (TokenState.INVALID, _NONE)


def _padded(text: str) -> str:
    return text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)


def _attributes(sources: Sources, told: Told) -> Iterator[tuple[str, tuple[Json, str]]]:
    """By name, each with where it is from; of two of one name the later."""
    for name, text in told.extensions.items():
        if name not in (SERVER_EXTENSION, FILTERED_EXTENSION):
            yield name, (text, "context extension")
    for name, value in told.attributes.items():
        yield name, (value, "attribute")
    for namespace in sources.attribute_metadata:
        if namespace in told.namespaces:
            yield namespace, (_json(told.namespaces[namespace], namespace), "metadata")
    if told.principal:
        yield "principal", (told.principal, "client certificate")


def _json(struct: Struct, what: str) -> Mapping[str, Json]:
    try:
        return json_of(struct)
    except MessageError as error:
        raise ApiError(f"the metadata `{what}` cannot be used: {error.message}") from None
