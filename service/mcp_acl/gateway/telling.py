"""What is told, written beside what is decided: from when on, and so that a reader that is slow, or has gone, holds nobody up."""

import queue
import threading
from collections.abc import Callable
from typing import Final

from mcp_acl.gateway.watching import Seen

_WAITING: Final = 10_000
"""Decisions that wait to be written; beyond that they are counted."""
_END_SECONDS: Final = 2.0


class TellAfter:
    """Whoever watches, from when they want to: not of what is asked to see whether it works."""

    def __init__(self, tell: Callable[[Seen], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._before: set[str] | None = set()
        self._last: str | None = None

    def __call__(self, seen: Seen) -> None:
        """Tell, if it has begun."""
        with self._lock:
            if self._before is None:
                self._tell(seen)
                return
            self._before.add(seen.decision_id)
            self._begin()

    def after(self, decision_id: str) -> None:
        """Begin with what comes after this decision, which may not have come yet."""
        with self._lock:
            self._last = decision_id
            self._begin()

    def _begin(self) -> None:
        if self._before is not None and self._last in self._before:
            self._before = None


class Teller:
    """Calls `write` for each decision, in a thread of its own, and `missed` with the number of those there was no room for.

    Once writing fails it stops, and nothing is written any more.
    """

    def __init__(self, write: Callable[[Seen], None], missed: Callable[[int], None]) -> None:
        self._write = write
        self._say_missed = missed
        self._missed = 0
        self._waiting: queue.Queue[Seen | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __call__(self, seen: Seen) -> None:
        """Put it with what waits. Returns at once."""
        try:
            self._waiting.put_nowait(seen)
        except queue.Full:
            self._missed += 1

    def close(self) -> None:
        """Write what waits, unless that takes too long."""
        try:
            self._waiting.put(None, timeout=_END_SECONDS)
        except queue.Full:
            return
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            while (seen := self._waiting.get()) is not None:
                self._write(seen)
                missed, self._missed = self._missed, 0
                if missed:
                    self._say_missed(missed)
        except OSError:
            while self._waiting.get() is not None:
                pass
