"""`mcp-acl gateway` in front of MCP servers, as a process of its own with a real Envoy: only URLs come out."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from threading import Thread
from typing import Final

import pytest

from tests.hosts.running import ROOT

SECONDS: Final = 20.0


def envoy() -> Path:
    """The Envoy to run. Where there is none the test fails, unless MCP_ACL_WITHOUT_ENVOY=1 says to go without."""
    named = os.environ.get("MCP_ACL_ENVOY")
    found = [Path(named)] if named else list(ROOT.glob(".venv-envoy/lib/python*/site-packages/envoy/_bin/envoy"))
    if found and found[0].exists():
        return found[0]
    why = "there is no Envoy: run `make setup`, or set MCP_ACL_WITHOUT_ENVOY=1"
    if os.environ.get("MCP_ACL_WITHOUT_ENVOY") == "1":
        pytest.skip(why)
    pytest.fail(why)


@contextmanager
def through(
    directory: Path, policies: Mapping[str, str], servers: Mapping[str, str], flags: Sequence[str | Path] = ()
) -> Iterator[Mapping[str, str]]:
    """Run a gateway on policy files, by their names, and yield the URL at which it has each server.

    Its files are in `directory`; what it says of each decision is in `decisions` there.
    """
    directory.mkdir()
    for name, text in policies.items():
        (directory / name).write_text(text)
    upstreams = [f"--upstream={name}={url}" for name, url in servers.items()]
    command = [sys.executable, "-m", "mcp_acl", "gateway", "--policies", directory, "--listen", "127.0.0.1:0"]
    command += ["--json", "--envoy", envoy(), *upstreams, *flags]
    log = directory / "log"
    with (
        log.open("wb") as written,
        (directory / "decisions").open("wb") as decisions,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            copying = Thread(target=copyfileobj, args=(process.stdout, decisions), daemon=True)
            copying.start()
            found: Mapping[str, str] = json.loads(line)["servers"]
            yield found
        finally:
            process.terminate()
            process.wait(SECONDS)
