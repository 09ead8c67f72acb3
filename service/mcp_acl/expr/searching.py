"""What a regular expression costs: RE2 is linear in the text, but by a factor as large as the pattern's program.

In most searches each byte takes a nanosecond; where RE2's automaton outgrows its memory it takes each instruction for itself.
"""

import re
from math import prod
from typing import Final

from mcp_acl.expr.meter import MAX_WORK
from mcp_acl.problems import EvalError

_INSTRUCTIONS: Final = 50
"""How many instructions RE2 takes in one unit of work."""

_CHARACTER: Final = 8
"""What it costs to compile one character of a pattern."""

_CLASS: Final = 50
"""By how much a class of Unicode makes it dearer."""

_MOST: Final = MAX_WORK // 30
"""What it costs to compile as large a pattern as RE2 takes."""

_REPEATED: Final = re.compile(r"[{,]([0-9]{1,4})")


def search_price(program: int, length: int) -> int:
    """What it costs to run a program of so many instructions over a text. Raises `EvalError` if that is too much for a call."""
    price = program * length // _INSTRUCTIONS
    if price > MAX_WORK:
        raise EvalError("the text is too long for so large a pattern")
    return price


def pattern_price(pattern: str) -> int:
    """What it costs at most to compile a pattern."""
    copies = prod(max(1, int(count)) for count in _REPEATED.findall(pattern))
    classes = _CLASS if "\\p" in pattern or "\\P" in pattern else 1
    return min(_MOST, len(pattern) * _CHARACTER * copies * classes)
