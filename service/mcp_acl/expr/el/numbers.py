"""The methods of Java's number classes, of `Math` and of `BigDecimal`, one row each."""

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from mcp_acl.expr.el.arithmetic import (
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    LONG_MIN,
    as_float,
    as_integer,
    as_number,
    calculate,
    clamped,
    compare_numbers,
    decimal,
    exact_decimal,
    float_power,
    int32,
    int64,
    minus,
    negated,
    parse_decimal,
    power,
    to_decimal,
)
from mcp_acl.expr.el.comparing import hash_code, java_equals
from mcp_acl.expr.el.conversions import parse_float, parse_integer
from mcp_acl.expr.el.methods import Row, row
from mcp_acl.expr.el.texts import float32, java_text, plain_decimal_text
from mcp_acl.expr.el.values import BigDecimal, Int8, Int16, Int32, JFloat
from mcp_acl.problems import EvalError

_Run: TypeAlias = Callable[..., object]


# ---- Integer, Long, Short, Byte, Double, Float --------------------------------------------------------------------------


def _bits(value: object, low: int, high: int) -> int:
    return as_integer(as_number(value) or 0, low, high)


def _narrow(value: object, bits: int) -> int:
    """To `short` or `byte`: a floating number goes through `int` first."""
    half = 1 << (bits - 1)
    return (_bits(value, INT_MIN, INT_MAX) + half) % (2 * half) - half


_VALUES: Final[Sequence[tuple[str, str, _Run]]] = (
    ("intValue", "int", lambda value: Int32(_bits(value, INT_MIN, INT_MAX))),
    ("longValue", "long", lambda value: _bits(value, LONG_MIN, LONG_MAX)),
    ("shortValue", "short", lambda value: Int16(_narrow(value, 16))),
    ("byteValue", "byte", lambda value: Int8(_narrow(value, 8))),
    ("doubleValue", "double", lambda value: as_float(as_number(value) or 0)),
    ("floatValue", "float", lambda value: JFloat(float32(as_float(as_number(value) or 0)))),
)


def _order(left: int, right: int) -> Int32:
    return Int32(compare_numbers(left, right))


def _difference(left: int, right: int) -> Int32:
    return Int32(left - right)


def _number_rows(owner: str, primitive: str, parse: str, read: _Run) -> list[Row]:
    """What every wrapper class of numbers has."""
    pair = f"{primitive} {primitive}"
    return [
        *(row(f"{result} {owner}.{name}()", run) for name, result, run in _VALUES),
        row(f"String {owner}.toString()", java_text),
        row(f"boolean {owner}.equals(Object)", java_equals, "false for another class of number"),
        row(f"int {owner}.hashCode()", hash_code),
        row(f"int {owner}.compareTo({owner})", _difference if owner == "Short" else _order),
        row(f"static int {owner}.compare({pair})", _difference if owner == "Short" else _order),
        row(f"static String {owner}.toString({primitive})", java_text),
        row(f"static {primitive} {owner}.{parse}(String)", read),
        row(f"static {owner} {owner}.valueOf(String)", read),
        row(f"static {owner} {owner}.valueOf({primitive})", lambda value: value),
        row(f"new {owner}(String)", read),
        row(f"new {owner}({primitive})", lambda value: value),
    ]


def _computing_rows(owner: str, primitive: str, wrap: _Run) -> list[Row]:
    pair = f"{primitive} {primitive}"
    return [
        row(f"static {primitive} {owner}.max({pair})", _larger),
        row(f"static {primitive} {owner}.min({pair})", _smaller),
        row(f"static {primitive} {owner}.sum({pair})", lambda a, b: wrap(a + b)),
    ]


def _larger(left: object, right: object) -> object:
    first, second = as_number(left) or 0, as_number(right) or 0
    return right if compare_numbers(second, first) > 0 else left


def _smaller(left: object, right: object) -> object:
    first, second = as_number(left) or 0, as_number(right) or 0
    if second != second:  # noqa: PLR0124 - not a number is the result of both
        return right
    if first != first:  # noqa: PLR0124
        return left
    return right if compare_numbers(second, first) < 0 else left


