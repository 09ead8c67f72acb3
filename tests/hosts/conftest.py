"""Servers for the tests of hosts: each kind is started once, on a free port of loopback, and ended."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0


def _pyvoy() -> str | None:
    """The server that carries the ASGI host: beside this Python, or in an environment of its own."""
    places = os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / ".venv-envoy" / "bin")])
    return shutil.which("pyvoy", path=places)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[int]:
    """Run a server and yield the port that it says it listens on."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "service"), str(ROOT)])}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
        try:
            yield _port(process, log)
        finally:
            process.terminate()
            process.wait(20)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)\n", log.read_text(errors="replace"))
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


@pytest.fixture(scope="session", params=["grpcio", "pyvoy"])
def channel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A channel to each kind of host in turn."""
    command = [sys.executable, "-m", "tests.hosts.service"]
    if request.param == "pyvoy":
        pyvoy = _pyvoy()
        if pyvoy is None:
            pytest.skip("there is no pyvoy: install requirements/envoy.txt in .venv-envoy")
        command = [pyvoy, "--port", "0", "tests.hosts.service:app"]
    with running(command, tmp_path_factory.mktemp("host") / "log") as port:
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options) as opened:
            yield opened
