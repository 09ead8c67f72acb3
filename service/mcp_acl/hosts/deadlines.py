"""Until when calls may wait: many deadlines over one timer. Knows no call and no status.

A timer for each wait costs more than most waits. So what waits is kept by the tick in which its time is over, and one timer looks, some
times a second, whose it is. No deadline is early; one may be late by a tick.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

TICK: Final = 0.02
"""Seconds between looks."""


class Deadlines:
    """What waits."""

    def __init__(self) -> None:
        self._due: dict[int, set[Deadline]] = {}
        self._looks: asyncio.AbstractEventLoop | None = None

    def within(self, seconds: float) -> "Deadline":
        """For a `with`: raise TimeoutError in its task if what it waits for takes longer."""
        return Deadline(self, seconds)

    def add(self, deadline: "Deadline", when: float, loop: asyncio.AbstractEventLoop) -> int:
        """Keep one, and return its tick."""
        tick = int(when / TICK) + 1
        self._due.setdefault(tick, set()).add(deadline)
        if self._looks is not loop:
            self._looks = loop
            loop.call_later(TICK, self._look, loop)
        return tick

    def remove(self, deadline: "Deadline", tick: int) -> None:
        """Let one go that is kept, or was."""
        together = self._due.get(tick)
        if together is not None:
            together.discard(deadline)
            if not together:
                del self._due[tick]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = int(loop.time() / TICK)
        for tick in [tick for tick in self._due if tick <= now]:
            for one in self._due.pop(tick):
                one.expire()
        if self._due:
            loop.call_later(TICK, self._look, loop)
        else:
            self._looks = None


class Deadline:
    """One wait. As `asyncio.timeout`, but for when it is over."""

    __slots__ = ("_cancelling", "_deadlines", "_has_expired", "_seconds", "_task", "_tick")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._has_expired = False

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._tick = self._deadlines.add(self, loop.time() + self._seconds, loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.remove(self, self._tick)
        if self._has_expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    @property
    def has_expired(self) -> bool:
        """Whether it was this one that ended the wait."""
        return self._has_expired

    def expire(self) -> None:
        """Its time is over."""
        self._has_expired = True
        self._task.cancel()
