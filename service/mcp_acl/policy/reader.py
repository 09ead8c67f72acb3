"""YAML text → nodes, within limits, or what is wrong with it. Knows nothing of policies.

libyaml finds the events; what they mean is decided here, by the core schema of YAML 1.2 (§10.3): `true` and `false` are the
only booleans, and `no`, `on`, `1:20` and dates are text. Aliases, anchors, tags and directives are refused, so that a file
is what it looks like and can never grow while it is read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.tree import Entry, ListNode, MapNode, Mark, Node, ScalarNode
from mcp_acl.problems import Place, Problem

MAX_DEPTH: Final = 32
"""Mappings and sequences within one another."""

MAX_NODES: Final = 200_000
"""Keys and values of one file together."""

MAX_NUMBER: Final = 18
"""Characters of a number: so many digits every reader of numbers takes alike."""

PlaceAt: TypeAlias = Callable[[Mark, int], Place]
"""The place of so many columns from a mark on."""


class _Stop(Exception):  # noqa: N818 - control flow within this module
    """Nothing after this can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_node(lines: Sequence[str], place_at: PlaceAt, if_empty: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """The one document of a YAML text, given as its lines. Without a node there is a problem; a node may come with problems too.

    `if_empty` is what to do where there is no document.
    """
    reader = _Reader(yaml.parse("\n".join(lines), Loader=yaml.CSafeLoader), place_at, if_empty)
    try:
        node = reader.document()
    except yaml.YAMLError as error:
        return None, (*reader.problems, _syntax_problem(lines, error, place_at))
    except _Stop as stop:
        return None, (*reader.problems, stop.problem)
    return node, tuple(reader.problems)


@dataclass(slots=True)
class _Reader:
    """Builds nodes from the events of one file."""

    events: Iterator[yaml.Event]
    place_at: PlaceAt
    if_empty: str
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def document(self) -> Node:
        """The node of the first document; a second one is a problem."""
        next(self.events)
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            raise _Stop(Problem("yaml-empty", "the file is empty", self.place_at(Mark(0, 0), 1), self.if_empty))
        node = self._node(next(self.events), 1)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._stop("yaml-documents", "a second document begins here", after, "put it into a file of its own")
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self._stop("yaml-size", f"more than {MAX_NODES:,} keys and values", event, "split the file")
        if depth > MAX_DEPTH:
            raise self._stop("yaml-depth", f"nested more than {MAX_DEPTH} levels deep", event)
        if isinstance(event, yaml.ScalarEvent):
            self._check_properties(event)
            return self._scalar(event)
        if isinstance(event, yaml.MappingStartEvent):
            self._check_properties(event)
            return self._map(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_properties(event)
            return self._list(event, depth)
        hint = "write the value out, or put it in quotes"
        raise self._stop("yaml-alias", "`*` begins a YAML alias, which is not read here", event, hint)

    def _check_properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        """An anchor or a tag changes what a value is, and hides it from who reviews the file."""
        if event.anchor is not None:
            hint = "remove it, or put the value in quotes"
            raise self._stop("yaml-alias", "`&` begins a YAML anchor, which is not read here", event, hint)
        if event.tag is not None:
            hint = "remove it, or put the value in quotes"
            raise self._stop("yaml-tag", "`!` begins a YAML tag, which is not read here", event, hint)

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        start, end = _mark(event.start_mark), _mark(event.end_mark)
        style = event.style or ""
        if not style and len(event.value) > MAX_NUMBER and _NUMBER.fullmatch(event.value):
            raise self._stop("yaml-number", f"a number of more than {MAX_NUMBER} characters", event, _QUOTE)
        value = event.value if style else resolve(event.value)
        return ScalarNode(value, event.value, style, start, end)

    def _list(self, start: yaml.Event, depth: int) -> ListNode:
        items: list[Node] = []
        event = next(self.events)
        while not isinstance(event, yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
            event = next(self.events)
        return ListNode(tuple(items), _mark(start.start_mark), _mark(event.end_mark))

    def _map(self, start: yaml.Event, depth: int) -> MapNode:
        entries: dict[str, Entry] = {}
        event = next(self.events)
        while not isinstance(event, yaml.MappingEndEvent):
            key = self._key(event, depth + 1)
            entry = Entry(key, self._node(next(self.events), depth + 1))
            first = entries.setdefault(key.text, entry)
            if first is not entry:
                self._report_duplicate(first.key, key)
            event = next(self.events)
        return MapNode(entries, _mark(start.start_mark), _mark(event.end_mark))

    def _key(self, event: yaml.Event, depth: int) -> ScalarNode:
        node = self._node(event, depth)
        if not isinstance(node, ScalarNode) or not node.text:
            raise self._stop("yaml-key", "a key must be text", event, "write `key: value`")
        return node

    def _report_duplicate(self, first: ScalarNode, second: ScalarNode) -> None:
        if len(self.problems) < 100:
            message = f"the key {quoted(second.text)} stands twice in one mapping"
            place = self.place_at(second.start, second.end.column - second.start.column)
            hint = f"the first is on line {first.start.line + 1}; keep one of them"
            self.problems.append(Problem("yaml-duplicate-key", message, place, hint))

    def _stop(self, code: str, message: str, event: yaml.Event, hint: str = "") -> _Stop:
        return _Stop(Problem(code, message, self.place_at(_mark(event.start_mark), 1), hint))


def _mark(mark: Any) -> Mark:
    """A mark of libyaml, which has no common class for them; the top where it gives none."""
    return Mark(0, 0) if mark is None else Mark(mark.line, mark.column)


# ---- plain scalars ------------------------------------------------------------------------------------------------

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...]] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 0)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
_NUMBER: Final = re.compile("|".join(pattern.pattern for pattern, _ in _NUMBERS))


