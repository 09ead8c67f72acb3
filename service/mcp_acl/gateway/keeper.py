"""Keeps a process from being left behind: run as a program of its own, between the gateway and Envoy.

    python keeper.py DIRECTORY COMMAND…

Its standard input is the sign of life of whoever started it. When that closes, however it closed, the command is ended and the directory
removed. It ends as the command did. Imports nothing of the project, so that it is small and starts at once.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Final

END_SECONDS: Final = 2.0
"""How long the command may take to end before it is killed."""


def keep(directory: str, command: Sequence[str]) -> int:
    """Run the command until it ends, or until there is nobody to keep it for. How it ended, as a process says it."""
    alone = threading.Event()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, umask=0o077) as process:  # noqa: S603 - the gateway's own
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: process.terminate())
        threading.Thread(target=_end_with_input, args=(process, alone), daemon=True).start()
        code = process.wait()
    if alone.is_set():
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _end_with_input(process: "subprocess.Popen[bytes]", alone: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    alone.set()
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _end_as(code: int) -> None:
    """End as the command did: by the same signal, if it was one."""
    if code >= 0:
        sys.exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    _end_as(keep(sys.argv[1], sys.argv[2:]))
