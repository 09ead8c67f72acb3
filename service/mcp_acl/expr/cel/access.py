"""Fields, keys and indexes: `e.f`, `e[i]`, `has(e.f)`, `e.?f`, `e[?i]`, and what list and map literals make.

On an optional these reach through: an absent value or key stays absent, and the result is an optional again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mcp_acl.expr.cel.rows import check_length
from mcp_acl.expr.cel.values import (
    MISSING,
    NONE,
    AnyMap,
    Map,
    Optional,
    PartialMap,
    UInt,
    entries_of,
    find,
    keys_of,
    new_map,
    no_overload,
)
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import EvalError


def _position(index: Value) -> int:
    """A list index as a Python int: an int, a uint, or a double that is a whole number."""
    if isinstance(index, UInt):
        return index.value
    if isinstance(index, float) and index.is_integer():
        return int(index)
    if type(index) is not int:
        raise no_overload("index", index)
    return index


def _item(values: Sequence[Value], index: Value) -> Value:
    position = _position(index)
    return values[position] if 0 <= position < len(values) else MISSING


_FINDERS: Final[Mapping[type, Callable[..., Value]]] = {
    **dict.fromkeys((dict, PartialMap, Map), find),
    **dict.fromkeys((list, tuple), _item),
}


def _reach(name: str, target: Value, key: Value) -> Value:
    """What is there, or `MISSING`. Raises `EvalError` if nothing could be."""
    finder = _FINDERS.get(type(target))
    if finder is None:
        raise no_overload(name, target, key)
    return finder(target, key)


def index(target: Value, key: Value) -> Value:
    """`target[key]`."""
    if isinstance(target, Optional):
        return optional_index(target, key)
    found = _reach("index", target, key)
    if found is MISSING:
        if isinstance(target, list | tuple):
            raise EvalError("index out of range")
        raise EvalError(f"no such key: `{key[:60]}`" if isinstance(key, str) else "no such key")
    return found


def optional_index(target: Value, key: Value) -> Value:
    """`target[?key]`: an optional, absent if there is no such key or index."""
    inner = target.value if isinstance(target, Optional) else target
    if inner is MISSING:
        return NONE
    found = _reach("index", inner, key)
    return NONE if found is MISSING else Optional(found)


def select(target: Value, field: Value) -> Value:
    """`target.field`: of a map only."""
    return index(_fields("select", target, field), field)


def optional_select(target: Value, field: Value) -> Value:
    """`target.?field`: of a map only."""
    return optional_index(_fields("select", target, field), field)


def has(target: Value, field: Value) -> bool:
    """`has(target.field)`: whether the map has the key."""
    found = optional_index(_fields("has", target, field), field)
    return isinstance(found, Optional) and found.has_value


def _fields(name: str, target: Value, field: Value) -> Value:
    """The target, if it is one that has fields."""
    inner = target.value if isinstance(target, Optional) else target
    if isinstance(inner, dict | Map) or inner is MISSING:
        return target
    raise no_overload(name, inner, field)


# ---- literals and comprehensions -----------------------------------------------------------------------------------


def new_list(*items: Value) -> list[Value]:
    """`[a, b]`."""
    return list(items)


def new_list_of_optionals(*items: Value) -> list[Value]:
    """`[a, ?b]`: pairs of whether it is optional, and the item. Absent ones are left out."""
    made: list[Value] = []
    for optional, item in zip(items[::2], items[1::2], strict=True):
        found = _given(item) if optional is True else item
        if found is not MISSING:
            made.append(found)
    return made


def new_map_of(*items: Value) -> AnyMap:
    """`{a: b}`: keys and values in turn."""
    return new_map(zip(items[::2], items[1::2], strict=True))


def new_map_of_optionals(*items: Value) -> AnyMap:
    """`{?a: b}`: triples of whether it is optional, the key and the value. Absent ones are left out."""
    triples = zip(items[::3], items[1::3], items[2::3], strict=True)
    given = [(key, _given(value) if optional is True else value) for optional, key, value in triples]
    return new_map((key, value) for key, value in given if value is not MISSING)


def _given(value: Value) -> Value:
    if not isinstance(value, Optional):
        raise no_overload("?", value)
    return value.value


def items_of(values: Value) -> list[Value]:
    """What a comprehension with one variable goes over: the items of a list, the keys of a map."""
    if isinstance(values, list):
        return values
    if isinstance(values, tuple):
        return list(values)
    if isinstance(values, dict | Map):
        return keys_of(values)
    raise no_overload("comprehension", values)


def pairs_of(values: Value) -> list[Value]:
    """What one with two variables goes over: index and item of a list, key and value of a map."""
    if isinstance(values, list | tuple):
        return list(enumerate(values))
    if isinstance(values, dict | Map):
        return list(entries_of(values))
    raise no_overload("comprehension", values)


def pair(key: Value, value: Value) -> tuple[Value, Value]:
    """One entry of the map that `transformMap` makes."""
    return key, value


def map_of_pairs(pairs: Sequence[tuple[Value, Value]]) -> AnyMap:
    """The map that `transformMap` makes."""
    check_length(len(pairs))
    return new_map(pairs)
