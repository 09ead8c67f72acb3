"""Conversions between types: `int(x)`, `string(x)` and the like, `type` and `dyn` (CEL standard definitions).

Scalars as text are in `texts`, timestamps and durations in `times`.
"""

from ipaddress import IPv4Address
from typing import Final

from mcp_acl.expr.cel import texts, times
from mcp_acl.expr.cel.arithmetic import checked
from mcp_acl.expr.cel.network import cidr_text
from mcp_acl.expr.cel.rows import Row, Style, overloaded, plain
from mcp_acl.expr.cel.values import (
    INT_MAX,
    INT_MIN,
    NANOS,
    UINT_MAX,
    Cidr,
    Duration,
    Timestamp,
    UInt,
    type_of,
)
from mcp_acl.expr.nodes import Type, Value
from mcp_acl.problems import EvalError


def _int_of_double(value: float) -> int:
    """Truncation towards zero. The two ends of the range are refused: their doubles stand for more than one int."""
    if not INT_MIN < value < INT_MAX:
        raise EvalError("integer overflow")
    return int(value)


def _uint_of_double(value: float) -> UInt:
    if not 0 <= value < UINT_MAX:
        raise EvalError("unsigned integer overflow")
    return UInt(int(value))


def _type(value: Value) -> Value:
    return type_of(value)


def _dyn(value: Value) -> Value:
    return value


CONVERSIONS: Final[tuple[Row, ...]] = (
    overloaded(
        "int",
        Style.GLOBAL,
        Type.INT,
        "int(int | uint | double | string | timestamp) -> int\n"
        "the whole number; of a timestamp the seconds since 1970; an error if it does not fit 64 bits\n"
        "int('42') == 42 && int(-1.9) == -1",
        {
            (int,): lambda value: value,
            (UInt,): lambda value: checked(value.value),
            (float,): _int_of_double,
            (str,): texts.int_of_text,
            (Timestamp,): lambda value: value.nanos // NANOS,
        },
    ),
    overloaded(
        "uint",
        Style.GLOBAL,
        Type.UINT,
        "uint(uint | int | double | string) -> uint\n"
        "the whole number without sign; an error if it is negative or does not fit 64 bits\n"
        "uint(7) == 7u",
        {
            (UInt,): lambda value: value,
            (int,): UInt,
            (float,): _uint_of_double,
            (str,): texts.uint_of_text,
        },
    ),
    overloaded(
        "double",
        Style.GLOBAL,
        Type.DOUBLE,
        "double(double | int | uint | string) -> double\nthe nearest double\ndouble('2.5') == 2.5",
        {
            (float,): lambda value: value,
            (int,): float,
            (UInt,): lambda value: float(value.value),
            (str,): texts.double_of_text,
        },
    ),
    overloaded(
        "bool",
        Style.GLOBAL,
        Type.BOOL,
        "bool(bool | string) -> bool\n"
        "a bool from `1`, `t`, `T`, `true`, `True`, `TRUE` or `0`, `f`, `F`, `false`, `False`, `FALSE`\n"
        "bool('true')",
        {(bool,): lambda value: value, (str,): texts.bool_of_text},
    ),
    overloaded(
        "string",
        Style.GLOBAL,
        Type.STRING,
        "string(string | bool | int | uint | double | bytes | timestamp | duration | ip | cidr) -> string\n"
        "the value as text; bytes must be UTF-8\n"
        "string(42) == '42'",
        {
            (str,): lambda value: value,
            (bool,): texts.text_of_bool,
            (int,): str,
            (UInt,): lambda value: str(value.value),
            (float,): texts.text_of_double,
            (bytes,): texts.text_of_bytes,
            (Timestamp,): times.timestamp_text,
            (Duration,): times.duration_text,
            (IPv4Address,): str,
            (Cidr,): cidr_text,
        },
    ),
    overloaded(
        "bytes",
        Style.GLOBAL,
        Type.BYTES,
        "bytes(bytes | string) -> bytes\nthe string in UTF-8\nbytes('abc') == b'abc'",
        {(bytes,): lambda value: value, (str,): texts.bytes_of_text},
    ),
    overloaded(
        "timestamp",
        Style.GLOBAL,
        Type.TIMESTAMP,
        "timestamp(timestamp | string | int) -> timestamp\n"
        "a moment from RFC 3339 text, or from seconds since 1970\n"
        "timestamp('1970-01-01T00:01:00Z') == timestamp(60)",
        {
            (Timestamp,): lambda value: value,
            (str,): times.parse_timestamp,
            (int,): lambda seconds: Timestamp(seconds * NANOS),
        },
    ),
    overloaded(
        "duration",
        Style.GLOBAL,
        Type.DURATION,
        "duration(duration | string) -> duration\n"
        "a span of time from text with the units h, m, s, ms, us, ns\n"
        "duration('1h30m') == duration('90m')",
        {(Duration,): lambda value: value, (str,): times.parse_duration},
    ),
    plain(
        "type",
        Style.GLOBAL,
        Type.OTHER,
        "type(any) -> type\nthe type of a value\ntype(1) == int",
        _type,
        1,
    ),
    plain(
        "dyn",
        Style.GLOBAL,
        Type.DYN,
        "dyn(any) -> any\nthe value itself, for expressions written for a type-checker\ndyn(1) == 1",
        _dyn,
        1,
    ),
)
