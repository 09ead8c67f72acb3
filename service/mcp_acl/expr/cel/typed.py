"""Values with their types spelled out, as JSON: the form that cases of the CEL specification are written in.

`{"type": "int", "value": "1"}`: integers as text, doubles as Python prints them, bytes in Base64, timestamps and
durations as seconds and nanoseconds, lists of such values, maps as lists of pairs of them.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mcp_acl.expr.cel.values import (
    NANOS,
    TYPES,
    Cidr,
    Duration,
    Map,
    Optional,
    PartialMap,
    Timestamp,
    UInt,
    entries_of,
    new_map,
    type_of,
)
from mcp_acl.expr.nodes import Value

Typed: TypeAlias = Mapping[str, object]


def from_typed(data: object) -> Value:
    """The value. Raises `KeyError`, `TypeError` or `ValueError` if the data is not of this form."""
    if not isinstance(data, Mapping):
        raise TypeError(data)
    return _READERS[data["type"]](data["value"])


def to_typed(value: Value) -> Typed:
    """The value with its type. Raises `EvalError` for what is no CEL value."""
    name = type_of(value).name
    return {"type": _SHORT_NAMES.get(name, name), "value": _WRITERS.get(type(value), str)(value)}


_SHORT_NAMES: Final = {
    "null_type": "null",
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "optional_type": "optional",
    "net.IP": "ip",
    "net.CIDR": "cidr",
}


def _list(data: object) -> list[object]:
    if not isinstance(data, list):
        raise TypeError(data)
    return data


def _entry(data: object) -> tuple[Value, Value]:
    key, value = _list(data)
    return from_typed(key), from_typed(value)


def _nanos(data: object) -> int:
    seconds, nanos = _list(data)
    return int(str(seconds)) * NANOS + int(str(nanos))


def _as_it_is(data: object) -> object:
    return data


_READERS: Final[Mapping[object, Callable[[object], Value]]] = {
    "int": lambda data: int(str(data)),
    "uint": lambda data: UInt(int(str(data))),
    "double": lambda data: float(str(data)),
    "bytes": lambda data: base64.b64decode(str(data)),
    "list": lambda data: [from_typed(one) for one in _list(data)],
    "map": lambda data: new_map(_entry(one) for one in _list(data)),
    "timestamp": lambda data: Timestamp(_nanos(data)),
    "duration": lambda data: Duration(_nanos(data)),
    "type": lambda data: TYPES[str(data)],
    **dict.fromkeys(("bool", "string", "null"), _as_it_is),
}


def _seconds(value: Timestamp | Duration) -> object:
    return [value.nanos // NANOS, value.nanos % NANOS]


def _entries(value: "dict[str, Value] | Map") -> object:
    return [[to_typed(key), to_typed(one)] for key, one in entries_of(value)]


def _items(value: "list[Value] | tuple[Value, ...]") -> object:
    return [to_typed(one) for one in value]


_WRITERS: Final[Mapping[type, Callable[..., object]]] = {
    **dict.fromkeys((bool, str, type(None)), _as_it_is),
    UInt: lambda value: str(value.value),
    float: repr,
    bytes: lambda value: base64.b64encode(value).decode(),
    **dict.fromkeys((list, tuple), _items),
    **dict.fromkeys((dict, PartialMap, Map), _entries),
    **dict.fromkeys((Timestamp, Duration), _seconds),
    Optional: lambda value: to_typed(value.value) if value.has_value else None,
    Cidr: lambda value: f"{value.address}/{value.prefix}",
    type(TYPES["type"]): lambda value: value.name,
}
"""What is not here is written as its text: ints, addresses."""
