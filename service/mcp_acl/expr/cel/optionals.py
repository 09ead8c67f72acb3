"""Optional values: `optional.of(x)`, `hasValue()`, `value()` and the rest that is no macro."""

from collections.abc import Sequence
from typing import Final

from mcp_acl.expr.cel.rows import Row, Style, overloaded, plain
from mcp_acl.expr.cel.values import NONE, Duration, Map, Optional, Timestamp, UInt, no_overload
from mcp_acl.expr.meter import FLAT
from mcp_acl.expr.nodes import Type, Value
from mcp_acl.problems import EvalError

_ZEROS: Final = (Duration(0), Timestamp(0), UInt(0))


def _of_value(value: Value) -> Optional:
    return Optional(value)


def _of_non_zero(value: Value) -> Optional:
    """Absent for null, false, 0, what is empty, no time at all and the start of 1970."""
    if isinstance(value, Map):
        return Optional(value) if value.keys else NONE
    if isinstance(value, str | bytes | list | tuple | dict):
        return Optional(value) if len(value) else NONE
    is_zero = value is None or value is False or (type(value) in (int, float) and value == 0) or value in _ZEROS
    return NONE if is_zero else Optional(value)


def _value(optional: Optional) -> Value:
    if not optional.has_value:
        raise EvalError("the optional has no value")
    return optional.value


def _unwrapped(values: Sequence[Value]) -> list[Value]:
    made: list[Value] = []
    for one in values:
        if not isinstance(one, Optional):
            raise no_overload("optional.unwrap", one)
        if one.has_value:
            made.append(one.value)
    return made


OF: Final = plain(
    "optional.of",
    Style.GLOBAL,
    Type.OTHER,
    "optional.of(any) -> optional\nan optional with a value\noptional.of(1).hasValue()",
    _of_value,
    1,
)
HAS_VALUE: Final = overloaded(
    "hasValue",
    Style.METHOD,
    Type.BOOL,
    "optional.hasValue() -> bool\nwhether there is a value\n!optional.none().hasValue()",
    {(Optional,): lambda optional: optional.has_value},
    pace=FLAT,
)
VALUE: Final = overloaded(
    "value",
    Style.METHOD,
    Type.DYN,
    "optional.value() -> any\nthe value; an error if there is none\noptional.of(1).value() == 1",
    {(Optional,): _value},
    pace=FLAT,
)

OPTIONAL_FUNCTIONS: Final[tuple[Row, ...]] = (
    OF,
    HAS_VALUE,
    VALUE,
    plain(
        "optional.none",
        Style.GLOBAL,
        Type.OTHER,
        "optional.none() -> optional\nan optional without a value\noptional.none().orValue(1) == 1",
        lambda: NONE,
        0,
    ),
    plain(
        "optional.ofNonZeroValue",
        Style.GLOBAL,
        Type.OTHER,
        "optional.ofNonZeroValue(any) -> optional\n"
        "absent for null, false, zero and what is empty\n"
        "!optional.ofNonZeroValue('').hasValue()",
        _of_non_zero,
        1,
    ),
    overloaded(
        "optional.unwrap",
        Style.GLOBAL,
        Type.LIST,
        "optional.unwrap(list) -> list\n"
        "the values of the optionals that have one\n"
        "optional.unwrap([optional.of(1), optional.none()]) == [1]",
        {(list,): _unwrapped},
    ),
    overloaded(
        "unwrapOpt",
        Style.METHOD,
        Type.LIST,
        "list.unwrapOpt() -> list\n"
        "the values of the optionals that have one\n"
        "[optional.of(1), optional.none()].unwrapOpt() == [1]",
        {(list,): _unwrapped},
    ),
)
