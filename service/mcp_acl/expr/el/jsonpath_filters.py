"""Read the filters of paths: `[?(…)]`, with comparisons and existence joined by `&&`, `||` and `!`."""

import re
from collections.abc import Callable
from typing import Final

from mcp_acl.expr.el.arithmetic import parse_decimal
from mcp_acl.expr.el.jsonpath import Path
from mcp_acl.expr.el.jsonpath_operators import (
    OPERATORS,
    Accepts,
    Operand,
    compared,
    constant,
    existence,
    guarded,
    reader,
)
from mcp_acl.expr.el.regexes import Pattern, compile_pattern
from mcp_acl.expr.el.values import BigDecimal, shown
from mcp_acl.problems import EvalError

_NUMBER: Final = re.compile(r"-?[\d.eE-]+", re.ASCII)
_WORD: Final = re.compile(r"[<>=~!]+|[A-Za-z]+")
_MAX_TERMS: Final = 50


class FilterParser:
    """Reads one filter from its `(` on; `compile_path` compiles the paths in it."""

    def __init__(self, text: str, place: int, depth: int, compile_path: Callable[[str, int], Path]) -> None:
        self._text = text
        self._place = place
        self._depth = depth
        self._compile = compile_path
        self._terms = 0

    def run(self) -> tuple[Accepts, int]:
        """What the filter accepts, and where the text goes on after its `]`."""
        self._expect("(")
        accepts = self._either()
        self._expect(")")
        self._expect("]")
        return guarded(accepts), self._place

    def _refused(self, why: str) -> EvalError:
        return EvalError(f"a filter in the path `{shown(self._text)}` cannot be used: {why}")

    def _peek(self, wanted: str) -> bool:
        while self._text.startswith(" ", self._place):
            self._place += 1
        return self._text.startswith(wanted, self._place)

    def _take(self, wanted: str) -> bool:
        found = self._peek(wanted)
        self._place += len(wanted) * found
        return found

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self._refused(f"`{wanted}` is missing")

    def _either(self) -> Accepts:
        terms = [self._both()]
        while self._take("||"):
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else lambda item, root, visits: any(one(item, root, visits) for one in terms)

    def _both(self) -> Accepts:
        terms = [self._term()]
        while self._take("&&"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda item, root, visits: all(one(item, root, visits) for one in terms)

    def _term(self) -> Accepts:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            raise self._refused("it has too many terms")
        if self._take("!"):
            negated = self._exists() if self._peek("@") or self._peek("$") else self._term()
            return lambda item, root, visits: not negated(item, root, visits)
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        return self._comparison()

    def _exists(self) -> Accepts:
        return existence(self._path())

    def _comparison(self) -> Accepts:
        start = self._place
        path = self._path() if self._peek("@") or self._peek("$") else None
        left = constant(self._literal()) if path is None else reader(path)
        operator = self._operator()
        if operator:
            return compared(OPERATORS[operator], left, self._operand())
        if path is None:
            raise self._refused(f"`{self._text[start : start + 20]}` is compared with nothing")
        return existence(path)

    def _operator(self) -> str:
        self._peek("")
        match = _WORD.match(self._text, self._place)
        if match is None:
            return ""
        operator = match.group().lower()
        if operator not in OPERATORS:
            raise self._refused(f"the operator `{shown(match.group())}` is not supported")
        self._place = match.end()
        return operator

    def _operand(self) -> Operand:
        if self._peek("@") or self._peek("$"):
            return reader(self._path())
        return constant(self._literal())

    def _path(self) -> Path:
        """A path goes up to an operator, a space or the bracket that closes the filter."""
        start = self._place
        self._place += 1
        while self._place < len(self._text) and self._text[self._place] not in " <>=~!)":
            if self._text[self._place] == "[":
                self._place = self._closing()
            elif self._text.startswith("()", self._place):
                self._place += 1
            self._place += 1
        return self._compile(self._text[start : self._place], self._depth + 1)

    def _closing(self) -> int:
        opened, place = 0, self._place
        while place < len(self._text):
            char = self._text[place]
            if char in "'\"":
                place = self._quote_end(place)
            opened += (char == "[") - (char == "]")
            if not opened:
                return place
            place += 1
        raise self._refused("a `[` is not closed")

    def _quote_end(self, place: int) -> int:
        quote, place = self._text[place], place + 1
        while place < len(self._text) and self._text[place] != quote:
            place += 1 + (self._text[place] == "\\")
        if place >= len(self._text):
            raise self._refused("a quoted text is not closed")
        return place

    # ---- literals ----------------------------------------------------------------------------------------------------

    def _literal(self) -> object:
        self._peek("")
        char = self._text[self._place : self._place + 1]
        if char in ("'", '"') and char:
            return self._quoted()
        if char == "/":
            return self._pattern()
        if char == "[":
            return self._list()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self._take(word):
                return value
        return self._number()

    def _quoted(self) -> str:
        start, end = self._place, self._quote_end(self._place)
        self._place = end + 1
        return _unescaped(self._text[start + 1 : end])

    def _number(self) -> BigDecimal:
        match = _NUMBER.match(self._text, self._place)
        if match is None:
            raise self._refused(f"`{self._text[self._place : self._place + 20]}` is no value")
        self._place = match.end()
        return parse_decimal(match.group())

    def _pattern(self) -> Pattern:
        start, end = self._place, self._quote_end(self._place)
        self._place = end + 1
        return compile_pattern(self._text[start + 1 : end], self._take("i"))

    def _list(self) -> list[object]:
        self._expect("[")
        made: list[object] = []
        while not self._take("]"):
            if made:
                self._expect(",")
            if self._peek("["):
                raise self._refused("a list of lists is not supported")
            made.append(self._literal())
        return made


_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def _unescaped(text: str) -> str:
    if "\\u" in text:
        raise EvalError("a filter with `\\u` is not supported")
    return _ESCAPED.sub(lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match.group(1), match.group(1)), text)
