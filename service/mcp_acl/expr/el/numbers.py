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
from mcp_acl.expr.el.methods import CONSTRUCTOR, Row
from mcp_acl.expr.el.texts import float32, java_text, plain_decimal_text
from mcp_acl.expr.el.values import BigDecimal, Int8, Int16, Int32, JFloat
from mcp_acl.problems import EvalError

_Run: TypeAlias = Callable[..., object]


def _static(owner: str, name: str, params: str, result: str, run: _Run, doc: str = "") -> Row:
    return Row(owner, name, tuple(params.split()), result, run, doc, static=True)


def _on(owner: str, name: str, params: str, result: str, run: _Run, doc: str = "") -> Row:
    return Row(owner, name, tuple(params.split()), result, run, doc)


# ---- Integer, Long, Short, Byte, Double, Float --------------------------------------------------------------------------


def _bits(value: object, low: int, high: int) -> int:
    return as_integer(as_number(value) or 0, low, high)


def _narrow(value: object, bits: int) -> int:
    """To `short` or `byte`: a floating number goes through `int` first."""
    whole = _bits(value, INT_MIN, INT_MAX)
    return (whole + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


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
        *(_on(owner, name, "", result, run) for name, result, run in _VALUES),
        _on(owner, "toString", "", "String", java_text),
        _on(owner, "equals", "Object", "boolean", java_equals, "false for another class of number"),
        _on(owner, "hashCode", "", "int", hash_code),
        _on(owner, "compareTo", owner, "int", _difference if owner == "Short" else _order),
        _static(owner, "compare", pair, "int", _difference if owner == "Short" else _order),
        _static(owner, "toString", primitive, "String", java_text),
        _static(owner, parse, "String", primitive, read),
        _static(owner, "valueOf", "String", owner, read),
        _static(owner, "valueOf", primitive, owner, lambda value: value),
        _static(owner, CONSTRUCTOR, "String", owner, read),
        _static(owner, CONSTRUCTOR, primitive, owner, lambda value: value),
    ]


