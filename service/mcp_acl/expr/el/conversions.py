"""Spring's conversions: which value becomes which type when a method, an operator or a condition wants it.

Targets are short class names (`classes`), primitive names, or either followed by `[]`. A list that is not wanted as one
gives its first element, a text that is wanted as one is split at commas.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from mcp_acl.expr.el.arithmetic import (
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    LONG_MIN,
    as_float,
    as_integer,
    as_number,
    parse_decimal,
    to_decimal,
    whole_part,
)
from mcp_acl.expr.el.classes import CLASSES, ENTRY_SET, JavaClass, class_of
from mcp_acl.expr.el.temporal import Instant, JavaDate, ZonedDateTime, parse_zone
from mcp_acl.expr.el.texts import float32, java_text
from mcp_acl.expr.el.values import (
    Array,
    BigDecimal,
    Char,
    EnumConstant,
    Group,
    Int8,
    Int16,
    Int32,
    JFloat,
    check_length,
    elements,
    shown,
    units,
)
from mcp_acl.problems import EvalError

WRAPPERS: Final[Mapping[str, str]] = {
    "int": "Integer",
    "long": "Long",
    "double": "Double",
    "float": "Float",
    "short": "Short",
    "byte": "Byte",
    "boolean": "Boolean",
    "char": "Character",
}
_NUMBERS: Final = frozenset(("Integer", "Long", "Double", "Float", "Short", "Byte", "BigDecimal"))
_TEXTS: Final = frozenset(("String", "CharSequence"))
_ENUMS: Final = frozenset(("DayOfWeek", "Month", "ChronoUnit"))
_SPACES: Final = "".join(chr(code) for code in range(33))
WHITESPACE: Final = frozenset(
    "\t\n\x0b\f\r\x1c\x1d\x1e\x1f \u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u2028\u2029\u205f\u3000"
)
"""What `Character.isWhitespace` holds for: no space that joins words."""

_SOURCES: Final[Mapping[str, frozenset[str]]] = {
    "Integer": _NUMBERS | _ENUMS | {"String", "Character"},
    **dict.fromkeys(_NUMBERS - {"Integer"}, _NUMBERS | {"String", "Character"}),
    "Boolean": frozenset({"String"}),
    "Character": _NUMBERS | {"String"},
    "String": _NUMBERS | _ENUMS | {"Character", "Boolean", "Date", "ZoneId", "ZoneOffset"},
    "Date": frozenset({"String", "Instant"}),
    "LocalDateTime": frozenset({"ZonedDateTime"}),
    "ZoneId": frozenset({"String"}),
    "Month": frozenset({"String", "Integer"}),
    "Charset": frozenset({"String"}),
}
"""From which classes a class can be made, lists aside. Only what a parameter of some method may be is a target.

