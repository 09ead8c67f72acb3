"""When two values are equal, which comes first, and what is in what (CEL language definition: equality, ordering).

Numbers compare across int, uint and double as on one line; every other type only with itself. Nothing here is
Python's `==` on containers, which holds that True is 1 and that a NaN in a list equals itself.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from mcp_acl.expr.cel.values import (
    FAMILY,
    MISSING,
    AnyMap,
    Cidr,
    Duration,
    Map,
    Optional,
    PartialMap,
    Timestamp,
    TypeValue,
    UInt,
    entries_of,
    find,
    no_overload,
    size_of,
)
from mcp_acl.expr.meter import Budget, Meter, size
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import EvalError

MAX_COMPARISONS: Final = 200_000
"""How many values one comparison may look at: a list may hold one list many times over, at every level."""


_CONTAINER: Final = 2
"""What the comparison of two lists costs before that of their items."""

_UNIT: Final = 4096
"""How many characters are compared in the time of one comparison."""

Purse: TypeAlias = Budget | Meter
"""Who pays: a call by itself, or in a loop the whole evaluation."""


def _budget() -> Budget:
    return Budget(MAX_COMPARISONS)


def equal(left: Value, right: Value) -> bool:
    """Whether two values are equal; values of different types are not. Raises `EvalError` on an inexact number."""
    kind = type(left)
    if kind is type(right) and kind in _PLAIN:
        return left == right
    return equal_within(left, right, _budget())


def equal_within(left: Value, right: Value, budget: Purse) -> bool:
    """As `equal`, for many comparisons on one budget."""
    budget.spend()
    compare, other = _KINDS.get(type(left)), _KINDS.get(type(right))
    if compare is None or other is None:
        raise no_overload("==", left, right)
    return compare is other and compare(left, right, budget)


def not_equal(left: Value, right: Value) -> bool:
    """The contrary of `equal`."""
    return not equal(left, right)


def equal_in_loop(meter: Meter, left: Value, right: Value) -> bool:
    """As `equal`, at the loop's expense."""
    return equal_within(left, right, meter)


def not_equal_in_loop(meter: Meter, left: Value, right: Value) -> bool:
    """The contrary of `equal_in_loop`."""
    return not equal_within(left, right, meter)


def aligned(left: Value, right: Value) -> tuple[float, float]:
    """Two numbers as Python numbers that compare as CEL's do: both as doubles if one is a double."""
    first = left.value if isinstance(left, UInt) else left
    second = right.value if isinstance(right, UInt) else right
    assert isinstance(first, int | float)
    assert isinstance(second, int | float)
    if isinstance(first, float) or isinstance(second, float):
        return float(first), float(second)
    return first, second


def _equal_numbers(left: Value, right: Value, _budget: Purse) -> bool:
    first, second = aligned(left, right)
    return first == second


def _equal_lists(left: Sequence[Value], right: Sequence[Value], budget: Purse) -> bool:
    if len(left) != len(right):
        return False
    budget.spend(_CONTAINER)
    return all(equal_within(first, second, budget) for first, second in zip(left, right, strict=True))


def _equal_maps(left: AnyMap, right: AnyMap, budget: Purse) -> bool:
    if size_of(left) != size_of(right):
        return False
    for key, value in entries_of(left):
        budget.spend()
        other = find(right, key)
        if other is MISSING or not equal_within(value, other, budget):
            return False
    return True


def _equal_optionals(left: Optional, right: Optional, budget: Purse) -> bool:
    if left.has_value and right.has_value:
        return equal_within(left.value, right.value, budget)
    return left.has_value is right.has_value


def _equal_plain(left: Value, right: Value, _budget: Purse) -> bool:
    return type(left) is type(right) and left == right


def _equal_texts(left: Value, right: Value, budget: Purse) -> bool:
    budget.spend(size(left) // _UNIT)
    return type(left) is type(right) and left == right


_PLAIN: Final = frozenset({str, int, bool, float, bytes, type(None)})

_KINDS: Final[Mapping[type, Callable[..., bool]]] = {
    **dict.fromkeys((int, UInt, float), _equal_numbers),
    **dict.fromkeys((list, tuple), _equal_lists),
    **dict.fromkeys((dict, PartialMap, Map), _equal_maps),
    Optional: _equal_optionals,
    **dict.fromkeys((str, bytes), _equal_texts),
    **dict.fromkeys((bool, type(None), Timestamp, Duration, TypeValue, IPv4Address, IPv6Address, Cidr), _equal_plain),
}


# ---- ordering ------------------------------------------------------------------------------------------------------

_NUMBERS: Final = frozenset({int, UInt, float})
_ORDERED: Final = frozenset({str, bytes, bool, Timestamp, Duration})


def _is_nan(number: float) -> bool:
    """Also of an int that no double can hold."""
    return isinstance(number, float) and math.isnan(number)


def comparer(name: str, compare: Callable[..., bool]) -> Callable[[Value, Value], bool]:
    """The `run` of an ordering operator. NaN comes neither before nor after anything: that is an error."""

    def run(left: Value, right: Value) -> bool:
        kind, other = type(left), type(right)
        if kind in _NUMBERS and other in _NUMBERS:
            first, second = aligned(left, right)
            if _is_nan(first) or _is_nan(second):
                raise EvalError("NaN has no order")
            return compare(first, second)
        if kind is not other or kind not in _ORDERED:
            raise no_overload(name, left, right)
        return compare(left, right)

    return run


# ---- membership ----------------------------------------------------------------------------------------------------


def _in_list(value: Value, values: Sequence[Value], budget: Purse) -> bool:
    return any(equal_within(value, one, budget) for one in values)


def _in_map(key: Value, values: AnyMap, _budget: Purse) -> bool:
    return find(values, key) is not MISSING


def contained(value: Value, container: Value) -> bool:
    """`in`: whether a list holds an equal value, or a map the key."""
    return contained_in_loop(_budget(), value, container)


def contained_in_loop(meter: Purse, value: Value, container: Value) -> bool:
    """As `contained`, at the loop's expense."""
    search = _CONTAINERS.get(type(container))
    if search is None:
        raise no_overload("in", value, container)
    return search(value, container, meter)


_CONTAINERS: Final[Mapping[type, Callable[..., bool]]] = {
    **dict.fromkeys((list, tuple), _in_list),
    **dict.fromkeys((dict, PartialMap, Map), _in_map),
}


class Seen:
    """Values met so far, to ask whether an equal one is among them without comparing with each."""

    __slots__ = ("_buckets", "_budget")

    def __init__(self, values: Iterable[Value] = (), budget: Purse | None = None) -> None:
        self._budget = _budget() if budget is None else budget
        self._buckets: dict[object, list[Value]] = {}
        for value in values:
            self.add(value)

    def __contains__(self, value: Value) -> bool:
        return any(equal_within(value, one, self._budget) for one in self._buckets.get(_bucket(value), ()))

    def add(self, value: Value) -> bool:
        """Remember a value; whether it is a new one."""
        if value in self:
            return False
        self._buckets.setdefault(_bucket(value), []).append(value)
        return True


def _bucket(value: Value) -> object:
    """What equal values have in common, and few others."""
    kind = type(value)
    if kind in _NUMBERS:
        return aligned(value, 0.0)[0]
    return (kind, value) if kind in (str, bytes) else FAMILY.get(kind, kind)
