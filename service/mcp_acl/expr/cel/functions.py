"""The function table: every function by the name it is written with, as functions and as methods.

The documentation lists these rows, and the visitor looks them up; what a function does is in the module of its theme.
"""

from collections.abc import Mapping
from typing import Final

from mcp_acl.expr.cel.conversions import CONVERSIONS
from mcp_acl.expr.cel.lists import LIST_FUNCTIONS
from mcp_acl.expr.cel.maths import MATH_FUNCTIONS
from mcp_acl.expr.cel.network import NETWORK_FUNCTIONS
from mcp_acl.expr.cel.optionals import OPTIONAL_FUNCTIONS
from mcp_acl.expr.cel.patterns import PATTERN_FUNCTIONS
from mcp_acl.expr.cel.rows import Row, Style
from mcp_acl.expr.cel.strings import STRING_FUNCTIONS
from mcp_acl.expr.cel.times import TIME_FUNCTIONS

FUNCTIONS: Final[tuple[Row, ...]] = (
    *CONVERSIONS,
    *STRING_FUNCTIONS,
    *PATTERN_FUNCTIONS,
    *LIST_FUNCTIONS,
    *TIME_FUNCTIONS,
    *MATH_FUNCTIONS,
    *OPTIONAL_FUNCTIONS,
    *NETWORK_FUNCTIONS,
)

GLOBALS: Final[Mapping[str, Row]] = {row.name: row for row in FUNCTIONS if Style.GLOBAL in row.style}
"""Functions written `name(x)`; the name may have dots."""

METHODS: Final[Mapping[str, Row]] = {row.name: row for row in FUNCTIONS if Style.METHOD in row.style}
"""Functions written `x.name()`."""

NAMESPACES: Final = frozenset(name.partition(".")[0] for name in GLOBALS if "." in name) | {"cel"}
"""What stands before the dot in the names of functions."""
