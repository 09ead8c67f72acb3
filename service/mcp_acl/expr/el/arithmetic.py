"""Java's arithmetic: which type a result has, how integers wrap, how doubles and decimals behave.

Two numbers are computed in the widest of their types: BigDecimal, Double, Float, Long, else Integer.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mcp_acl.expr.el.texts import double_text, float32, float_text
from mcp_acl.expr.el.values import BigDecimal, Int8, Int16, Int32, JFloat, shown
from mcp_acl.problems import EvalError

Number: TypeAlias = int | float | BigDecimal

_INTEGER, _LONG, _FLOAT, _DOUBLE, _DECIMAL = range(5)
_RANKS: Final[Mapping[type, int]] = {
    Int8: _INTEGER,
    Int16: _INTEGER,
    Int32: _INTEGER,
    int: _LONG,
    JFloat: _FLOAT,
    float: _DOUBLE,
    BigDecimal: _DECIMAL,
}
_MAX_DIGITS: Final = 1_000
INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1
LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1


def as_number(value: object) -> Number | None:
    """The value if it is a number (a bool is none)."""
    return value if type(value) in _RANKS else None  # type: ignore[return-value]


def int32(value: int) -> Int32:
    """An Integer: the low 32 bits."""
    return Int32((value + 2**31) % 2**32 - 2**31)


def int64(value: int) -> int:
    """A Long: the low 64 bits."""
    return (int(value) + 2**63) % 2**64 - 2**63


def clamped(value: float, low: int, high: int) -> int:
    """A floating number cut to an integer, as a Java cast does it."""
    if value != value:  # noqa: PLR0124 - not a number
        return 0
    return low if value <= low else high if value >= high else int(value)


# ---- decimals --------------------------------------------------------------------------------------------------------


def decimal(unscaled: int, scale: int) -> BigDecimal:
    """A decimal of bounded size."""
    if abs(scale) > _MAX_DIGITS or abs(unscaled) >= 10**_MAX_DIGITS:
        raise EvalError(f"a decimal number may have {_MAX_DIGITS:,} digits at most")
    return BigDecimal(unscaled, scale)


def parse_decimal(text: str) -> BigDecimal:
    """`new BigDecimal(text)`."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, dot, fraction = mantissa.partition(".")
    digits = whole.lstrip("+-") + fraction
    exponent_digits = exponent.lstrip("+-")
    if not _is_number(digits) or len(whole) - len(whole.lstrip("+-")) > 1 or len(text) > 2 * _MAX_DIGITS:
        raise EvalError(f"`{shown(text)}` is no number")
    if ("e" in text.replace("E", "e")) and (not _is_number(exponent_digits) or len(exponent_digits) > 9):
        raise EvalError(f"`{shown(text)}` is no number")
    unscaled = int(digits)
    return decimal(-unscaled if whole.startswith("-") else unscaled, len(fraction) * bool(dot) - int(exponent or 0))


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit()


def to_decimal(value: Number) -> BigDecimal:
    """A number as Spring makes a decimal of it: by its text."""
    if isinstance(value, BigDecimal):
        return value
    if isinstance(value, JFloat):
        return parse_decimal(float_text(value))
    if isinstance(value, float):
        return parse_decimal(double_text(value))
    return BigDecimal(int(value), 0)


def exact_decimal(value: float) -> BigDecimal:
    """`new BigDecimal(double)`: the number's exact binary value."""
    if not math.isfinite(value):
        raise EvalError("an infinite number is no decimal")
    numerator, denominator = value.as_integer_ratio()
    scale = denominator.bit_length() - 1
    return decimal(numerator * 5**scale, scale)


def aligned(left: BigDecimal, right: BigDecimal) -> tuple[int, int, int]:
    """Both unscaled values at the larger of the two scales, which comes last."""
    scale = max(left.scale, right.scale)
    return left.unscaled * 10 ** (scale - left.scale), right.unscaled * 10 ** (scale - right.scale), scale


def divide_half_even(left: BigDecimal, right: BigDecimal, scale: int) -> BigDecimal:
    """The quotient at a scale, halves rounded to even."""
    if right.unscaled == 0:
        raise EvalError("division by zero")
    shift = scale - left.scale + right.scale
    numerator, denominator = left.unscaled * 10 ** max(shift, 0), right.unscaled * 10 ** max(-shift, 0)
    quotient, rest = divmod(abs(numerator), abs(denominator))
    if 2 * rest > abs(denominator) or (2 * rest == abs(denominator) and quotient % 2):
        quotient += 1
    return decimal(quotient if (numerator < 0) == (denominator < 0) else -quotient, scale)