def _computing_rows(owner: str, primitive: str, wrap: _Run) -> list[Row]:
    pair = f"{primitive} {primitive}"
    return [
        _static(owner, "max", pair, primitive, _larger),
        _static(owner, "min", pair, primitive, _smaller),
        _static(owner, "sum", pair, primitive, lambda a, b: wrap(a + b)),
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


def _integer_rows(owner: str, primitive: str, parse: str, limits: tuple[int, int], made: Callable[[int], object]) -> list[Row]:
    low, high = limits
    bits = high.bit_length() + 1

    def read(text: str, radix: int = 10) -> object:
        if text is None:
            raise EvalError("null is no number")
        return made(parse_integer(text, radix, low, high))

    return [
        *_number_rows(owner, primitive, parse, read),
        _static(owner, parse, "String int", primitive, read),
        _static(owner, "valueOf", "String int", owner, read),
        *([] if owner == "Short" else _computing_rows(owner, primitive, int32 if owner == "Integer" else int64)),
        *([] if owner == "Short" else _text_rows(owner, primitive, bits)),
    ]


def _text_rows(owner: str, primitive: str, bits: int) -> list[Row]:
    return [
        _static(owner, "signum", primitive, "int", lambda value: Int32((value > 0) - (value < 0))),
        _static(owner, "bitCount", primitive, "int", lambda value: Int32((value % 2**bits).bit_count())),
        _static(owner, "toString", f"{primitive} int", "String", _based),
        _static(owner, "toHexString", primitive, "String", lambda value: f"{value % 2**bits:x}"),
        _static(owner, "toOctalString", primitive, "String", lambda value: f"{value % 2**bits:o}"),
        _static(owner, "toBinaryString", primitive, "String", lambda value: f"{value % 2**bits:b}"),
    ]


def _floating_rows(owner: str, primitive: str, parse: str, made: Callable[[float], object]) -> list[Row]:
    def read(text: str) -> object:
        if text is None:
            raise EvalError("null is no number")
        return made(parse_float(text))

    return [
        *_number_rows(owner, primitive, parse, read),
        *_computing_rows(owner, primitive, made),
        _on(owner, "isNaN", "", "boolean", math.isnan),
        _on(owner, "isInfinite", "", "boolean", math.isinf),
        _static(owner, "isNaN", primitive, "boolean", math.isnan),
        _static(owner, "isInfinite", primitive, "boolean", math.isinf),
        _static(owner, "isFinite", primitive, "boolean", math.isfinite),
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
    return 0 if math.isnan(value) else math.floor(value + 0.5) if abs(value) < 2**52 else clamped(value, LONG_MIN, LONG_MAX)


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
    *(_static("Math", "abs", kind, kind, _absolute(made)) for kind, made in _KINDS),
    *(_static("Math", "max", f"{kind} {kind}", kind, _larger) for kind, _ in _KINDS),
    *(_static("Math", "min", f"{kind} {kind}", kind, _smaller) for kind, _ in _KINDS),
    _static("Math", "round", "double", "long", _rounded),
    _static("Math", "round", "float", "int", lambda value: Int32(clamped(_rounded(value), INT_MIN, INT_MAX))),
    _static("Math", "signum", "double", "double", _signum),
    _static("Math", "signum", "float", "float", lambda value: JFloat(_signum(value))),
    *(_static("Math", n, "int int", "int", _exact(op, INT_MIN, INT_MAX, Int32)) for n, op in _EXACT),
    *(_static("Math", n, "long long", "long", _exact(op, LONG_MIN, LONG_MAX, int)) for n, op in _EXACT),
    _static("Math", "toIntExact", "long", "int", lambda value: _exact("+", INT_MIN, INT_MAX, Int32)(value, 0)),
    _static("Math", "multiplyExact", "long int", "long", _exact("*", LONG_MIN, LONG_MAX, int)),
    _static("Math", "floorDiv", "int int", "int", _floor_division(int32, rest=False)),
    _static("Math", "floorDiv", "long int", "long", _floor_division(int64, rest=False)),
    _static("Math", "floorDiv", "long long", "long", _floor_division(int64, rest=False)),
    _static("Math", "floorMod", "int int", "int", _floor_division(int32, rest=True)),
    _static("Math", "floorMod", "long int", "int", _floor_division(int32, rest=True)),
    _static("Math", "floorMod", "long long", "long", _floor_division(int64, rest=True)),
    *(_static("Math", name, params, "double", run) for name, params, run in _REAL),
)


# ---- BigDecimal ------------------------------------------------------------------------------------------------------------


def _decimal_of(value: object, low: int, high: int) -> int:
    return as_integer(as_number(value) or 0, low, high)


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
    *(_on("BigDecimal", name, "", result, run) for name, result, run in _VALUES if name not in ("shortValue", "byteValue")),
    *(
        _on("BigDecimal", name, "BigDecimal", "BigDecimal", _pair(op))
        for name, op in (("add", "+"), ("subtract", "-"), ("multiply", "*"), ("remainder", "%"))
    ),
    _on("BigDecimal", "negate", "", "BigDecimal", minus),
    _on("BigDecimal", "abs", "", "BigDecimal", lambda value: negated(value) if value.unscaled < 0 else value),
    _on("BigDecimal", "pow", "int", "BigDecimal", _pow),
    _on("BigDecimal", "max", "BigDecimal", "BigDecimal", _larger),
    _on("BigDecimal", "min", "BigDecimal", "BigDecimal", _smaller),
    _on("BigDecimal", "signum", "", "int", lambda value: Int32((value.unscaled > 0) - (value.unscaled < 0))),
    _on("BigDecimal", "scale", "", "int", lambda value: Int32(value.scale)),
    _on("BigDecimal", "precision", "", "int", lambda value: Int32(len(str(abs(value.unscaled))))),
    _on("BigDecimal", "setScale", "int", "BigDecimal", _rescaled),
    _on("BigDecimal", "stripTrailingZeros", "", "BigDecimal", _stripped),
    _on("BigDecimal", "compareTo", "BigDecimal", "int", lambda left, right: Int32(compare_numbers(left, right))),
    _on("BigDecimal", "equals", "Object", "boolean", java_equals, "2.0 is not 2.00"),
    _on("BigDecimal", "toString", "", "String", java_text),
    _on("BigDecimal", "toPlainString", "", "String", plain_decimal_text),
    _static("BigDecimal", "valueOf", "long", "BigDecimal", lambda value: BigDecimal(int(value), 0)),
    _static("BigDecimal", "valueOf", "double", "BigDecimal", to_decimal),
    _static("BigDecimal", CONSTRUCTOR, "String", "BigDecimal", parse_decimal),
    _static("BigDecimal", CONSTRUCTOR, "int", "BigDecimal", to_decimal),
    _static("BigDecimal", CONSTRUCTOR, "long", "BigDecimal", to_decimal),
    _static("BigDecimal", CONSTRUCTOR, "double", "BigDecimal", exact_decimal),
)

ROWS: Final = (
    *_integer_rows("Integer", "int", "parseInt", (INT_MIN, INT_MAX), Int32),
    *_integer_rows("Long", "long", "parseLong", (LONG_MIN, LONG_MAX), int),
    *_integer_rows("Short", "short", "parseShort", (-(2**15), 2**15 - 1), Int16),
    *_floating_rows("Double", "double", "parseDouble", float),
    *_floating_rows("Float", "float", "parseFloat", lambda value: JFloat(float32(value))),
    _static("Float", CONSTRUCTOR, "double", "Float", lambda value: JFloat(float32(value))),
    *_MATH,
    *_BIG,
)
