"""The official conformance suites of MCP, and the server of an official SDK that was made for them. Knows nothing of gateways."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.installed import ROOT

HERE: Final = Path(__file__).parent
SECONDS: Final = 20.0
SUITE_SECONDS: Final = 120.0

SERVER: Final = ROOT / ".venv-peers" / "bin" / "go-conformance"
"""The conformance server of the Go SDK: a package of the module that the peer in Go is built on."""

_NODE: Final = ROOT / ".venv" / "bin" / "node"
_MODULES: Final = ROOT / "tests" / "node" / "node_modules"
_BEARER: Final = HERE / "bearer.cjs"
_AT_ONCE: Final = 3
_TRIES: Final = 3
_STAMP: Final = re.compile(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")

Results = Mapping[str, Sequence[str]]
"""By scenario, what came of each of its checks in their order: `id STATUS`."""


class Suite(NamedTuple):
    """A suite, what it is told to test, and the server for it: the one of the Go SDK with flags, or the one with extensions."""

    package: str
    asked: Sequence[Sequence[str]]
    server_flags: Sequence[str] | None

    def commands(self, url: str, directory: Path) -> list[list[str | Path]]:
        """What runs it, and leaves its results in a directory."""
        program = _MODULES / self.package / "dist" / "index.js"
        to: list[str | Path] = ["--url", url, "--output-dir", directory]
        return [[_NODE, "--require", _BEARER, program, "server", *to, *asked] for asked in self.asked]


_ALL: Final = ("--suite", "all")
_EXTENSIONS: Final = [
    *(f"sep-2640-skills-{one}" for one in ("directory", "enumeration", "manifest")),
    *("tasks-capability-negotiation", "tasks-dispatch-and-envelope", "tasks-lifecycle", "tasks-mrtr-composition"),
    *("tasks-mrtr-input", "tasks-request-headers", "tasks-request-state-removal", "tasks-required-task-error"),
    *("tasks-status-notifications", "tasks-wire-fields"),
]
_SESSIONS: Final = ("-stateless=false",)
SUITES: Final[Mapping[str, Suite]] = {
    "0.1.16": Suite("@modelcontextprotocol/conformance", [_ALL], _SESSIONS),
    "0.2.0-alpha.12, 2025-11-25": Suite("conformance-next", [[*_ALL, "--spec-version", "2025-11-25"]], _SESSIONS),
    "0.2.0-alpha.12, 2026-07-28": Suite("conformance-next", [[*_ALL, "--spec-version", "2026-07-28"]], ()),
    "0.2.0-alpha.12, extensions": Suite("conformance-next", [["--scenario", one] for one in _EXTENSIONS], None),
}


def run(suite: Suite, url: str, directory: Path, token: str) -> Results:
    """Run a suite against a server and read what it found. What fails is a result; a suite that does not run is an error."""
    environment = {**os.environ, "MCP_TOKEN": token}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        errors = list(pool.map(partial(_run, environment), suite.commands(url, directory)))
    found = {}
    for file in directory.glob("*/checks.json"):
        named = _STAMP.match(file.parent.name)
        assert named is not None, file
        found[named[1]] = [f"{check['id']} {check['status']}" for check in json.loads(file.read_bytes())]
    assert found, errors
    return found


def _run(environment: Mapping[str, str], command: Sequence[str | Path]) -> str:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SUITE_SECONDS, check=False)
    return ended.stderr


@contextmanager
def serving(suite: Suite, directory: Path) -> Iterator[str]:
    """Run the server for a suite, and yield its URL."""
    if suite.server_flags is not None:
        with _serving_conformance(directory, *suite.server_flags) as url:
            yield url
        return
    command = [_NODE, HERE / "extensions_server.mjs"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready, _, url = process.stdout.readline().strip().partition(" ")
            assert "ready" == ready
            yield url
        finally:
            process.stdin.close()
            process.wait(SECONDS)


@contextmanager
def _serving_conformance(directory: Path, *flags: str) -> Iterator[str]:
    """Run the server on a free port and yield its URL. It cannot say which port the system gave it, so one is chosen before."""
    log = directory / "go-conformance.log"
    for _ in range(_TRIES):
        port = _free_port()
        with (
            log.open("wb") as written,
            subprocess.Popen([SERVER, "-http", f"127.0.0.1:{port}", *flags], stdout=written, stderr=written) as process,
        ):
            try:
                if _is_up(process, port):
                    yield f"http://127.0.0.1:{port}/mcp"
                    return
            finally:
                process.kill()
    raise AssertionError(log.read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _is_up(process: "subprocess.Popen[bytes]", port: int) -> bool:
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False
