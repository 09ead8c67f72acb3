"""Clients that mean no good, by hand over HTTP/2: they begin what they do not end, and do not read what they asked for."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from mcp_acl.adapters.grpc_api import SERVICE

SECONDS = 30.0


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), SECONDS) as one:
        yield one


class Peer:
    """One HTTP/2 connection. `window`: the bytes that the server may send of each answer."""

    def __init__(self, raw: socket.socket, window: int = 65535) -> None:
        self._raw = raw
        self._h2 = H2Connection(
            H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False)
        )
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def flush(self) -> None:
        self._raw.sendall(self._h2.data_to_send())

    def begin(self, method: str = "Check") -> int:
        """A call, of which nothing follows by itself."""
        return self.begin_at(f"/{SERVICE}/{method}".encode())

    def begin_at(self, path: bytes) -> int:
        """A call by its path, whatever that is."""
        stream = self._h2.get_next_available_stream_id()
        headers = {
            b":method": b"POST",
            b":scheme": b"http",
            b":path": path,
            b":authority": b"x",
            b"content-type": b"application/grpc",
            b"te": b"trailers",
        }
        self._h2.send_headers(stream, list(headers.items()))
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Bytes of a call, as far as the server's window goes."""
        while True:
            room = min(len(data), self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            self._h2.send_data(stream, data[:room], end_stream=end and room == len(data))
            self.flush()
            data = data[room:]
            if not data:
                return
            if not self._h2.local_flow_control_window(stream):
                self.read()

    def read(self) -> list[object]:
        """What has come, at least something."""
        data = self._raw.recv(65536)
        if not data:
            raise ConnectionResetError
        events = self._h2.receive_data(data)
        self.flush()
        return list(events)


def framed(message: bytes, length: int | None = None) -> bytes:
    return b"\0" + (len(message) if length is None else length).to_bytes(4, "big") + message
