"""A question of the native interface out of its bytes. Translations alone; knows neither rules nor answers.

What is inside a request stays bytes until it is read (`proto/acl_unread.proto`): a token, and most headers of a client, are the same in
one request after another, and what was made of them is remembered by their bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import encode_json, json_of
from mcp_acl.domain import Direction, Http, Json, Message, MessageKind, TokenState
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.gen import acl_unread_pb2 as unread
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.mcp.message import parse_json, parse_message
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Question

MAX_HEADERS: Final = 1000
"""Entries of `Http.headers`, and values of all of them together. HTTP servers stop at some hundred."""

_DIRECTIONS: Final[Mapping[int, Direction]] = {
    pb.DIRECTION_CLIENT_TO_SERVER: Direction.CLIENT_TO_SERVER,
    pb.DIRECTION_SERVER_TO_CLIENT: Direction.SERVER_TO_CLIENT,
}
_TOKENS: Final[Mapping[int, TokenState]] = {
    pb.TOKEN_STATE_UNSPECIFIED: TokenState.NONE,
    pb.TOKEN_STATE_NONE: TokenState.NONE,
    pb.TOKEN_STATE_MISSING: TokenState.MISSING,
    pb.TOKEN_STATE_INVALID: TokenState.INVALID,
    pb.TOKEN_STATE_VALID: TokenState.VALID,
}
_KINDS: Final[Mapping[int, MessageKind]] = {
    pb.MESSAGE_KIND_REQUEST: MessageKind.REQUEST,
    pb.MESSAGE_KIND_NOTIFICATION: MessageKind.NOTIFICATION,
    pb.MESSAGE_KIND_RESPONSE: MessageKind.RESPONSE,
}
_PRINCIPALS: Final = 1024
_LARGEST_PRINCIPAL: Final = 4096
"""How many principals are remembered, and bytes of the largest."""
_HEADERS: Final = 4096
_LARGEST_HEADER: Final = 256
"""How many headers are remembered, and bytes of the largest."""
_NOTHING: Final[Mapping[str, Json]] = {}
_NO_HTTP: Final = Http()
_TEXT_LIMITS: Final = replace(DEFAULT_LIMITS, number=310)
"""Of the text that a structured message stands for: no whole number that is a double has more characters."""


def question_from(body: bytes, trace: str = "") -> tuple[Question, int]:
    """What a `CheckRequest` asks, and its `sequence`. Raises ApiError, with what to do, if it does not say what it must."""
    try:
        return _question(body, trace)
    except DecodeError:
        raise ApiError(f"the request is not a `{pb.CheckRequest.DESCRIPTOR.full_name}`, or nests too deep") from None


def _question(body: bytes, trace: str) -> tuple[Question, int]:
    """One message after another is one with the fields of both (protobuf encoding, "Last One Wins")."""
    request = unread.UnreadCheckRequest.FromString(body)
    principal, http, attributes, time = request.principal, request.http, request.attributes, request.time
    if len(principal) > 1 or len(http) > 1 or len(attributes) > 1 or len(time) > 1:
        pb.CheckRequest.FromString(body)  # refuses parts that are no messages by themselves: together they may be one
    direction = _DIRECTIONS.get(request.direction)
    if direction is None:
        raise ApiError("`direction` must be client to server or server to client")
    token, claims = _remembered_principal(_joined(principal))
    question = Question(
        request.server,
        request.raw or _message(request, body),
        claims,
        token,
        direction,
        _http(_joined(http)) if http else _NO_HTTP,
        _json("attributes", Struct.FromString(b"".join(attributes))) if attributes else _NOTHING,
        request.session_id,
        request.filters_responses,
        _time(time) if time else None,
        trace,
    )
    return question, request.sequence


def _joined(parts: Sequence[bytes]) -> bytes:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _message(request: unread.UnreadCheckRequest, body: bytes) -> bytes | Message | MessageError:
    match request.WhichOneof("message"):
        case "raw":
            return request.raw
        case "structured":
            return _structured(pb.CheckRequest.FromString(body).structured)
    raise ApiError("`message` is missing; send `raw`, the body as it came")


def _structured(message: pb.StructuredMessage) -> Message | MessageError:
    """By way of the text it stands for, so that both forms are held to the same rules."""
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise ApiError("`structured.kind` must be request, notification or response")
    try:
        read = parse_message(_text(message, kind), _TEXT_LIMITS)
    except MessageError as error:
        return error.settled()
    if read.kind is not kind:
        return MessageError("envelope", f"the message has the members of a {read.kind}, but says it is a {kind}")
    return read._replace(is_empty=False)  # what is in a response is not told


def _text(message: pb.StructuredMessage, kind: MessageKind) -> bytes:
    """The JSON-RPC message. Raises MessageError if `params_json` is not one JSON value: nothing else may get in by it."""
    members: dict[str, object] = {"jsonrpc": "2.0"}
    id_member = message.WhichOneof("id")
    if id_member is not None:
        members["id"] = getattr(message, id_member)
    if kind is MessageKind.RESPONSE:
        members["result"] = {}
    if message.method or kind is not MessageKind.RESPONSE:
        members["method"] = message.method
    match message.WhichOneof("params"):
        case "params_struct":
            members["params"] = json_of(message.params_struct)
        case "params_json":
            members["params"] = parse_json(message.params_json)
    return encode_json(members)


def _principal(text: bytes) -> tuple[TokenState, Mapping[str, Json]]:
    """Claims count only if somebody says that they were verified."""
    principal = pb.Principal.FromString(text)
    token = _TOKENS.get(principal.token)
    if token is None:
        raise ApiError("`principal.token` is a state this service does not know")
    form = principal.WhichOneof("claims")
    if form is None or token is TokenState.INVALID:
        return token, _NOTHING
    if token in (TokenState.NONE, TokenState.MISSING):
        raise ApiError("claims came without a token; say TOKEN_STATE_VALID if they were verified, else leave them out")
    if form == "claims_struct":
        return token, _json("claims_struct", principal.claims_struct)
    return token, _claims(principal.claims_json)


_known_principal: Final = lru_cache(_PRINCIPALS)(_principal)
"""Nothing changes the values that are read."""


def _remembered_principal(text: bytes) -> tuple[TokenState, Mapping[str, Json]]:
    return _known_principal(text) if len(text) <= _LARGEST_PRINCIPAL else _principal(text)


def _claims(text: bytes) -> Mapping[str, Json]:
    try:
        claims = parse_json(text)
    except MessageError as error:
        raise ApiError(f"`principal.claims_json` cannot be used: {error.message}") from None
    if not isinstance(claims, dict):
        raise ApiError("`principal.claims_json` must be one JSON object")
    return claims


def _json(field: str, struct: Struct) -> Mapping[str, Json]:
    try:
        return json_of(struct)
    except MessageError as error:
        raise ApiError(f"`{field}` cannot be used: {error.message}") from None


def _http(text: bytes) -> Http:
    """Header names in lower case, the values of one name together whatever its case was."""
    http = unread.UnreadHttp.FromString(text)
    entries = http.headers[:]
    if len(entries) > MAX_HEADERS:
        raise _too_many()
    read = [_known_header(one) if len(one) <= _LARGEST_HEADER else _header(one) for one in entries]
    headers = dict(read)
    if len(headers) != len(read):
        headers = _together(read)
    if sum(map(len, headers.values())) > MAX_HEADERS:
        raise _too_many()
    return Http(http.method or "POST", http.path, headers, http.remote_address)


def _too_many() -> ApiError:
    return ApiError(f"`http.headers` has more than {MAX_HEADERS} entries or values; refuse such a request")


def _header(text: bytes) -> tuple[str, Sequence[str]]:
    header = pb.Header.FromString(text)
    return header.name.lower(), tuple(header.values)


_known_header: Final = lru_cache(_HEADERS)(_header)


def _together(read: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Sequence[str]]:
    headers: dict[str, list[str]] = {}
    for name, values in read:
        headers.setdefault(name, []).extend(values)
    return {name: tuple(values) for name, values in headers.items()}


def _time(parts: Iterable[bytes]) -> datetime:
    try:
        return Timestamp.FromString(b"".join(parts)).ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise ApiError("`time` is not a time between the years 1 and 9999") from None