No Month is ever made: each method that takes one has a twin that takes a whole number, so such a call is ambiguous.
"""


def java_trim(text: str) -> str:
    """`String.trim`: everything up to the space is cut off."""
    return text.strip(_SPACES)


def is_assignable(source: JavaClass, target: str) -> bool:
    """Whether a value of the class is one of the target already (a wrapper counts as its primitive)."""
    if not target.endswith("[]"):
        return WRAPPERS.get(target, target) in source.supers
    component = target.removesuffix("[]")
    if not source.component or component in WRAPPERS or source.component in WRAPPERS:
        return source.component == component
    known = CLASSES.get(source.component)
    return component == "Object" or (known is not None and component in known.supers)


def can_convert(source: JavaClass, target: str) -> bool:
    """Whether Spring knows a way from the class to the target; it may still fail for a particular value."""
    if is_assignable(source, target):
        return True
    if target in ("Collection", "List", "Object[]"):
        return True
    if source.is_a("Collection"):
        return source is not ENTRY_SET
    if source.component:
        return _can_convert_array(source.component, target)
    if target.endswith("[]"):
        return source.name == "String" or can_convert(source, target.removesuffix("[]"))
    return source.name in _SOURCES.get(WRAPPERS.get(target, target), frozenset())


def _can_convert_array(component: str, target: str) -> bool:
    if component == "Object":
        return True
    known = CLASSES.get(WRAPPERS.get(component, component))
    return known is not None and target != "Iterable" and can_convert(known, target.removesuffix("[]"))


def convert(value: object, target: str) -> object:
    """The value as the target wants it. Raises `EvalError` if it cannot be, or if a primitive would be null."""
    if target == "Object" or (type(value) is str and target in _TEXTS):
        return value
    made = _convert(value, target)
    if made is None and target in WRAPPERS:
        raise EvalError(f"null cannot be a {target}")
    return made


def _convert(value: object, target: str) -> object:
    if value is None:
        return None
    source = class_of(value)
    if is_assignable(source, target):
        return value
    if not can_convert(source, target):
        raise EvalError(f"cannot make a {target} of a {source.name}")
    if target in ("Collection", "List"):
        return _as_collection(value, target)
    if target.endswith("[]"):
        return _as_array(value, target.removesuffix("[]"))
    items = elements(value)
    if items is None:
        return _MAKERS[WRAPPERS.get(target, target)](value)
    if target == "String":
        return _list_text(items)
    return _convert(items[0], target) if items else None


def _as_collection(value: object, target: str) -> object:
    """A text as a Collection is a set of its parts; everything else is a list."""
    items = _as_list(value)
    return Group(tuple(dict.fromkeys(items))) if isinstance(value, str) and target == "Collection" else items


def _as_list(value: object) -> list[object]:
    items = elements(value)
    if items is not None:
        return list(items)
    return list(_fields(value)) if isinstance(value, str) else [value]


def _as_array(value: object, component: str) -> Array:
    items = _as_list(value)
    made = tuple(convert(item, component) for item in items)
    return Array(made, component)


def _fields(text: str) -> list[str]:
    return [java_trim(field) for field in text.split(",")] if text else []


def _list_text(items: Sequence[object]) -> str:
    made: list[str] = []
    size = 0
    for item in items:
        text = _convert(item, "String")
        made.append("null" if text is None else str(text))
        size += len(made[-1]) + 1
        check_length(size - 1)
    return ",".join(made)


# ---- single values ---------------------------------------------------------------------------------------------------

_TRUE: Final = frozenset(("true", "on", "yes", "1"))
_FALSE: Final = frozenset(("false", "off", "no", "0"))
_FLOATING: Final = re.compile(r"[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)", re.ASCII)


def _as_boolean(value: object) -> object:
    text = java_trim(str(value))
    if not text:
        return None
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise EvalError(f"`{shown(text)}` is not a boolean")


_ALL_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@cache
def _digits(radix: int) -> frozenset[str]:
    known = _ALL_DIGITS[:radix]
    return frozenset(known + known.upper())


def parse_integer(text: str, radix: int, low: int, high: int) -> int:
    """`Integer.parseInt` and its like, for ASCII digits: no prefix, no underscore, no space."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (2 <= radix <= 36 and digits and len(digits) <= 100 and set(digits) <= _digits(radix)):
        raise EvalError(f"`{shown(text)}` is no whole number")
    number = int(text, radix)
    if not low <= number <= high:
        raise EvalError(f"`{shown(text)}` is out of range")
    return number


def parse_float(text: str) -> float:
    """`Double.parseDouble`, hexadecimal floats aside."""
    trimmed = java_trim(text)
    if not _FLOATING.fullmatch(trimmed):
        raise EvalError(f"`{shown(text)}` is no number")
    return float(trimmed.rstrip("fFdD") if trimmed[-1] in "fFdD" else trimmed.replace("Infinity", "inf"))


def _integer_maker(low: int, high: int, made: Callable[[int], object]) -> Callable[[object], object]:
    def make(value: object) -> object:
        if isinstance(value, str):
            return _from_text(value, lambda text: made(_decoded(text, low, high)))
        if isinstance(value, EnumConstant):
            return Int32(value.ordinal)
        number = as_number(value)
        whole = ord(value.value) if isinstance(value, Char) else _whole(number)
        if not low <= whole <= high:
            raise EvalError("the number is out of range")
        return made(whole)

    return make


def _whole(number: object) -> int:
    if isinstance(number, float):
        return as_integer(number, LONG_MIN, LONG_MAX)
    if isinstance(number, BigDecimal):
        return whole_part(number)
    assert isinstance(number, int)
    return int(number)


