"""`format`: a template with `%` verbs (the CEL strings extension).

Knows nothing of the function table. A verb takes the next item of the list; items too many are let be.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from mcp_acl.expr.cel.rows import check_length
from mcp_acl.expr.cel.texts import fixed_text, text_of_bool, text_of_bytes
from mcp_acl.expr.cel.times import duration_text, timestamp_text
from mcp_acl.expr.cel.values import (
    MISSING,
    Duration,
    Map,
    Timestamp,
    TypeValue,
    UInt,
    entries_of,
    no_overload,
)
from mcp_acl.expr.meter import CALL, FAST, Meter
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import EvalError

_VERB: Final = re.compile(r"%(?:(%)|([sdboxX])|(?:\.([0-9]{1,3}))?([fe])|(.?))", re.DOTALL)
_MAX_PRECISION: Final = 100
_DEFAULT_PRECISION: Final = 6
_PART: Final = 4
"""What a loop pays for each part of a text: an item, or what stands between."""


class _Output:
    """Text being made, never longer than a call may make. `meter` is who pays for it, if anyone does."""

    __slots__ = ("_length", "_meter", "_parts")

    def __init__(self, meter: Meter | None = None) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._meter = meter

    def add(self, text: str) -> None:
        if self._meter is not None:
            self._meter.spend(_PART + len(text) // FAST)
        self._length += len(text)
        check_length(self._length)
        self._parts.append(text)

    @property
    def text(self) -> str:
        return "".join(self._parts)


def format_text(template: str, items: Sequence[Value]) -> str:
    """The template with its verbs replaced. Raises `EvalError` if an item is missing or not what its verb takes."""
    return _formatted(template, items, _Output())


def format_metered(meter: Meter, template: str, items: Sequence[Value]) -> str:
    """As `format_text`, at a loop's expense."""
    meter.spend(CALL)
    return _formatted(template, items, _Output(meter))


def _formatted(template: str, items: Sequence[Value], made: _Output) -> str:
    pending = iter(items)
    end = 0
    for found in _VERB.finditer(template):
        made.add(template[end : found.start()])
        end = found.end()
        _replace(found, pending, made)
    made.add(template[end:])
    return made.text


def _replace(found: re.Match[str], pending: Iterator[Value], made: _Output) -> None:
    percent, verb, precision, real, _other = found.groups()
    if percent:
        made.add("%")
        return
    if not verb and not real:
        raise EvalError(f"not a format verb: `{found[0]}`")
    item = next(pending, MISSING)
    if item is MISSING:
        raise EvalError("the format has more verbs than the list has items")
    if real:
        made.add(_real(item, real, _DEFAULT_PRECISION if precision is None else int(precision)))
    elif verb == "s":
        _write(item, made)
    else:
        made.add(_VERBS[verb](verb, item))


# ---- %s ------------------------------------------------------------------------------------------------------------


def _write(value: Value, made: _Output) -> None:
    scalar = _TEXTS.get(type(value))
    if scalar is not None:
        made.add(scalar(value))
    elif isinstance(value, list | tuple):
        _write_list(value, made)
    elif isinstance(value, dict | Map):
        _write_map(value, made)
    else:
        raise no_overload("%s", value)


def _write_list(values: Sequence[Value], made: _Output) -> None:
    made.add("[")
    for position, item in enumerate(values):
        made.add(", " if position else "")
        _write(item, made)
    made.add("]")


def _write_map(values: "dict[str, Value] | Map", made: _Output) -> None:
    """Entries in the order of their keys' texts."""
    made.add("{")
    texts = [(_TEXTS[type(key)](key), value) for key, value in entries_of(values)]
    for position, (key, value) in enumerate(sorted(texts, key=lambda entry: entry[0])):
        made.add(f", {key}: " if position else f"{key}: ")
        _write(value, made)
    made.add("}")


def _double(value: float) -> str:
    return fixed_text(value) if math.isfinite(value) else _not_finite(value)


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"


_TEXTS: Final[Mapping[type, Callable[..., str]]] = {
    str: str,
    bool: text_of_bool,
    int: str,
    UInt: lambda value: str(value.value),
    float: _double,
    bytes: text_of_bytes,
    type(None): lambda _value: "null",
    Timestamp: timestamp_text,
    Duration: duration_text,
    TypeValue: lambda value: value.name,
}


# ---- the other verbs -----------------------------------------------------------------------------------------------


def _real(value: Value, verb: str, precision: int) -> str:
    """`%f` and `%e`: a number with so many digits after the point."""
    number = value.value if isinstance(value, UInt) else value
    if type(number) not in (int, float) or not isinstance(number, int | float):
        raise no_overload(f"%{verb}", value)
    if precision > _MAX_PRECISION:
        raise EvalError(f"the precision of `%{verb}` is more than {_MAX_PRECISION}")
    real = float(number)
    return format(real, f".{precision}{verb}") if math.isfinite(real) else _not_finite(real)


def _decimal(verb: str, value: Value) -> str:
    if isinstance(value, float):
        return _double(value)
    return str(_integer(verb, value))


def _based(verb: str, value: Value) -> str:
    """`%b`, `%o`: an integer in that base; a bool is a bit to `%b`."""
    if isinstance(value, bool) and verb == "b":
        return "1" if value else "0"
    return format(_integer(verb, value), verb)


def _hex(verb: str, value: Value) -> str:
    """`%x`, `%X`: an integer, or the bytes of a string."""
    raw = value.encode(errors="replace") if isinstance(value, str) else value
    if isinstance(raw, bytes):
        return raw.hex() if verb == "x" else raw.hex().upper()
    return format(_integer(verb, value), verb)


def _integer(verb: str, value: Value) -> int:
    if isinstance(value, UInt):
        return value.value
    if type(value) is not int:
        raise no_overload(f"%{verb}", value)
    return value


_VERBS: Final[Mapping[str, Callable[[str, Value], str]]] = {
    "d": _decimal,
    "b": _based,
    "o": _based,
    "x": _hex,
    "X": _hex,
}
