"""`mcp-acl gateway` in front of MCP servers, as a process of its own with a real Envoy: only URLs come out."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.gateways.commands import FORMS, environment_of_tests, started

SECONDS: Final = 20.0


@contextmanager
def through(
    directory: Path,
    policies: Mapping[str, str],
    servers: Mapping[str, str],
    flags: Sequence[str | Path] = (),
    form: str = FORMS[0],
) -> Iterator[Mapping[str, str]]:
    """Run a gateway on policy files, by their names, and yield the URL at which it has each server.

    Its files are in `directory`; what it says of each decision is in `decisions` there.
    """
    directory.mkdir()
    for name, text in policies.items():
        (directory / name).write_text(text)
    upstreams = [f"--upstream={name}={url}" for name, url in servers.items()]
    command: list[str | Path] = [*started(form), "--policies", directory, "--listen", "127.0.0.1:0", "--json"]
    command += [*upstreams, *flags]
    log, decisions = directory / "log", directory / "decisions"
    with (
        log.open("wb") as errors,
        decisions.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=errors, env=environment_of_tests()) as process,
    ):
        try:
            first = _first_line(process, decisions)
            assert "servers" in first, f"{first}{log.read_text()}"
            found: Mapping[str, str] = json.loads(first)["servers"]
            yield found
        finally:
            process.terminate()
            process.wait(SECONDS)


def _first_line(process: "subprocess.Popen[bytes]", output: Path) -> str:
    """The line that says that it is ready, or what it said in its place."""
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until and "\n" not in output.read_text():
        time.sleep(0.02)
    return output.read_text().partition("\n")[0]
