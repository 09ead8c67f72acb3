"""Compile the text of a path, filters included, to the steps `jsonpath` runs."""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

from mcp_acl.expr.el.jsonpath import FUNCTION_NAMES, MAX_PATH, MAX_STEPS, Path, Step
from mcp_acl.expr.el.jsonpath_filters import FilterParser
from mcp_acl.expr.el.values import shown
from mcp_acl.problems import EvalError

MAX_DEPTH: Final = 5
"""How deep paths may stand in the filters of paths."""

_INDEXES: Final = re.compile(r"\[ *(-?\d+(?: *, *-?\d+)*) *\]", re.ASCII)
_SLICE: Final = re.compile(r"\[ *(-?\d+)?:(-?\d+)? *\]", re.ASCII)
_STAR: Final = re.compile(r"\[ *\* *\]")
_NAME: Final = re.compile(r"[^.\[( ]+")


@lru_cache(maxsize=512)
def compile_path(text: str) -> Path:
    """The path of a text. Raises `EvalError` if it is none, or holds what is not supported."""
    if len(text) > MAX_PATH:
        raise EvalError(f"a path may have {MAX_PATH:,} characters at most")
    return compile_inner(text, 0)


def compile_inner(text: str, depth: int) -> Path:
    """A path at some depth of filters."""
    if depth > MAX_DEPTH:
        raise EvalError("paths are nested too deeply in filters")
    trimmed = text.rstrip(" ")
    if not trimmed or trimmed.startswith(" "):
        raise EvalError("a path is empty or starts with a space")
    if trimmed[0] not in "$@":
        trimmed = f"$.{trimmed}"
    return _Compiler(trimmed, depth).run()


class _Compiler:
    def __init__(self, text: str, depth: int) -> None:
        self._text = text
        self._depth = depth
        self._place = 1
        self._steps: list[Step] = []

    def run(self) -> Path:
        if len(self._text) > 1 and self._text[1] not in ".[":
            raise self._refused("after `$` comes `.` or `[`")
        while self._place < len(self._text):
            self._step()
        self._check()
        return Path(tuple(self._finished(index) for index in range(len(self._steps))), self._text.startswith("$"))

    def _finished(self, index: int) -> Step:
        """A multi-property step names one place (an object of them) at the end of a path, else several."""
        step = self._steps[index]
        if step.kind == "property" and len(step.names) > 1 and index < len(self._steps) - 1:
            return Step("property", False, step.names)
        return step

    def _check(self) -> None:
        if len(self._steps) > MAX_STEPS:
            raise self._refused(f"it has more than {MAX_STEPS} steps")
        kinds = [step.kind for step in self._steps]
        for kind, following in pairwise([*kinds, ""]):
            if kind == "scan" and following not in ("property", "wildcard"):
                raise self._refused("after `..` only a property or `*` is supported")
            if kind == "function" and following:
                raise self._refused("a function stands only at the end")
        for kind, following, last in zip(kinds, kinds[1:], [*kinds[2:], ""], strict=False):
            if kind == "scan" and following == "wildcard" and last:
                raise self._refused("a `*` after `..` stands only at the end")
            if kind == "scan" and "function" in kinds:
                raise self._refused("a function after `..` is not supported")

    def _refused(self, why: str) -> EvalError:
        return EvalError(f"the path `{shown(self._text)}` cannot be used: {why}")

    def _step(self) -> None:
        rest = self._text[self._place :]
        if rest.startswith("["):
            self._bracket()
        elif rest.startswith("..") and not rest.startswith("..."):
            self._steps.append(Step("scan", False))
            self._dotted(2)
        elif rest.startswith("."):
            self._dotted(1)
        else:
            raise self._refused("a step starts with `.` or `[`")

    def _dotted(self, dots: int) -> None:
        self._place += dots
        rest = self._text[self._place :]
        if rest.startswith("["):
            self._bracket()
        elif rest.startswith("*"):
            self._add(Step("wildcard", False), 1)
        else:
            self._name(rest)

    def _name(self, rest: str) -> None:
        match = _NAME.match(rest)
        if match is None:
            raise self._refused("a `.` is followed by no name")
        name, following = match.group(), rest[match.end() : match.end() + 2]
        if following.startswith(" "):
            raise self._refused("a name with a space stands in brackets: `['a b']`")
        if not following.startswith("("):
            self._add(Step("property", True, (name,)), len(name))
            return
        if following != "()" or name not in FUNCTION_NAMES:
            raise self._refused(f"the function `{shown(name)}` is not supported")
        self._add(Step("function", True, (name,)), len(name) + 2)

    def _add(self, step: Step, length: int) -> None:
        self._steps.append(step)
        self._place += length

    def _bracket(self) -> None:
        rest = self._text[self._place :]
        inside = rest[1:].lstrip(" ")
        if inside[:1] in ("'", '"'):
            self._properties(rest, inside[0])
            return
        indexes, bounds, star = _INDEXES.match(rest), _SLICE.match(rest), _STAR.match(rest)
        if star is not None:
            self._add(Step("wildcard", False), star.end())
        elif indexes is not None:
            found = tuple(self._number(index) for index in indexes.group(1).split(","))
            self._add(Step("index", len(found) == 1, indexes=found), indexes.end())
        elif bounds is not None and any(bounds.groups()):
            low, high = (None if one is None else self._number(one) for one in bounds.groups())
            self._add(Step("slice", False, bounds=(low, high)), bounds.end())
        elif inside.startswith("?"):
            self._filter()
        else:
            raise self._refused("brackets hold a quoted name, a number, a slice, `*` or a filter")

    def _number(self, digits: str) -> int:
        if len(digits.strip()) > 10:
            raise self._refused("a number is too large")
        return int(digits)

    def _properties(self, rest: str, quote: str) -> None:
        names: list[str] = []
        place = 1
        while True:
            place += len(rest[place:]) - len(rest[place:].lstrip(" "))
            if rest[place : place + 1] != quote:
                raise self._refused("names in brackets are quoted alike, and separated by `,`")
            name, place = self._quoted(rest, place)
            names.append(name)
            place += len(rest[place:]) - len(rest[place:].lstrip(" "))
            if rest[place : place + 1] == "]":
                break
            if rest[place : place + 1] != ",":
                raise self._refused("a bracket is not closed")
            place += 1
        self._add(Step("property", True, tuple(names)), place + 1)

    def _quoted(self, rest: str, place: int) -> tuple[str, int]:
        end = closing_quote(rest, place)
        if end < 0:
            raise self._refused("a quoted name is not closed")
        return unescaped(rest[place + 1 : end]), end + 1

    def _filter(self) -> None:
        parser = FilterParser(self._text, self._text.index("?", self._place) + 1, self._depth, compile_inner)
        accepts, end = parser.run()
        self._steps.append(Step("filter", False, accepts=accepts))
        self._place = end


def closing_quote(text: str, start: int) -> int:
    """Where the quote at `start` is closed, backslashes skipped; −1 if it is not."""
    place = start + 1
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == text[start]:
            return place
        place += 1
    return -1


_ESCAPED: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "b": "\b"}


def unescaped(text: str) -> str:
    """The text with its backslash escapes replaced."""

    def plain(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return _ESCAPED.sub(plain, text)
