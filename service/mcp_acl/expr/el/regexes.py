"""Java's regular expressions on RE2: translated where both mean the same, refused where they do not.

Refused: lookaround, back references, possessive quantifiers and atomic groups, `\\G \\R \\X \\N{…}`, `\\b{g}`, class intersection
(`&&`), negated classes inside classes, the flags `d m u x U`, and repetition beyond 1,000. `DIFFERENCES` says what is translated, and
for which texts a pattern is refused only when it meets one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2

from mcp_acl.expr.el.javaregex import Translation, translate
from mcp_acl.expr.el.values import check_length, made_text
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

_TERMINATORS: Final = ("\n", "\r", "\x85", "\u2028", "\u2029")
_MAX_MEMORY: Final = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A compiled pattern, and the texts it must not meet."""

    compiled: "re2._Regexp[str]"
    translation: Translation

    def check(self, text: str) -> None:
        """Refuse a text for which Java and RE2 might disagree."""
        if self.translation.ascii_only and not text.isascii():
            raise EvalError("the pattern has `\\b` or `(?i)`: the text must be ASCII")
        if self.translation.has_end and text.endswith(_TERMINATORS):
            raise EvalError("the pattern has `$`: the text must not end with a line terminator")


@lru_cache(maxsize=512)
def compile_pattern(text: str, ignore_case: bool = False) -> Pattern:  # noqa: FBT002
    """A Java pattern on RE2. Raises `EvalError` if it is no pattern, or one that RE2 cannot stand in for."""
    if len(text) > MAX_PATTERN:
        raise EvalError(f"a pattern may have {MAX_PATTERN:,} characters at most")
    translation = translate(f"(?i){text}" if ignore_case else text)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return Pattern(re2.compile(translation.text, options), translation)
    except (re2.error, UnicodeError):
        raise EvalError(f"`{text[:60]}` is no regular expression, or too large a one") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    known = compile_pattern(pattern)
    return full_match(known, text)


def full_match(pattern: Pattern, text: str) -> bool:
    """Whether a compiled pattern matches the whole text."""
    pattern.check(text)
    return pattern.compiled.fullmatch(_searchable(text)) is not None


def _searchable(text: str) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise EvalError("the text holds half a character")
    return str(text)


def _finds(pattern: Pattern, text: str) -> Iterator["re2._Match[str]"]:
    """Java's `find` again and again: an empty match is followed by a search one character on."""
    pattern.check(text)
    searchable = _searchable(text)
    start = 0
    while start <= len(searchable):
        match = pattern.compiled.search(searchable, start)
        if match is None:
            return
        yield match
        start = match.end() + (match.end() == match.start())


def replace_all(text: str, pattern: str, replacement: str) -> str:
    """`String.replaceAll`."""
    return _replace(text, pattern, replacement, None)


def replace_first(text: str, pattern: str, replacement: str) -> str:
    """`String.replaceFirst`."""
    return _replace(text, pattern, replacement, 1)


def _replace(text: str, pattern: str, replacement: str, count: int | None) -> str:
    made: list[str] = []
    place = size = 0
    for number, match in enumerate(_finds(compile_pattern(pattern), text)):
        if number == count:
            break
        made += [text[place : match.start()], _expanded(replacement, match)]
        size += len(made[-1]) + len(made[-2])
        check_length(size)
        place = match.end()
    return made_text("".join([*made, text[place:]]))


def _expanded(replacement: str, match: "re2._Match[str]") -> str:
    """The replacement with `$1`, `${name}` and `\\x` put in."""
    if "$" not in replacement and "\\" not in replacement:
        return replacement
    made: list[str] = []
    rest = replacement
    while rest:
        char, rest = rest[0], rest[1:]
        if char == "\\":
            if not rest:
                raise EvalError("the replacement ends with `\\`")
            made.append(rest[0])
            rest = rest[1:]
        elif char == "$":
            value, rest = _group(rest, match)
            made.append(value)
        else:
            made.append(char)
    return "".join(made)


def _group(rest: str, match: "re2._Match[str]") -> tuple[str, str]:
    if rest.startswith("{"):
        name, closed, rest = rest[1:].partition("}")
        if not closed or name not in match.groupdict():
            raise EvalError("the replacement names a group that is not in the pattern")
        return match.group(name) or "", rest
    digits = rest[:1]
    if not (digits.isascii() and digits.isdigit()) or int(digits) > len(match.groups()):
        raise EvalError("the replacement names a group that is not in the pattern")
    rest = rest[1:]
    while rest[:1].isascii() and rest[:1].isdigit() and int(digits + rest[0]) <= len(match.groups()):
        digits, rest = digits + rest[0], rest[1:]
    return match.group(int(digits)) or "", rest


def split(pattern: str, text: str, limit: int) -> tuple[str, ...]:
    """`String.split`: without a limit, empty parts at the end are left out; an empty match at the start gives no part."""
    parts: list[str] = []
    place = 0
    for match in _finds(compile_pattern(pattern), text):
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