def _decimal_remainder(left: BigDecimal, right: BigDecimal) -> BigDecimal:
    """The remainder, at the scale Java's way of getting it leaves: quotient, zeros dropped, times divisor, subtracted."""
    first, second, scale = aligned(left, right)
    quotient, dropped = truncated_quotient(first, second), 0
    while dropped > left.scale - right.scale and quotient % 10 == 0:
        quotient, dropped = quotient // 10, dropped - 1
    wanted = max(left.scale, dropped + right.scale)
    rest = truncated_remainder(first, second)
    return decimal(rest // 10 ** (scale - wanted), wanted)


def _decimal_sum(left: BigDecimal, right: BigDecimal) -> BigDecimal:
    first, second, scale = aligned(left, right)
    return decimal(first + second, scale)


def negated(value: BigDecimal) -> BigDecimal:
    """The number with the other sign."""
    return BigDecimal(-value.unscaled, value.scale)


# ---- operators -------------------------------------------------------------------------------------------------------


def truncated_quotient(left: int, right: int) -> int:
    """Integer division, rounded towards zero."""
    if right == 0:
        raise EvalError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def truncated_remainder(left: int, right: int) -> int:
    """The remainder that goes with it: it has the sign of `left`."""
    if right == 0:
        raise EvalError("division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def float_quotient(left: float, right: float) -> float:
    """Division of doubles: never an error."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def float_remainder(left: float, right: float) -> float:
    """The remainder of doubles: never an error."""
    if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def float_power(base: float, exponent: float) -> float:
    """`Math.pow`."""
    if exponent == 0:
        return 1.0
    if math.isnan(exponent) or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        if base == 0:
            return -math.inf if math.copysign(1.0, base) < 0 and exponent % 2 == -1 % 2 else math.inf
        return math.nan


_Decimals: TypeAlias = Callable[[BigDecimal, BigDecimal], BigDecimal]
_Integers: TypeAlias = Callable[[int, int], int]
_Floats: TypeAlias = Callable[[float, float], float]

_OPERATIONS: Final[Mapping[str, tuple[_Decimals, _Floats, _Integers]]] = {
    "+": (_decimal_sum, lambda left, right: left + right, lambda left, right: left + right),
    "-": (
        lambda left, right: _decimal_sum(left, negated(right)),
        lambda left, right: left - right,
        lambda left, right: left - right,
    ),
    "*": (
        lambda left, right: decimal(left.unscaled * right.unscaled, left.scale + right.scale),
        lambda left, right: left * right,
        lambda left, right: left * right,
    ),
    "/": (
        lambda left, right: divide_half_even(left, right, max(left.scale, right.scale)),
        float_quotient,
        truncated_quotient,
    ),
    "%": (_decimal_remainder, float_remainder, truncated_remainder),
}


def rank_of(left: Number, right: Number) -> int:
    """Which type two numbers are computed in."""
    return max(_RANKS[type(left)], _RANKS[type(right)])


def as_float(value: Number) -> float:
    """The number as a double."""
    if not isinstance(value, BigDecimal):
        return float(value)
    try:
        return float(f"{value.unscaled}e{-value.scale}")
    except OverflowError:  # pragma: no cover - float() of a text gives infinity
        return math.inf


def as_integer(value: Number, low: int, high: int) -> int:
    """The number cut to an integer type."""
    if isinstance(value, float):
        return clamped(value, low, high)
    whole = whole_part(value) if isinstance(value, BigDecimal) else int(value)
    return (whole - low) % (high - low + 1) + low


def whole_part(value: BigDecimal) -> int:
    """The number without its fraction."""
    return truncated_quotient(value.unscaled * int(10 ** max(-value.scale, 0)), int(10 ** max(value.scale, 0)))


def calculate(operator: str, left: Number, right: Number) -> Number:
    """`left operator right` for `+ - * / %`."""
    decimals, floats, integers = _OPERATIONS[operator]
    rank = rank_of(left, right)
    if rank == _DECIMAL:
        return decimals(to_decimal(left), to_decimal(right))
    if rank == _DOUBLE:
        return float(floats(as_float(left), as_float(right)))
    if rank == _FLOAT:
        return JFloat(float32(floats(float32(as_float(left)), float32(as_float(right)))))
    result = integers(int(left), int(right))  # type: ignore[arg-type]
    return int64(result) if rank == _LONG else int32(result)


def power(left: Number, right: Number) -> Number:
    """`left ^ right`: integers stay integers, cut to what fits."""
    if isinstance(left, BigDecimal):
        exponent = as_integer(right, INT_MIN, INT_MAX)
        if not 0 <= exponent <= _MAX_DIGITS or len(str(abs(left.unscaled))) * exponent > _MAX_DIGITS:
            raise EvalError("the exponent is out of range")
        return decimal(left.unscaled**exponent, left.scale * exponent)
    result = float_power(as_float(left), as_float(right))
    if isinstance(left, float) or isinstance(right, float):
        return result
    if result > INT_MAX or type(left) is int or type(right) is int:
        return clamped(result, LONG_MIN, LONG_MAX)
    return Int32(clamped(result, INT_MIN, INT_MAX))


def minus(value: Number) -> Number:
    """`-value`."""
    if isinstance(value, BigDecimal):
        return negated(value)
    if isinstance(value, JFloat):
        return JFloat(0 - value)
    if isinstance(value, float):
        return 0 - value
    return int64(-value) if type(value) is int else int32(-value)


def compare_numbers(left: Number, right: Number) -> int:
    """Java's `compare`: −1, 0 or 1; NaN is above everything, −0.0 below 0.0."""
    rank = rank_of(left, right)
    if rank == _DECIMAL:
        first, second, _ = aligned(to_decimal(left), to_decimal(right))
        return (first > second) - (first < second)
    if rank in (_DOUBLE, _FLOAT):
        return _compare_floats(*_floats(rank, left, right))
    return (left > right) - (left < right)  # type: ignore[operator]


def _floats(rank: int, left: Number, right: Number) -> tuple[float, float]:
    if rank == _DOUBLE:
        return as_float(left), as_float(right)
    return float32(as_float(left)), float32(as_float(right))


def _compare_floats(left: float, right: float) -> int:
    if left < right:
        return -1
    if left > right:
        return 1
    first, second = _order(left), _order(right)
    return (first > second) - (first < second)


def _order(value: float) -> int:
    if math.isnan(value):
        return 2
    return 0 if value == 0 and math.copysign(1.0, value) < 0 else 1


def relation(left: Number, right: Number) -> int | None:
    """How `<` and `==` see two numbers: −1, 0, 1, or None when one is NaN; −0.0 is 0.0."""
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    rank = rank_of(left, right)
    if rank not in (_DOUBLE, _FLOAT):
        return compare_numbers(left, right)
    first, second = _floats(rank, left, right)
    if math.isnan(first) or math.isnan(second):
        return None
    return (first > second) - (first < second)
