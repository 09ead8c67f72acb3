"""Lists, maps and sets: `size`, and the lists and sets extensions. Equality is CEL's throughout."""

from collections.abc import Callable, Sequence
from typing import Final

from mcp_acl.expr.cel import inline
from mcp_acl.expr.cel.equality import Seen, comparer
from mcp_acl.expr.cel.rows import Overloads, Row, Style, check_length, faster, overloaded
from mcp_acl.expr.cel.values import NONE, Optional, size_of, type_of
from mcp_acl.expr.meter import CALL, FAST, FLAT, Meter, size
from mcp_acl.expr.nodes import Type, Value
from mcp_acl.problems import EvalError

_COMPARISON: Final = 4
"""What a comparison of a sort is charged."""

_FLATTENED: Final = 4
"""What an item is charged that is taken out of its list."""

_HASHED: Final = 8
"""What an item is charged that is looked up among others."""

_before = comparer("sort", lambda left, right: left < right)


class _Key:
    """A sort key: its order is CEL's."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __lt__(self, other: "_Key") -> bool:
        return _before(self.value, other.value)


def _sorted_by(values: Sequence[Value], keys: Sequence[Value]) -> list[Value]:
    """The values in the order of their keys, which are all of one type. Equal keys keep their order."""
    if len({type_of(key) for key in keys}) > 1:
        raise EvalError("only values of one type can be sorted")
    for key in keys[:1]:
        _before(key, key)
    order = sorted(range(len(keys)), key=lambda position: _Key(keys[position]))
    return [values[position] for position in order]


def _sorted_in_loop(meter: Meter, values: Sequence[Value], keys: Sequence[Value]) -> list[Value]:
    """A sort compares each key with as many others as it has binary digits, and a text by its characters."""
    count = len(keys)
    meter.spend(CALL + count * count.bit_length() * _COMPARISON)
    meter.spend(sum(map(size, keys)) * count.bit_length() // FAST)
    return _sorted_by(values, keys)


def _distinct(values: Sequence[Value], seen: Seen | None = None) -> list[Value]:
    seen = Seen() if seen is None else seen
    return [value for value in values if seen.add(value)]


def _flattened(values: Sequence[Value], depth: int = 1, meter: Meter | None = None) -> list[Value]:
    """Lists in the list replaced by their items, as many levels deep."""
    if depth < 0:
        raise EvalError("a list cannot be flattened by less than nothing")
    made: list[Value] = []
    pending = [(value, depth) for value in reversed(values)]
    while pending:
        value, left = pending.pop()
        if meter is not None:
            meter.spend(_FLATTENED)
        if isinstance(value, list | tuple) and left > 0:
            pending.extend((one, left - 1) for one in reversed(value))
        else:
            made.append(value)
        check_length(len(made) + len(pending))
    return made


def _flattened_in_loop(meter: Meter, values: Sequence[Value], depth: int = 1) -> list[Value]:
    meter.spend(CALL + len(values))
    return _flattened(values, depth, meter)


def _slice(values: Sequence[Value], start: int, end: int) -> list[Value]:
    if not 0 <= start <= end <= len(values):
        raise EvalError("index out of range")
    return list(values[start:end])


def _range(length: int) -> list[Value]:
    check_length(length)
    return list(range(length))


def _holds_all(values: Sequence[Value], others: Sequence[Value], meter: Meter | None = None) -> bool:
    seen = Seen(values, meter)
    return all(other in seen for other in others)


def _intersects(values: Sequence[Value], others: Sequence[Value], meter: Meter | None = None) -> bool:
    seen = Seen(values, meter)
    return any(other in seen for other in others)


def _equivalent(left: Sequence[Value], right: Sequence[Value], meter: Meter | None = None) -> bool:
    return _holds_all(left, right, meter) and _holds_all(right, left, meter)


def _in_loop(compare: Callable[..., bool]) -> Overloads:
    """A function of sets at a loop's expense: so much for each item, and each comparison."""

    def run(meter: Meter, left: Sequence[Value], right: Sequence[Value]) -> bool:
        meter.spend(CALL + (len(left) + len(right)) * _HASHED)
        return compare(left, right, meter)

    return {(list, list): run}


def _distinct_in_loop(meter: Meter, values: Sequence[Value]) -> list[Value]:
    meter.spend(CALL + len(values) * _HASHED)
    return _distinct(values, Seen((), meter))


