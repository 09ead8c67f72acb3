"""The interpreter while a set is loaded: when the garbage collector runs, and who gets the lock where requests are answered meanwhile.

Knows nothing of policies. Nearly all that is made while loading stays, and the collector would look at it again and again, for a third of the
time, and with the lock from beginning to end: so there is no collection meanwhile, one at the end, and what is left is frozen, which
is to say that no later collection looks at it. It is freed all the same with its last user. A thread that computes keeps the interpreter's
lock for `sys.getswitchinterval()` each time another wants it, and an answer needs it several times: so the interval is short meanwhile.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SLICE: Final = 0.0001
"""Seconds."""
YOUNG: Final = 2_500
"""How many more objects there must be before the collector looks at those that are new. Calls of one moment hold some thousand, nearly all of
which go by themselves when they are answered, and to look at them takes time from answers. More would let what is in cycles lie for longer, as are
the frames of a call that grpcio ends with an error."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Do not collect."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def beside_requests() -> Iterator[None]:
    """Let other threads go first."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, SLICE))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def keep_all() -> None:
    """Collect what is garbage, freeze what is not, and from now on look more seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
