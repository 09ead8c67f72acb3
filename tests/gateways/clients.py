"""Clients of a gateway: HTTP/1.1 for whole answers and for streams that stay open, HTTP/2 for what only it can say."""

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

import h2.config
import h2.connection
import h2.errors
import h2.events

SECONDS: Final = 20.0
_JSON: Final = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


class Got(NamedTuple):
    """What came back. `broken`: it did not come to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False


def ask(port: int, message: bytes = b"", method: str = "POST", **headers: str) -> Got:
    """One request over HTTP/1.1, and all of its answer."""
    with opened(port, message, method, **headers) as response:
        told = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Got(response.status, told, response.read())
        except (http.client.IncompleteRead, ConnectionResetError) as error:
            return Got(response.status, told, getattr(error, "partial", b""), broken=True)


@contextmanager
def opened(port: int, message: bytes = b"", method: str = "POST", **headers: str) -> Iterator[http.client.HTTPResponse]:
    """One request over HTTP/1.1; its answer when the head has come. Ends the connection."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request(method, "/mcp", message or None, {**(_JSON if message else {}), **given})
        yield connection.getresponse()


def over_http2(port: int, *, method: str = "POST", body: bytes = b"", trailers: bool = False) -> Got:
    """One request over HTTP/2 and its answer, with trailers after the body, or in place of one."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        connection = _begun(sock)
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, _head(method), end_stream=not (body or trailers))
        if body:
            connection.send_data(stream, body, end_stream=not trailers)
        if trailers:
            connection.send_headers(stream, [("x-trailer", "1")], end_stream=True)
        sock.sendall(connection.data_to_send())
        return _answer(sock, connection)


def burst(port: int, message: bytes, number: int) -> None:
    """Requests that are cut off (RST_STREAM) as soon as they are sent, all on one connection."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        connection = _begun(sock)
        for _ in range(number):
            _cut_off(sock, connection, message)


def is_sent_away(port: int, number: int) -> bool:
    """Whether so many requests that are cut off, on one connection, are its end."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        connection = _begun(sock)
        try:
            for _ in range(number):
                _cut_off(sock, connection, b"")
            while data := sock.recv(65536):
                if any(isinstance(one, h2.events.ConnectionTerminated) for one in connection.receive_data(data)):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def _cut_off(sock: socket.socket, connection: h2.connection.H2Connection, message: bytes) -> None:
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, _head("POST"), end_stream=not message)
    if message:
        connection.send_data(stream, message, end_stream=True)
    connection.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
    sock.sendall(connection.data_to_send())


def _begun(sock: socket.socket) -> h2.connection.H2Connection:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    sock.sendall(connection.data_to_send())
    return connection


def _head(method: str) -> list[tuple[str, str]]:
    pseudo = {":method": method, ":scheme": "http", ":authority": "mcp.test", ":path": "/mcp"}
    return [*pseudo.items(), *_JSON.items()]


def _answer(sock: socket.socket, connection: h2.connection.H2Connection) -> Got:
    headers: dict[str, str] = {}
    body = b""
    while data := sock.recv(65536):
        for event in connection.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    headers = {str(name): str(value) for name, value in event.headers or ()}
                case h2.events.DataReceived():
                    body += event.data or b""
                case h2.events.StreamEnded():
                    return Got(int(headers[":status"]), headers, body)
                case h2.events.StreamReset():
                    return Got(int(headers.get(":status", 0)), headers, body, broken=True)
        sock.sendall(connection.data_to_send())
    return Got(0, headers, body, broken=True)
