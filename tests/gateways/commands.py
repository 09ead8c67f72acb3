"""`mcp-acl gateway` as a process on loopback, what it prints, and a server behind it that writes down what arrives."""

import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.hosts.running import python_of
from tests.installed import ROOT, envoy

SECONDS: Final = 30.0
FORMS: Final = ("two processes", "one process")
FORECASTS: Final = """
version: 1
policy: weather
servers: [weather]
rules:
  - {id: forecasts, methods: [tools/list, tools/call], name: forecast}
"""
"""A policy of one rule."""
REVISION: Final = "2025-11-25"


class Answer(NamedTuple):
    """What came back. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def reply(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.body)


def ask(port: int, path: str, message: object = None, *, method: str = "", token: str = "", **headers: str) -> Answer:
    """One request on a connection of its own; with a message a POST."""
    usual = {"Accept": "application/json, text/event-stream"}
    usual |= {"Content-Type": "application/json"} if message is not None else {}
    usual |= {"Authorization": f"Bearer {token}"} if token else {}
    body = message if isinstance(message, bytes) else json.dumps(message).encode() if message is not None else None
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, usual | given)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def call(method: str, **params: Any) -> Mapping[str, Any]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


class Gateway:
    """A command that runs."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self._log = log
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.first = self.line()
        self.ready: Mapping[str, Any] = json.loads(self.first) if self.first.startswith("{") else {}

    @property
    def port(self) -> int:
        return int(self.ready["listening"].rpartition(":")[2])

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def line(self) -> str:
        """The next line of standard output; empty at its end."""
        return self._lines.get(timeout=SECONDS)

    def seen(self, method: str) -> Mapping[str, Any]:
        """The next decision on a method."""
        while line := self.line():
            seen: Mapping[str, Any] = json.loads(line)
            if seen["method"] == method:
                return seen
        raise AssertionError(self.log)

    def ended(self) -> int:
        return self.process.wait(SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")


def started(form: str, program: str = "mcp_acl") -> list[str]:
    """The command in one of its forms, up to its own flags."""
    if form == "one process":
        return [python_of("envoy"), "-P", "-m", program, "gateway", "--one-process"]
    return [sys.executable, "-P", "-m", program, "gateway", "--envoy", str(envoy())]


def environment_of_tests() -> dict[str, str]:
    """With what the Python that has Envoy inside is to find here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "service"), str(ROOT)])}


@contextmanager
def gateway(  # noqa: PLR0913 - flags
    directory: Path,
    policies: Path,
    upstreams: Sequence[str],
    *flags: str,
    listen: str = "127.0.0.1:0",
    json_: bool = True,
    form: str = FORMS[0],
    program: str = "mcp_acl",
) -> Iterator[Gateway]:
    """Run the command in one of its forms, with its directories of its own under `directory`. It has ended when this has."""
    log, temporary = directory / "gateway.log", directory / "tmp"
    temporary.mkdir(exist_ok=True)
    command = [*started(form, program), "--policies", str(policies), "--listen", listen]
    command += [*(["--json"] if json_ else []), *flags]
    command += [part for one in upstreams for part in ("--upstream", one)]
    environment = {**environment_of_tests(), "TMPDIR": str(temporary)}
    with (
        log.open("w") as stream,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True, env=environment) as process,
    ):
        try:
            yield Gateway(process, log)
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            finally:
                process.kill()


class Arrived(NamedTuple):
    """A request that reached the server."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Recording:
    """An MCP server that has three tools, and calls any."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}/mcp"
        self.arrived: list[Arrived] = []


@contextmanager
def recording(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Recording]:
    """Run one in this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.arrived.append(Arrived(self.command, self.path, headers, body))
            answer = _answer_to(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Location", server.url)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with Server((host, 0), Handler) as http:
        server = Recording(int(http.server_address[1]), "http" if tls is None else "https")
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()


def processes_of(directory: Path) -> list[str]:
    """What runs with something in the temporary directory of a gateway."""
    asked = subprocess.run(["/bin/ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    return [line for line in asked.stdout.splitlines() if str(directory / "tmp") in line]


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _answer_to(body: bytes) -> bytes:
    try:
        message = json.loads(body)
    except ValueError:
        return b"{}"
    if message["method"] == "tools/list":
        result: Any = {"tools": [{"name": name, "inputSchema": {}} for name in ("forecast", "history", "delete")]}
    else:
        result = {"content": [{"type": "text", "text": "done"}]}
    return json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result}).encode()
