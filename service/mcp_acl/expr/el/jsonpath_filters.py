"""Filters in paths, `[?(…)]`: comparisons of values, paths and literals as Jayway makes them.

A text equals the number it writes. Types that do not fit make a comparison false, not an error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.arithmetic import as_number, compare_numbers, parse_decimal, to_decimal
from mcp_acl.expr.el.comparing import compare_texts, java_equals
from mcp_acl.expr.el.jsonpath import NoPath, Path, Visits
from mcp_acl.expr.el.regexes import Pattern, compile_pattern, full_match
from mcp_acl.expr.el.texts import decimal_text
from mcp_acl.expr.el.values import BigDecimal, units
from mcp_acl.problems import EvalError

Accepts: TypeAlias = Callable[[object, object, Visits], bool]
Operand: TypeAlias = Callable[[object, object, Visits], object]


class _Undefined:
    __slots__ = ()


UNDEFINED: Final = _Undefined()
"""What a path that leads nowhere is in a comparison: equal to nothing, itself included."""

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
        return accepts, self._place

    def _refused(self, why: str) -> EvalError:
        return EvalError(f"a filter in the path `{self._text[:60]}` cannot be used: {why}")

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
        return _existence(self._path())

    def _comparison(self) -> Accepts:
        start = self._place
        path = self._path() if self._peek("@") or self._peek("$") else None
        left = _constant(self._literal()) if path is None else _reader(path)
        operator = self._operator()
        if operator:
            return _guarded(_OPERATORS[operator], left, self._operand())
        if path is None:
            raise self._refused(f"`{self._text[start : start + 20]}` is compared with nothing")
        return _existence(path)

    def _operator(self) -> str:
        self._peek("")
        match = _WORD.match(self._text, self._place)
        if match is None:
            return ""
        operator = match.group().lower()
        if operator not in _OPERATORS:
            raise self._refused(f"the operator `{match.group()[:20]}` is not supported")
        self._place = match.end()
        return operator

    def _operand(self) -> Operand:
        if self._peek("@") or self._peek("$"):
            return _reader(self._path())
        return _constant(self._literal())

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


# ---- evaluation --------------------------------------------------------------------------------------------------------


def _constant(value: object) -> Operand:
    return lambda _item, _root, _visits: value


def _reader(path: Path) -> Operand:
    def read(item: object, root: object, visits: Visits) -> object:
        try:
            return _node(path.read(item, root, visits))
        except NoPath:
            return UNDEFINED

    return read


def _existence(path: Path) -> Accepts:
    def exists(item: object, root: object, visits: Visits) -> bool:
        try:
            path.read(item, root, visits, required=True)
        except NoPath:
            return False
        return True

    return exists


def _node(value: object) -> object:
    """A value as filters compare it: numbers as decimals."""
    if isinstance(value, InexactNumber):
        bool(value)
    number = as_number(value)
    if number is not None:
        return to_decimal(number)
    if value is None or isinstance(value, bool | str | list | tuple | Mapping):
        return value
    raise EvalError("a filter meets a value that is no JSON")


def _guarded(operator: "Callable[[object, object], bool]", left: Operand, right: Operand) -> Accepts:
    def accepts(item: object, root: object, visits: Visits) -> bool:
        try:
            return operator(left(item, root, visits), right(item, root, visits))
        except NoPath:
            return False

    return accepts


def _equal(left: object, right: object) -> bool:
    match left, right:
        case (str(), BigDecimal()):
            return str(left) == decimal_text(right)
        case (BigDecimal(), str()):
            return _reads_as(right, left)
        case (BigDecimal(), BigDecimal()):
            return compare_numbers(left, right) == 0
    return left is not UNDEFINED and type(left) is not Pattern and java_equals(left, right)


def _reads_as(text: str, number: BigDecimal) -> bool:
    try:
        return compare_numbers(parse_decimal(text), number) == 0
    except EvalError:
        return False


def _same_kind(left: object, right: object) -> bool:
    json = (list, tuple, dict)
    return type(left) is type(right) or (isinstance(left, json) and isinstance(right, json))


def _ordered(holds: Callable[[int], bool]) -> Callable[[object, object], bool]:
    def compare(left: object, right: object) -> bool:
        match left, right:
            case (BigDecimal(), BigDecimal()):
                return holds(compare_numbers(left, right))
            case (str(), str()):
                return holds(compare_texts(left, right))
        return False

    return compare


def _nodes(value: object) -> Sequence[object] | None:
    """The elements of an array as filters compare them; None for an object, no match for anything else."""
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, list | tuple):
        raise NoPath("the operand is no array")
    if any(isinstance(item, list | tuple | Mapping) for item in value):
        raise EvalError("a filter meets an array of arrays or objects")
    if any(isinstance(item, str) and item.strip()[:1] in ("$", "@", "[", "{", "'", '"') for item in value):
        raise EvalError("a filter meets an array with a text that could be a path or JSON")
    return [item if isinstance(item, BigDecimal) else _node(item) for item in value]


def _in(left: object, right: object) -> bool:
    nodes = _nodes(right)
    return nodes is not None and any(_equal(left, node) for node in nodes)


def _contains(left: object, right: object) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    if not isinstance(left, list | tuple):
        return False
    return any(_equal(right, node) for node in _nodes(left) or ())


def _between_lists(combine: Callable[[Sequence[object], Sequence[object]], bool]) -> Callable[[object, object], bool]:
    def compare(left: object, right: object) -> bool:
        others = _nodes(right)
        if others is None:
            return False
        nodes = _nodes(left)
        return nodes is not None and combine(nodes, others)

    return compare


def _any_of(nodes: Sequence[object], others: Sequence[object]) -> bool:
    if len(nodes) * len(others) > 1_000_000:
        raise EvalError("the lists are too long to be compared")
    return any(_equal(node, other) for node in nodes for other in others)


def _subset_of(nodes: Sequence[object], others: Sequence[object]) -> bool:
    if len(nodes) * len(others) > 1_000_000:
        raise EvalError("the lists are too long to be compared")
    return all(any(_equal(node, other) for other in others) for node in nodes)


def _size(left: object, right: object) -> bool:
    if not isinstance(right, BigDecimal):
        return False
    size = len(units(left)) if isinstance(left, str) else len(left) if isinstance(left, list | tuple) else -1
    if not isinstance(left, str | list | tuple | Mapping):
        return False
    return compare_numbers(right, size) == 0


def _empty(left: object, right: object) -> bool:
    if isinstance(left, Mapping):
        raise EvalError("`empty` is for texts and arrays")
    if not isinstance(left, str | list | tuple):
        return False
    if not isinstance(right, bool):
        raise NoPath("`empty` is compared with true or false")
    return (not left) is right


def _regex(left: object, right: object) -> bool:
    if isinstance(left, Pattern) is isinstance(right, Pattern):
        return False
    pattern, value = (left, right) if isinstance(left, Pattern) else (right, left)
    assert isinstance(pattern, Pattern)
    if isinstance(value, list | tuple):
        return any(full_match(pattern, _input(node)) for node in _nodes(value) or ())
    return full_match(pattern, _input(value))


def _input(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case BigDecimal():
            return decimal_text(value)
    return ""


_OPERATORS: Final[Mapping[str, Callable[[object, object], bool]]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "===": lambda left, right: _same_kind(left, right) and _equal(left, right),
    "!==": lambda left, right: not (_same_kind(left, right) and _equal(left, right)),
    "<": _ordered(lambda relation: relation < 0),
    "<=": _ordered(lambda relation: relation <= 0),
    ">": _ordered(lambda relation: relation > 0),
    ">=": _ordered(lambda relation: relation >= 0),
    "=~": _regex,
    "in": _in,
    "nin": lambda left, right: not _in(left, right),
    "contains": _contains,
    "anyof": _between_lists(_any_of),
    "noneof": _between_lists(lambda nodes, others: not _any_of(nodes, others)),
    "subsetof": _between_lists(_subset_of),
    "size": _size,
    "empty": _empty,
}
