"""Hosts that run for tests, each in a process of its own, and the transports they are reached by."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc

from tests.certificates import Certified
from tests.installed import ROOT, needed

START_SECONDS = 30.0
CLIENT_NAME = "gateway.test"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Transport(NamedTuple):
    """What a server is told of where to listen, and how a client reaches the address that it says."""

    told: Mapping[str, object]
    open: Callable[[str], grpc.Channel]


def transport(name: str, directory: Path) -> Transport:
    """One of TRANSPORTS, with its files in a directory."""
    certified = Certified(directory)
    tls = {"cert": str(certified.cert), "key": str(certified.key)}
    match name:
        case "tcp":
            return Transport({}, lambda address: grpc.insecure_channel(address, _OPTIONS))
        case "unix":
            socket = {"listen": f"unix:{directory}/acl.sock"}
            return Transport(socket, lambda address: grpc.insecure_channel(address, _OPTIONS))
        case "tls":
            return Transport(tls, lambda address: grpc.secure_channel(address, certified.credentials(), _OPTIONS))
        case "mtls":
            told = {**tls, "client_ca": str(certified.client_ca), "names": [CLIENT_NAME]}
            credentials = certified.credentials(CLIENT_NAME)
            return Transport(told, lambda address: grpc.secure_channel(address, credentials, _OPTIONS))
    raise AssertionError(name)


TRANSPORTS = ("tcp", "tls", "mtls", "unix")


def python_of(host: str) -> str:
    """The Python that has a host: this one, or for Envoy that of an environment of its own."""
    if host != "envoy" or importlib.util.find_spec("pyvoy") is not None:
        return sys.executable
    return str(needed(ROOT / ".venv-envoy" / "bin" / "python", "Envoy", "WITHOUT_ENVOY"))


@contextmanager
def running(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server and yield the address that it says it listens on."""
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT)])
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            cwd=ROOT,
        )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(20)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"listening on (\S+)\n", log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


@contextmanager
def channel_to(host: str, name: str, directory: Path) -> Iterator[grpc.Channel]:
    """A channel to a host (`grpcio`, …) by a transport. Skips the test where the host is not installed."""
    reached = transport(name, directory)
    command = [python_of(host), "-m", "tests.hosts.service", host, json.dumps(reached.told)]
    with running(command, directory / "log") as address, reached.open(address) as channel:
        yield channel