def _decoded(text: str, low: int, high: int) -> int:
    sign, rest = ("-", text[1:]) if text.startswith("-") else ("", text)
    for prefix in ("0x", "0X", "#"):
        if rest.startswith(prefix):
            return _prefixed(sign, rest.removeprefix(prefix), low, high)
    return parse_integer(text, 10, low, high)


def _prefixed(sign: str, digits: str, low: int, high: int) -> int:
    """`Integer.decode`: a sign stands before the prefix."""
    if digits[:1] in ("+", "-"):
        raise EvalError(f"`{shown(digits)}` is no whole number")
    return parse_integer(sign + digits, 16, low, high)


def _from_text(text: str, read: Callable[[str], object]) -> object:
    return read("".join(char for char in text if char not in WHITESPACE)) if text else None


def _as_double(value: object) -> object:
    if isinstance(value, str):
        return _from_text(value, parse_float)
    return float(ord(value.value)) if isinstance(value, Char) else as_float(as_number(value) or 0)


def _as_float(value: object) -> object:
    number = _as_double(value)
    return JFloat(float32(number)) if isinstance(number, float) else None


def _as_decimal(value: object) -> object:
    if isinstance(value, str):
        return _from_text(value, parse_decimal)
    number = Int32(ord(value.value)) if isinstance(value, Char) else as_number(value)
    if isinstance(number, float) and not math.isfinite(number):
        raise EvalError("an infinite number is no decimal")
    return to_decimal(number or 0)


def _as_char(value: object) -> object:
    if isinstance(value, str):
        if len(units(value)) > 1:
            raise EvalError("a text of more than one character is no character")
        return Char(value) if value else None
    number = as_number(value)
    whole = as_integer(number or 0, LONG_MIN, LONG_MAX) if isinstance(number, float) else _whole(number)
    return Char(chr(whole % 2**16))


def _as_date(value: object) -> object:
    if isinstance(value, Instant):
        return JavaDate(value.nanos // 1_000_000)
    raise EvalError("a date cannot be made of a text: compare it with a date")


def _as_local(value: object) -> object:
    assert isinstance(value, ZonedDateTime)
    return value.local


def _as_zone(value: object) -> object:
    return parse_zone(str(value))


def _as_charset(value: object) -> object:
    name = str(value).upper()
    if name not in _CHARSETS:
        raise EvalError(f"character set `{shown(str(value))}` is not supported: write UTF-8")
    return _CHARSETS[name]


_CHARSETS: Final = {
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "US-ASCII": "ascii",
    "ASCII": "ascii",
    "ISO-8859-1": "latin-1",
}

_MAKERS: Final[Mapping[str, Callable[[object], object]]] = {
    "Integer": _integer_maker(INT_MIN, INT_MAX, Int32),
    "Long": _integer_maker(LONG_MIN, LONG_MAX, int),
    "Short": _integer_maker(-(2**15), 2**15 - 1, Int16),
    "Byte": _integer_maker(-(2**7), 2**7 - 1, Int8),
    "Double": _as_double,
    "Float": _as_float,
    "BigDecimal": _as_decimal,
    "Boolean": _as_boolean,
    "Character": _as_char,
    "String": java_text,
    "Date": _as_date,
    "LocalDateTime": _as_local,
    "ZoneId": _as_zone,
    "Charset": _as_charset,
}


def as_boolean(value: object) -> bool | None:
    """The value as a condition: a boolean, a text that is a word for one, or the first element of a list; null stays."""
    if value is True or value is False or value is None:
        return value
    made = _convert(value, "boolean")
    assert made is None or isinstance(made, bool)
    return made


def as_text(value: object) -> str | None:
    """The value as a text, as `matches` and templates want it; null stays. A map or a date-time cannot be one."""
    if type(value) is str:
        return value
    made = _convert(value, "String")
    assert made is None or isinstance(made, str)
    return made


def concatenated(value: object) -> str:
    """The value as `+` appends it: converted if it can be, else as Java writes it."""
    if value is not None and can_convert(class_of(value), "String"):
        return str(as_text(value))
    return java_text(value)
