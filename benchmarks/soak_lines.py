"""The connections of a soak: HTTP/2 over mutual TLS to each worker, opened anew whenever they are gone. Knows no message.

Certificates change while it runs: connections are then replaced one by one, and what is under way on the old ones is waited for.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Final
from urllib.parse import unquote

from mcp_acl.bench.header_blocks import Headers, Read
from mcp_acl.bench.http2 import Connection
from mcp_acl.bench.http2_stream import Stream
from mcp_acl.bench.opening import LineError, connected
from mcp_acl.hosts.framing import PREFIX, framed

OK: Final = "0"
LOST: Final = "lost"
"""Beside the codes of gRPC: the connection went before the answer."""
_GOING_ON: Final = "…"
_SECONDS: Final = 30.0
"""For a connection to be made."""
_PAUSE: Final = 0.1
"""Seconds until another is tried."""
_LOOK: Final = 0.02

Answered = Callable[[str, bytes], None]
"""Told once of each question: the status with its words, and the message."""


class Wire(Connection):
    """One connection. `flying`: questions that are under way on it."""

    def __init__(self, path: str, address: str, gone: Callable[[], None]) -> None:
        headers = [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", address)]
        super().__init__([*headers, ("te", "trailers"), ("content-type", "application/grpc")], Read(_status))
        self.flying = 0
        self.certificate = b""
        """That the service has shown."""
        self._gone = gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        session: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.certificate = session.getpeercert(binary_form=True) or b""
        super().connection_made(transport)

    def end(self, reason: str) -> None:
        super().end(reason)
        self._gone()


class _Attempt(Stream):
    """One question on one connection."""

    __slots__ = ("_answered", "_buffer", "_wire")

    def __init__(self, wire: Wire, answered: Answered) -> None:
        super().__init__()
        self._wire = wire
        self._answered: Answered | None = answered
        self._buffer = b""
        wire.flying += 1

    def data(self, payload: bytes) -> None:
        self._buffer += payload

    def head(self, meaning: str) -> None:
        """The first headers say nothing that the last do not."""

    def end(self, meaning: str | None) -> None:
        self._over(f"{LOST} an answer ended without a status" if meaning in (None, _GOING_ON) else str(meaning))

    def fail(self, reason: str) -> None:
        self._over(f"{LOST} {reason}")

    def _over(self, status: str) -> None:
        if (answered := self._answered) is not None:
            self._answered = None
            self._wire.flying -= 1
            answered(status, self._buffer[PREFIX:])


def _status(headers: Headers) -> str:
    """The code and its words."""
    found = dict(headers)
    code = found.get("grpc-status")
    if code is None:
        return _GOING_ON
    return OK if code == OK else f"{code} {unquote(found.get('grpc-message', ''))}"


async def opened(path: str, address: str, tls: ssl.SSLContext, gone: Callable[[], None] = lambda: None) -> Wire:
    """A connection that may be asked. Raises LineError."""
    return await connected(
        address, lambda: Wire(path, address, gone), lambda wire: wire.ready, tls=tls, seconds=_SECONDS
    )


class Slot:
    """A place for one connection to one worker, filled again whenever it is empty."""

    def __init__(self, path: str, address: str, tls: Callable[[], ssl.SSLContext]) -> None:
        self.address = address
        self.refused = 0
        """How often no connection could be made."""
        self._path = path
        self._tls = tls
        self._wire: Wire | None = None
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._wire is not None and not self._wire.broken

    def ask(self, body: bytes, answered: Answered) -> None:
        assert self._wire is not None
        self._wire.open(_Attempt(self._wire, answered), body, end=True)

    async def fill(self) -> None:
        """Open it, however long that takes."""
        while not self.is_open:
            try:
                self._wire = await opened(self._path, self.address, self._tls(), self._changed.set)
            except LineError:
                self.refused += 1
                await asyncio.sleep(_PAUSE)

    async def keep(self) -> None:
        """Open it again whenever it is gone. Ends by being cancelled."""
        while True:
            self._changed.clear()
            await self.fill()
            await self._changed.wait()

    async def renew(self) -> None:
        """Put a new connection in the place of this one, and end this one when it is done."""
        before, fresh = self._wire, None
        with suppress(LineError):
            fresh = await opened(self._path, self.address, self._tls(), self._changed.set)
        if fresh is None or self._wire is not before:
            # The worker is gone, or was: what is opened next shows the new certificate anyway.
            if fresh is not None:
                fresh.end("not needed")
            return
        self._wire = fresh
        while before is not None and before.flying and not before.broken:  # noqa: ASYNC110 - whatever ends the last question
            await asyncio.sleep(_LOOK)
        if before is not None:
            before.end("renewed")

    def close(self) -> None:
        if self._wire is not None:
            self._wire.end("closed")


class Lines:
    """Connections for one method, `each` to each worker, of which the next that is open is asked."""

    def __init__(self, path: str, addresses: Sequence[str], each: int, tls: Callable[[], ssl.SSLContext]) -> None:
        self.slots = [Slot(path, address, tls) for _ in range(each) for address in addresses]
        self._turns = cycle(self.slots)

    def ask(self, message: bytes, answered: Answered) -> None:
        for _ in self.slots:
            slot = next(self._turns)
            if slot.is_open:
                slot.ask(framed(message), answered)
                return
        answered(f"{LOST} no connection is open", b"")
