"""The official conformance suites of MCP, and the server of an official SDK that was made for them. Knows nothing of gateways."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 20.0
SUITE_SECONDS: Final = 120.0

SERVER: Final = ROOT / ".venv-peers" / "bin" / "go-conformance"
"""The conformance server of the Go SDK: a package of the module that the peer in Go is built on."""

_NODE: Final = ROOT / ".venv" / "bin" / "node"
_MODULES: Final = ROOT / "tests" / "node" / "node_modules"
_TRIES: Final = 3
_STAMP: Final = re.compile(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")

Results = Mapping[str, Sequence[str]]
"""By scenario, what came of each of its checks in their order: `id STATUS`."""


class Suite(NamedTuple):
    """A suite, the revision that it is told to test (all, if none), how the server is started for it, and which scenarios count."""

    package: str
    version: str | None
    server_flags: Sequence[str]
    scenarios: str = ""

    def command(self, url: str, directory: Path) -> list[str | Path]:
        """What runs it, and leaves its results in a directory."""
        program = _MODULES / self.package / "dist" / "index.js"
        version = ["--spec-version", self.version] if self.version else []
        return [_NODE, program, "server", "--url", url, "--suite", "all", *version, "--output-dir", directory]


SESSIONS: Final = ("-stateless=false",)
SUITES: Final[Mapping[str, Suite]] = {
    "0.1.16": Suite("@modelcontextprotocol/conformance", None, SESSIONS),
    "0.2.0-alpha.12, 2025-11-25": Suite("conformance-next", "2025-11-25", SESSIONS),
    "0.2.0-alpha.12, 2026-07-28": Suite("conformance-next", "2026-07-28", ()),
    "0.2.0-alpha.12, extensions": Suite("conformance-next", None, (), "tasks-|sep-2640-"),
}


def run(suite: Suite, url: str, directory: Path) -> Results:
    """Run a suite against a server and read what it found. What fails is a result; a suite that does not run is an error."""
    ended = subprocess.run(
        suite.command(url, directory), capture_output=True, text=True, timeout=SUITE_SECONDS, check=False
    )
    found = {}
    for file in directory.glob("*/checks.json"):
        named = _STAMP.match(file.parent.name)
        assert named is not None, file
        if re.match(suite.scenarios, named[1]):
            found[named[1]] = [f"{check['id']} {check['status']}" for check in json.loads(file.read_bytes())]
    assert found, ended.stderr
    return found


@contextmanager
def serving_conformance(directory: Path, *flags: str) -> Iterator[str]:
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