def _based(value: int, radix: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    if not 2 <= radix <= 36:
        radix = 10
    made, rest = "", abs(value)
    while rest:
        made, rest = digits[rest % radix] + made, rest // radix
    return ("-" if value < 0 else "") + (made or "0")


def _integer_rows(
    owner: str, primitive: str, parse: str, limits: tuple[int, int], made: Callable[[int], object]
) -> list[Row]:
    low, high = limits
    bits = high.bit_length() + 1

    def read(text: str, radix: int = 10) -> object:
        return made(parse_integer(text, radix, low, high))

    return [
        *_number_rows(owner, primitive, parse, read),
        row(f"static {primitive} {owner}.{parse}(String, int)", read),
        row(f"static {owner} {owner}.valueOf(String, int)", read),
        *([] if owner == "Short" else _computing_rows(owner, primitive, int32 if owner == "Integer" else int64)),
        *([] if owner == "Short" else _text_rows(owner, primitive, bits)),
    ]


def _text_rows(owner: str, primitive: str, bits: int) -> list[Row]:
    return [
        row(f"static int {owner}.signum({primitive})", lambda value: Int32((value > 0) - (value < 0))),
        row(f"static int {owner}.bitCount({primitive})", lambda value: Int32((value % 2**bits).bit_count())),
        row(f"static String {owner}.toString({primitive}, int)", _based),
        row(f"static String {owner}.toHexString({primitive})", lambda value: f"{value % 2**bits:x}"),
        row(f"static String {owner}.toOctalString({primitive})", lambda value: f"{value % 2**bits:o}"),
        row(f"static String {owner}.toBinaryString({primitive})", lambda value: f"{value % 2**bits:b}"),
    ]


def _floating_rows(owner: str, primitive: str, parse: str, made: Callable[[float], object]) -> list[Row]:
    def read(text: str) -> object:
        return made(parse_float(text))

    return [
        *_number_rows(owner, primitive, parse, read),
        *_computing_rows(owner, primitive, made),
        row(f"boolean {owner}.isNaN()", math.isnan),
        row(f"boolean {owner}.isInfinite()", math.isinf),
        row(f"static boolean {owner}.isNaN({primitive})", math.isnan),
        row(f"static boolean {owner}.isInfinite({primitive})", math.isinf),
        row(f"static boolean {owner}.isFinite({primitive})", math.isfinite),
    ]


# ---- Math ----------------------------------------------------------------------------------------------------------------

_KINDS: Final[Sequence[tuple[str, Callable[..., object]]]] = (
    ("int", int32),
    ("long", int64),
    ("float", lambda value: JFloat(float32(value))),
    ("double", float),
)


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else value if math.isnan(value) else math.nan


def _whole(function: Callable[[float], float]) -> _Run:
    """`floor`, `ceil`, `rint`: doubles that hold whole numbers, with the sign of zero kept."""

    def run(value: float) -> float:
        if not math.isfinite(value):
            return value
        return math.copysign(float(abs(function(value))), value) if function(value) == 0 else float(function(value))

    return run


def _rounded(value: float) -> int:
    """`Math.round`: halves up."""
    if not abs(value) < 2**52:
        return clamped(value, LONG_MIN, LONG_MAX)
    below = math.floor(value)
    return below + (value - below >= 0.5)


def _signum(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


def _exact(operator: str, low: int, high: int, made: Callable[[int], object]) -> _Run:
    operations: dict[str, Callable[[int, int], int]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
    }

    def run(left: int, right: int) -> object:
        result = operations[operator](int(left), int(right))
        if not low <= result <= high:
            raise EvalError("the result is out of range")
        return made(result)

    return run


def _floor_division(made: Callable[[int], object], *, rest: bool) -> _Run:
    def run(left: int, right: int) -> object:
        if right == 0:
            raise EvalError("division by zero")
        return made(int(left) % int(right) if rest else int(left) // int(right))

    return run


def _absolute(made: _Run) -> _Run:
    return lambda value: made(abs(value))


_EXACT: Final = (("addExact", "+"), ("subtractExact", "-"), ("multiplyExact", "*"))
_REAL: Final[Sequence[tuple[str, str, _Run]]] = (
    ("sqrt", "double", _root),
    ("floor", "double", _whole(math.floor)),
    ("ceil", "double", _whole(math.ceil)),
    ("rint", "double", _whole(round)),
    ("pow", "double double", float_power),
)

_MATH: Final = (
    *(row(f"static {kind} Math.abs({kind})", _absolute(made)) for kind, made in _KINDS),
    *(row(f"static {kind} Math.max({kind}, {kind})", _larger) for kind, _ in _KINDS),
    *(row(f"static {kind} Math.min({kind}, {kind})", _smaller) for kind, _ in _KINDS),
    row("static long Math.round(double)", _rounded),
    row("static int Math.round(float)", lambda value: Int32(clamped(_rounded(value), INT_MIN, INT_MAX))),
    row("static double Math.signum(double)", _signum),
    row("static float Math.signum(float)", lambda value: JFloat(_signum(value))),
    *(row(f"static int Math.{n}(int, int)", _exact(op, INT_MIN, INT_MAX, Int32)) for n, op in _EXACT),
    *(row(f"static long Math.{n}(long, long)", _exact(op, LONG_MIN, LONG_MAX, int)) for n, op in _EXACT),
    row("static int Math.toIntExact(long)", lambda value: _exact("+", INT_MIN, INT_MAX, Int32)(value, 0)),
    row("static long Math.multiplyExact(long, int)", _exact("*", LONG_MIN, LONG_MAX, int)),
    row("static int Math.floorDiv(int, int)", _floor_division(int32, rest=False)),
    row("static long Math.floorDiv(long, int)", _floor_division(int64, rest=False)),
    row("static long Math.floorDiv(long, long)", _floor_division(int64, rest=False)),
    row("static int Math.floorMod(int, int)", _floor_division(int32, rest=True)),
    row("static int Math.floorMod(long, int)", _floor_division(int32, rest=True)),
    row("static long Math.floorMod(long, long)", _floor_division(int64, rest=True)),
    *(row(f"static double Math.{name}({params})", run) for name, params, run in _REAL),
)


# ---- BigDecimal ------------------------------------------------------------------------------------------------------------


def _stripped(value: BigDecimal) -> BigDecimal:
    if value.unscaled == 0:
        return BigDecimal(0, 0)
    unscaled, scale = value.unscaled, value.scale
    while unscaled % 10 == 0:
        unscaled, scale = unscaled // 10, scale - 1
    return BigDecimal(unscaled, scale)


def _pair(operator: str) -> _Run:
    return lambda left, right: calculate(operator, left, right)


def _pow(base: BigDecimal, exponent: int) -> object:
    return power(base, exponent)


def _rescaled(value: BigDecimal, scale: int) -> BigDecimal:
    """`setScale` without rounding: only zeros may go."""
    wider = decimal(value.unscaled, value.scale)
    if scale >= wider.scale:
        check = decimal(0, scale)
        return decimal(wider.unscaled * 10 ** (check.scale - wider.scale), scale)
    quotient, rest = divmod(wider.unscaled, 10 ** (wider.scale - decimal(0, scale).scale))
    if rest:
        raise EvalError("rounding necessary")
    return BigDecimal(quotient, scale)


_BIG: Final = (
    *(
        row(f"{result} BigDecimal.{name}()", run)
        for name, result, run in _VALUES
        if name not in ("shortValue", "byteValue")
    ),
    *(
        row(f"BigDecimal BigDecimal.{name}(BigDecimal)", _pair(op))
        for name, op in (("add", "+"), ("subtract", "-"), ("multiply", "*"), ("remainder", "%"))
    ),
    row("BigDecimal BigDecimal.negate()", minus),
    row("BigDecimal BigDecimal.abs()", lambda value: negated(value) if value.unscaled < 0 else value),
    row("BigDecimal BigDecimal.pow(int)", _pow),
    row("BigDecimal BigDecimal.max(BigDecimal)", _larger),
    row("BigDecimal BigDecimal.min(BigDecimal)", _smaller),
    row("int BigDecimal.signum()", lambda value: Int32((value.unscaled > 0) - (value.unscaled < 0))),
    row("int BigDecimal.scale()", lambda value: Int32(value.scale)),
    row("int BigDecimal.precision()", lambda value: Int32(len(str(abs(value.unscaled))))),
    row("BigDecimal BigDecimal.setScale(int)", _rescaled),
    row("BigDecimal BigDecimal.stripTrailingZeros()", _stripped),
    row("int BigDecimal.compareTo(BigDecimal)", lambda left, right: Int32(compare_numbers(left, right))),
    row("boolean BigDecimal.equals(Object)", java_equals, "2.0 is not 2.00"),
    row("String BigDecimal.toString()", java_text),
    row("String BigDecimal.toPlainString()", plain_decimal_text),
    row("static BigDecimal BigDecimal.valueOf(long)", lambda value: BigDecimal(int(value), 0)),
    row("static BigDecimal BigDecimal.valueOf(double)", to_decimal),
    row("new BigDecimal(String)", parse_decimal),
    row("new BigDecimal(int)", to_decimal),
    row("new BigDecimal(long)", to_decimal),
    row("new BigDecimal(double)", exact_decimal),
)

ROWS: Final = (
    *_integer_rows("Integer", "int", "parseInt", (INT_MIN, INT_MAX), Int32),
    *_integer_rows("Long", "long", "parseLong", (LONG_MIN, LONG_MAX), int),
    *_integer_rows("Short", "short", "parseShort", (-(2**15), 2**15 - 1), Int16),
    *_floating_rows("Double", "double", "parseDouble", float),
    *_floating_rows("Float", "float", "parseFloat", lambda value: JFloat(float32(value))),
    row("new Float(double)", lambda value: JFloat(float32(value))),
    *_MATH,
    *_BIG,
)
