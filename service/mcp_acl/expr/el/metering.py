"""What calls cost in a loop: by the texts among their arguments, and by all that lists and maps hold, at every level.

Knows no operator; of methods it knows by name which are quick.
"""

from collections.abc import Callable
from typing import Final

from mcp_acl.expr.el.comparing import texts_of
from mcp_acl.expr.el.regexes import compile_pattern
from mcp_acl.expr.el.values import Entry, Group, RawMap, elements
from mcp_acl.expr.meter import CALL, SLOW, Meter, pay_for, size
from mcp_acl.expr.searching import pattern_price

_ELEMENT: Final = 3
"""What an element is charged that a call may look at."""

_QUICK: Final = 16
"""The pace of methods that do little more than count or find UTF-16 code units."""

_QUICK_METHODS: Final = frozenset(
    "charAt concat contains endsWith equals indexOf isBlank isEmpty lastIndexOf length startsWith substring trim".split()
)
_PLAIN_METHODS: Final = frozenset("getFirst getKey getLast getValue name ordinal peek peekFirst peekLast size".split())
_KEY_METHODS: Final = frozenset(("containsKey", "get", "getOrDefault"))
_PAIR_METHODS: Final = frozenset(("containsAllKeys", "disjoint", "indexOfSubList", "lastIndexOfSubList"))
_PATTERN_METHODS: Final = {"matches": False, "replaceAll": True, "replaceFirst": True, "split": True}
"""Methods whose first argument is a pattern, and whether they search again and again."""


def weigh(meter: Meter, value: object, pace: int = SLOW) -> None:
    """Pay for all that a value holds."""
    pending: list[object] = [value]
    while pending:
        one = pending.pop()
        items = list(one.values()) if isinstance(one, dict) else elements(one)
        if items is not None:
            meter.spend(len(items) * _ELEMENT)
            pending.extend(items)
        if isinstance(one, Group) and texts_of(one.items) is None:
            meter.spend(len(one.items) ** 2)
        elif isinstance(one, Entry):
            pending += (one.key, one.value)
        else:
            meter.spend(size(one) // (SLOW if isinstance(one, str) and not one.isascii() else pace))


def weighed(run: Callable[..., object], pace: int = SLOW) -> Callable[..., object]:
    """What a loop calls for a function that may look at all it is given."""

    def in_loop(meter: Meter, *args: object) -> object:
        meter.spend(CALL)
        for arg in args:
            weigh(meter, arg, pace)
        return paid(meter, run(*args), pace)

    return in_loop


def paid(meter: Meter, made: object, pace: int = SLOW) -> object:
    """What a call made, once it is paid."""
    pay_for(meter, elements(made) or (), pace)
    pay_for(meter, made, pace)
    return made


def weigh_key(meter: Meter, target: object, key: object) -> None:
    """Pay for finding a key or an element: a text counts its code units, a key that is no text is compared with each."""
    by_hand = not target.isascii() if isinstance(target, str) else type(target) is RawMap and not isinstance(key, str)
    meter.spend(CALL + (size(target) if by_hand else 0))


def weighed_method(name: str, run: Callable[..., object]) -> Callable[..., object]:
    """What a loop calls for a method."""

    def in_loop(meter: Meter, target: object, *args: object) -> object:
        _weigh_method(meter, name, target, args)
        return paid(meter, run(target, *args))

    return in_loop


def _weigh_method(meter: Meter, name: str, target: object, args: tuple[object, ...]) -> None:
    if name in _KEY_METHODS and args:
        weigh_key(meter, target, args[0])
        return
    meter.spend(CALL)
    if name in _PLAIN_METHODS:
        return
    pace = _QUICK if name in _QUICK_METHODS else SLOW
    for one in (target, *args):
        weigh(meter, one, pace)
    if name in _PAIR_METHODS:
        meter.spend(_count(target if len(args) == 1 else args[0]) * _count(args[-1]))
    if name in _PATTERN_METHODS and args and isinstance(target, str) and isinstance(args[0], str):
        weigh_search(meter, args[0], target, again_and_again=_PATTERN_METHODS[name])


def weigh_search(meter: Meter, pattern: str, text: str, *, again_and_again: bool = False) -> None:
    """Pay for compiling a pattern and searching a text. Raises `EvalError` as the search would."""
    meter.spend(pattern_price(pattern))
    meter.spend(compile_pattern(pattern).price(text, again_and_again=again_and_again))


def _count(value: object) -> int:
    return len(elements(value) or ())
