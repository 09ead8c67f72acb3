"""The canary: an MCP server that is as lenient as they come. It runs nothing, and remembers all that it was asked.

It answers as it is told, or as a server would that hides nothing. Knows no policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final

import msgspec

from mcp_acl.attack.cases import Answer
from mcp_acl.attack.reading import documents_of

_MOST: Final = 64 * 1024 * 1024
"""Bytes of a body that are read."""

_RESULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}, "prompts": {}, "resources": {"subscribe": True}, "completions": {}, "tasks": {}},
        "serverInfo": {"name": "canary", "version": "1"},
    },
    "tools/list": {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "secret_delete")]},
    "prompts/list": {"prompts": [{"name": "greet"}, {"name": "secret_prompt"}]},
    "resources/list": {"resources": [{"uri": f"demo://{name}", "name": name} for name in ("public/a", "secret/plan")]},
    "resources/templates/list": {
        "resourceTemplates": [{"uriTemplate": f"demo://{name}/{{name}}", "name": name} for name in ("docs", "secret")]
    },
    "tools/call": {"content": [{"type": "text", "text": "done"}]},
    "prompts/get": {"messages": []},
    "resources/read": {"contents": []},
    "completion/complete": {"completion": {"values": []}},
    "tasks/list": {"tasks": []},
    "skills/list": {"skills": []},
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One HTTP request as it came. Names of headers are lower case."""

    method: str
    path: str
    headers: Mapping[str, Sequence[str]]
    body: bytes


class Canary:
    """What was heard since it was told what to answer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._heard: list[Heard] = []
        self._answer: Answer | None = None

    def tell(self, answer: Answer | None) -> None:
        """What to answer from now on; None: what a server would. What was heard before is forgotten."""
        with self._lock:
            self._answer = answer
            self._heard = []

    def heard(self) -> Sequence[Heard]:
        """Every request since."""
        with self._lock:
            return tuple(self._heard)

    def hear(self, request: Heard) -> Answer:
        """Remember a request, and say what to answer."""
        with self._lock:
            self._heard.append(request)
            return self._answer or _usual(request)

    @contextmanager
    def serving(self, host: str, port: int) -> Iterator[int]:
        """Serve on an address, and yield the port. Raises OSError if that cannot be."""
        canary = self

        class Handler(_Handler):
            hears = canary.hear

        server = _Server((host, port), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _usual(request: Heard) -> Answer:
    """The answer to the first message that can be found."""
    message = next((one[0] if isinstance(one, list) and one else one for one in documents_of(request.body)), None)
    members: Mapping[str, Sequence[Any]] = message if isinstance(message, dict) else {}
    if "method" not in members or "id" not in members:
        return Answer(202 if request.body else 200, "", {}, b"")
    result = _RESULTS.get(str(members["method"][-1]), {})
    return Answer(200, "application/json", {}, _encoded({"jsonrpc": "2.0", "id": members["id"][-1], "result": result}))


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: they belong to the attacks."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    hears: Any

    def _exchange(self) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        answer: Answer = self.hears(Heard(self.command, self.path, headers, self._body()))
        self.send_response_only(answer.status)
        fields = {"Content-Type": answer.content_type, **answer.headers, "Content-Length": str(len(answer.body))}
        for name, value in fields.items():
            if value:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _exchange  # noqa: N815 - the framework's names

    def _body(self) -> bytes:
        if "chunked" not in str(self.headers.get("transfer-encoding", "")).lower():
            return self.rfile.read(min(int(self.headers.get("content-length", 0) or 0), _MOST))
        found = bytearray()
        while size := int(self.rfile.readline(100).split(b";")[0].strip() or b"0", 16):
            found += self.rfile.read(min(size, _MOST - len(found)))
            self.rfile.readline(100)
        while self.rfile.readline(1000).strip():
            pass
        return bytes(found)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
