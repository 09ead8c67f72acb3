"""What is sent on a call over ASGI: headers, messages, trailers, in the order that keeps a status from being lost or made up.

Knows no handler. Headers go out with the first message, so that an error before it can be sent as trailers-only; a status goes out once.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from mcp_acl.adapters.status import Code, Status
from mcp_acl.hosts.framing import ENCODINGS, framed, percent_encoded

Event: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
_Headers: TypeAlias = list[tuple[bytes, bytes]]


class ClientGoneError(Exception):
    """The client has left: there is nobody to answer."""


class Answer:
    """The answer to one call. `has_ended`: a status was sent, or is being sent last."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_started = False
        self.has_ended = False
        self._messages = 0
        self._passing: asyncio.Future[None] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether messages went out, or began to, and no status did: only the server can end such a call, by a reset."""
        return self._messages > 0 and not self.has_ended

    async def message(self, message: bytes) -> None:
        """Send one of many messages, when the one before is taken. Raises ClientGoneError."""
        await self.messages((message,))

    async def messages(self, messages: Sequence[bytes]) -> None:
        """Send some of many messages at once, when those before are taken. Raises ClientGoneError."""
        if not messages:
            return
        body = b"".join(map(framed, messages))
        await self.taken()
        await self._start()
        self._messages += len(messages)
        event: Event = {"type": "http.response.body", "body": body, "more_body": True}
        self._passing = asyncio.ensure_future(self._send(event))
        self._passing.add_done_callback(_seen)

    async def taken(self) -> None:
        """Wait until the client's flow control has let pass what was sent. Raises ClientGoneError.

        Meanwhile its next message may be on its way; with most messages this waits for nothing any more.
        """
        passing, self._passing = self._passing, None
        if passing is not None:
            try:
                await passing
            except OSError:
                raise ClientGoneError from None

    async def last(self, message: bytes) -> None:
        """Send the one message, or the last, and OK. Raises ClientGoneError."""
        body: Event = {"type": "http.response.body", "body": framed(message), "more_body": False}
        await self.taken()
        send = self._send
        try:
            if not self._has_started:
                self._has_started = True
                await send(_STARTED)
            self._messages += 1
            await send(body)
            self.has_ended = True
            await send(_ENDED)
        except OSError:
            raise ClientGoneError from None

    async def end(self, status: Status | None) -> None:
        """Send the status of a call that has none; None is for what is no gRPC call. Raises ClientGoneError."""
        if not self._has_started:
            await self._alone(status)
            return
        assert status is not None
        await self.taken()
        await self._body(b"", more=False)
        await self._trailers(_OK_TRAILERS if status.code is Code.OK else _trailers(status))

    async def _alone(self, status: Status | None) -> None:
        """The status without a message: an error as trailers-only, OK (of a stream without answers) as headers and trailers."""
        if status is not None and status.code is Code.OK:
            await self._start()
            await self._body(b"", more=False)
            await self._trailers(_OK_TRAILERS)
            return
        self._has_started = True
        headers = [] if status is None else [_OURS, *_trailers(status)]
        await self._event(_start(415 if status is None else 200, headers))
        await self._body(b"", more=False)
        self.has_ended = True

    async def _start(self) -> None:
        if not self._has_started:
            self._has_started = True
            await self._event(_STARTED)

    async def _body(self, body: bytes, *, more: bool) -> None:
        await self._event({"type": "http.response.body", "body": body, "more_body": more})

    async def _trailers(self, headers: _Headers) -> None:
        self.has_ended = True
        await self._event(_ended(headers))

    async def _event(self, event: Event) -> None:
        try:
            await self._send(event)
        except OSError:
            raise ClientGoneError from None


def _seen(passing: "asyncio.Future[None]") -> None:
    """Of a client that leaves, whoever receives hears."""
    if not passing.cancelled():
        passing.exception()


def _ended(trailers: _Headers) -> Event:
    return {"type": "http.response.trailers", "headers": trailers, "more_trailers": False}


def _start(status: int, headers: _Headers) -> Event:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _trailers(status: Status) -> _Headers:
    trailers = [(b"grpc-status", b"%d" % status.code), (b"grpc-message", percent_encoded(status.text))]
    return [*trailers, _ENCODINGS] if status.code is Code.UNIMPLEMENTED else trailers


_OURS: Final = (b"content-type", b"application/grpc")
_ENCODINGS: Final = (b"grpc-accept-encoding", ENCODINGS)
_OK_TRAILERS: Final[_Headers] = [(b"grpc-status", b"0")]
_STARTED: Final[Event] = {"type": "http.response.start", "status": 200, "headers": [_OURS], "trailers": True}
_ENDED: Final[Event] = _ended(_OK_TRAILERS)
