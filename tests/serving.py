"""Services for the tests of clients: the real one as a process, and one that answers as it is told, in this process."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

SECONDS = 20.0

Handler = Callable[[str, Iterator[bytes]], Iterator[bytes]]
"""What a service answers: the path of the method and the requests in, the answers out. Raises `Status` to end otherwise."""


@contextmanager
def serving(policies: Path, *flags: str) -> Iterator[str]:
    """Run the real service, and yield the last address it says."""
    command = [sys.executable, "-m", "mcp_acl", "serve", "--policies", str(policies), "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on "), line
            yield line.split()[-1]
        finally:
            process.terminate()
            process.wait(SECONDS)


class Status(Exception):  # noqa: N818 - it is how a call ends, and no error of the test
    """The call ends with this status."""

    def __init__(self, code: grpc.StatusCode, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class _Methods(grpc.GenericRpcHandler):
    """Every method there may be: one message or many make no difference on the wire."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        path: Any = details.method

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                yield from self._handler(path, requests)
            except Status as status:
                context.abort(status.code, status.text)

        return grpc.stream_stream_rpc_method_handler(answer)


@contextmanager
def answering(
    handler: Handler, listen: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """Serve a handler, and yield its address."""
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, [_Methods(handler)], options=[("grpc.so_reuseport", 0)])
        port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
        server.start()
        try:
            yield listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
        finally:
            server.stop(0).wait(SECONDS)
