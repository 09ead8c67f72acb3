"""Translate a Java regular expression to RE2's syntax, token by token, or refuse it.

Knows nothing of matching. What Java refuses is refused too, also where RE2 would take it as literal text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mcp_acl.expr.el.values import shown
from mcp_acl.problems import EvalError

MAX_REPEAT: Final = 1_000
"""RE2's own limit."""

_MAX_INNER_CLASSES: Final = 5
_MAX_DEPTH: Final = 50

_LINE: Final = r"\n\r\x{85}\x{2028}\x{2029}"
_HORIZONTAL: Final = r"\t \x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}"
_VERTICAL: Final = r"\n\x{0B}\f\r\x{85}\x{2028}\x{2029}"
_SPACE: Final = r"\t-\r "

_INSIDE: Final[Mapping[str, str]] = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": _SPACE,
    "h": _HORIZONTAL,
    "v": _VERTICAL,
}
"""Class escapes by their lower-case letter, as the inside of a class; upper case is the opposite."""

_POSIX: Final[Mapping[str, str]] = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x{0}-\x{7F}",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Alnum": "0-9A-Za-z",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x{0}-\x{1F}\x{7F}",
    "XDigit": "0-9A-Fa-f",
    "Space": _SPACE,
}
_CATEGORIES: Final = frozenset(
    "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp".split()
)
_SCRIPTS: Final = frozenset(("Latin", "Greek", "Cyrillic", "Hebrew", "Arabic", "Han", "Hiragana", "Katakana", "Hangul"))
_CONTROLS: Final[Mapping[str, int]] = {"t": 9, "n": 10, "r": 13, "f": 12, "a": 7, "e": 27}
_LITERAL: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_ -\"'!#%&,/:;<=>@`~")

