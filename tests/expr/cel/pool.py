"""Odd values for tests of functions: what facts may be, what CEL makes, and what is neither."""

from ipaddress import ip_address
from typing import Final

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.cel.values import NONE, TYPES, Cidr, Duration, Map, Optional, PartialMap, Timestamp, UInt
from mcp_acl.expr.nodes import Value
from mcp_acl.expr.walk import Possibilities

PLAIN: Final[tuple[Value, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    0.5,
    1e300,
    float("inf"),
    float("nan"),
    "",
    "a",
    "abc",
    "1",
    "é\U0001f431",
    "^a",
    "(",
    "%s %d",
    "UTC",
    "1970-01-01T00:00:00Z",
    "10.0.0.0/8",
    b"",
    b"a\xff",
    [],
    ["a", "b"],
    [1, "a", None],
    [[1], ["a"]],
    (1, 2),
    {},
    {"a": 1, "b": None},
    {"": [0]},
)
"""JSON, bytes and tuples."""

INEXACT: Final = InexactNumber("1e400")

CEL: Final[tuple[Value, ...]] = (
    *PLAIN,
    UInt(0),
    UInt(1),
    UInt(2**64 - 1),
    Timestamp(0),
    Timestamp(253_402_300_799 * 10**9),
    Duration(1),
    Duration(-(2**63)),
    Map([(1, "a"), (True, "b"), ("x", "c")]),
    NONE,
    Optional(None),
    Optional({"a": 1}),
    TYPES["int"],
    ip_address("10.0.0.1"),
    ip_address("::1"),
    Cidr(ip_address("10.0.0.1"), 8),
    Cidr(ip_address("::"), 0),
    INEXACT,
    [INEXACT],
    {"a": INEXACT},
)
"""All that an expression may meet in a call."""

ANY: Final[tuple[Value, ...]] = (*CEL, PartialMap({"a": 1, "p-b": 2}, "p-"), object(), 1j, {1}, int)
"""That, maps not wholly known, and what no expression ever meets."""


def only(found: Possibilities) -> Value:
    """The value of an evaluation that has but one."""
    assert isinstance(found, tuple)
    (value,) = found
    return value
