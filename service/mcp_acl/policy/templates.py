"""URI templates of RFC 6570 level 1 as regexes: which URIs, and which other templates, a template means.

A variable stands for what level 1 expansion can make of a value that is safe inside one path segment (RFC 6570 §3.2.2).
"""

import re
from typing import Final

from mcp_acl.problems import Span

# ---- what a variable stands for: unreserved characters and percent triplets (RFC 3986 §2.1, §2.3) -----------------

_HEX: Final = "[0-9A-Fa-f]"
_NEXT: Final = f"%[89ABab]{_HEX}"
_UNITS: Final = (
    "[A-Za-z0-9_~-]",
    # ASCII: no control character, `%` (25), dot (2E), `/` (2F), `\` (5C) or delete (7F)
    "%2[0-46-9A-Da-d]",
    f"%[346]{_HEX}",
    "%5[0-9ABDEFabdef]",
    "%7[0-9A-Ea-e]",
    # beyond ASCII: well-formed UTF-8 (RFC 3629 §4), without the control characters U+0080 to U+009F
    f"%[Cc]2%[ABab]{_HEX}",
    f"%(?:[Cc][3-9A-Fa-f]|[Dd]{_HEX}){_NEXT}",
    f"%[Ee]0%[ABab]{_HEX}{_NEXT}",
    f"%[Ee](?:[1-9A-Ca-cEeFf]{_NEXT}|[Dd]%[89]{_HEX}){_NEXT}",
    f"%[Ff](?:0%[9ABab]{_HEX}|[1-3]{_NEXT}|4%8{_HEX}){_NEXT}{_NEXT}",
)
_UNIT: Final = f"(?:{'|'.join(_UNITS)})"
_DOT: Final = r"(?:\.|%2[Ee])"
_VALUE: Final = f"(?:(?:{_DOT}*{_UNIT})+{_DOT}*|{_DOT}{{3,}})"
"""One character or more, and not `.` or `..`."""

# ---- expressions (RFC 6570 §2) ------------------------------------------------------------------------------------

_VARCHAR: Final = f"(?:[A-Za-z0-9_]|%{_HEX}{{2}})"
_NAME: Final = rf"{_VARCHAR}(?:\.?{_VARCHAR})*"
_ANY_VARIABLE: Final = rf"\{{{_NAME}\}}"
_LEVEL_1: Final = re.compile(_NAME)
_PART: Final = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")


class TemplateError(Exception):
    """A template that is not level 1: what is wrong, what to do, and where in it."""

    def __init__(self, message: str, hint: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.span = span


def template_regex(text: str) -> str:
    """An RE2 regex, anchored at both ends, for the URIs a template means and for templates with other variable names.

    Raises TemplateError.
    """
    values: list[str] = []
    variables: list[str] = []
    seen: set[str] = set()
    for part in _PART.finditer(text):
        expression, literal, brace = part.groups()
        span = Span(part.start(), part.end())
        if brace:
            raise TemplateError(f"a `{brace}` without its other half", "write variables as `{name}`", span)
        if literal is not None:
            values.append(re.escape(literal))
            variables.append(values[-1])
            continue
        _check_expression(expression, seen, span)
        seen.add(expression)
        values.append(_VALUE)
        variables.append(_ANY_VARIABLE)
    return rf"\A(?:{''.join(values)}|{''.join(variables)})\z"


_BEYOND: Final = (
    (re.compile(r"(?s)[+#./;?&=,!@|].*"), "operators such as `+` are not level 1", "write one `{name}` for one value"),
    (re.compile(r"(?s).*,.*"), "several variables in one expression are not level 1", "write `{a}` and `{b}` apart"),
    (re.compile(r"(?s).*\*"), "`*` after a variable is not level 1", "write `{name}`"),
    (re.compile(r"(?s).*:[0-9]*"), "a length after a variable is not level 1", "write `{name}`"),
    (re.compile(r"(?s).*"), "no name of a variable", "write letters, digits, `_` and single dots between them"),
)
"""Expressions of the other levels (RFC 6570 §1.2), and at last all that is none."""


def _check_expression(expression: str, seen: set[str], span: Span) -> None:
    if expression in seen:
        hint = "give each its own name: their values are not compared"
        raise TemplateError("the same variable twice", hint, span)
    if not _LEVEL_1.fullmatch(expression):
        message, hint = next((message, hint) for beyond, message, hint in _BEYOND if beyond.fullmatch(expression))
        raise TemplateError(message, hint, span)
