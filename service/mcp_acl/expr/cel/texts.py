"""Numbers, bools and bytes as text, and back (CEL standard definitions: conversions).

The texts are those of cel-go, which the other implementations follow in all but layout.
"""

import math
import re
from decimal import Decimal
from typing import Final

from mcp_acl.expr.cel.arithmetic import checked
from mcp_acl.expr.cel.values import UInt
from mcp_acl.problems import EvalError

_INT: Final = re.compile(r"[+-]?[0-9]{1,20}")
_UINT: Final = re.compile(r"[0-9]{1,20}")
_DOUBLE: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"(?i:[+-]?inf(?:inity)?|nan)")
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_LONGEST_NUMBER: Final = 1000
_PLAIN_DIGITS: Final = range(-4, 6)
"""The decimal exponents for which a double is written without one."""


def _refused(text: str, kind: str) -> EvalError:
    return EvalError(f"not {kind}: `{text[:40]}`")


def int_of_text(text: str) -> int:
    """Decimal digits with an optional sign. Raises `EvalError`."""
    if _INT.fullmatch(text) is None:
        raise _refused(text, "an int")
    return checked(int(text))


def uint_of_text(text: str) -> UInt:
    """Decimal digits. Raises `EvalError`."""
    if _UINT.fullmatch(text) is None:
        raise _refused(text, "a uint")
    return UInt(int(text))


def double_of_text(text: str) -> float:
    """A decimal number, `inf` or `nan`. Raises `EvalError`, for what is out of range too."""
    if _NOT_FINITE.fullmatch(text) is not None:
        return float(text)
    if len(text) > _LONGEST_NUMBER or _DOUBLE.fullmatch(text) is None or math.isinf(float(text)):
        raise _refused(text, "a double")
    return float(text)


def bool_of_text(text: str) -> bool:
    """One of the spellings of true and false. Raises `EvalError`."""
    if text not in _BOOLS:
        raise _refused(text, "a bool")
    return _BOOLS[text]


def text_of_bool(value: bool) -> str:
    """`true` or `false`."""
    return "true" if value else "false"


def text_of_double(value: float) -> str:
    """The shortest digits that are this double; with an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    exponent = Decimal(repr(value)).adjusted()
    if exponent in _PLAIN_DIGITS:
        return fixed_text(value)
    shown = "".join(map(str, digits))
    fraction = f".{shown[1:]}" if len(shown) > 1 else ""
    return f"{'-' * sign}{shown[0]}{fraction}e{exponent:+03d}"


def fixed_text(value: float) -> str:
    """A finite double in the shortest digits that are it, never with an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").removesuffix(".") if "." in text else text


def bytes_of_text(text: str) -> bytes:
    """A string in UTF-8. Raises `EvalError` if it holds half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EvalError("the string is not valid Unicode") from None


def text_of_bytes(value: bytes) -> str:
    """UTF-8 bytes as a string. Raises `EvalError` if they are not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvalError("the bytes are not UTF-8") from None
