"""The math extension: greatest and least, rounding, signs, bits."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from mcp_acl.expr.cel.arithmetic import checked
from mcp_acl.expr.cel.equality import comparer
from mcp_acl.expr.cel.rows import Row, Style, overloaded, plain
from mcp_acl.expr.cel.values import INT_MAX, UINT_MAX, UInt, no_overload
from mcp_acl.expr.nodes import Type, Value
from mcp_acl.problems import EvalError

_WIDTH: Final = 64
_NUMBERS: Final = frozenset({int, float, UInt})
_MANY: Final = 10_000


def _extreme(name: str, compare: Callable[..., bool]) -> Callable[..., Value]:
    """The first number that no other beats; of several arguments, or of one list."""
    beats = comparer(name, compare)

    def run(*args: Value) -> Value:
        numbers = args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args
        if not numbers:
            raise EvalError(f"`{name}` of an empty list")
        best = numbers[0]
        for number in numbers:
            if type(number) not in _NUMBERS:
                raise no_overload(name, number)
            best = number if beats(number, best) else best
        return best

    return run


def _rounded(value: float) -> float:
    """To the nearest whole number, a half away from zero."""
    if not math.isfinite(value):
        return value
    whole = math.floor(abs(value))
    return math.copysign(whole + (abs(value) - whole >= 0.5), value)


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: math.copysign(rounding(value), value) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return value if math.isnan(value) or value == 0 else math.copysign(1.0, value)


def _square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _signed(bits: int) -> int:
    """The int that 64 bits stand for."""
    return bits - 2**_WIDTH if bits > INT_MAX else bits


def _shift(shifted: Callable[[int, int], int]) -> Mapping[tuple[type, ...], Callable[..., Value]]:
    """A shift of 64 bits, without regard for the sign; by 64 and more it gives 0."""

    def shift(bits: int, by: int) -> int:
        if by < 0:
            raise EvalError("a shift by less than nothing")
        return shifted(bits & UINT_MAX, by) & UINT_MAX if by < _WIDTH else 0

    return {
        (int, int): lambda value, by: _signed(shift(value, by)),
        (UInt, int): lambda value, by: UInt(shift(value.value, by)),
    }


def _bits(combined: Callable[[int, int], int]) -> Mapping[tuple[type, ...], Callable[..., Value]]:
    return {
        (int, int): combined,
        (UInt, UInt): lambda left, right: UInt(combined(left.value, right.value)),
    }


def _of(name: str, types: str, result: str, meaning: str, example: str) -> str:
    return f"math.{name}({types}) -> {result}\n{meaning}\n{example}"


def _row(name: str, result: Type, doc: str, overloads: Mapping[tuple[type, ...], Callable[..., Value]]) -> Row:
    return overloaded(f"math.{name}", Style.GLOBAL, result, doc, overloads)


_NUMBER: Final = "int | uint | double"
_BITS: Final = "int | uint"

MATH_FUNCTIONS: Final[tuple[Row, ...]] = (
    plain(
        "math.greatest",
        Style.GLOBAL,
        Type.DYN,
        _of("greatest", "number, … | list", "number", "the greatest of some numbers", "math.greatest(1, 3u, 2.5) == 3"),
        _extreme("math.greatest", lambda one, best: one > best),
        1,
        _MANY,
        pace=1,
    ),
    plain(
        "math.least",
        Style.GLOBAL,
        Type.DYN,
        _of("least", "number, … | list", "number", "the least of some numbers", "math.least([1, 3u, 2.5]) == 1"),
        _extreme("math.least", lambda one, best: one < best),
        1,
        _MANY,
        pace=1,
    ),
    _row(
        "ceil",
        Type.DOUBLE,
        _of("ceil", "double", "double", "the next whole number up", "math.ceil(1.2) == 2.0"),
        {(float,): _whole(math.ceil)},
    ),
    _row(
        "floor",
        Type.DOUBLE,
        _of("floor", "double", "double", "the next whole number down", "math.floor(-1.2) == -2.0"),
        {(float,): _whole(math.floor)},
    ),
    _row(
        "round",
        Type.DOUBLE,
        _of("round", "double", "double", "the nearest whole number, halves away from zero", "math.round(-1.5) == -2.0"),
        {(float,): _rounded},
    ),
    _row(
        "trunc",
        Type.DOUBLE,
        _of("trunc", "double", "double", "without its fraction", "math.trunc(-1.8) == -1.0"),
        {(float,): _whole(math.trunc)},
    ),
    _row(
        "abs",
        Type.DYN,
        _of("abs", _NUMBER, _NUMBER, "without its sign; an error for the least int", "math.abs(-2) == 2"),
        {(int,): lambda value: checked(abs(value)), (UInt,): lambda value: value, (float,): abs},
    ),
    _row(
        "sign",
        Type.DYN,
        _of("sign", _NUMBER, _NUMBER, "-1, 0 or 1, in the number's own type", "math.sign(-2.5) == -1.0"),
        {
            (int,): lambda value: (value > 0) - (value < 0),
            (UInt,): lambda value: UInt(min(value.value, 1)),
            (float,): _sign,
        },
    ),
    _row(
        "sqrt",
        Type.DOUBLE,
        _of("sqrt", _NUMBER, "double", "the square root; NaN of a negative number", "math.sqrt(81) == 9.0"),
        {(int,): _square_root, (UInt,): lambda value: _square_root(value.value), (float,): _square_root},
    ),
    _row(
        "isNaN",
        Type.BOOL,
        _of("isNaN", "double", "bool", "whether it is not a number", "math.isNaN(0.0 / 0.0)"),
        {(float,): math.isnan},
    ),
    _row(
        "isInf",
        Type.BOOL,
        _of("isInf", "double", "bool", "whether it is an infinity", "math.isInf(1.0 / 0.0)"),
        {(float,): math.isinf},
    ),
    _row(
        "isFinite",
        Type.BOOL,
        _of("isFinite", "double", "bool", "whether it is neither NaN nor an infinity", "math.isFinite(1.5)"),
        {(float,): math.isfinite},
    ),
    _row(
        "bitAnd",
        Type.DYN,
        _of("bitAnd", f"{_BITS}, {_BITS}", _BITS, "the bits both have", "math.bitAnd(3, 5) == 1"),
        _bits(lambda left, right: left & right),
    ),
    _row(
        "bitOr",
        Type.DYN,
        _of("bitOr", f"{_BITS}, {_BITS}", _BITS, "the bits either has", "math.bitOr(1u, 2u) == 3u"),
        _bits(lambda left, right: left | right),
    ),
    _row(
        "bitXor",
        Type.DYN,
        _of("bitXor", f"{_BITS}, {_BITS}", _BITS, "the bits only one has", "math.bitXor(3u, 5u) == 6u"),
        _bits(lambda left, right: left ^ right),
    ),
    _row(
        "bitNot",
        Type.DYN,
        _of("bitNot", _BITS, _BITS, "the bits it does not have", "math.bitNot(1) == -2"),
        {(int,): lambda value: ~value, (UInt,): lambda value: UInt(value.value ^ UINT_MAX)},
    ),
    _row(
        "bitShiftLeft",
        Type.DYN,
        _of("bitShiftLeft", f"{_BITS}, int", _BITS, "the bits moved left", "math.bitShiftLeft(1, 2) == 4"),
        _shift(lambda bits, by: bits << by),
    ),
    _row(
        "bitShiftRight",
        Type.DYN,
        _of(
            "bitShiftRight",
            f"{_BITS}, int",
            _BITS,
            "the bits moved right; the sign is a bit like the others",
            "math.bitShiftRight(1024, 2) == 256",
        ),
        _shift(lambda bits, by: bits >> by),
    ),
)
