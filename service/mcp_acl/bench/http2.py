"""One HTTP/2 connection, as its client, made to be cheap (RFC 9113). Knows no gRPC: streams are told what comes for them.

What is sent in one turn of the event loop is written at once. What the server's windows, or the number of streams it takes, have no room
for waits here, in order. A peer that breaks the protocol ends the connection, and every stream is told so.
"""

import asyncio
import ssl
from collections import deque
from typing import Final, cast

import hpack

from mcp_acl.bench import http2_frames as frames
from mcp_acl.bench.header_blocks import Headers, Read, Written
from mcp_acl.bench.http2_frames import DATA, END_HEADERS, END_STREAM, FIRST, HEADERS, PeerError, framed
from mcp_acl.bench.http2_stream import Stream

WINDOW: Final = 16 * 1024 * 1024
"""Bytes that the server may send before it is told that they have come; it is told at half of them."""

_MOST_BLOCK: Final = 1024 * 1024
"""Bytes of one header block."""
_UNLIMITED: Final = 2**32 - 1
_SAID: Final = (
    frames.PREFACE,
    frames.settings({frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: WINDOW}),
    framed(frames.WINDOW_UPDATE, 0, 0, frames.ID.pack(WINDOW - frames.FIRST_WINDOW)),
)


class Connection(asyncio.Protocol):
    """The connection. `ready` is done when the server has said its settings, or fails with PeerError or OSError.

    `headers`: of every request. `meanings`: what the headers of answers mean, which is what streams are told.
    """

    def __init__(self, headers: Headers, meanings: Read[str]) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.broken = ""
        """Why no more can be asked; empty while it can."""
        self._loop = asyncio.get_running_loop()
        self._headers = Written(headers)
        self._meanings = meanings
        self._streams: dict[int, Stream] = {}
        self._waiting: deque[tuple[Stream, bytes, bool]] = deque()
        self._blocked: dict[int, Stream] = {}
        self._next = 1
        self._most = _UNLIMITED
        self._room = self._stream_room = frames.FIRST_WINDOW
        self._frame = frames.LARGEST_FRAME
        self._received = 0
        self._out: list[bytes] = []
        self._rest = b""
        self._block: tuple[int, int, bytes] | None = None
        self._is_flushing = self._is_paused = False
        self._transport: asyncio.Transport | None = None
        self._is_first = True
        self._takers = {
            DATA: self._take_data,
            HEADERS: self._take_headers,
            frames.RST_STREAM: self._take_reset,
            frames.SETTINGS: self._take_settings,
            frames.PUSH_PROMISE: self._take_promise,
            frames.PING: self._take_ping,
            frames.GOAWAY: self._take_goaway,
            frames.WINDOW_UPDATE: self._take_room,
            frames.CONTINUATION: self._take_promise,
        }

    # ---- what is asked ---------------------------------------------------------------------------------------------

    def open(self, stream: Stream, body: bytes, *, end: bool) -> None:
        """Begin a request, with all or the beginning of what it sends. It may fail at once."""
        if self.broken:
            stream.fail(self.broken)
        elif len(self._streams) < self._most and not self._waiting:
            self._begin(stream, body, end)
        else:
            self._waiting.append((stream, body, end))

    def send(self, stream: Stream, body: bytes, *, end: bool) -> None:
        """Go on with a request."""
        stream.is_sent = end
        if stream.id:
            if stream.id in self._streams:
                stream.pending += body
                self._push(stream)
            return
        for at, (waiting, before, _) in enumerate(self._waiting):
            if waiting is stream:
                self._waiting[at] = (stream, before + body, end)

    def reset(self, stream: Stream) -> None:
        """End a request before its time, and hear no more of it."""
        if self._streams.pop(stream.id, None) is None:
            return
        self._blocked.pop(stream.id, None)
        self._write(framed(frames.RST_STREAM, 0, stream.id, frames.ID.pack(frames.CANCEL)))
        self._go_on()

    def end(self, reason: str) -> None:
        """Close, and let every request fail that has not ended."""
        if not self.broken:
            self.broken = reason
        failing = [*self._streams.values(), *(stream for stream, _, _ in self._waiting)]
        self._streams.clear()
        self._waiting.clear()
        self._blocked.clear()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if not self.ready.done():
            self.ready.set_exception(PeerError(self.broken))
            # Whoever opens the connection need not wait for it any more.
            self.ready.exception()
        for stream in failing:
            stream.fail(self.broken)

    def _begin(self, stream: Stream, body: bytes, end: bool) -> None:
        if self._next > frames.LAST_ID:
            stream.fail("the connection has had all the streams that it can have; use more connections, or less time")
            return
        stream.id = ident = self._next
        self._next += 2
        self._streams[ident] = stream
        block = self._headers.again
        if self._is_first:
            self._is_first = False
            block = self._headers.first
        size, length = len(body), len(block)
        stream.is_sent = end
        stream.room = self._stream_room
        if end and size <= stream.room and size <= self._room and size <= self._frame and not self._blocked:
            self._room -= size
            self._write(
                b"".join(
                    (
                        FIRST.pack(length >> 8, length & 0xFF, HEADERS, END_HEADERS, ident),
                        block,
                        FIRST.pack(size >> 8, size & 0xFF, DATA, END_STREAM, ident),
                        body,
                    )
                )
            )
            return
        self._write(framed(HEADERS, END_HEADERS, ident, block))
        stream.pending = body
        self._push(stream)

    def _push(self, stream: Stream) -> None:
        """Send what there is room for. In order: while others wait for room of the connection, nobody goes first."""
        pending, ident = stream.pending, stream.id
        at, size = 0, len(pending)
        while True:
            room = min(size - at, self._room, stream.room, self._frame)
            if room <= 0 and at < size:
                break
            is_last = stream.is_sent and at + room == size
            if room or is_last:
                self._write(framed(DATA, END_STREAM if is_last else 0, ident, pending[at : at + room]))
                self._room -= room
                stream.room -= room
                at += room
            if at >= size:
                stream.pending = b""
                self._blocked.pop(ident, None)
                return
        stream.pending = pending[at:]
        self._blocked[ident] = stream

    def _go_on(self) -> None:
        """Begin what has waited for its turn."""
        while self._waiting and len(self._streams) < self._most and not self.broken:
            self._begin(*self._waiting.popleft())

    # ---- bytes -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the preface (asyncio.Protocol)."""
        # The transports of uvloop are those of asyncio by what they do, and by no class.
        self._transport = cast("asyncio.Transport", transport)
        session = transport.get_extra_info("ssl_object")
        if isinstance(session, (ssl.SSLObject, ssl.SSLSocket)) and session.selected_alpn_protocol() != "h2":
            self.end("the server does not speak HTTP/2 over TLS: it did not choose `h2`")
            return
        self._out = [*_SAID]
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what came (asyncio.Protocol)."""
        if self._rest:
            data = self._rest + data
        is_outer, self._is_flushing = not self._is_flushing, True
        try:
            self._rest = data[self._take(data) :]
        except PeerError as error:
            self.end(f"the server broke the protocol: {error}")
        except (hpack.HPACKError, ValueError):
            self.end("the server broke the protocol: a header block cannot be read")
        if is_outer:
            self._flush()

    def pause_writing(self) -> None:
        """Hold back (asyncio.BaseProtocol)."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Go on (asyncio.BaseProtocol)."""
        self._is_paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of everything (asyncio.BaseProtocol)."""
        self.end(f"the connection was lost: {exc}" if exc else "the server closed the connection")

    def _write(self, frame: bytes) -> None:
        self._out.append(frame)
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._out and not self._is_paused and self._transport is not None:
            out, self._out = self._out, []
            self._transport.write(b"".join(out))

    def _take(self, data: bytes) -> int:
        """Take each frame that is whole, and say where the rest begins. Raises PeerError."""
        at, end, unpack, takers = 0, len(data), FIRST.unpack_from, self._takers
        while end - at >= FIRST.size and self._transport is not None:
            high, low, kind, flags, ident = unpack(data, at)
            start = at + FIRST.size
            at = start + (high << 8 | low)
            if at - start > frames.LARGEST_FRAME:
                raise PeerError("a frame is longer than 16384 bytes, or this is not HTTP/2")
            if at > end:
                return start - FIRST.size
            if self._block is not None:
                self._continue(kind, flags, ident, data[start:at])
            elif (taker := takers.get(kind)) is not None:
                taker(flags, ident, data[start:at])
        return at

    # ---- frames ----------------------------------------------------------------------------------------------------

    def _take_data(self, flags: int, ident: int, payload: bytes) -> None:
        size = len(payload)
        self._received += size
        if self._received > WINDOW // 2:
            self._write(framed(frames.WINDOW_UPDATE, 0, 0, frames.ID.pack(self._received)))
            self._received = 0
        stream = self._streams.get(ident)
        if stream is None:
            self._check_begun(ident)
            return
        stream.received += size
        if flags & frames.PADDED:
            payload = frames.bare(frames.PADDED, payload)
        if flags & END_STREAM:
            self._forget(stream)
            stream.data(payload)
            stream.end(None)
            self._go_on()
            return
        if stream.received > WINDOW // 2:
            self._write(framed(frames.WINDOW_UPDATE, 0, ident, frames.ID.pack(stream.received)))
            stream.received = 0
        stream.data(payload)

    def _take_headers(self, flags: int, ident: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITY):
            payload = frames.bare(flags, payload)
        if not flags & END_HEADERS:
            self._block = (flags, ident, payload)
            return
        # Read in any case: it may change the table.
        meaning = self._meanings.meaning(payload)
        stream = self._streams.get(ident)
        if stream is None:
            self._check_begun(ident)
        elif flags & END_STREAM:
            self._forget(stream)
            stream.end(meaning)
            if self._waiting:
                self._go_on()
        else:
            stream.head(meaning)

    def _continue(self, kind: int, flags: int, ident: int, payload: bytes) -> None:
        assert self._block is not None
        before, its, block = self._block
        block += payload
        if kind != frames.CONTINUATION or ident != its or len(block) > _MOST_BLOCK:
            raise PeerError("a header block has no end")
        self._block = (before, its, block)
        if flags & END_HEADERS:
            self._block = None
            self._take_headers((before & END_STREAM) | END_HEADERS, its, block)

    def _take_reset(self, _: int, ident: int, payload: bytes) -> None:
        stream = self._streams.pop(ident, None)
        if stream is None:
            self._check_begun(ident)
            return
        self._blocked.pop(ident, None)
        stream.fail(f"the server reset the stream: {frames.code(payload)}")
        self._go_on()

    def _take_settings(self, flags: int, _: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        if len(payload) % frames.SETTING.size:
            raise PeerError("settings cannot be read")
        for name, value in frames.SETTING.iter_unpack(payload):
            self._set(name, value)
        self._write(framed(frames.SETTINGS, frames.ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)
        self._push_all()
        self._go_on()

    def _set(self, name: int, value: int) -> None:
        if name == frames.HEADER_TABLE_SIZE:
            self._is_first |= self._headers.resize(value)
        elif name == frames.MAX_CONCURRENT_STREAMS:
            self._most = value
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.LARGEST_FRAME <= value < 2**24:
                raise PeerError("its settings allow no such frames")
            self._frame = value
        elif name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise PeerError("a window is too large")
            for stream in self._streams.values():
                stream.room += value - self._stream_room
            self._stream_room = value

    def _take_room(self, _: int, ident: int, payload: bytes) -> None:
        more = frames.number(payload) & frames.LARGEST_WINDOW
        if not ident:
            self._room += more
            if self._room > frames.LARGEST_WINDOW:
                raise PeerError("a window is too large")
            if self._blocked:
                self._push_all()
        elif (stream := self._streams.get(ident)) is not None:
            stream.room += more
            if stream.pending:
                self._push(stream)

    def _push_all(self) -> None:
        for stream in [*self._blocked.values()]:
            self._push(stream)

    def _take_ping(self, flags: int, _: int, payload: bytes) -> None:
        if not flags & frames.ACK:
            self._write(framed(frames.PING, frames.ACK, 0, payload))

    def _take_goaway(self, _: int, __: int, payload: bytes) -> None:
        """The server begins no stream after the last that it names; those before it are answered still."""
        last = frames.number(payload) & frames.LAST_ID
        self.broken = f"the server takes no more: {frames.code(payload[4:])}"
        failing = [stream for ident, stream in self._streams.items() if ident > last]
        failing += [stream for stream, _, _ in self._waiting]
        self._waiting.clear()
        for stream in failing:
            self._streams.pop(stream.id, None)
            self._blocked.pop(stream.id, None)
            stream.fail(self.broken)
        if not self._streams:
            self.end(self.broken)

    def _take_promise(self, _: int, __: int, ___: bytes) -> None:
        raise PeerError("a frame came that cannot be here")

    def _forget(self, stream: Stream) -> None:
        """The server has ended a stream. One that still sends stops."""
        del self._streams[stream.id]
        if stream.pending or not stream.is_sent:
            stream.pending = b""
            self._blocked.pop(stream.id, None)
            self._write(framed(frames.RST_STREAM, 0, stream.id, frames.ID.pack(frames.CANCEL)))

    def _check_begun(self, ident: int) -> None:
        """What comes for a stream that has ended is late; for one that has not begun it is wrong."""
        if not ident % 2 or ident >= self._next:
            raise PeerError("a frame came for a stream that nobody has begun")
