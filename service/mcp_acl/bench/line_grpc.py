"""The line of a gRPC call: one connection, and a question as cheap as Python can ask it (gRPC over HTTP/2). Knows no loop and no workload.

An answer is right if its messages are, one for each that was asked, and if its status is OK. A call that the server speaks in with the
client, step by step, is answered with the last message: it is then that a gateway goes on. The call is then ended, as a gateway does.
"""

import ssl
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from mcp_acl.bench.exchange import Call
from mcp_acl.bench.header_blocks import Headers, Read
from mcp_acl.bench.http2 import Connection
from mcp_acl.bench.http2_stream import Stream
from mcp_acl.bench.opening import connected
from mcp_acl.hosts.framing import PREFIX, framed

_GOING_ON, _OK = "…", "OK"
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one answer."""
_MOST_REASONS: Final = 20
_UNEXPECTED: Final = "an answer is not the one that is right"

_Answered = Callable[[bool], None]


async def open_grpc(
    address: str, call: Call, *, tls: ssl.SSLContext | None = None, tls_name: str = "", seconds: float = 5.0
) -> "GrpcLine":
    """Connect to `host:port` or `unix:path`. `tls`: encrypt; it is made to offer `h2`. Raises LineError.

    `tls_name`: the name that must be in the certificate, where that is not the address's host.
    """
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    authority = "localhost" if address.startswith("unix:") else address
    headers = [
        (":method", "POST"),
        (":scheme", "http" if tls is None else "https"),
        (":path", call.path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *call.metadata,
    ]
    connection = await connected(
        address,
        lambda: Connection(headers, Read(_meaning)),
        lambda made: made.ready,
        tls=tls,
        seconds=seconds,
        name=tls_name,
    )
    return GrpcLine(connection, call)


class GrpcLine:
    """A line (`exchange.Line`). `reasons`: why answers were wrong, and how often."""

    def __init__(self, connection: Connection, call: Call) -> None:
        self.reasons: Counter[str] = Counter()
        self._connection = connection
        self._messages = [framed(message) for message in call.messages]
        self._judges = call.judges
        self._many: _Many | None = None
        kinds: Mapping[bool, Callable[[_Answered], None]] = {True: self._ask_in_steps, False: self._ask_once}
        self.ask: Callable[[_Answered], None] = self._ask_of_many if call.many else kinds[len(call.messages) > 1]

    def close(self) -> None:
        """End the connection; what is not answered by then is answered False."""
        self._connection.end("the connection was closed before there was an answer")

    def give_up(self, stream: Stream, reason: str) -> None:
        """End a call whose answer makes no sense."""
        self._connection.reset(stream)
        stream.fail(reason)

    def wrong(self, reason: str) -> None:
        """Count why an answer is wrong."""
        self.reasons[reason if reason in self.reasons or len(self.reasons) < _MOST_REASONS else "something else"] += 1

    def _ask_once(self, answered: _Answered) -> None:
        self._connection.open(_Once(self, answered, self._judges[0]), self._messages[0], end=True)

    def _ask_in_steps(self, answered: _Answered) -> None:
        stream = _Steps(self, answered, self._connection, self._messages, self._judges)
        self._connection.open(stream, self._messages[0], end=False)

    def _ask_of_many(self, answered: _Answered) -> None:
        if self._many is None or self._many.is_over:
            self._many = _Many(self, self._judges[0])
            self._many.waiting.append(answered)
            self._connection.open(self._many, self._messages[0], end=False)
        else:
            self._many.waiting.append(answered)
            self._connection.send(self._many, self._messages[0], end=False)


class _Messages(Stream):
    """A stream that is told messages, whole."""

    __slots__ = ("_buffer", "_line")

    def __init__(self, line: GrpcLine) -> None:
        # Each request makes one of these: what `Stream.__init__` does, without the call.
        self.id = self.room = self.received = 0
        self.pending = self._buffer = b""
        self.is_sent = False
        self._line = line

    def data(self, payload: bytes) -> None:
        if (
            not self._buffer
            and payload[:1] == b"\0"
            and int.from_bytes(payload[1:PREFIX], "big") == len(payload) - PREFIX
        ):
            self.message(payload[PREFIX:])
            return
        buffer = self._buffer + payload
        while len(buffer) >= PREFIX:
            end = PREFIX + int.from_bytes(buffer[1:PREFIX], "big")
            if buffer[0] or end > _LARGEST:
                self._line.give_up(self, "an answer is compressed, or larger than 64 MiB, or no gRPC")
                return
            if len(buffer) < end:
                break
            self.message(buffer[PREFIX:end])
            buffer = buffer[end:]
        self._buffer = buffer

    def head(self, meaning: str) -> None:
        if meaning is not _GOING_ON:
            self._line.give_up(self, "an answer has a status before its end" if meaning is _OK else meaning)

    def end(self, meaning: str | None) -> None:
        if meaning is _OK and not self._buffer:
            self.over()
        elif meaning is None or meaning is _OK or meaning is _GOING_ON:
            self.fail("an answer ended without a status, or inside a message")
        else:
            self.fail(meaning)

    @abstractmethod
    def message(self, message: bytes) -> None:
        """Take a message."""

    @abstractmethod
    def over(self) -> None:
        """Take the end with the status OK."""


class _Once(_Messages):
    """One message, one answer."""

    __slots__ = ("_answered", "_judge", "_right")

    def __init__(self, line: GrpcLine, answered: _Answered, judge: Callable[[bytes], bool]) -> None:
        super().__init__(line)
        self._answered: _Answered | None = answered
        self._judge = judge
        self._right: bool | None = None

    def message(self, message: bytes) -> None:
        # A second answer to one question is none.
        self._right = self._right is None and self._judge(message)

    def over(self) -> None:
        if not self._right:
            self.fail(_UNEXPECTED)
        elif (answered := self._answered) is not None:
            self._answered = None
            answered(True)

    def fail(self, reason: str) -> None:
        if (answered := self._answered) is not None:
            self._answered = None
            self._line.wrong(reason)
            answered(False)


class _Steps(_Messages):
    """Each message when the one before it is answered; then the client's end."""

    __slots__ = ("_answered", "_connection", "_judges", "_messages", "_step")

    def __init__(
        self,
        line: GrpcLine,
        answered: _Answered,
        connection: Connection,
        messages: Sequence[bytes],
        judges: Sequence[Callable[[bytes], bool]],
    ) -> None:
        super().__init__(line)
        self._answered: _Answered | None = answered
        self._connection = connection
        self._messages = messages
        self._judges = judges
        self._step = 0

    def message(self, message: bytes) -> None:
        if self._answered is None:
            return
        step = self._step
        if not self._judges[step](message):
            self._line.give_up(self, _UNEXPECTED)
            return
        self._step = step = step + 1
        if step < len(self._messages):
            self._connection.send(self, self._messages[step], end=False)
            return
        self._connection.send(self, b"", end=True)
        answered, self._answered = self._answered, None
        answered(True)

    def over(self) -> None:
        self.fail("a call ended before all of it was answered")

    def fail(self, reason: str) -> None:
        if (answered := self._answered) is not None:
            self._answered = None
            self._line.wrong(reason)
            answered(False)


