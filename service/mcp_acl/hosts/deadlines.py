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
        return Deadline(self, self._due, seconds)

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here on, until nothing waits."""
        if self._looks is not loop:
            self._looks = loop
            loop.call_later(TICK, self._look, loop)

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

    __slots__ = ("_cancelling", "_deadlines", "_due", "_seconds", "_task", "_tick", "has_expired")

    def __init__(self, deadlines: Deadlines, due: "dict[int, set[Deadline]]", seconds: float) -> None:
        self._deadlines = deadlines
        self._due = due
        self._seconds = seconds
        self.has_expired = False

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        tick = self._tick = int((loop.time() + self._seconds) / TICK) + 1
        together = self._due.get(tick)
        if together is None:
            self._due[tick] = {self}
            self._deadlines.look(loop)
        else:
            together.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        together = self._due.get(self._tick)
        if together is not None:
            together.discard(self)
            if not together:
                del self._due[self._tick]
        if self.has_expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Its time is over."""
        self.has_expired = True
        self._task.cancel()
