"""A policy file as text: its bytes checked, its values, and the place of each of them.

Knows nothing of policies. Whatever the bytes are, reading ends soon and within little memory, with a document or a
problem.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from mcp_acl.policy.reader import read_node
from mcp_acl.policy.tree import MapNode, Mark, Node, Path, Plain, ScalarNode, find, plain, without
from mcp_acl.policy.verbatim import marks_of
from mcp_acl.problems import Place, Problem, Span

MAX_SIZE: Final = 1024 * 1024
"""Bytes of one file."""

_REPORTED: Final = 20  # hidden characters of one file that are shown one by one


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file by the name people know it by, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one file. `lines` are its lines without their ends."""

    file: str
    lines: tuple[str, ...]
    root: Node

    def plain(self) -> Plain:
        """Everything in it as Python data."""
        return plain(self.root)

    def place(self, path: Path, span: Span | None = None, *, key: bool = False) -> Place:
        """The place of the value at a path, or of its key. If there is no such value, of the deepest on the way.

        `span` is a range of characters of a text value: the place is theirs where they stand in the file as in the
        value, else that of the value.
        """
        key_node, node = find(self.root, path)
        if key and key_node is not None:
            node = key_node
        if span is not None and isinstance(node, ScalarNode):
            marks = marks_of(self.lines, node)
            if marks is not None:
                start, end = (marks[min(offset, len(marks) - 1)] for offset in (span.start, span.end))
                return self._place(start, end)
        return self._place(node.start, _first_of(node).end)

    def without(self, paths: Collection[Path]) -> "Document":
        """The same document with the values at some paths left out."""
        return replace(self, root=without(self.root, paths))

    def _place(self, start: Mark, end: Mark) -> Place:
        width = end.column - start.column if end.line == start.line else len(self.lines[start.line]) - start.column
        return _place_at(self.file, self.lines, start, width)


def read_document(
    file: SourceFile, if_empty: str = "fill it, or remove it"
) -> tuple[Document | None, tuple[Problem, ...]]:
    """The document of a file. Without one there is a problem; a document may come with problems too.

    `if_empty` is what to do with a file that says nothing.
    """
    problem = _size_problem(file) or _encoding_problem(file)
    if problem is not None:
        return None, (problem,)
    text = file.content.decode()
    lines = tuple(line.removesuffix("\r") for line in text.split("\n"))
    problems = tuple(_character_problems(file.name, text, lines))
    if problems:
        return None, problems
    root, problems = read_node(lines, lambda mark, width: _place_at(file.name, lines, mark, width), if_empty)
    return (None if root is None else Document(file.name, lines, root)), problems


# ---- places -------------------------------------------------------------------------------------------------------


def _place_at(file: str, lines: tuple[str, ...], mark: Mark, width: int) -> Place:
    return Place(file, mark.line + 1, mark.column + 1, max(1, width), lines[mark.line])


def _first_of(node: Node) -> Node:
    """A mapping is pointed at by its first key."""
    if isinstance(node, MapNode):
        return next((entry.key for entry in node.entries.values()), node)
    return node


# ---- bytes and characters -----------------------------------------------------------------------------------------

_MARKS: Final = (
    (b"\xef\xbb\xbf", "the file begins with a byte order mark", "save it as UTF-8 without one"),
    (b"\xff\xfe", "the file is UTF-16 or UTF-32", "save it as UTF-8"),
    (b"\xfe\xff", "the file is UTF-16", "save it as UTF-8"),
)
"""What the first bytes of a file in another encoding are (RFC 3629 §6)."""


def _size_problem(file: SourceFile) -> Problem | None:
    if len(file.content) <= MAX_SIZE:
        return None
    message = f"the file has more than {MAX_SIZE:,} bytes"
    return Problem("file-size", message, Place(file.name), "split it: all files of the directory are one set")


def _encoding_problem(file: SourceFile) -> Problem | None:
    for first, message, hint in _MARKS:
        if file.content.startswith(first):
            return Problem("file-encoding", message, Place(file.name), hint)
    if b"\x00" in file.content:
        return Problem(
            "file-encoding", "the file holds NUL bytes, as UTF-16 does", Place(file.name), "save it as UTF-8"
        )
    try:
        file.content.decode()
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start)
        start = file.content.rfind(b"\n", 0, error.start) + 1
        text = file.content[start:].partition(b"\n")[0].decode(errors="replace")
        place = Place(file.name, line + 1, len(file.content[start : error.start].decode()) + 1, text=text)
        return Problem("file-encoding", "a byte that is not UTF-8", place, "save the file as UTF-8")
    return None


_HIDDEN: Final = re.compile(
    r"\r(?!\n)|[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    r"|[\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
"""Control characters, what some readers take for a line break, and what makes text look other than it is (UTS #55)."""


def _character_problems(name: str, text: str, lines: tuple[str, ...]) -> Iterator[Problem]:
    for match in islice(_HIDDEN.finditer(text), _REPORTED):
        line = text.count("\n", 0, match.start())
        mark = Mark(line, match.start() - text.rfind("\n", 0, match.start()) - 1)
        sign = f"U+{ord(match.group()):04X} {unicodedata.name(match.group(), 'control character').lower()}"
        hint = f'remove it, or write it as "\\u{ord(match.group()):04x}" in double quotes'
        yield Problem("file-character", f"a hidden character: {sign}", _place_at(name, lines, mark, 1), hint)
    for line, start in enumerate(lines):
        if start.startswith("%"):
            place = _place_at(name, lines, Mark(line, 0), 1)
            yield Problem("yaml-directive", "directives are not read here", place, "remove the line")
            return
