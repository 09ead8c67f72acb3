"""HTTP to Envoy over a socket file: its admin interface, and the listener for probes. Blocks; knows no configuration."""

import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Final, NamedTuple

_SECONDS: Final = 5.0


class Reply(NamedTuple):
    """An answer. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(  # noqa: PLR0913, PLR0917 - a request
    file: Path,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    seconds: float = _SECONDS,
) -> Reply:
    """One request on a connection of its own, whose every step may take so many seconds. Raises OSError or HTTPException."""
    connection = _Connection(file, seconds)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class _Connection(HTTPConnection):
    def __init__(self, file: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._file))
