"""HTTP requests over a plain socket, byte for byte as they are given. Knows nothing of what is in them."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from threading import Event, Timer
from typing import Final
from urllib.parse import urlsplit

_MOST: Final = 64 * 1024 * 1024
"""Bytes of a response that are read."""

_CHUNK: Final = 16_384


@dataclass(frozen=True, slots=True)
class Target:
    """Where a gateway listens, and the path at which it serves MCP."""

    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """The host and the port, as a URL has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `Host`, the length and the end of the connection are added."""

    method: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    chunked: bool


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Status 0: nothing did; `late`: not in time."""

    status: int
    body: bytes
    late: bool = False


def target_of(url: str) -> Target:
    """The target by its URL. Raises ValueError for one that cannot be used; only plain HTTP can."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("write `http://HOST:PORT/PATH`")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, parts.port or 80, path)


def send(target: Target, request: Request, timeout: float) -> Response:
    """Send one request on a connection of its own, and read what comes until the end, or until the time is over.

    The time is for all of it: a gateway that keeps a stream alive says something again and again.
    """
    body = _chunks(request.body) if request.chunked else request.body
    framing = ("Transfer-Encoding", "chunked") if request.chunked else ("Content-Length", str(len(body)))
    lines = [("Host", target.address), *request.headers, framing, ("Connection", "close")]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    try:
        with socket.create_connection((target.host, target.port), timeout) as connection:
            with _ended(connection, timeout) as is_late:
                # A gateway may answer before it has read everything, and close.
                with suppress(OSError):
                    connection.sendall(f"{request.method} {target.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
                response = _read(connection, request.method)
            return replace(response, late=response.late or (is_late.is_set() and not response.body))
    except OSError as error:
        return Response(0, b"", isinstance(error, TimeoutError))


@contextmanager
def _ended(connection: socket.socket, seconds: float) -> Iterator[Event]:
    """End the connection after so many seconds, whatever still comes; what is yielded says whether that was done."""
    is_late = Event()

    def end() -> None:
        is_late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def _chunks(body: bytes) -> bytes:
    parts = [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _read(connection: socket.socket, method: str) -> Response:
    """What can be read. A body that is cut off counts as far as it came: what is in it was let through."""
    response = HTTPResponse(connection, method=method)
    found = bytearray()
    try:
        response.begin()
        with suppress(OSError, HTTPException, ValueError):
            while len(found) < _MOST and (part := response.read1(_CHUNK)):
                found += part
    except (OSError, HTTPException, ValueError) as error:
        return Response(0, b"", isinstance(error, TimeoutError))
    finally:
        response.close()
    return Response(response.status, bytes(found))
