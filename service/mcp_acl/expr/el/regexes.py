r"""Java's regular expressions on RE2: translated where both mean the same, refused where they do not.

Refused: lookaround, back references, possessive quantifiers and atomic groups, `\G \R \X \N{…}`, `\b{g}`, class intersection
(`&&`), negated classes inside classes, the flags `d m u x U`, and repetition beyond 1,000. `DIFFERENCES` says what is translated, and
for which texts a pattern is refused only when it meets one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import re2

from mcp_acl.expr.el.javaregex import Translation, translate
from mcp_acl.expr.el.values import check_length, made_text, shown
from mcp_acl.expr.meter import MAX_WORK
from mcp_acl.expr.searching import search_price
from mcp_acl.problems import EvalError

MAX_PATTERN: Final = 1_000
"""How long a pattern may be, in characters (Spring's limit for `matches`)."""

DIFFERENCES: Final = (
    ("`.`", "Java's stops at \\n \\r \\u0085 \\u2028 \\u2029, RE2's at \\n", "translated to a class"),
    ("`\\s`", "Java's has \\x0b, RE2's has not", "translated to a class"),
    ("`\\h`, `\\v` and their opposites", "unknown to RE2", "translated to classes"),
    ("`\\uXXXX`, `\\0n`, `\\cX`, `\\e`", "unknown to RE2", "translated to `\\x{…}`"),
    ("`\\p{Alpha}` and the other POSIX names", "named differently", "translated to ASCII classes"),
    ("`$` and `\\Z`", "Java's also match before a final line terminator", "an error for a text that ends with one"),
    ("`\\b` and `\\B`", "Java's know letters beyond ASCII", "an error for a text that is not ASCII"),
    ("`(?i)`", "Java's folds ASCII only", "an error for a text or pattern that is not ASCII"),
    ("a character beyond U+FFFF", "two code units, one code point in both", "the same"),
)
"""What is written, how the engines differ, what is done."""

MAX_SEARCHED: Final = 100_000
"""How long a text may be that is split, or in which matches are replaced, in characters."""

_MATCH: Final = 8
"""What a match is charged that may begin at any character."""

_SHORT: Final = 500
"""No pattern is too large for a text as short as this."""

_STOPPING: Final = re.compile(r"(?:\[(?:\\.|[^\[\]\\])+\]|\\[^A-Za-z]|[^\\\[\](){}|?*+.^$])*[+*]?", re.DOTALL)
"""Single characters and classes of some, the last perhaps repeated."""

_TERMINATORS: Final = ("\n", "\r", "\x85", "\u2028", "\u2029")
_MAX_MEMORY: Final = 1 << 22


class Pattern:
    """A compiled pattern, and the texts it must not meet."""

    __slots__ = ("_full", "_program", "_source", "_translation")

    def __init__(self, source: str, translation: Translation) -> None:
        self._source = source
        self._translation = translation
        try:
            compiled = self._compiled(translation.text.encode(), never_capture=True)
        except UnicodeError:
            raise EvalError("the pattern holds half a character") from None
        self._program = compiled.programsize
        self._full = compiled.fullmatch

    def price(self, text: str, *, again_and_again: bool = False) -> int:
        """What it costs at most to match the text, or to find every match in it. Raises `EvalError` as `matches` does."""
        once = search_price(self._program, len(text))
        if not again_and_again:
            return once
        return len(text) * _MATCH + (once if self._stops else once * len(text))

    @property
    def _stops(self) -> bool:
        """Whether a search never looks further than its match, so that all of them together read the text once."""
        return _STOPPING.fullmatch(self._translation.text) is not None

    def _compiled(self, text: str | bytes, *, never_capture: bool) -> "re2._Regexp":
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        options.never_capture = never_capture
        try:
            return re2.compile(text, options)
        except re2.error:
            raise EvalError(f"`{shown(self._source)}` is no regular expression, or too large a one") from None

    def check(self, text: str) -> None:
        """Refuse a text for which Java and RE2 might disagree."""
        if self._translation.ascii_only and not text.isascii():
            raise EvalError("the pattern has `\\b` or `(?i)`: the text must be ASCII")
        if self._translation.has_end and text.endswith(_TERMINATORS):
            raise EvalError("the pattern has `$`: the text must not end with a line terminator")

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        self.check(text)
        if len(text) > _SHORT:
            self.price(text)
        try:
            return self._full(text.encode()) is not None
        except UnicodeError:
            raise _half_character() from None

    def finds(self, text: str) -> Iterator["re2._Match"]:
        """Java's `find` again and again: an empty match is followed by a search one character on.

        RE2's own iteration goes over the text once. It finds an empty match ahead of it twice.
        """
        self.check(text)
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise _half_character()
        if len(text) > MAX_SEARCHED:
            raise EvalError(f"a text may have {MAX_SEARCHED:,} characters at most to find every match in it")
        each = 0 if self._stops else self.price(text)
        left, last = MAX_WORK, (-1, -1)
        for match in self._compiled(self._translation.text, never_capture=False).finditer(str(text)):
            left -= each
            if left < 0:
                raise EvalError("the text has too many matches for so large a pattern")
            if match.span() != last:
                yield match
            last = match.span()


def _half_character() -> EvalError:
    return EvalError("the text holds half a character")


@lru_cache(maxsize=512)
def compile_pattern(text: str, ignore_case: bool = False) -> Pattern:  # noqa: FBT002
    """A Java pattern on RE2. Raises `EvalError` if it is no pattern, or one that RE2 cannot stand in for."""
    if len(text) > MAX_PATTERN:
        raise EvalError(f"a pattern may have {MAX_PATTERN:,} characters at most")
    return Pattern(text, translate(f"(?i){text}" if ignore_case else text))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches the whole text."""
    return compile_pattern(pattern).matches(text)


def replace_all(text: str, pattern: str, replacement: str) -> str:
    """`String.replaceAll`."""
    return _replace(text, pattern, replacement, None)


def replace_first(text: str, pattern: str, replacement: str) -> str:
    """`String.replaceFirst`."""
    return _replace(text, pattern, replacement, 1)


def _replace(text: str, pattern: str, replacement: str, count: int | None) -> str:
    made: list[str] = []
    parts: list[str | int] | None = None
    place = size = 0
    for number, match in enumerate(compile_pattern(pattern).finds(text)):
        if number == count:
            break
        parts = _parts(replacement, match) if parts is None else parts
        put_in = "".join(part if isinstance(part, str) else match.group(part) or "" for part in parts)
        made += [text[place : match.start()], put_in]
        size += len(made[-1]) + len(made[-2])
        check_length(size)
        place = match.end()
    return made_text("".join([*made, text[place:]]))


_PART: Final = re.compile(
    r"\\(?P<plain>.)|\$\{(?P<name>\w+)\}|\$(?P<digits>[0-9]+)|(?P<text>[^\\$]+)", re.DOTALL | re.ASCII
)


def _parts(replacement: str, match: "re2._Match") -> list[str | int]:
    r"""The replacement as texts and numbers of groups: `$1` and `${name}` are groups, `\x` is `x`."""
    made: list[str | int] = []
    place = 0
    for part in _PART.finditer(replacement):
        if part.start() != place:
            break
        place = part.end()
        made += _part(part, match)
    if place != len(replacement):
        raise EvalError("the replacement holds a `$` or `\\` that says nothing")
    return made


def _part(part: re.Match[str], match: "re2._Match") -> list[str | int]:
    """A group is as many digits as make one; what follows them is text."""
    name, digits = part.group("name"), part.group("digits")
    if name is not None:
        if name not in match.re.groupindex:
            raise EvalError("the replacement names a group that is not in the pattern")
        return [match.re.groupindex[name]]
    if digits is None:
        return [part.group("plain") or part.group("text")]
    size = 1
    while size < min(len(digits), 5) and int(digits[: size + 1]) <= match.re.groups:
        size += 1
    if int(digits[:size]) > match.re.groups:
        raise EvalError("the replacement names a group that is not in the pattern")
    return [int(digits[:size]), digits[size:]]


def split(pattern: str, text: str, limit: int) -> tuple[str, ...]:
    """`String.split`: without a limit, empty parts at the end are left out; an empty match at the start gives no part."""
    parts: list[str] = []
    place = 0
    for match in compile_pattern(pattern).finds(text):
        if 0 < limit == len(parts) + 1:
            break
        if match.end() == 0:
            continue
        parts.append(text[place : match.start()])
        place = match.end()
    if not parts:
        return (text,)
    parts.append(text[place:])
    while limit == 0 and parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
