"""`+`, `-`, `*`, `/`, `%` and negation (CEL language definition: overflow, date and time, concatenation).

Integers are 64 bits wide and overflow is an error. There are no mixed overloads: `1 + 1u` and `1 + 1.0` are errors.
"""

from collections.abc import Sequence
from math import copysign, inf, isnan, nan
from typing import Final

from mcp_acl.expr.cel.rows import Overloads
from mcp_acl.expr.cel.values import INT_MAX, INT_MIN, Duration, Timestamp, UInt
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import EvalError


def checked(value: int) -> int:
    """The integer, or `EvalError` if it does not fit 64 bits."""
    if not INT_MIN <= value <= INT_MAX:
        raise EvalError("integer overflow")
    return value


def _concatenated(left: Sequence[Value], right: Sequence[Value]) -> list[Value]:
    return [*left, *right]


def _later(moment: Timestamp, by: Duration) -> Timestamp:
    return Timestamp(moment.nanos + by.nanos)


def _quotient(left: int, right: int) -> int:
    """Division that truncates towards zero."""
    if right == 0:
        raise EvalError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) is (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    """The remainder with the sign of the dividend."""
    if right == 0:
        raise EvalError("remainder by zero")
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def _ratio(left: float, right: float) -> float:
    """Division by IEEE 754: by zero it gives an infinity or NaN."""
    if right != 0:
        return left / right
    return nan if left == 0 or isnan(left) else copysign(inf, left) * copysign(1, right)


ADD: Final[Overloads] = {
    (int, int): lambda left, right: checked(left + right),
    (UInt, UInt): lambda left, right: UInt(left.value + right.value),
    (float, float): lambda left, right: left + right,
    (str, str): lambda left, right: left + right,
    (bytes, bytes): lambda left, right: left + right,
    (list, list): _concatenated,
    (Timestamp, Duration): _later,
    (Duration, Timestamp): lambda by, moment: _later(moment, by),
    (Duration, Duration): lambda left, right: Duration(left.nanos + right.nanos),
}

SUBTRACT: Final[Overloads] = {
    (int, int): lambda left, right: checked(left - right),
    (UInt, UInt): lambda left, right: UInt(left.value - right.value),
    (float, float): lambda left, right: left - right,
    (Timestamp, Duration): lambda moment, by: Timestamp(moment.nanos - by.nanos),
    (Timestamp, Timestamp): lambda left, right: Duration(left.nanos - right.nanos),
    (Duration, Duration): lambda left, right: Duration(left.nanos - right.nanos),
}

MULTIPLY: Final[Overloads] = {
    (int, int): lambda left, right: checked(left * right),
    (UInt, UInt): lambda left, right: UInt(left.value * right.value),
    (float, float): lambda left, right: left * right,
}

DIVIDE: Final[Overloads] = {
    (int, int): lambda left, right: checked(_quotient(left, right)),
    (UInt, UInt): lambda left, right: UInt(_quotient(left.value, right.value)),
    (float, float): _ratio,
}

REMAINDER: Final[Overloads] = {
    (int, int): _remainder,
    (UInt, UInt): lambda left, right: UInt(_remainder(left.value, right.value)),
}

NEGATE: Final[Overloads] = {
    (int,): lambda value: checked(-value),
    (float,): lambda value: -value,
}