_BEGINS_NUMBER: Final = frozenset("-+.0123456789")


def resolve(text: str) -> bool | int | float | str | None:
    """What a plain scalar means in the core schema (YAML 1.2 §10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _BEGINS_NUMBER:
        return text
    for pattern, convert in _NUMBERS:
        if pattern.fullmatch(text):
            return convert(text)
    return text


# ---- what libyaml refuses -----------------------------------------------------------------------------------------

_QUOTE: Final = "put the value in quotes"
_QUOTE_EL: Final = """put a condition in quotes: condition: "{#…}\""""
_WHOLE: Final = """put the whole value in quotes of the other kind, as in '"a" in claims.groups'"""
_SPACES: Final = "indent with spaces, the same number for all keys of one mapping"

_SYNTAX: Final[tuple[tuple[str, str, str], ...]] = (
    ("tab character that violates indentation", "a tab indents this line", "indent with spaces"),
    ("cannot start any token", "a value cannot begin with this character", _QUOTE),
    ("mapping values are not allowed", "a `: ` cannot stand here", f"{_QUOTE} if the `: ` belongs to it, or check the indentation"),
    ("mapping keys are not allowed", "a `? ` cannot stand here", _QUOTE),
    ("block sequence entries are not allowed", "a list item cannot begin here", "begin the list on a line of its own"),
    ("expected alphabetic or numeric character", "a value cannot begin with `*` or `&`", """put it in quotes: "*\""""),
    ("unexpected end of stream", "the quote that begins here is never closed", "close it"),
    ("unknown escape character", "an unknown escape in double quotes", "use single quotes, or double the backslash"),
    ("Unicode character escape code", "an escape that is no character", "write the character itself"),
    ("expected hexdecimal number", "an escape without its hexadecimal digits", "use single quotes, or double the backslash"),
    ("expected comment or line break", "a block text begins on the line after `|` or `>`", f"{_QUOTE} if `|` or `>` belongs to it"),
    ("indentation indicator", "a wrong number after `|` or `>`", "leave the number out"),
    ("expected ',' or ']'", "the list that begins here is never closed", "close it with `]`"),
    ("expected ',' or '}'", "the mapping that begins here is never closed", "close it with `}`"),
    ("expected '-' indicator", "a list item is expected here", _SPACES),
    ("could not find expected ':'", "a key without `:`", "write `key: value`"),
    ("did not find expected key", "a key is expected here", _SPACES),
    ("expected <document start>", "text after the end of the document", "check the indentation"),
    ("undefined tag handle", "`!` begins a YAML tag, which is not read here", "remove it, or put the value in quotes"),
    ("expected node content", "a value is missing here", "write one"),
)  # fmt: skip
"""Part of libyaml's message, ours, what to do."""

_UNKNOWN: Final = ("", "this is not YAML", "check quotes and indentation")
_OPENED: Final = ("the quote", "the list that", "the mapping that", "a value cannot begin with `*`", "a key without")
"""Messages about where something began, not about where reading stopped."""

_QUOTED_START: Final = re.compile(r""":\s+["'].*["']""")
_EL_START: Final = re.compile(r"[:,\[-]\s+(\{#)")


def _syntax_problem(lines: Sequence[str], error: yaml.YAMLError, place_at: PlaceAt) -> Problem:
    said = str(getattr(error, "problem", ""))
    _, message, hint = next((row for row in _SYNTAX if row[0] in said), _UNKNOWN)
    began = message.startswith(_OPENED)
    stopped = _mark(getattr(error, "context_mark" if began else "problem_mark", None))
    mark = _last_text(lines, stopped)
    line = lines[mark.line]
    el = _EL_START.search(line)
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem("yaml-tab", "a tab indents this line", place_at(mark, 1), "indent with spaces")
    if el:
        mark, message, hint = Mark(mark.line, el.start(1)), "`{#` begins a YAML mapping and a comment", _QUOTE_EL
    elif message == "a key is expected here" and _QUOTED_START.search(line[: mark.column]):
        message, hint = "text after the closing quote", _WHOLE
    elif mark != stopped:
        message, hint = "the file ends before this is complete", "close every `[`, `{` and quote"
    return Problem("yaml-syntax", message, place_at(mark, 1), hint)


def _last_text(lines: Sequence[str], mark: Mark) -> Mark:
    """The mark, or the end of the last line with text before it where its own has none."""
    line = min(mark.line, len(lines) - 1)
    if lines[line].strip():
        return Mark(line, mark.column)
    while line > 0 and not lines[line].strip():
        line -= 1
    return Mark(line, len(lines[line]))
