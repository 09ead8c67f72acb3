"""Regular expressions: RE2 by google-re2, linear in the text whatever the pattern.

Patterns are at most `MAX_PATTERN` characters. A constant one is compiled once and kept with its call; others share a
bounded cache.
"""

from functools import lru_cache
from typing import Final

import re2

from mcp_acl.expr.cel.rows import Row, Style, overloaded
from mcp_acl.expr.cel.values import no_overload
from mcp_acl.expr.meter import CALL, Meter
from mcp_acl.expr.nodes import Function, Type, Value
from mcp_acl.expr.searching import pattern_price, search_price
from mcp_acl.problems import EvalError

MAX_PATTERN: Final = 1000
_CACHED: Final = 64
_SHORT: Final = 1_000
"""No pattern is too large for a text as short as this."""
_MAX_MEMORY: Final = 2**21
"""Bytes that a compiled pattern and its search may take; the rest of a search is slower, not larger."""


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEMORY
    return options


_OPTIONS: Final = _options()


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_program", "_search")

    def __init__(self, pattern: str) -> None:
        """Raises `EvalError` if it is too long or not in RE2's syntax."""
        if len(pattern) > MAX_PATTERN:
            raise EvalError(f"the pattern is longer than {MAX_PATTERN} characters")
        try:
            compiled = re2.compile(pattern.encode(), _OPTIONS)
        except (re2.error, UnicodeEncodeError):
            raise EvalError(f"not a valid RE2 pattern: `{pattern[:60]}`") from None
        self._program = compiled.programsize
        self._search = compiled.search

    def price(self, text: str) -> int:
        """What it costs at most to search the text. Raises `EvalError` if that is too much for one call."""
        return search_price(self._program, len(text))

    def occurs_in(self, text: str) -> bool:
        """Whether some part of the text matches."""
        if len(text) > _SHORT:
            self.price(text)
        try:
            return self._search(text.encode()) is not None
        except UnicodeEncodeError:
            raise EvalError("the text is not valid Unicode") from None


_compiled = lru_cache(_CACHED)(Pattern)


def _matches(text: str, pattern: str) -> bool:
    return _compiled(pattern).occurs_in(text)


def _matches_in_loop(meter: Meter, text: str, pattern: str) -> bool:
    meter.spend(CALL)
    meter.spend(pattern_price(pattern))
    compiled = _compiled(pattern)
    meter.spend(compiled.price(text))
    return compiled.occurs_in(text)


MATCHES: Final = overloaded(
    "matches",
    Style.EITHER,
    Type.BOOL,
    "string.matches(string) -> bool\n"
    "whether some part of the string matches an RE2 pattern; anchor it with `^` and `$` for all of it\n"
    "'report-7'.matches('^report-[0-9]+$')",
    {(str, str): _matches},
    metered={(str, str): _matches_in_loop},
)


def matches_constant(pattern: str) -> Function:
    """`matches` of one argument, for a pattern that is known when loading. Raises `EvalError` as `Pattern` does."""
    compiled = Pattern(pattern)
    occurs_in = compiled.occurs_in

    def run(text: Value) -> bool:
        if type(text) is not str:
            raise no_overload("matches", text, pattern)
        return occurs_in(text)

    def in_loop(meter: Meter, text: Value) -> bool:
        meter.spend(CALL)
        meter.spend(compiled.price(text) if isinstance(text, str) else 0)
        return run(text)

    return Function("matches", run, Type.BOOL, doc=MATCHES.function.doc, metered=in_loop)


PATTERN_FUNCTIONS: Final[tuple[Row, ...]] = (MATCHES,)
