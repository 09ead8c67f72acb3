"""An MCP server that answers exactly the bytes it is told, and writes down what reached it."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

TOOLS: Final = ["forecast", "history", "delete"]
SECRET: Final = b"delete"
"""A name that no anonymous principal may see."""


@dataclass(frozen=True)
class Arrived:
    """One request, as it reached the server."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Arrived], Iterable[bytes]]


class Upstream:
    """Where it listens, how it answers, and what has come."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.arrived: list[Arrived] = []
        self.answer: Answer = json_list

    def reset(self, answer: Answer) -> None:
        """Forget what came, and answer like this from now on."""
        self.arrived.clear()
        self.answer = answer


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run it in threads of this process."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (request := _request(self.rfile)) is not None:
                found.arrived.append(request)
                try:
                    for piece in found.answer(request):
                        self.wfile.write(piece)
                        self.wfile.flush()
                except OSError:
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        found = Upstream(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(10)


def _request(stream: object) -> Arrived | None:
    read = stream.readline  # type: ignore[attr-defined]
    try:
        first = read().decode("latin-1").split()
    except OSError:
        return None
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := read().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(read().strip() or b"0", 16):
            body += stream.read(size)  # type: ignore[attr-defined]
            read()
        while read().strip():
            pass
    elif length := int(headers.get("content-length", 0)):
        body = stream.read(length)  # type: ignore[attr-defined]
    return Arrived(first[0], first[1], headers, body)


# ---- answers --------------------------------------------------------------------------------------------------------


def whole(body: bytes, content_type: str = "application/json", status: str = "200 OK", *more: str) -> Answer:
    """A body with its length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *more]
    if content_type:
        lines.append(f"content-type: {content_type}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return lambda _: [head, body]


def chunked(pieces: Iterable[bytes], content_type: str, *more: str, trailers: bytes = b"") -> Answer:
    """A body in chunks, each sent as it comes; with trailers perhaps."""

    def answer(_: Arrived) -> Iterator[bytes]:
        lines = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", f"content-type: {content_type}", *more]
        yield "\r\n".join(lines).encode() + b"\r\n\r\n"
        for piece in pieces:
            if piece:
                yield b"%x\r\n%s\r\n" % (len(piece), piece)
        yield b"0\r\n" + trailers + b"\r\n"

    return answer


def listing(*tools: str) -> bytes:
    """The answer to `tools/list` with the id 1."""
    entries = [{"name": tool, "inputSchema": {}} for tool in tools or TOOLS]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": entries}}).encode()


def event(data: bytes) -> bytes:
    return b"event: message\ndata: " + data + b"\n\n"


json_list: Final = whole(listing())
