"""The interpreter while a set is loaded beside requests: who gets the lock, and when the garbage collector runs.

Knows nothing of policies. A thread that computes keeps the interpreter's lock for `sys.getswitchinterval()` each time another
wants it, and an answer needs it several times: so the interval is short meanwhile. A full collection holds the lock from beginning to end
and looks at all that was made so far, again and again: so there is none meanwhile, one at the end, and what is left is frozen,
which is to say that no later collection looks at it. It is freed all the same with its last user.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SLICE: Final = 0.0001
"""Seconds."""
_NEVER: Final = 1 << 30


@contextmanager
def beside_requests() -> Iterator[None]:
    """Let other threads go first, and do not collect in full."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(interval, SLICE))
    gc.set_threshold(thresholds[0], thresholds[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)


def keep_all() -> None:
    """Collect what is garbage, and freeze what is not."""
    gc.collect()
    gc.freeze()
