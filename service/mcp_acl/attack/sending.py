"""HTTP requests over a plain socket, byte for byte as they are given. Knows nothing of what is in them."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
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
    """Send one request on a connection of its own, and read what comes until the end, or until nothing does any more."""
    body = _chunks(request.body) if request.chunked else request.body
    framing = ("Transfer-Encoding", "chunked") if request.chunked else ("Content-Length", str(len(body)))
    lines = [("Host", target.address), *request.headers, framing, ("Connection", "close")]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    try:
        with socket.create_connection((target.host, target.port), timeout) as connection:
            # A gateway may answer before it has read everything, and close.
            with suppress(OSError):
                connection.sendall(f"{request.method} {target.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            return _read(connection, request.method)
    except OSError as error:
        return Response(0, b"", isinstance(error, TimeoutError))


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
