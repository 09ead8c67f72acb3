"""How often something may be done in a second. Knows not what."""

import threading
from collections.abc import Callable
from time import monotonic


class Bound:
    """At most `most` in each second of the clock; `refused` counts what came beyond. Called from several threads."""

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._second = -1
        self._taken = 0
        self.refused = 0

    def takes_one(self) -> bool:
        """Whether it may be done once more."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._taken = second, 0
            if self._taken >= self._most:
                self.refused += 1
                return False
            self._taken += 1
            return True
