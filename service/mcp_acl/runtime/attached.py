"""A process that is a part of another one: it ends when its standard input closes, and says that it is alive when something comes there.

Before that it can wait for the first that comes. It is the event loop that answers, by a byte on standard output, so that one which does not turn any more is silent. Knows nothing of who asks.
"""

import asyncio
import os
import signal
import threading
from contextlib import suppress
from typing import Final

_INPUT: Final = 0
_OUTPUT: Final = 1
ALIVE: Final = b"."


class Attached:
    """What this process is from here on: it ends as by SIGTERM when its standard input closes, whatever closed it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came = threading.Event()
        threading.Thread(target=self._listen, name="attached", daemon=True).start()

    def wait(self) -> None:
        """Wait until something has come."""
        self._came.wait()

    def answer(self) -> None:
        """From here on let the running event loop answer. What was asked before is not answered."""
        self._loop = asyncio.get_running_loop()

    def _listen(self) -> None:
        with suppress(OSError):  # of an input that is not there
            while os.read(_INPUT, 4096):
                self._came.set()
                if self._loop is not None:
                    with suppress(RuntimeError):  # of a loop that has ended
                        self._loop.call_soon_threadsafe(_say)
        os.kill(os.getpid(), signal.SIGTERM)


def _say() -> None:
    with suppress(OSError):
        os.write(_OUTPUT, ALIVE)
