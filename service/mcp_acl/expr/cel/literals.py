"""The value of a literal token: numbers in their range, strings and bytes with their escapes.

Knows no tree. The escapes are those of the CEL language definition, string and bytes values.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

import lark

from mcp_acl.expr.cel.values import INT_MAX, INT_MIN, UINT_MAX, UInt
from mcp_acl.expr.nodes import Value
from mcp_acl.problems import Span


class LiteralError(Exception):
    """A token that stands for no value. `span` is the part of it that is wrong, in the whole text."""

    def __init__(self, message: str, span: Span, hint: str = "") -> None:
        self.message = message
        self.span = span
        self.hint = hint
        super().__init__(message)


_LONGEST_WHOLE: Final = 100


def value_of(token: lark.Token) -> Value:
    """The value. Raises `LiteralError`."""
    return _READERS[token.type](token)


def _span(token: lark.Token) -> Span:
    start = token.start_pos or 0
    return Span(start, start + len(token))


def _whole(token: lark.Token, digits: str, least: int, most: int) -> int:
    if len(digits) > _LONGEST_WHOLE:
        raise LiteralError("the number does not fit 64 bits", _span(token))
    value = int(digits, 0) if "0x" in digits else int(digits)
    if not least <= value <= most:
        raise LiteralError("the number does not fit 64 bits", _span(token))
    return value


def _int(token: lark.Token) -> int:
    return _whole(token, str(token), INT_MIN, INT_MAX)


def _uint(token: lark.Token) -> UInt:
    if token.startswith("-"):
        raise LiteralError("an unsigned number has no sign", _span(token), "write an int, without the `u`")
    return UInt(_whole(token, token[:-1], 0, UINT_MAX))


def _double(token: lark.Token) -> float:
    value = float(token)
    if math.isinf(value):
        raise LiteralError("the number does not fit a double", _span(token))
    return value


# ---- strings -------------------------------------------------------------------------------------------------------

_QUOTES: Final = re.compile(r"\"\"\"|'''|\"|'")
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<plain>[abfnrtv\\?"'`])|[xX](?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"""
    r"""|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|.)""",
    re.DOTALL,
)
_PLAIN: Final[Mapping[str, str]] = {
    **dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)),
    **{char: char for char in "\\?\"'`"},
}
_MAX_CODE: Final = 0x10FFFF


def _content(token: lark.Token) -> tuple[str, int, bool]:
    """What stands between the quotes, where it begins in the token, and whether it is raw."""
    found = _QUOTES.search(token)
    assert found is not None
    return token[found.end() : -len(found[0])], found.end(), "r" in token[: found.start()].lower()


def _string(token: lark.Token) -> str:
    content, offset, raw = _content(token)
    return content if raw else _ESCAPE.sub(lambda found: _unescaped(token, offset, found), content)


def _bytes(token: lark.Token) -> bytes:
    """The UTF-8 of what is written; an escape for a number below 256 is a byte, not a character."""
    content, offset, raw = _content(token)
    try:
        if raw:
            return content.encode()
        made: list[bytes] = []
        end = 0
        for found in _ESCAPE.finditer(content):
            made += [content[end : found.start()].encode(), _unescaped_byte(token, offset, found)]
            end = found.end()
        return b"".join([*made, content[end:].encode()])
    except UnicodeEncodeError:
        raise LiteralError("the bytes are not valid Unicode", _span(token)) from None


def _unescaped(token: lark.Token, offset: int, found: re.Match[str]) -> str:
    plain, byte, octal, short, long = found.group("plain", "byte", "octal", "short", "long")
    if plain:
        return _PLAIN[plain]
    digits = byte or short or long
    if not digits and not octal:
        raise _bad_escape(token, offset, found)
    code = int(digits, 16) if digits else int(octal, 8)
    if code > _MAX_CODE or 0xD800 <= code <= 0xDFFF:
        raise _bad_escape(token, offset, found)
    return chr(code)


def _unescaped_byte(token: lark.Token, offset: int, found: re.Match[str]) -> bytes:
    if found["short"] or found["long"]:
        raise _bad_escape(token, offset, found)
    return _unescaped(token, offset, found).encode("latin-1")


def _bad_escape(token: lark.Token, offset: int, found: re.Match[str]) -> LiteralError:
    start = (token.start_pos or 0) + offset + found.start()
    shown = found[0] if found[0].isprintable() else "\\"
    hint = "write `\\\\` for a backslash, or a raw string such as r'\\d+'"
    return LiteralError(f"`{shown}` is not an escape", Span(start, start + len(found[0])), hint)


def _bool(token: lark.Token) -> bool:
    return str(token) == "true"


def _null(_token: lark.Token) -> None:
    return None


_READERS: Final[Mapping[str, Callable[[lark.Token], Value]]] = {
    "INT_LIT": _int,
    "UINT_LIT": _uint,
    "FLOAT_LIT": _double,
    "STRING_LIT": _string,
    "BYTES_LIT": _bytes,
    "BOOL_LIT": _bool,
    "NULL_LIT": _null,
}
