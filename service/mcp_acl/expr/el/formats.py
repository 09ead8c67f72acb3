"""`String.format`: the conversions `%s %S %b %B %c %d %o %x %X %f %n %%`, with width, precision and the usual flags.

Anything else a Java format may hold is an error.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

from mcp_acl.expr.el.arithmetic import as_number
from mcp_acl.expr.el.texts import double_digits, java_text, plain_decimal_text
from mcp_acl.expr.el.values import BigDecimal, Char, Int8, Int16, Int32, check_length, joined, made_text, shown, units
from mcp_acl.problems import EvalError

_SPECIFIER: Final = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?(.)", re.DOTALL | re.ASCII)
_FLAGS: Final[Mapping[str, str]] = {
    "s": "-",
    "b": "-",
    "c": "-",
    "d": "-+ 0,",
    "o": "-0",
    "x": "-0",
    "f": "-+ 0,",
    "%": "-",
    "n": "",
}
"""By conversion in lower case: the flags it may have."""

_CONTRADICTIONS: Final = (frozenset("-0"), frozenset("+ "))
_NEED_WIDTH: Final = frozenset("-0")
_WITH_PRECISION: Final = frozenset("sSbBf")
_WITHOUT_ARGUMENT: Final[Mapping[str, str]] = {"n": "\n", "%": "%"}


def format_text(template: str, args: Sequence[object]) -> str:
    """The template with each specifier replaced by the text of its argument."""
    made: list[str] = []
    place = ordinary = size = 0
    for match in _SPECIFIER.finditer(template):
        made.append(_literal(template[place : match.start()]))
        place = match.end()
        _check(match)
        plain = _WITHOUT_ARGUMENT.get(match.group(5))
        if plain is not None:
            made.append(_justified(match, plain))
        else:
            index = int(match.group(1)) - 1 if match.group(1) else ordinary
            ordinary += 0 if match.group(1) else 1
            made.append(_formatted(match, _argument(args, index)))
        size += len(made[-1]) + len(made[-2])
        check_length(size)
    made.append(_literal(template[place:]))
    return made_text("".join(made))


def _literal(text: str) -> str:
    if "%" in text:
        raise EvalError("the format holds a `%` that is no specifier")
    return text


def _argument(args: Sequence[object], index: int) -> object:
    if not 0 <= index < len(args):
        raise EvalError("the format has more specifiers than arguments")
    return args[index]


def _check(match: re.Match[str]) -> None:
    _, written, width, precision, kind = match.groups()
    flags = frozenset(written)
    if (
        (kind not in _WRITERS and kind not in _WITHOUT_ARGUMENT)
        or flags - set(_FLAGS[kind.lower()])
        or len(flags) < len(written)
        or any(pair <= flags for pair in _CONTRADICTIONS)
        or (width is None and flags & _NEED_WIDTH)
        or (width is not None and kind == "n")
        or (precision is not None and kind not in _WITH_PRECISION)
    ):
        raise EvalError(f"`{shown(match.group())}` is not supported in a format")
    check_length(max(int(width or 0), int(precision or 0)))


def _formatted(match: re.Match[str], value: object) -> str:
    flags, precision, kind = match.group(2), match.group(4), match.group(5)
    text = _WRITERS[kind](value, flags, precision)
    return _justified(match, text.upper() if kind in "SBX" else text)


def _justified(match: re.Match[str], written: str) -> str:
    """The text with spaces or zeros to its width, counted in UTF-16 code units."""
    flags, width, text = match.group(2), int(match.group(3) or 0), units(written)
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        sign = text[:1] if text[:1] in ("-", "+", " ") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _cut(text: str, precision: str | None) -> str:
    return text if precision is None else joined(units(text)[: int(precision)])


def _text(value: object, _flags: str, precision: str | None) -> str:
    return _cut(java_text(value), precision)


def _boolean(value: object, _flags: str, precision: str | None) -> str:
    return _cut(java_text(value if isinstance(value, bool) else value is not None), precision)


def _character(value: object, _flags: str, _precision: str | None) -> str:
    if isinstance(value, Char):
        return value.value
    if type(value) is Int32 and 0 <= value <= 0x10FFFF:
        return chr(value)
    raise EvalError("`%c` takes a character")


def _signed(text: str, negative: bool, flags: str) -> str:
    if "," in flags:
        whole, dot, fraction = text.partition(".")
        text = f"{int(whole):,}{dot}{fraction}"
    return "-" + text if negative else ("+" if "+" in flags else " " if " " in flags else "") + text


def _integer(value: object) -> int:
    number = as_number(value)
    if not isinstance(number, int):
        raise EvalError("`%d` and its like take whole numbers")
    return number


def _decimal(value: object, flags: str, _precision: str | None) -> str:
    number = _integer(value)
    return _signed(str(abs(number)), number < 0, flags)


_BITS: Final[Mapping[type, int]] = {int: 64, Int32: 32, Int16: 16, Int8: 8}


def _based(base: str) -> Callable[[object, str, str | None], str]:
    def write(value: object, _flags: str, _precision: str | None) -> str:
        return f"{_integer(value) % 2 ** _BITS[type(value)]:{base}}"

    return write


def _floating(value: object, flags: str, precision: str | None) -> str:
    number = as_number(value)
    if not isinstance(number, float | BigDecimal):
        raise EvalError("`%f` takes a number with a fraction")
    if isinstance(number, float) and not math.isfinite(number):
        raise EvalError("`%f` takes a finite number here")
    negative = number.unscaled < 0 if isinstance(number, BigDecimal) else math.copysign(1, number) < 0
    text = plain_decimal_text(number) if isinstance(number, BigDecimal) else double_digits(float(number))
    with localcontext() as context:
        context.prec = 2_000
        rounded = Decimal(text).quantize(Decimal(1).scaleb(-int(precision or 6)), ROUND_HALF_UP)
    return _signed(f"{abs(rounded):f}", negative, flags)


_WRITERS: Final[Mapping[str, Callable[[object, str, str | None], str]]] = {
    "s": _text,
    "S": _text,
    "b": _boolean,
    "B": _boolean,
    "c": _character,
    "d": _decimal,
    "o": _based("o"),
    "x": _based("x"),
    "X": _based("x"),
    "f": _floating,
}
