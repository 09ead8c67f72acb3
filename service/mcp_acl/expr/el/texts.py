"""What Java writes for a value: `String.valueOf`, `toString`, and JSON where a JSON array is written.

Objects whose Java text would be an identity hash have no text here: asking for it is an error.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mcp_acl.expr.el.classes import class_of, referred_class
from mcp_acl.expr.el.temporal import JavaDate
from mcp_acl.expr.el.values import (
    Attributes,
    BigDecimal,
    Char,
    ClassRef,
    Entry,
    EnumConstant,
    Group,
    JFloat,
    JsonArray,
    check_length,
    elements,
    made_text,
)
from mcp_acl.problems import EvalError

_INTERFACES: Final = frozenset(("List", "Map", "Set", "Collection", "Comparable", "CharSequence", "Iterable"))
_PLAIN: Final = frozenset(
    ("JavaDate", "LocalDate", "LocalTime", "LocalDateTime", "ZonedDateTime", "ZoneOffset", "Instant")
)


def java_text(value: object) -> str:
    """`String.valueOf(value)`. Raises `EvalError` where Java would write an address."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return str(value)
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if type(value).__name__ in _PLAIN:
        return str(value)
    return _other_text(value)


def _other_text(value: object) -> str:
    kind = class_of(value)
    if kind.is_a("Number"):
        return str(int(value))  # type: ignore[call-overload]
    if kind.is_a("Map") and isinstance(value, Mapping):
        return _map_text(value)
    items = elements(value) if kind.is_a("Collection") else None
    if items is None:
        raise EvalError("the value has no text of its own")
    return made_text(f"[{_joined(items)}]")


def _joined(items: Iterable[object]) -> str:
    made: list[str] = []
    size = 0
    for item in items:
        made.append(java_text(item))
        size += len(made[-1]) + 2
        check_length(size - 2)
    return ", ".join(made)


def _map_text(value: Mapping[str, object]) -> str:
    known = value.stored() if isinstance(value, Attributes) else value
    return made_text("{" + _joined(Entry(key, item) for key, item in known.items()) + "}")


def _entry_text(entry: Entry) -> str:
    return f"{java_text(entry.key)}={java_text(entry.value)}"


def _class_text(reference: ClassRef) -> str:
    known = referred_class(reference)
    if known is None or known.component:
        raise EvalError("the class has no text here")
    return f"{'interface' if known.name in _INTERFACES else 'class'} {reference.name}"


# ---- numbers ---------------------------------------------------------------------------------------------------------


_SMALLEST: Final = 1e-7
_WHOLE: Final = 2.0**53
_WHOLE_FLOAT: Final = 2.0**24


def double_text(value: float) -> str:
    """`Double.toString`: plain from 10^-3 to 10^7, else with an exponent."""
    return _special(value) or _decimal_text(double_digits(value), value)


def double_digits(value: float) -> str:
    """As few digits as tell a finite number from its neighbours."""
    return repr(_certain(abs(value), _WHOLE))


def float_text(value: float) -> str:
    """`Float.toString`: as many digits as tell the 32-bit number from its neighbours."""
    special = _special(value)
    if special:
        return special
    size = _certain(abs(value), _WHOLE_FLOAT)
    written = (f"{size:.{precision}e}" for precision in range(10))
    return _decimal_text(next(digits for digits in written if float32(float(digits)) == size), value)


def _certain(size: float, whole: float) -> float:
    """The size of a number, if Java's runtimes agree on its digits: before Java 19 some are more than needed."""
    if size and not _SMALLEST <= size < whole:
        raise EvalError("the digits of so large or small a number depend on the Java runtime")
    return size


def float32(value: float) -> float:
    """The nearest 32-bit float."""
    try:
        made: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return made


def _special(value: float) -> str:
    if value != value:  # noqa: PLR0124 - not a number
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return ""


def _decimal_text(shortest: str, value: float) -> str:
    mantissa, _, exponent = shortest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) + len(whole) - 1 - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if str(value).startswith("-") else ""
    if not digits:
        return f"{sign}0.0"
    if power >= 7 or power < -3:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{power}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{sign}{digits[: power + 1]:0<{power + 1}}.{digits[power + 1 :] or '0'}"


def decimal_text(value: BigDecimal) -> str:
    """`BigDecimal.toString`: with an exponent if the scale is negative or the number very small."""
    digits = str(abs(value.unscaled))
    sign = "-" if value.unscaled < 0 else ""
    adjusted = len(digits) - 1 - value.scale
    if value.scale >= 0 and adjusted >= -6:
        return sign + _plain(digits, value.scale)
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{sign}{mantissa}E{adjusted:+}" if adjusted else sign + mantissa


def plain_decimal_text(value: BigDecimal) -> str:
    """`BigDecimal.toPlainString`: never an exponent."""
    sign = "-" if value.unscaled < 0 else ""
    if value.scale < 0:
        return sign + (str(abs(value.unscaled)) + "0" * -value.scale if value.unscaled else "0")
    return sign + _plain(str(abs(value.unscaled)), value.scale)


def _plain(digits: str, scale: int) -> str:
    if scale == 0:
        return digits
    padded = digits.rjust(scale + 1, "0")
    return f"{padded[:-scale]}.{padded[-scale:]}"


# ---- JSON ------------------------------------------------------------------------------------------------------------

_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def _json_text(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_json_string(str(key))}:{_json_text(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ",".join(_json_text(one) for one in value) + "]"
        case str():
            return _json_string(value)
        case JavaDate():
            return _json_string(str(value))
    return java_text(value)


def _json_string(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char) or _json_char(char) for char in text) + '"'


def _json_char(char: str) -> str:
    if char < " " or "\x7f" <= char <= "\x9f" or "\u2000" <= char <= "\u20ff":
        return f"\\u{ord(char):04X}"
    return char


_WRITERS: Final[Mapping[type, Callable[..., str]]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: double_text,
    JFloat: float_text,
    BigDecimal: decimal_text,
    Char: lambda value: value.value,
    EnumConstant: lambda value: value.name,
    Entry: _entry_text,
    ClassRef: _class_text,
    JsonArray: lambda value: made_text(_json_text(value)),
    Group: lambda value: made_text(f"[{_joined(value.items)}]"),
}
