"""A service to measure: started with policies of its own, changed while it runs, and ended whatever happens. Knows no workload."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_acl.policy.source import SourceFile

_END_SECONDS: Final = 10.0
_RELOAD: Final = "0.1"
"""Seconds between its looks at the policy directory."""


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
def running(host: str, files: Sequence[SourceFile], python: str = sys.executable) -> Iterator[Running]:
    """Run `mcp-acl serve` on a free port of this machine, with another Python if that is given. Raises ServerError."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="mcp-acl-bench-")))
        log = ending.enter_context(tempfile.TemporaryFile())
        for file in files:
            (directory / file.name).write_bytes(file.content)
        flags = [
            "--policies",
            str(directory),
            "--host",
            host,
            "--listen",
            "127.0.0.1:0",
        ]
        command = [python, "-P", "-m", "mcp_acl", "serve", *flags, "--reload", _RELOAD, "--drain", "0", "--attached"]
        try:
            process = ending.enter_context(
                subprocess.Popen(  # noqa: S603 - the caller's own Python
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
            )
        except OSError as error:
            raise ServerError(f"`{python}` cannot be run: {error.strerror}") from None
        ending.callback(_end, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            log.seek(0)
            raise ServerError(log.read().decode(errors="replace").strip() or "the service ended before it was ready")
        yield Running(json.loads(line)["listening"][0], process.pid, directory)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
