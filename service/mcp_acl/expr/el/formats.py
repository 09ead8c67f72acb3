"""`String.format`: the conversions `%s %S %b %B %c %d %o %x %X %f %n %%`, with width, precision and the usual flags.

Anything else a Java format may hold is an error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

from mcp_acl.expr.el.arithmetic import as_number
from mcp_acl.expr.el.texts import java_text, plain_decimal_text
from mcp_acl.expr.el.values import BigDecimal, Char, Int32, check_length, made_text, shown
from mcp_acl.problems import EvalError

_SPECIFIER: Final = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?(.)", re.DOTALL | re.ASCII)
_FLAGS: Final[Mapping[str, str]] = {"s": "-", "b": "-", "c": "-", "d": "-+ 0,", "o": "-0", "x": "-0", "f": "-+ 0,"}


def format_text(template: str, args: Sequence[object]) -> str:
    """The template with each specifier replaced by the text of its argument."""
    made: list[str] = []
    place = ordinary = size = 0
    for match in _SPECIFIER.finditer(template):
        made.append(_literal(template[place : match.start()]))
        place = match.end()
        if match.group(5) in "n%":
            made.append("\n" if match.group(5) == "n" else "%")
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


def _formatted(match: re.Match[str], value: object) -> str:
    flags, width, precision, kind = match.group(2), int(match.group(3) or 0), match.group(4), match.group(5)
    write = _WRITERS.get(kind)
    if write is None or set(flags) - set(_FLAGS[kind.lower()]) or (precision and kind in "cdoxX"):
        raise EvalError(f"`{shown(match.group())}` is not supported in a format")
    check_length(max(width, int(precision or 0)))
    text = write(value, flags, precision)
    if kind in "SBX":
        text = text.upper()
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        sign = text[:1] if text[:1] in ("-", "+", " ") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _text(value: object, _flags: str, precision: str | None) -> str:
    text = java_text(value)
    return text if precision is None else text[: int(precision)]


def _boolean(value: object, _flags: str, precision: str | None) -> str:
    text = java_text(value if isinstance(value, bool) else value is not None)
    return text if precision is None else text[: int(precision)]


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


def _based(base: str, bits: int) -> Callable[[object, str, str | None], str]:
    def write(value: object, _flags: str, _precision: str | None) -> str:
        number = _integer(value)
        width = 64 if type(value) is int else bits
        return f"{number % 2**width:{base}}"

    return write


def _floating(value: object, flags: str, precision: str | None) -> str:
    number = as_number(value)
    if not isinstance(number, float | BigDecimal):
        raise EvalError("`%f` takes a number with a fraction")
    text = plain_decimal_text(number) if isinstance(number, BigDecimal) else repr(float(number))
    if "n" in text:
        raise EvalError("`%f` takes a finite number here")
    with localcontext() as context:
        context.prec = 2_000
        rounded = Decimal(text).quantize(Decimal(1).scaleb(-int(precision or 6)), ROUND_HALF_UP)
    return _signed(f"{abs(rounded):f}", rounded.is_signed(), flags)


_WRITERS: Final[Mapping[str, Callable[[object, str, str | None], str]]] = {
    "s": _text,
    "S": _text,
    "b": _boolean,
    "B": _boolean,
    "c": _character,
    "d": _decimal,
    "o": _based("o", 32),
    "x": _based("x", 32),
    "X": _based("x", 32),
    "f": _floating,
}
