"""Where in the source each character of a YAML scalar stands: so that a caret can point inside a condition.

Strategy: the source and the value are walked side by side, by the rules of the scalar's style (YAML 1.2 §7.3, §8.1). Where
they do not agree to the end there is no answer, never a wrong one.
"""

import re
from collections.abc import Sequence
from typing import Final

from mcp_acl.policy.tree import Mark, ScalarNode

_FOLD: Final = r"(?P<fold>[ \t]*\n[ \t\n]*)"
_TOKENS: Final = {
    "": re.compile(rf"{_FOLD}|(?P<same>[ \t]+|[^ \t\n]+)"),
    "'": re.compile(rf"{_FOLD}|(?P<one>'')|(?P<same>[ \t]+|[^ \t\n']+)"),
    '"': re.compile(
        rf"(?P<none>\\[ \t]*\n[ \t]*)|{_FOLD}|(?P<one>\\(?:x..|u.{{4}}|U.{{8}}|.))|(?P<same>[ \t]+|[^ \t\n\\]+)"
    ),
}
"""What stands in a flow scalar of each style: a line fold, `one` character or `none` written with several, or `same`."""
_LONGEST: Final = 100_000
"""Characters; a caret inside a longer scalar helps nobody."""


def marks_of(lines: Sequence[str], node: ScalarNode) -> Sequence[Mark] | None:
    """The mark of each character of a scalar's text, one for its end after them, or None where that is not exact.

    `lines` are the lines of the document without their ends.
    """
    if len(node.text) > _LONGEST or not node.text:
        return None
    if node.style in ("|", ">"):
        return _block_marks(lines, node)
    width = len(node.style)
    source = _between(lines, node.start, node.end)
    offsets = _flow_offsets(source[width : len(source) - width], node.text, node.style)
    if offsets is None:
        return None
    return _marks(source, [offset + width for offset in offsets], node.start)


def _between(lines: Sequence[str], start: Mark, end: Mark) -> str:
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    inner = lines[start.line + 1 : end.line]
    return "\n".join([lines[start.line][start.column :], *inner, lines[end.line][: end.column]])


def _marks(source: str, offsets: Sequence[int], start: Mark) -> list[Mark]:
    """Offsets in a text that begins at a mark, as marks. The offsets ascend."""
    marks: list[Mark] = []
    line, line_start, at = start.line, -start.column, 0
    for offset in offsets:
        breaks = source.count("\n", at, offset)
        if breaks:
            line, line_start = line + breaks, source.rfind("\n", at, offset) + 1
        at = offset
        marks.append(Mark(line, offset - line_start))
    return marks


# ---- plain and quoted scalars -------------------------------------------------------------------------------------


def _flow_offsets(source: str, text: str, style: str) -> list[int] | None:
    """One offset in `source` for each character of `text` and one for the end."""
    offsets: list[int] = []
    for token in _TOKENS[style].finditer(source):
        match token.lastgroup:
            case "fold":
                offsets += [token.start()] * max(1, token.group().count("\n") - 1)
            case "one":
                offsets.append(token.start())
            case "same":
                if not text.startswith(token.group(), len(offsets)):
                    return None
                offsets += range(token.start(), token.end())
    return [*offsets, len(source)] if len(offsets) == len(text) else None


# ---- block scalars ------------------------------------------------------------------------------------------------


def _block_marks(lines: Sequence[str], node: ScalarNode) -> Sequence[Mark] | None:
    """Every line of a block begins after the same indentation, which its first line with text shows."""
    first = node.start.line + 1
    written = lines[first : node.end.line + 1]
    indent = next((len(line) - len(line.lstrip(" ")) for line in written if line.strip(" ")), 0)
    source = "\n".join(line[indent:] for line in written)
    offsets = _literal_offsets(source, node.text) if node.style == "|" else _folded_offsets(source, node.text)
    if offsets is None:
        return None
    return [Mark(mark.line, mark.column + indent) for mark in _marks(source, offsets, Mark(first, 0))]


def _literal_offsets(source: str, text: str) -> Sequence[int] | None:
    """A literal block is its lines, but for the line breaks at its end."""
    body = text.rstrip("\n")
    return range(len(text) + 1) if source.startswith(body) else None


def _folded_offsets(source: str, text: str) -> list[int] | None:
    """In a folded block one line break is a space, and of several the first is dropped, or none beside indented lines."""
    body = text.rstrip("\n")
    offsets: list[int] = []
    at = 0
    while len(offsets) < len(body):
        breaks = _run(source, at)
        if breaks == 0:
            if source[at : at + 1] != body[len(offsets)]:
                return None
            offsets.append(at)
            at += 1
            continue
        made = _run(body, len(offsets)) or int(body[len(offsets)] == " " and breaks == 1)
        if made not in (breaks, max(1, breaks - 1)):
            return None
        offsets += [at] * made
        at += breaks
    return offsets + [at] * (len(text) - len(body) + 1)


def _run(text: str, at: int) -> int:
    """How many line breaks follow one another from here."""
    end = at
    while text[end : end + 1] == "\n":
        end += 1
    return end - at
