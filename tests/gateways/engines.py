"""The real service as an engine for gateways, on each host: started, frozen, killed and started again."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.hosts.running import python_of
from tests.installed import ROOT

SECONDS: Final = 30.0
HOSTS: Final = ("grpcio", "envoy")

POLICY: Final = """\
version: 1
policy: weather
servers: [weather]
rules:
  - id: forecasts
    methods: [tools/list, tools/call]
    name: forecast
  - id: history
    methods: [tools/list, tools/call]
    name: history
    cel: 'claims.role == "admin" || claims.sub == "gateway.test"'
  - id: from-here
    methods: [tools/list, tools/call]
    name: local
    cel: 'request.remote_address == "127.0.0.1" && attributes["source.address"].startsWith("127.0.0.1:")'
"""


class Engine:
    """One service: where it listens, and its processes."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self.log = log

    def send(self, sign: signal.Signals) -> None:
        """To all of its processes, which are a group of their own."""
        os.killpg(self.process.pid, sign)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait(SECONDS)


def policies(directory: Path) -> Path:
    """A directory with the policies of these tests."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "weather.yaml").write_text(POLICY)
    return directory


@contextmanager
def engine(host: str, directory: Path, *flags: str, listen: str = "127.0.0.1:0") -> Iterator[Engine]:
    """Run the service on a host."""
    given = policies(directory / "policies")
    command = [
        python_of(host),
        "-m",
        "mcp_acl",
        "serve",
        "--policies",
        str(given),
        "--host",
        host,
        "--listen",
        listen,
        *flags,
    ]
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT)])
    # Variables of these tests are no settings of the service.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MCP_ACL_")}
    log = directory / f"{host}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**env, "PYTHONPATH": path},
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            yield Engine(process, _address(process, log), log)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                process.terminate()
                process.wait(SECONDS)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listening on (\S+)\n", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2000:])