_CODE: Final = re.compile(r"u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|0([0-3]?[0-7]{1,2})|c([@-_])")
_PROPERTY: Final = re.compile(r"([pP])(?:\{(Is|script=|sc=|general_category=|gc=)?(\w+)\}|([A-Z]))", re.ASCII)
_QUANTIFIER: Final = re.compile(r"[?*+]|\{(\d+)(,(\d*))?\}", re.ASCII)
_GROUP: Final = re.compile(r"\?(?::|<([A-Za-z][A-Za-z0-9]*)>|([is]*)(?:-([is]*))?([:)]))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Translation:
    """A pattern for RE2, whether `$` is in it, and whether it may meet ASCII texts only."""

    text: str
    has_end: bool
    ascii_only: bool


def translate(pattern: str) -> Translation:
    """The pattern in RE2's syntax. Raises `EvalError`."""
    return _Translator(pattern).run()


class _Translator:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._made: list[str] = []
        self._dots: list[bool] = [False]  # whether `.` matches line ends, for each open group
        self._repeatable = False
        self._has_end = False
        self._ascii_only = False
        self._names: set[str] = set()

    def run(self) -> Translation:
        while self._place < len(self._pattern):
            _STEPS.get(self._pattern[self._place], _Translator.plain)(self)
        if len(self._dots) > 1:
            raise self.refused("a group is not closed")
        folds = any(one.startswith("(?i") for one in self._made)
        if folds and not self._pattern.isascii():
            raise self.refused("`(?i)` with characters beyond ASCII is not supported")
        return Translation("".join(self._made), self._has_end, self._ascii_only or folds)

    def refused(self, why: str) -> EvalError:
        return EvalError(f"the pattern `{shown(self._pattern)}` cannot be used: {why}")

    def add(self, text: str, length: int, *, repeatable: bool = True) -> None:
        self._made.append(text)
        self._place += length
        self._repeatable = repeatable

    def plain(self) -> None:
        self.add(_quoted(self._pattern[self._place]), 1)

    def dot(self) -> None:
        self.add("(?s:.)" if self._dots[-1] else f"[^{_LINE}]", 1)

    def end(self) -> None:
        self._has_end = True
        self.add(r"\z", 1, repeatable=False)

    def begin(self) -> None:
        self.add(r"\A", 1, repeatable=False)

    def either(self) -> None:
        self.add("|", 1, repeatable=False)

    # ---- groups ------------------------------------------------------------------------------------------------------

    def open_group(self) -> None:
        if len(self._dots) > _MAX_DEPTH:
            raise self.refused("groups are nested too deeply")
        if not self._pattern.startswith("(?", self._place):
            self._dots.append(self._dots[-1])
            self.add("(", 1, repeatable=False)
            return
        match = _GROUP.match(self._pattern, self._place + 1)
        if match is None:
            raise self.refused("look-around, atomic groups and other flags than `i` and `s` are not supported")
        name, on, off, end = match.groups()
        dot = "s" in (on or "") or (self._dots[-1] and "s" not in (off or ""))
        length = 1 + len(match.group())
        if end == ")":
            self._dots[-1] = dot
            self.flags(on or "", off or "", ")", length)
            return
        self._dots.append(dot)
        if name:
            if name in self._names:
                raise self.refused(f"the group `{name}` is there twice")
            self._names.add(name)
            self.add(f"(?P<{name}>", length, repeatable=False)
        else:
            self.flags(on or "", off or "", ":", length)

    def flags(self, on: str, off: str, end: str, length: int) -> None:
        folding = "i" * ("i" in on) + "-i" * ("i" in off)
        self.add(f"(?{folding}{end}" if folding or end == ":" else "", length, repeatable=False)

    def close_group(self) -> None:
        if len(self._dots) == 1:
            raise self.refused("`)` without `(`")
        self._dots.pop()
        self.add(")", 1)

    # ---- quantifiers -------------------------------------------------------------------------------------------------

    def quantifier(self) -> None:
        match = _QUANTIFIER.match(self._pattern, self._place)
        if match is None or not self._repeatable:
            raise self.refused(f"`{self._pattern[self._place]}` repeats nothing")
        low, _, high = match.groups()
        if any((bound and len(bound) > 4) or int(bound or 0) > MAX_REPEAT for bound in (low, high)):
            raise self.refused(f"more than {MAX_REPEAT:,} repetitions are not supported")
        if high and int(high) < int(low):
            raise self.refused("the bounds of a repetition are the wrong way round")
        following = self._pattern[match.end() : match.end() + 1]
        if following == "+":
            raise self.refused("possessive quantifiers are not supported")
        lazy = following == "?"
        self.add(match.group() + "?" * lazy, len(match.group()) + lazy, repeatable=False)

    # ---- escapes -----------------------------------------------------------------------------------------------------

    def escape(self) -> None:
        rest = self._pattern[self._place + 1 :]
        if rest[:1] == "Q":
            quoted, _, _ = rest[1:].partition("\\E")
            for char in quoted:
                self._made.append(_quoted(char))
            self.add("", 2 + len(quoted) + 2 * ("\\E" in rest), repeatable=bool(quoted))
        elif rest[:1] in ("b", "B"):
            if rest[1:2] == "{":
                raise self.refused("`\\b{…}` is not supported")
            self._ascii_only = True
            self.add(f"\\{rest[0]}", 2, repeatable=False)
        elif rest[:1] in ("A", "z", "Z"):
            self._has_end |= rest[0] == "Z"
            self.add("\\A" if rest[0] == "A" else r"\z", 2, repeatable=False)
        else:
            inside, length = self.class_escape(self._place)
            self.add(inside if len(inside) == 1 else f"[{inside}]", length)

    def class_escape(self, place: int) -> tuple[str, int]:
        """An escape as the inside of a class, and its length."""
        rest = self._pattern[place + 1 :]
        code = _CODE.match(rest)
        if code is not None:
            return _code_point(self.code(code)), 1 + len(code.group())
        named = _PROPERTY.match(rest)
        if named is not None:
            return self.property(named), 1 + len(named.group())
        char = rest[:1]
        if char.lower() in _INSIDE and char:
            inside = _INSIDE[char.lower()]
            return inside if char.islower() else _opposite(inside), 2
        if char in _CONTROLS:
            return _code_point(_CONTROLS[char]), 2
        if not char or (char.isascii() and char.isalnum()):
            raise self.refused(f"`\\{char}` is not supported")
        return _quoted_in_class(char), 2

    def code(self, match: re.Match[str]) -> int:
        unit, two, braced, octal, control = match.groups()
        if control:
            return ord(control) ^ 64
        value = int(octal, 8) if octal else int(unit or two or braced, 16)
        if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            raise self.refused("half characters are not supported")
        return value

    def property(self, match: re.Match[str]) -> str:
        sign, prefix, name, short = match.groups()
        wanted = short or name
        if prefix is None and wanted in _POSIX:
            return _POSIX[wanted] if sign == "p" else _opposite(_POSIX[wanted])
        if wanted in _CATEGORIES and prefix not in ("script=", "sc="):
            return rf"\{sign}{{{wanted}}}"
        if wanted in _SCRIPTS and prefix in ("Is", "script=", "sc="):
            return rf"\{sign}{{{wanted}}}"
        raise self.refused(f"`\\{match.group()}` is not supported")

    # ---- classes -----------------------------------------------------------------------------------------------------

    def character_class(self) -> None:
        start = self._place
        self._place += 1
        inside = self.class_body(0)
        length, self._place = self._place - start, start
        self.add(f"[{inside}]", length)

    def class_body(self, depth: int) -> str:
        """From after `[` to after its `]`: the inside, inner classes joined to it."""
        negated = self._pattern.startswith("^", self._place)
        if depth > _MAX_INNER_CLASSES:
            raise self.refused("classes are nested too deeply")
        if negated and depth:
            raise self.refused("negated classes inside classes are not supported")
        self._place += negated
        made: list[str] = []
        first = self._place
        while self._place < len(self._pattern):
            char = self._pattern[self._place]
            if char == "]" and self._place > first:
                self._place += 1
                return "^" * negated + "".join(made)
            made.append(self.class_item(char, depth))
        raise self.refused("a class is not closed")

    def class_item(self, char: str, depth: int) -> str:
        if self._pattern.startswith("&&", self._place):
            raise self.refused("`&&` in a class is not supported")
        if char == "[":
            self._place += 1
            return self.class_body(depth + 1)
        item = self.class_atom(char)
        if not self._pattern.startswith("-", self._place) or self._pattern[self._place + 1 : self._place + 2] in (
            "]",
            "",
        ):
            return item
        following = self._pattern[self._place + 1]
        if following == "[" or not _is_single(item):
            raise self.refused("`-` in a class needs a character on both sides: write `\\-`")
        self._place += 1
        last = self.class_atom(following)
        if not _is_single(last):
            raise self.refused("`-` in a class needs a character on both sides: write `\\-`")
        return f"{item}-{last}"

    def class_atom(self, char: str) -> str:
        if char != "\\":
            self._place += 1
            return _quoted_in_class(char)
        if self._pattern[self._place + 1 : self._place + 2] in ("Q", "E", "b"):
            raise self.refused("`\\Q`, `\\E` and `\\b` in a class are not supported")
        inside, length = self.class_escape(self._place)
        self._place += length
        return inside


def _is_single(item: str) -> bool:
    return len(item) == 1 or bool(re.fullmatch(r"\\x\{[0-9A-F]+\}", item))


def _code_point(code: int) -> str:
    return f"\\x{{{code:X}}}"


def _quoted(char: str) -> str:
    return char if char in _LITERAL or not char.isascii() else _code_point(ord(char))


def _quoted_in_class(char: str) -> str:
    return char if char.isascii() and char.isalnum() else _code_point(ord(char))


def _opposite(inside: str) -> str:
    """Everything but the inside of a class, as the inside of a class: the gaps between its ranges."""
    ranges = sorted(_ranges(inside))
    made: list[str] = []
    start = 0
    for low, high in ranges:
        if start < low:
            made.append(f"{_code_point(start)}-{_code_point(low - 1)}")
        start = high + 1
    return "".join([*made, f"{_code_point(start)}-{_code_point(0x10FFFF)}"])


_ATOM: Final = r"(?:\\x\{([0-9A-F]+)\}|\\([tnrf\[])|([^\\]))"
_RANGE: Final = re.compile(rf"{_ATOM}(?:-{_ATOM})?", re.DOTALL)


def _ranges(inside: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for match in _RANGE.finditer(inside):
        low = _atom(match.groups()[:3])
        found.append((low, _atom(match.groups()[3:]) if any(match.groups()[3:]) else low))
    return found


def _atom(groups: tuple[str | None, ...]) -> int:
    code, control, plain = groups
    if code:
        return int(code, 16)
    return _CONTROLS.get(control, ord(control)) if control else ord(plain or " ")


_STEPS: Final[Mapping[str, Callable[[_Translator], None]]] = {
    ".": _Translator.dot,
    "$": _Translator.end,
    "^": _Translator.begin,
    "|": _Translator.either,
    "(": _Translator.open_group,
    ")": _Translator.close_group,
    "?": _Translator.quantifier,
    "*": _Translator.quantifier,
    "+": _Translator.quantifier,
    "{": _Translator.quantifier,
    "\\": _Translator.escape,
    "[": _Translator.character_class,
}
