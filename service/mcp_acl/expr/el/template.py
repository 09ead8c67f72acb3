"""The template layer: which parts of a condition are blocks of expression, which are literal text.

Gravitee marks blocks first: `{`, spaces, then `#`, `T` or `(`, up to `}`, with one level of braces inside. Spring then reads
from each `{#` to the brace that closes it, skipping quoted text. Both are done here, on the text as written, so a `{#` that
Gravitee did not mark loses its `#`, and everything else is literal.
"""

import re
from dataclasses import dataclass
from typing import Final

from mcp_acl.problems import Problem, SourceError, Span, place_in

_BLOCK: Final = re.compile(r"\{ *([#T(])([^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\})")
_PREFIX: Final = "{#"
_SPACES: Final = "".join(chr(code) for code in range(33))
_OPENED_BY: Final = {"}": "{", "]": "[", ")": "("}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a condition. `offsets` say where each character of `text` stands in the condition."""

    text: str
    is_block: bool
    offsets: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """The place in the condition of a range of the part's text."""
        last = len(self.offsets) - 1
        return Span(self.offsets[min(start, last)], self.offsets[min(max(end, start + 1) - 1, last)] + 1)


def has_block(text: str) -> bool:
    """Whether a text holds a block, or what Spring takes for the beginning of one."""
    return _PREFIX in text or _BLOCK.search(text) is not None


def split_template(text: str) -> tuple[Part, ...]:
    """The parts of a condition, in order. Raises `SourceError` if a block does not end."""
    marked, offsets = _marked(text)
    parts: list[Part] = []
    place = 0
    while place < len(marked):
        start = marked.find(_PREFIX, place)
        if start != place:
            end = start if start >= 0 else len(marked)
            parts.append(Part(marked[place:end], False, tuple(offsets[place:end])))
            place = end
            continue
        end = _closing(text, marked, offsets, start)
        parts.append(_trimmed(text, marked, offsets, (start + len(_PREFIX), end)))
        place = end + 1
    return tuple(parts)


def _marked(text: str) -> tuple[str, list[int]]:
    """The text with each block starting `{#`, and where each of its characters comes from."""
    made: list[str] = []
    offsets: list[int] = []
    place = 0
    for match in _BLOCK.finditer(text):
        made += [text[place : match.start()], _PREFIX, text[match.start(1) : match.end()]]
        offsets += [*range(place, match.start()), match.start(), match.start(), *range(match.start(1), match.end())]
        place = match.end()
    return "".join([*made, text[place:]]), [*offsets, *range(place, len(text))]


def _closing(text: str, marked: str, offsets: list[int], start: int) -> int:
    """Where the block that opens at `start` closes: brackets pair up, quoted text is skipped."""
    opened: list[int] = []
    place = start + len(_PREFIX)
    while place < len(marked):
        char = marked[place]
        if char == "}" and not opened:
            return place
        if char in "{[(":
            opened.append(place)
        elif char in "}])":
            if not opened or marked[opened[-1]] != _OPENED_BY[char]:
                raise _problem(text, offsets[place], f"`{char}` closes nothing that is open")
            opened.pop()
        elif char in "'\"":
            end = marked.find(char, place + 1)
            if end < 0:
                raise _problem(text, offsets[place], f"the text that starts with {char} is not closed")
            place = end
        place += 1
    at = opened[-1] if opened else start
    raise _problem(text, offsets[at], f"`{marked[at]}` is not closed")


def _trimmed(text: str, marked: str, offsets: list[int], bounds: tuple[int, int]) -> Part:
    start, end = bounds
    while start < end and marked[start] in _SPACES:
        start += 1
    while end > start and marked[end - 1] in _SPACES:
        end -= 1
    if start == end:
        raise _problem(text, offsets[bounds[0] - 1], "the block is empty")
    return Part(marked[start:end], True, tuple(offsets[start:end]))


def _problem(text: str, offset: int, message: str) -> SourceError:
    hint = "`{` in a quoted text counts: a block allows one level of braces" if "closed" in message else ""
    return SourceError([Problem("el-syntax", message, place_in(text, Span(offset, offset + 1)), hint)])
