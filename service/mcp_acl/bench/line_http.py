"""The line of an HTTP request: one connection of HTTP/1.1, one question at a time, made to be cheap (RFC 9112). Knows no loop and no workload.

A second question waits for the answer to the first. Bodies may have a length, come in chunks, or end with the connection; event streams that
end are bodies like others.
"""

import asyncio
import ssl
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from mcp_acl.bench.exchange import Post
from mcp_acl.bench.opening import connected

_MOST_HEAD: Final = 64 * 1024
_MOST_KNOWN: Final = 1000
_MOST_REASONS: Final = 20
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one answer, and of a line between chunks with it."""
_CHUNKED, _TO_THE_END = -1, -2

_Answered = Callable[[bool], None]


class _BrokenError(Exception):
    """The server does not speak HTTP/1.1. The text says how."""


class _Head(NamedTuple):
    """What the head of an answer says. `length`: bytes of the body, or how it ends. `closes`: whether the connection ends after it."""

    status: int
    length: int
    closes: bool


async def open_http(address: str, post: Post, *, tls: ssl.SSLContext | None = None, seconds: float = 5.0) -> "HttpLine":
    """Connect to `host:port` or `unix:path`. Raises LineError."""
    host = "localhost" if address.startswith("unix:") else address
    return await connected(address, lambda: HttpLine(post, host), HttpLine.opened, tls=tls, seconds=seconds)


class HttpLine(asyncio.Protocol):
    """A line (`exchange.Line`). `reasons`: why answers were wrong, and how often."""

    def __init__(self, post: Post, host: str) -> None:
        self.reasons: Counter[str] = Counter()
        headers = {"Host": host, **post.headers, "Content-Length": str(len(post.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._request = f"POST {post.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + post.body
        self._status, self._judge = post.status, post.judge
        self._transport: asyncio.Transport | None = None
        self._broken = ""
        self._waiting: deque[_Answered] = deque()
        """Those who have asked; the first one's question is sent."""
        self._known: dict[bytes, _Head] = {}
        self._buffer = b""
        self._head: _Head | None = None
        self._chunks: list[bytes] = []
        self._size = 0

    async def opened(self) -> None:
        """A connection of HTTP/1.1 can be used when it is there."""

    def ask(self, answered: _Answered) -> None:
        """Send the question, now or when those before it are answered."""
        if self._transport is None:
            self._wrong(self._broken)
            answered(False)
            return
        self._waiting.append(answered)
        if len(self._waiting) == 1:
            self._transport.write(self._request)

    def close(self) -> None:
        """End the connection; what is not answered by then is answered False."""
        self._end("the connection was closed before there was an answer")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready (asyncio.Protocol)."""
        # The transports of uvloop are those of asyncio by what they do, and by no class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came (asyncio.Protocol)."""
        self._buffer = self._buffer + data if self._buffer else data
        try:
            while self._transport is not None and self._buffer and self._take():
                pass
        except (_BrokenError, ValueError) as error:
            self._end(f"the server does not speak HTTP/1.1: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: of a body that has no other, or of everything (asyncio.BaseProtocol)."""
        if exc is None and self._head is not None and self._head.length == _TO_THE_END:
            self._answer(self._head, self._buffer)
        self._end(f"the connection was lost: {exc}" if exc else "the server closed the connection")

    def _take(self) -> bool:
        """Take a piece of an answer, if it is whole. Raises _BrokenError or ValueError."""
        if self._head is None:
            return self._take_head()
        if self._head.length == _CHUNKED:
            return self._take_chunk(self._head)
        if self._head.length == _TO_THE_END:
            if len(self._buffer) > _LARGEST:
                raise _BrokenError("an answer is too large")
            return False
        return self._take_body(self._head)

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD:
                raise _BrokenError("an answer has too long a head")
            return False
        if not self._waiting:
            raise _BrokenError("an answer came to no question")
        block, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        head = self._known.get(block)
        if head is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            head = self._known[block] = _head(block)
        if head.status >= 200:
            self._head = head
            if not head.length:
                self._answer(head, b"")
        return True

    def _take_body(self, head: _Head) -> bool:
        length = head.length
        if len(self._buffer) < length:
            return False
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        self._answer(head, body)
        return True

    def _take_chunk(self, head: _Head) -> bool:
        buffer = self._buffer
        at = buffer.find(b"\r\n")
        if at < 0:
            if len(buffer) > _MOST_HEAD:
                raise _BrokenError("a chunk does not say its size")
            return False
        size = int(buffer[:at].partition(b";")[0], 16)
        if size:
            if self._size + size > _LARGEST:
                raise _BrokenError("an answer is too large")
            end = at + 2 + size
            if len(buffer) < end + 2:
                return False
            self._chunks.append(buffer[at + 2 : end])
            self._size += size
            self._buffer = buffer[end + 2 :]
            return True
        # The last chunk: trailers, as far as the empty line, which may follow at once.
        end = buffer.find(b"\r\n\r\n", at)
        if end < 0:
            return False
        self._buffer = buffer[end + 4 :]
        self._answer(head, b"".join(self._chunks))
        return True

    def _answer(self, head: _Head, body: bytes) -> None:
        right = head.status == self._status and self._judge(body)
        if not right:
            expected = head.status == self._status
            self._wrong("an answer is not the one that is right" if expected else f"HTTP status {head.status}")
        self._head = None
        self._chunks = []
        self._size = 0
        answered = self._waiting.popleft()
        if head.closes:
            self._end("the server closed the connection after an answer")
        elif self._waiting and self._transport is not None:
            self._transport.write(self._request)
        answered(right)

    def _end(self, reason: str) -> None:
        self._broken = self._broken or reason
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._head = None
        waiting, self._waiting = self._waiting, deque()
        for answered in waiting:
            self._wrong(self._broken)
            answered(False)

    def _wrong(self, reason: str) -> None:
        self.reasons[reason if reason in self.reasons or len(self.reasons) < _MOST_REASONS else "something else"] += 1


def _head(block: bytes) -> _Head:
    first, *lines = block.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise _BrokenError(f"an answer begins with `{first[:20]}`")
    status = int(rest[:3])
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip().lower() for name, _, value in pairs}
    closes = headers.get("connection", "keep-alive" if version == "HTTP/1.1" else "close") == "close"
    if status in {204, 304} or status < 200:
        return _Head(status, 0, closes)
    if "transfer-encoding" in headers:
        return _Head(status, _CHUNKED, closes)
    if "content-length" in headers:
        return _Head(status, _length(headers["content-length"]), closes)
    return _Head(status, _TO_THE_END, closes=True)


def _length(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LARGEST:
        raise _BrokenError("the length of an answer cannot be read, or is too large")
    return int(text)