SORT_BY: Final = overloaded(
    "sortBy",
    Style.METHOD,
    Type.LIST,
    "list.sortBy(name, key) -> list\n"
    "the items in the order of a key that is computed for each\n"
    "['bb', 'a'].sortBy(s, s.size()) == ['a', 'bb']",
    {(list, list): _sorted_by},
    metered={(list, list): _sorted_in_loop},
)
"""The list and the keys of its items, which the macro computes."""

LIST_FUNCTIONS: Final[tuple[Row, ...]] = (
    faster(
        overloaded(
            "size",
            Style.EITHER,
            Type.INT,
            "size(string | bytes | list | map) -> int\n"
            "how many code points, bytes, items or entries there are\n"
            "size('añb') == 3 && [1, 2].size() == 2",
            {(str,): len, (bytes,): len, (list,): len, (dict,): size_of},
            pace=FLAT,
        ),
        inline.size,
    ),
    overloaded(
        "reverse",
        Style.METHOD,
        Type.DYN,
        "list.reverse() -> list, string.reverse() -> string\nback to front\n[1, 2].reverse() == [2, 1]",
        {(str,): lambda text: text[::-1], (list,): lambda values: list(values[::-1])},
    ),
    overloaded(
        "lists.range",
        Style.GLOBAL,
        Type.LIST,
        "lists.range(int) -> list\nthe ints from 0 up to and without a number\nlists.range(3) == [0, 1, 2]",
        {(int,): _range},
    ),
    overloaded(
        "slice",
        Style.METHOD,
        Type.LIST,
        "list.slice(int, int) -> list\n"
        "the items from a position up to and without another\n"
        "[1, 2, 3, 4].slice(1, 3) == [2, 3]",
        {(list, int, int): _slice},
        pace=FAST,
    ),
    overloaded(
        "flatten",
        Style.METHOD,
        Type.LIST,
        "list.flatten() -> list, list.flatten(int) -> list\n"
        "with inner lists replaced by their items, one level or as many as given\n"
        "[1, [2, [3]]].flatten() == [1, 2, [3]]",
        {(list,): _flattened, (list, int): _flattened},
        metered={(list,): _flattened_in_loop, (list, int): _flattened_in_loop},
    ),
    overloaded(
        "distinct",
        Style.METHOD,
        Type.LIST,
        "list.distinct() -> list\nwith each value once, where it came first\n[1, 2, 1.0].distinct() == [1, 2]",
        {(list,): _distinct},
        metered={(list,): _distinct_in_loop},
    ),
    overloaded(
        "sort",
        Style.METHOD,
        Type.LIST,
        "list.sort() -> list\nin order; the items are of one type\n[3, 1, 2].sort() == [1, 2, 3]",
        {(list,): lambda values: _sorted_by(values, values)},
        metered={(list,): lambda meter, values: _sorted_in_loop(meter, values, values)},
    ),
    overloaded(
        "first",
        Style.METHOD,
        Type.OTHER,
        "list.first() -> optional\nthe first item, if there is one\n[1, 2].first().value() == 1",
        {(list,): lambda values: Optional(values[0]) if values else NONE},
        pace=FLAT,
    ),
    overloaded(
        "last",
        Style.METHOD,
        Type.OTHER,
        "list.last() -> optional\nthe last item, if there is one\n[1, 2].last().value() == 2",
        {(list,): lambda values: Optional(values[-1]) if values else NONE},
        pace=FLAT,
    ),
    overloaded(
        "sets.contains",
        Style.GLOBAL,
        Type.BOOL,
        "sets.contains(list, list) -> bool\n"
        "whether all of the second are in the first\n"
        "sets.contains([1, 2, 3], [2, 3.0])",
        {(list, list): _holds_all},
        metered=_in_loop(_holds_all),
    ),
    overloaded(
        "sets.intersects",
        Style.GLOBAL,
        Type.BOOL,
        "sets.intersects(list, list) -> bool\nwhether they have a value in common\nsets.intersects([1, 2], [2, 3])",
        {(list, list): _intersects},
        metered=_in_loop(_intersects),
    ),
    overloaded(
        "sets.equivalent",
        Style.GLOBAL,
        Type.BOOL,
        "sets.equivalent(list, list) -> bool\n"
        "whether each is in the other, in whatever order and number\n"
        "sets.equivalent([1, 2, 2], [2, 1])",
        {(list, list): _equivalent},
        metered=_in_loop(_equivalent),
    ),
)
