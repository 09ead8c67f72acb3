"""gRPC over ASGI: the framing by hand around a table of handlers, for servers that speak HTTP/2 and pass trailers on.

Knows no policy. Its one strategy: a call is read and answered to the end before anything is sent, inside a guard that
nothing passes, so that a call can neither end with status 0 that was not answered, nor without a status (gRPC over HTTP/2,
"Responses"). Errors are sent as trailers-only. Health and streams are not here.
"""

import asyncio
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from mcp_acl.adapters.grpc_api import MAX_REQUEST
from mcp_acl.adapters.handlers import Handler
from mcp_acl.adapters.status import Code, Status, status_of

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

_LOG: Final = logging.getLogger("mcp_acl")

_PREFIX: Final = 5
"""Bytes before each message: one flag, four of length (gRPC over HTTP/2, "Length-Prefixed-Message")."""
_CONTENT_TYPE: Final = re.compile(rb"application/grpc(?:[+;].*)?")
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_OURS: Final = (b"content-type", b"application/grpc")
_ENCODINGS: Final = (b"grpc-accept-encoding", b"identity,gzip")


class _CallError(Exception):
    """The call ends with a status other than OK."""

    def __init__(self, code: Code, text: str) -> None:
        self.status = Status(code, text)
        super().__init__(text)


class _NotGrpc(Exception):  # noqa: N818 - an answer
    """The request is no gRPC call."""


class _Gone(Exception):  # noqa: N818 - an event
    """The client has left: there is nobody to answer."""


def application(handlers: Mapping[str, Handler], max_request: int = MAX_REQUEST) -> Application:
    """An ASGI application that serves unary handlers by their path. `max_request` is in bytes, also after inflation."""
    table = {path.encode(): handler for path, handler in handlers.items()}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        try:
            events = await _events(table, scope, receive, max_request)
            for event in events:
                await send(event)
        except BaseException as error:  # noqa: BLE001 - an error that leaves here may be sent to the client as status 0
            _LOG.debug("the client of a call is gone", exc_info=error)

    return serve


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def _events(
    table: Mapping[bytes, Handler], scope: Scope, receive: Receive, limit: int
) -> tuple[MutableMapping[str, Any], ...]:
    """What to send, whatever happens."""
    try:
        return _answered(await _answer(table, scope, receive, limit))
    except _NotGrpc:
        return _HTTP_415
    except _Gone:
        return ()
    except _CallError as error:
        return _failed(error.status)
    except BaseException as error:  # noqa: BLE001 - SystemExit and a cancelled task included
        return _failed(status_of(error))


async def _answer(table: Mapping[bytes, Handler], scope: Scope, receive: Receive, limit: int) -> bytes:
    if scope["type"] != "http":
        raise _Gone
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if scope["method"] != "POST" or not _CONTENT_TYPE.fullmatch(headers.get(b"content-type", b"")):
        raise _NotGrpc
    if headers.get(b"te") != b"trailers":
        raise _CallError(Code.INTERNAL, "the header `te: trailers` is missing, so that a status would be lost")
    handler = table.get(scope["raw_path"])
    if handler is None:
        raise _CallError(Code.UNIMPLEMENTED, "there is no such method")
    seconds = _timeout(headers.get(b"grpc-timeout"))
    try:
        async with asyncio.timeout(seconds):
            framed = await _read(receive, limit)
    except TimeoutError:
        raise _CallError(Code.DEADLINE_EXCEEDED, "the request did not arrive in time") from None
    return handler(_message(framed, headers.get(b"grpc-encoding", b"identity"), limit))


def _timeout(header: bytes | None) -> float | None:
    """Seconds (gRPC over HTTP/2, "Timeout"), or None for as long as it takes."""
    if header is None:
        return None
    found = _TIMEOUT.fullmatch(header)
    if found is None:
        raise _CallError(Code.INTERNAL, "the header `grpc-timeout` cannot be read")
    return int(found[1]) * _SECONDS[found[2]]


async def _read(receive: Receive, limit: int) -> bytearray:
    """The body: exactly one prefixed message. Chunks come as they please; what is too long is refused before it is kept.

    (The other host does not look for a second message: there, it has a price.)
    """
    buffer = bytearray()
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise _Gone
        buffer += event.get("body", b"")
        more = event.get("more_body", False)
        if len(buffer) >= _PREFIX:
            length = _length(buffer)
            if length > limit:
                raise _CallError(Code.RESOURCE_EXHAUSTED, f"the request is larger than {limit} bytes")
            if len(buffer) > _PREFIX + length:
                raise _CallError(Code.INTERNAL, "more than one message came in a unary call")
    if len(buffer) < _PREFIX or len(buffer) < _PREFIX + _length(buffer):
        raise _CallError(Code.INTERNAL, "the request ended inside a message")
    return buffer


def _length(buffer: bytearray) -> int:
    return int.from_bytes(buffer[1:_PREFIX], "big")


def _message(framed: bytearray, encoding: bytes, limit: int) -> bytes:
    """The message, inflated if it says so (gRPC compression): never to more than the limit."""
    flag, payload = framed[0], bytes(framed[_PREFIX:])
    if flag == 0:
        return payload
    if flag != 1 or encoding == b"identity":
        raise _CallError(Code.INTERNAL, "the compression flag is not what the headers say")
    if encoding != b"gzip":
        raise _CallError(Code.UNIMPLEMENTED, "this compression is not supported; use gzip or identity")
    inflating = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        inflated = inflating.decompress(payload, limit + 1)
    except zlib.error:
        raise _CallError(Code.INTERNAL, "the message is not gzip") from None
    if len(inflated) > limit:
        raise _CallError(Code.RESOURCE_EXHAUSTED, f"the request is larger than {limit} bytes")
    if not inflating.eof or inflating.unused_data:
        raise _CallError(Code.INTERNAL, "the message is not one gzip stream")
    return inflated


# ---- events -------------------------------------------------------------------------------------------------------


def _start(status: int, headers: list[tuple[bytes, bytes]], *, trailers: bool) -> MutableMapping[str, Any]:
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    return {**start, "trailers": True} if trailers else start


def _answered(message: bytes) -> tuple[MutableMapping[str, Any], ...]:
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    return (
        _start(200, [_OURS], trailers=True),
        {"type": "http.response.body", "body": framed, "more_body": False},
        {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False},
    )


def _failed(status: Status) -> tuple[MutableMapping[str, Any], ...]:
    headers = [_OURS, (b"grpc-status", b"%d" % status.code), (b"grpc-message", _percent_encoded(status.text))]
    if status.code is Code.UNIMPLEMENTED:
        headers.append(_ENCODINGS)
    return _start(200, headers, trailers=False), _EMPTY


def _percent_encoded(text: str) -> bytes:
    """Printable ASCII but `%` as it is, all else as triplets of its UTF-8 (gRPC over HTTP/2, "Status-Message")."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in text.encode(errors="replace")
    ).encode()


_EMPTY: Final[MutableMapping[str, Any]] = {"type": "http.response.body", "body": b"", "more_body": False}
_HTTP_415: Final = (_start(415, [], trailers=False), _EMPTY)
