"""A service to measure: started with policies of its own, changed while it runs, and ended whatever happens. Knows no workload."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.rows import PREFIX

SHORTEST_RELOAD: Final = 0.5
"""Seconds between changes that a service takes, each of them: policies must have stayed the same for a while."""

_LOOKS: Final = "0.1"
"""Seconds between looks at the policy directory of a service whose policies change; else it looks as often as ever."""
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 10.0


class ServerError(Exception):
    """A service that does not start. The text says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, and where its policies are."""

    address: str
    pid: int
    directory: Path

    def put(self, files: Sequence[SourceFile]) -> None:
        """Put these policies in the place of the others; the service sees it by itself."""
        for file in files:
            written = self.directory / f".{file.name}"
            written.write_bytes(file.content)
            written.rename(self.directory / file.name)
        names = {file.name for file in files}
        for path in self.directory.glob("*.yaml"):
            if path.name not in names:
                path.unlink()


@contextmanager
def running(  # noqa: PLR0913 - what a service is started with
    host: str,
    files: Sequence[SourceFile],
    python: str = sys.executable,
    *,
    changes: bool = False,
    seconds: float = _START_SECONDS,
    flags: Sequence[str] = (),
) -> Iterator[Running]:
    """Run `mcp-acl serve` on a free port of this machine, with another Python if that is given. Raises ServerError.

    `changes`: policies will, and are to be seen soon. The settings are those of a service that is told nothing but `flags`: no variable counts.
    """
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="mcp-acl-bench-")))
        log = ending.enter_context(tempfile.TemporaryFile())
        for file in files:
            (directory / file.name).write_bytes(file.content)
        command = [python, "-P", "-m", "mcp_acl", "serve", "--attached"]
        command += [*_flags(host, directory, changes=changes), *flags]
        process = ending.enter_context(_started(command, log))
        ending.callback(_end, process)
        yield Running(_ready(process, log, seconds), process.pid, directory)


def _flags(host: str, directory: Path, *, changes: bool) -> list[str]:
    flags = ["--policies", str(directory), "--host", host, "--listen", "127.0.0.1:0", "--drain", "0"]
    return [*flags, "--reload", _LOOKS] if changes else flags


def _started(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(  # noqa: S603 - the caller's own Python
            command, stdin=pipe, stdout=pipe, stderr=log, env=environment
        )
    except OSError as error:
        raise ServerError(f"`{command[0]}` cannot be run: {error.strerror}") from None


def _ready(process: "subprocess.Popen[bytes]", log: IO[bytes], seconds: float) -> str:
    """The address it says that it listens on."""
    assert process.stdout is not None
    alarm = threading.Timer(seconds, process.kill)
    alarm.start()
    try:
        line = process.stdout.readline()
    finally:
        is_late = not alarm.is_alive()
        alarm.cancel()
    if line:
        address: str = json.loads(line)["listening"][0]
        return address
    log.seek(0)
    said = log.read().decode(errors="replace").strip()
    why = f"it was not ready within {seconds:g} s" if is_late else "it ended before it was ready"
    raise ServerError(f"{why}: {said}" if said else why)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
