"""Hosts for tests, on loopback: archives and git's own server over HTTPS, and git's own over ssh."""

import asyncio
import io
import os
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import asyncssh

from tests.certificates import Certified


def tar(files: Mapping[str, str]) -> bytes:
    """An archive of these files."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return written.getvalue()


class Host:
    """What a host has, and what it was asked. `archives` are bytes by path, each with its ETag."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        self.archives: dict[str, tuple[bytes, str]] = {}
        self.redirects: dict[str, str] = {}
        self.authorization = ""
        self.asked: list[tuple[str, str, int]] = []

    def url(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://localhost:{self.port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    host: ClassVar[Host]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        if self.host.authorization and self.headers.get("Authorization") != self.host.authorization:
            self._send(401, {"WWW-Authenticate": "Basic"}, b"")
        elif path[1:] in self.host.redirects:
            self._send(302, {"Location": self.host.redirects[path[1:]]}, b"")
        elif path[1:] in self.host.archives:
            content, etag = self.host.archives[path[1:]]
            known = etag and self.headers.get("If-None-Match") == etag
            self._send(304 if known else 200, {"ETag": etag} if etag else {}, b"" if known else content)
        elif ".git/" in path:
            self._send(*self._by_git(path, query, body))
        else:
            self._send(404, {}, b"<html>")

    def _by_git(self, path: str, query: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return int(headers.pop("Status", "200").split()[0]), headers, content

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.host.asked.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def hosting(root: Path, certified: Certified | None) -> Iterator[Host]:
    """Over TLS, or in the clear."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    host = handler.host = Host(root, server.server_address[1])  # type: ignore[attr-defined]
    if certified is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certified.cert, certified.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """What git asks for by ssh."""
    program, _, path = (process.command or "").partition(" ")
    assert "git-upload-pack" == program
    own = await asyncio.create_subprocess_exec(
        "git",
        "upload-pack",
        path.strip("'"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "GIT_PROTOCOL": process.env.get("GIT_PROTOCOL", "")},
    )
    asked = asyncio.create_task(_pumped(process.stdin, own.stdin))
    await _pumped(own.stdout, process.stdout)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    process.exit(await own.wait())


async def _pumped(source: Any, target: Any) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()


@contextmanager
def by_ssh(host_key: Path, clients: Path) -> Iterator[int]:
    """A host that runs what git asks for, for whoever has one of the keys; yields its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    keys = {"server_host_keys": [str(host_key)], "authorized_client_keys": str(clients)}

    async def listen() -> Any:
        return await asyncssh.listen("127.0.0.1", 0, **keys, process_factory=_run, encoding=None)

    async def close() -> None:
        server.close()
        await server.wait_closed()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield server.get_port()
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
