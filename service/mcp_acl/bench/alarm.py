"""A callback at a moment of the clock, to some µs where the system can. Knows nothing of what it is for.

Event loops wait in whole milliseconds, too coarse for questions that come faster. Linux has timers that are files, which an event loop can
wait for; Python knows them from 3.13 on, so they are called by their names in C. Elsewhere it is the event loop's own timer.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_SECOND: Final = 1_000_000_000


class _Setting(ctypes.Structure):
    """`struct itimerspec`: how often again (here never), and when."""

    _fields_ = (
        ("again_seconds", ctypes.c_long),
        ("again_ns", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` at the moment that was set last, of `time.perf_counter_ns`; a context, in which it may be set."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._file = -1
        self._setting = _Setting()
        self._is_set = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if sys.platform == "linux":
            with suppress(OSError, AttributeError):
                self._libc = ctypes.CDLL(None, use_errno=True)
                self._file = self._libc.timerfd_create(_MONOTONIC, _FLAGS)
        if self._file >= 0:
            self._loop.add_reader(self._file, self._rung)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def set(self, moment: int) -> None:
        """Ring then, or at once if that is over."""
        if self._file < 0:
            self._timer = self._loop.call_later(max(moment - time.perf_counter_ns(), 0) / _SECOND, self._ring)
            return
        self._is_set = True
        self._arm(moment)

    def _arm(self, moment: int) -> None:
        self._setting.seconds, self._setting.ns = divmod(moment, _SECOND)
        self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(self._setting), None)

    def _rung(self) -> None:
        """Ring. To set the timer again takes back that it has expired, as reading it would; so does to stop it, which is to set 0."""
        self._is_set = False
        self._ring()
        if not self._is_set:
            self._arm(0)
