"""Bytes to a peer and back, over one connection that is kept: no client that would tidy up what is sent.

Knows no MCP but the session that some peers ask for.
"""

import re
import socket
from contextlib import suppress
from typing import Final

from tests.peers.messages import LEGACY, Asked, Header, Sent, headers_for, text_of, value_of
from tests.peers.running import SECONDS, Peer

_HELLO: Final = Asked(
    "initialize",
    {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
)
_SESSION: Final = "Mcp-Session-Id"
_PATIENCE: Final = 10.0
"""Seconds until a message counts as not answered."""


class Answer:
    """An HTTP answer: status, headers by their name in lower case, body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.body = body


class Line:
    """One connection to a peer, opened again when it was closed; with a session if the peer wants one."""

    def __init__(self, peer: Peer, *, session: bool) -> None:
        self._peer = peer
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._session: tuple[Header, ...] = ()
        self._wants_session = session
        if session:
            self._greet()

    def send(self, sent: Sent, mark: str) -> Answer | None:
        """Send a message with the header `X-Message`; None if the peer closes without an answer, or does not answer in time."""
        answer = self._post(sent, mark)
        if self._wants_session and answer is not None and answer.status == 404:
            self._greet()
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def _greet(self) -> None:
        self._session = ()
        headers = headers_for(_HELLO, LEGACY)
        answer = self._post(Sent(text_of(value_of(_HELLO, LEGACY)).encode(), headers), "")
        assert answer is not None
        self._session = ((_SESSION, answer.headers[_SESSION.lower()].encode()),)
        ready = text_of({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
        self._post(Sent(ready, headers), "")

    def _post(self, sent: Sent, mark: str) -> Answer | None:
        """A connection that was kept may have been closed meanwhile: then once more, over a new one."""
        for _ in range(1 if self._socket is None else 2):
            try:
                return self._exchange(sent, mark)
            except ConnectionError:
                self.close()
            except TimeoutError:
                self.close()
                break
        return None

    def _exchange(self, sent: Sent, mark: str) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection((self._peer.host, self._peer.port), SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(_PATIENCE)
        lines = [b"POST /mcp HTTP/1.1", f"Host: {self._peer.host}:{self._peer.port}".encode()]
        lines += [b": ".join((name.encode(), value)) for name, value in (*sent.headers, *self._session)]
        lines += [f"X-Message: {mark}".encode(), f"Content-Length: {len(sent.body)}".encode(), b"", sent.body]
        self._socket.sendall(b"\r\n".join(lines))
        return self._answer()

    def _answer(self) -> Answer:
        head = self._until(b"\r\n\r\n")
        answer = Answer(head, b"")
        length = answer.headers.get("content-length")
        if "chunked" in answer.headers.get("transfer-encoding", ""):
            answer.body = self._chunks()
        elif length is not None:
            answer.body = self._exactly(int(length))
        elif answer.status not in {202, 204}:
            answer.body = self._rest()
        if "close" in answer.headers.get("connection", ""):
            self.close()
        return answer

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionResetError
        self._buffer += piece

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _chunks(self) -> bytes:
        body = b""
        while size := int(re.split(b"[;\r]", self._until(b"\r\n"))[0], 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")
        return body

    def _rest(self) -> bytes:
        with suppress(OSError):
            while True:
                self._more()
        body, self._buffer = self._buffer, b""
        self.close()
        return body
