"""Child processes that never outlive the demo.

A demo that is killed cannot end them, so each is to end by itself when its standard input closes.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Final, NoReturn

from mcp_acl.cli.exits import InputError

START_SECONDS: Final = 30.0
END_SECONDS: Final = 5.0
_READY: Final = "listening on "


class DemoError(InputError):
    """The demo cannot go on. The text says why."""


@contextmanager
def listening(name: str, command: Sequence[str], env: Mapping[str, str]) -> Iterator[str]:
    """Run a server that says where it listens, and yield where. It has ended when this has.

    Raises `DemoError` if it does not start. A session of its own keeps Ctrl-C from it, so that servers end last.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed command, nothing of it from outside
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
        try:
            yield _address_in(name, log, process)
        finally:
            _end(process)


def _address_in(name: str, log: IO[bytes], process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + START_SECONDS
    while True:
        running = process.poll() is None
        log.seek(0)
        text = log.read().decode(errors="replace")
        for line in text.splitlines():
            if line.startswith(_READY):
                return line.removeprefix(_READY)
        if not running or time.monotonic() > until:
            raise DemoError(f"{name} did not start: {text.strip()[-1000:]}")
        time.sleep(0.02)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children: asked first, then killed."""
    if process.stdin:
        process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
            return


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """While this runs, a request to end this process unwinds it, so that its children end too."""
    before = {sign: signal.signal(sign, _unwind) for sign in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _unwind(sign: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + sign)
