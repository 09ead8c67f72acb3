"""Problems and errors: what can be wrong, where it is, and how a person is shown it.

Floor 0: knows nothing of policies, MCP or expressions. A problem in a file is a value with a place; all of
them are collected and raised once as `SourceError`. `EvalError` and `MessageError` are the two ways a request
can go wrong; both end in a denial.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, Self
from unicodedata import category, east_asian_width


class Severity(StrEnum):
    """`problem` refuses the policy set, `finding` is reported and changes nothing."""

    PROBLEM = "problem"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets in one text."""

    start: int
    end: int


NO_SPAN = Span(0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: file, line and column (both from 1), how many columns, and that line's text."""

    file: str = ""
    line: int = 1
    column: int = 1
    width: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. `code` is stable; `hint` says what to do."""

    code: str
    message: str
    place: Place = Place()
    hint: str = ""
    severity: Severity = Severity.PROBLEM

    @property
    def is_finding(self) -> bool:
        """Whether it is reported and refuses nothing."""
        return self.severity is Severity.FINDING


class AclError(Exception):
    """Base of every error this package raises on purpose."""

    def settled(self) -> Self:
        """The error as a value from here on: it keeps nothing of where it was raised, neither facts nor trees nor messages."""
        self.__traceback__ = self.__context__ = None
        return self


class SourceError(AclError):
    """Policy text or an expression cannot be used; carries every problem, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = sort_problems(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


class MessageError(AclError):
    """The peer sent something that is not one unambiguous MCP message. `code` names the rule it broke."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class EvalError(AclError):
    """A condition could not be computed. Never widens access (DESIGN: a condition that breaks)."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def sort_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems before findings within a place; otherwise by file, line and column."""
    return tuple(sorted(problems, key=lambda p: (p.place.file, p.place.line, p.place.column, p.is_finding, p.code)))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the nearest known name, or `''`. Bounded: long names are not compared."""
    if len(name) > 100:
        return ""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else ""


def place_in(text: str, span: Span, file: str = "") -> Place:
    """The place of a span in a text that stands on its own."""
    start = min(span.start, len(text))
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line_text = text[line_start : line_end if line_end >= 0 else len(text)]
    width = max(1, min(span.end, line_start + len(line_text)) - start)
    return Place(file, text.count("\n", 0, start) + 1, start - line_start + 1, width, line_text)


def render_problem(problem: Problem) -> str:
    """`file:line:column`, the severity and code, the source line with a caret under the place, the hint."""
    place = problem.place
    head = f"{place}: {problem.severity} [{problem.code}]: {problem.message}"
    lines = [head]
    if place.text:
        shown, caret = _excerpt(place)
        lines += [f"  | {shown}", f"  | {caret}"]
    if problem.hint:
        lines.append(f"  = {problem.hint}")
    return "\n".join(lines)


def render_problems(problems: Sequence[Problem]) -> str:
    """Every problem, in order, a blank line between them."""
    return "\n\n".join(render_problem(problem) for problem in problems)


_EXCERPT_WIDTH: Final = 120
_DRAWN_ON_TOP: Final = ("Mn", "Me")
_WIDE: Final = ("W", "F")


def _excerpt(place: Place) -> tuple[str, str]:
    text = "".join(char if char.isprintable() else " " for char in place.text)
    start = max(0, min(place.column - 1, len(text)))
    cut = max(0, start - _EXCERPT_WIDTH // 2)
    shown = text[cut : cut + _EXCERPT_WIDTH]
    before, rest = shown[: start - cut], shown[start - cut :]
    end = _cells(before) + _cells(rest[: place.width] or " ")
    begin = min(_cells(before), end - 1)
    return shown, " " * begin + "^" * (end - begin)


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes (UAX #11); what is drawn on the character before it takes none."""
    return sum(0 if category(char) in _DRAWN_ON_TOP else 2 if east_asian_width(char) in _WIDE else 1 for char in text)
