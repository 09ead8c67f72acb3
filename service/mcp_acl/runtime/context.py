"""What is carried from a decision to its response: a request as bytes, for any worker to read.

Self-contained and versioned; neither signed nor encrypted, because it goes to the gateway that sent the same facts and
comes back from there. Knows nothing of policies.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec

from mcp_acl.domain import Direction, Http, InexactNumber, Json, Message, MessageKind, Request, TokenState
from mcp_acl.mcp.accept import is_plain_json
from mcp_acl.problems import MessageError

_VERSION: Final = b"\x04"
_COUNTS: Final = b"\x00"
_ONLY_WATCHED: Final = b"\x01"
_INEXACT: Final = 1  # MessagePack extension type of a number that passes as its digits
_LEFT_OUT: Final = frozenset({"arguments", "inputResponses", "requestState"})
"""Members of `params` that no response is filtered by: unknown in it (the table of variables), and the largest there are."""


class _Context(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The request, flat. Any change to this list is a new version."""

    server: str
    kind: MessageKind
    method: str
    id: str | int | None
    params: dict[str, object]
    claims: dict[str, object]
    token: TokenState
    direction: Direction
    http_method: str
    path: str
    headers: dict[str, list[str]]
    remote_address: str
    attributes: dict[str, object]
    session_id: str
    filters_responses: bool
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    members: list[tuple[MessageKind, str, str | int | None, dict[str, object]]]


def write_context(request: Request, decision_id: str = "", *, only_watched: bool = False) -> bytes:
    """The bytes of everything filtering its response needs; what is known of tasks is looked up again then.

    `only_watched`: nothing that counts looks into a response of JSON; what is in shadow does.
    """
    message, http = request.message, request.http
    why = _ONLY_WATCHED if only_watched else _COUNTS
    return b"%b%b%c%b" % (_VERSION, why, len(decision_id), decision_id.encode()) + _encode(
        (
            request.server,
            message.kind,
            message.method,
            message.id,
            _kept(message),
            request.claims,
            request.token,
            request.direction,
            http.method,
            http.path,
            http.headers,
            http.remote_address,
            request.attributes,
            request.session_id,
            request.filters_responses,
            request.time,
            [(one.kind, one.method, one.id, _kept(one)) for one in message.members],
        )
    )


def _kept(message: Message) -> Mapping[str, Json]:
    return {name: value for name, value in message.params.items() if name not in _LEFT_OUT}


def read_context(context: bytes) -> Request:
    """The request again. Raises MessageError for anything that `write_context` of this version did not write."""
    try:
        found = _decode(context[_end_of_id(context) :])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageError("context", "the context of the decision cannot be read") from None
    members = tuple(Message(kind, method, number, params) for kind, method, number, params in found.members)  # type: ignore[arg-type]
    return Request(
        server=found.server,
        message=Message(found.kind, found.method, found.id, found.params, members=members),  # type: ignore[arg-type]
        claims=found.claims,  # type: ignore[arg-type]
        token=found.token,
        direction=found.direction,
        http=Http(found.http_method, found.path, found.headers, found.remote_address),
        attributes=found.attributes,  # type: ignore[arg-type]
        session_id=found.session_id,
        filters_responses=found.filters_responses,
        time=found.time,
    )


def is_only_watched(context: bytes, content_type: str) -> bool:
    """Whether a response of this type passes as it is, and is asked for what is in shadow alone."""
    return context[1:2] == _ONLY_WATCHED and is_plain_json(content_type)


def decision_id_of(context: bytes) -> str:
    """The id of the decision that the context came with. Raises MessageError as `read_context` does."""
    try:
        return context[3 : _end_of_id(context)].decode()
    except UnicodeDecodeError:
        raise MessageError("context", "the context of the decision cannot be read") from None


def _end_of_id(context: bytes) -> int:
    if not context:
        raise MessageError("context", "the context of the decision is missing")
    if context[:1] != _VERSION:
        raise MessageError("context", "the context is not of this version of the service")
    return 3 + context[2] if len(context) > 2 else 3


def packed(value: object) -> object:
    """What MessagePack does not know by itself: inexact numbers, and mappings that are not built in."""
    if isinstance(value, InexactNumber):
        return msgspec.msgpack.Ext(_INEXACT, value.text.encode())
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError


def unpacked(code: int, data: memoryview) -> InexactNumber:
    """What `packed` wrote. Raises ValueError."""
    if code != _INEXACT:
        raise ValueError
    return InexactNumber(str(data, "ascii"))


_encode: Final = msgspec.msgpack.Encoder(enc_hook=packed).encode
_decode: Final = msgspec.msgpack.Decoder(_Context, ext_hook=unpacked).decode