class _Many(_Messages):
    """Questions without end."""

    __slots__ = ("_judge", "is_over", "waiting")

    def __init__(self, line: GrpcLine, judge: Callable[[bytes], bool]) -> None:
        super().__init__(line)
        self._judge = judge
        self.waiting: deque[_Answered] = deque()
        self.is_over = False

    def message(self, message: bytes) -> None:
        if not self.waiting:
            self._line.wrong("an answer came to no question")
            return
        right = self._judge(message)
        if not right:
            self._line.wrong(_UNEXPECTED)
        self.waiting.popleft()(right)

    def over(self) -> None:
        self.fail("the stream ended while there were questions")

    def fail(self, reason: str) -> None:
        self.is_over = True
        waiting = [*self.waiting]
        self.waiting.clear()
        for answered in waiting:
            self._line.wrong(reason)
            answered(False)


def _meaning(headers: Headers) -> str:
    """What headers say: that the answer goes on, that it was OK, or what was wrong."""
    found = dict(headers)
    if (status := found.get(":status", "200")) != "200" and not status.startswith("1"):
        return f"the server answered with HTTP status {status}"
    code = found.get("grpc-status")
    if code is None:
        return _GOING_ON
    return _OK if code == "0" else f"status {code}: {unquote(found.get('grpc-message', ''))}"
