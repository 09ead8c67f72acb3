"""How much work the loops of one evaluation may do together.

One unit is the time of comparing two values, about a quarter of a microsecond. Outside of loops nothing is counted: there
a policy makes as many calls as it spells out, and each is bounded by itself.
"""

from typing import Final, TypeVar

from mcp_acl.problems import EvalError

_T = TypeVar("_T")

MAX_STEPS: Final = 100_000
"""How many items all comprehensions of one evaluation may visit together."""

MAX_WORK: Final = 2_500_000
"""How many units their bodies may take together."""

NODE: Final = 5
"""What each node of a body is charged for each item: its price in `walk`, the slower of the two evaluators."""

CALL: Final = 10
"""What a call in a body is charged whatever its arguments, unless its function is `FLAT`."""

ITEM: Final = 4
"""What an item of a list is charged that a call makes: it takes memory too."""

FLAT: Final = 0
"""The pace of a function that takes as long whatever its arguments."""

SLOW: Final = 2
"""The pace of a function that does something of its own for each character or item."""

FAST: Final = 64
"""The pace of a function that leaves them to one operation of Python."""


class Meter:
    """What is left for one evaluation. Once it is spent every call in a loop fails, before it does anything."""

    __slots__ = ("_steps", "_work")

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._work = MAX_WORK

    @property
    def spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self._work < 0

    def visit(self, items: int, price: int) -> None:
        """Pay for the items of a loop and for a body of that price for each. Raises `EvalError`."""
        self._steps -= items
        if self._steps < 0:
            self._work = -1
            raise EvalError("the condition visits too many items")
        self.spend(items * price)

    def spend(self, units: int = 1) -> None:
        """Pay for some work. Raises `EvalError` if nothing is left."""
        self._work -= units
        if self._work < 0:
            raise EvalError("the condition takes too much work")


class Budget:
    """What is left for one call outside of loops: how many values it may still compare."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, units: int = 1) -> None:
        """Raises `EvalError` when nothing is left."""
        self.left -= units
        if self.left < 0:
            raise EvalError("the values are too large to compare")


def pay_for(meter: Meter, made: _T, pace: int) -> _T:
    """The value, once what it took to make it is paid."""
    meter.spend(len(made) * ITEM if isinstance(made, list | tuple) else size(made) // pace)
    return made


def size(value: object) -> int:
    """Characters, bytes, items or entries of a value, not looking into them."""
    if isinstance(value, str | bytes | list | tuple):
        return len(value)
    return dict.__len__(value) if isinstance(value, dict) else 0
