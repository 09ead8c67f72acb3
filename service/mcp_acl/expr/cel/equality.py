"""When two values are equal, which comes first, and what is in what (CEL language definition: equality, ordering).

Numbers compare across int, uint and double as on one line; every other type only with itself. Nothing here is
Python's `==` on containers, which holds that True is 1 and that a NaN in a list equals itself.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

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
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import EvalError

MAX_COMPARISONS: Final = 100_000
"""How many values one comparison may look at: a list may hold one list many times over, at every level."""


class Budget:
    """How many comparisons are left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_COMPARISONS

    def spend(self) -> None:
        """Raises `EvalError` when none is left."""
        self.left -= 1
        if self.left < 0:
            raise EvalError("the values are too large to compare")


def equal(left: Value, right: Value) -> bool:
    """Whether two values are equal; values of different types are not. Raises `EvalError` on an inexact number."""
    kind = type(left)
    if kind is type(right) and kind in _PLAIN:
        return left == right
    return equal_within(left, right, Budget())


def equal_within(left: Value, right: Value, budget: Budget) -> bool:
    """As `equal`, for many comparisons on one budget."""
    budget.spend()
    compare, other = _KINDS.get(type(left)), _KINDS.get(type(right))
    if compare is None or other is None:
        raise no_overload("==", left, right)
    return compare is other and compare(left, right, budget)


def not_equal(left: Value, right: Value) -> bool:
    """The contrary of `equal`."""
    return not equal(left, right)


def aligned(left: Value, right: Value) -> tuple[float, float]:
    """Two numbers as Python numbers that compare as CEL's do: both as doubles if one is a double."""
    first = left.value if isinstance(left, UInt) else left
    second = right.value if isinstance(right, UInt) else right
    assert isinstance(first, int | float)
    assert isinstance(second, int | float)
    if isinstance(first, float) or isinstance(second, float):
        return float(first), float(second)
    return first, second


def _equal_numbers(left: Value, right: Value, _budget: Budget) -> bool:
    first, second = aligned(left, right)
    return first == second


def _equal_lists(left: Sequence[Value], right: Sequence[Value], budget: Budget) -> bool:
    if len(left) != len(right):
        return False
    return all(equal_within(first, second, budget) for first, second in zip(left, right, strict=True))


def _equal_maps(left: AnyMap, right: AnyMap, budget: Budget) -> bool:
    if size_of(left) != size_of(right):
        return False
    for key, value in entries_of(left):
        other = find(right, key)
        if other is MISSING or not equal_within(value, other, budget):
            return False
    return True


def _equal_optionals(left: Optional, right: Optional, budget: Budget) -> bool:
    if left.has_value and right.has_value:
        return equal_within(left.value, right.value, budget)
    return left.has_value is right.has_value


def _equal_plain(left: Value, right: Value, _budget: Budget) -> bool:
    return type(left) is type(right) and left == right


_PLAIN: Final = frozenset({str, int, bool, float, bytes, type(None)})

_KINDS: Final[Mapping[type, Callable[..., bool]]] = {
    **dict.fromkeys((int, UInt, float), _equal_numbers),
    **dict.fromkeys((list, tuple), _equal_lists),
    **dict.fromkeys((dict, PartialMap, Map), _equal_maps),
    Optional: _equal_optionals,
    **dict.fromkeys(
        (str, bytes, bool, type(None), Timestamp, Duration, TypeValue, IPv4Address, IPv6Address, Cidr), _equal_plain
    ),
}


# ---- ordering ------------------------------------------------------------------------------------------------------

_NUMBERS: Final = frozenset({int, UInt, float})
_ORDERED: Final = frozenset({str, bytes, bool, Timestamp, Duration})


def comparer(name: str, compare: Callable[..., bool]) -> Callable[[Value, Value], bool]:
    """The `run` of an ordering operator. NaN comes neither before nor after anything: that is an error."""

    def run(left: Value, right: Value) -> bool:
        kind, other = type(left), type(right)
        if kind in _NUMBERS and other in _NUMBERS:
            first, second = aligned(left, right)
            if math.isnan(first) or math.isnan(second):
                raise EvalError("NaN has no order")
            return compare(first, second)
        if kind is not other or kind not in _ORDERED:
            raise no_overload(name, left, right)
        return compare(left, right)

    return run


# ---- membership ----------------------------------------------------------------------------------------------------


def _in_list(value: Value, values: Sequence[Value]) -> bool:
    budget = Budget()
    return any(equal_within(value, one, budget) for one in values)


def _in_map(key: Value, values: AnyMap) -> bool:
    return find(values, key) is not MISSING


def contained(value: Value, container: Value) -> bool:
    """`in`: whether a list holds an equal value, or a map the key."""
    search = _CONTAINERS.get(type(container))
    if search is None:
        raise no_overload("in", value, container)
    return search(value, container)


_CONTAINERS: Final[Mapping[type, Callable[..., bool]]] = {
    **dict.fromkeys((list, tuple), _in_list),
    **dict.fromkeys((dict, PartialMap, Map), _in_map),
}


class Seen:
    """Values met so far, to ask whether an equal one is among them without comparing with each."""

    __slots__ = ("_buckets", "_budget")

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self._budget = Budget()
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
