"""The methods of `java.lang.String`, one row each, and the constructors, encoders and Base64 that make texts.

Offsets count UTF-16 code units. Regular expressions go through `regexes`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from mcp_acl.expr.el import regexes
from mcp_acl.expr.el.comparing import compare_texts, hash_code
from mcp_acl.expr.el.conversions import WHITESPACE, convert
from mcp_acl.expr.el.formats import format_text
from mcp_acl.expr.el.methods import Row, row
from mcp_acl.expr.el.texts import java_text
from mcp_acl.expr.el.values import (
    Array,
    Char,
    Codec,
    Int8,
    Int32,
    Opaque,
    check_length,
    elements,
    joined,
    made_text,
    units,
)
from mcp_acl.problems import EvalError

_STRIPPED: Final = "".join(sorted(WHITESPACE))
_TRIMMED: Final = "".join(chr(code) for code in range(33))


def _part(text: str, start: int, end: int) -> str:
    """The code units from `start` to `end`."""
    whole = units(text)
    if not 0 <= start <= end <= len(whole):
        raise EvalError(f"no part `{start}` to `{end}` in a text of {len(whole)} characters")
    return joined(whole[start:end])


def _char_at(text: str, index: int) -> Char:
    whole = units(text)
    if not 0 <= index < len(whole):
        raise EvalError(f"no character `{index}` in a text of {len(whole)}")
    return Char(whole[index])


def _code_point_at(text: str, index: int) -> Int32:
    rest = _part(text, index, len(units(text)))
    if not rest:
        raise EvalError(f"no character `{index}`")
    return Int32(ord(rest[0]))


def _wanted(value: object) -> str:
    """What is searched for: a text, or the character with a code."""
    if isinstance(value, str):
        return units(value)
    code = int(value)  # type: ignore[call-overload]
    return units(chr(code)) if 0 <= code <= 0x10FFFF else "\0\0"


def _index(text: str, wanted: object, start: int = 0) -> Int32:
    whole = units(text)
    return Int32(whole.find(_wanted(wanted), min(max(start, 0), len(whole))))


def _last_index(text: str, wanted: object, start: int | None = None) -> Int32:
    whole, part = units(text), _wanted(wanted)
    if start is not None and start < 0:
        return Int32(-1)
    if start is not None:
        whole = whole[: start + len(part)]
    found = whole[::-1].find(part[::-1])  # Python's `rfind` is quadratic, its `find` is not
    return Int32(len(whole) - found - len(part) if found >= 0 else -1)


def _fold(char: str) -> str:
    """A character as `equalsIgnoreCase` sees it: to upper, then to lower case, where that is one character."""
    if char == "\u0130":
        return "i"
    upper = char.upper() if len(char.upper()) == 1 else char
    lower = upper.lower()
    return lower if len(lower) == 1 else upper


def _folded(text: str) -> str:
    return "".join(map(_fold, text)) if not text.isascii() else text.lower()


def _equals_ignoring_case(text: str, other: str | None) -> bool:
    return other is not None and len(units(text)) == len(units(other)) and _folded(text) == _folded(other)


def _compare_ignoring_case(text: str, other: str) -> Int32:
    """The distance of the first code points that differ (code units, if a text is Latin-1), else of the lengths."""
    latin = min(max(text, default=""), max(other, default="")) <= "\xff"
    first, second = (_folded(units(one) if latin else one) for one in (text, other))
    for left, right in zip(first, second, strict=False):
        if left != right:
            return Int32(ord(left) - ord(right))
    return Int32(len(units(text)) - len(units(other)))


def _between_halves(run: Callable[..., object]) -> Callable[..., object]:
    """What Java finds of a pattern that takes the empty text stands between the halves of a character too: refused."""

    def guarded(text: str, pattern: str, *rest: object) -> object:
        if not text.isascii() and max(text) > "\uffff" and regexes.matches(pattern, ""):
            raise EvalError("the pattern takes the empty text, and a character of the text has two halves")
        return run(text, pattern, *rest)

    return guarded


def _split(text: str, pattern: str, limit: int = 0) -> Array:
    return Array(regexes.split(pattern, text, limit), "String")


def _starts(text: str, prefix: str, start: int = 0) -> bool:
    whole = units(text)
    return 0 <= start <= len(whole) and whole.startswith(units(prefix), start)


def _region_matches(text: str, ignore_case: bool, region: tuple[int, str, int, int]) -> bool:
    start, other, other_start, length = region
    first, second = units(text), units(other)
    if min(start, other_start) < 0 or start > len(first) - length or other_start > len(second) - length:
        return False
    size = max(length, 0)
    one, two = first[start : start + size], second[other_start : other_start + size]
    return _folded(joined(one)) == _folded(joined(two)) if ignore_case else one == two


def _replaced(text: str, old: str, new: str) -> str:
    whole, part, other = units(text), units(old), units(new)
    check_length(len(whole) + whole.count(part) * (len(other) - len(part)))
    return joined(whole.replace(part, other))


def _repeated(text: str, count: int) -> str:
    if count < 0:
        raise EvalError("a text cannot be repeated a negative number of times")
    check_length(len(text) * count)
    return joined(text * count)


def _joined_with(separator: str, parts: object) -> str:
    items = elements(parts)
    if items is None or not all(item is None or isinstance(item, str) for item in items):
        raise EvalError("only texts can be joined")
    texts = [java_text(item) for item in items]
    check_length(sum(map(len, texts)) + len(separator) * (len(texts) - 1))
    return joined(separator.join(texts))


def _chars(text: str) -> Array:
    check_length(len(text))
    return Array(tuple(map(Char, units(text))), "char")


_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]?")
_REPLACEMENT: Final = "\ufffd".encode()


def _bytes(data: bytes) -> Array:
    return Array(tuple(Int8(byte - 256 if byte > 127 else byte) for byte in data), "byte")


def _raw(data: Array) -> bytes:
    return bytes(int(byte) & 0xFF for byte in data.items)  # type: ignore[call-overload]


def _encoded(text: str, charset: str = "utf-8") -> Array:
    check_length(len(text))
    return _bytes(text.encode(charset, "replace"))


def _decoded(data: Array, charset: str = "utf-8") -> str:
    return made_text(_read(_raw(data), charset))


def _read(data: bytes, charset: str) -> str:
    """Bytes as a text: half a character in UTF-8 is one replacement, as for Java, not one for each byte."""
    whole = _HALF.sub(_REPLACEMENT, data) if charset == "utf-8" else data
    return whole.decode(charset, "replace")


def _widened(data: Array, high: int) -> str:
    """Every byte with the same high byte before it."""
    return joined("".join(chr((high & 0xFF) << 8 | low) for low in _raw(data)))


def _char_text(chars: Array) -> str:
    return joined("".join(char.value for char in chars.items if isinstance(char, Char)))


# ---- URL and Base64 ----------------------------------------------------------------------------------------------------

_UNESCAPED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*_")
_ESCAPES: Final = re.compile("(?:%[0-9a-fA-F]{0,2})+")


def _url_encode(text: str, charset: str) -> str:
    check_length(len(text))
    data = text.encode(charset, "replace")
    return made_text("".join(chr(one) if one in _UNESCAPED else "+" if one == 32 else f"%{one:02X}" for one in data))


def _url_decode(text: str, charset: str) -> str:
    """Escapes that stand together are decoded together; everything else stays as it is."""
    check_length(len(text))
    return made_text(_ESCAPES.sub(lambda escapes: _unescaped(escapes.group(), charset), text.replace("+", " ")))


def _unescaped(escapes: str, charset: str) -> str:
    parts = escapes.split("%")[1:]
    if not all(len(part) == 2 for part in parts):
        raise EvalError("an escape in the text is not `%` and two hexadecimal digits")
    return _read(bytes.fromhex("".join(parts)), charset)


def _base64_decode(decoder: Codec, text: str) -> Array:
    data = text.translate(_URL_TO_BASIC) if decoder.kind == "url" else text
    if decoder.kind == "url" and set(text) & set("+/"):
        raise EvalError("the text is not Base64 for URLs")
    if decoder.kind == "mime":
        data = "".join(char for char in data if char.isascii() and (char.isalnum() or char in "+/="))
    body = data.rstrip("=")
    padding = len(data) - len(body)
    if padding and (len(data) % 4 or padding > 2):
        raise EvalError("the text is not Base64")
    try:
        return _bytes(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (ValueError, binascii.Error):
        raise EvalError("the text is not Base64") from None


_URL_TO_BASIC: Final = str.maketrans("-_", "+/")


def _base64_encode(encoder: Codec, data: Array) -> str:
    made = base64.urlsafe_b64encode(_raw(data)) if encoder.kind == "url" else base64.b64encode(_raw(data))
    text = made.decode("ascii")
    if encoder.kind == "mime":
        text = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    return made_text(text if encoder.padding else text.rstrip("="))


# ---- the table ---------------------------------------------------------------------------------------------------------


def _codec(name: str, owner: str, kind: str) -> Row:
    return row(f"static {owner} Base64.{name}()", lambda: Codec(owner, kind))


ROWS: Final = (
    row("int String.length()", lambda text: Int32(len(units(text))), "how many UTF-16 code units"),
    row("boolean String.isEmpty()", lambda text: not text),
    row("boolean String.isBlank()", lambda text: not text.strip(_STRIPPED), "empty or white space only"),
    row("char String.charAt(int)", _char_at, "a Character, which never equals a text"),
    row("int String.codePointAt(int)", _code_point_at),
    row("boolean String.equals(Object)", lambda text, other: isinstance(other, str) and str(text) == str(other)),
    row("boolean String.contentEquals(CharSequence)", lambda text, other: str(text) == str(other)),
    row("boolean String.equalsIgnoreCase(String)", _equals_ignoring_case, takes_null=True),
    row("int String.compareTo(String)", lambda text, other: Int32(compare_texts(text, other))),
    row("int String.compareToIgnoreCase(String)", _compare_ignoring_case),
    row(
        "boolean String.regionMatches(int, String, int, int)",
        lambda text, *region: _region_matches(text, False, region),
    ),
    row(
        "boolean String.regionMatches(boolean, int, String, int, int)",
        lambda text, ignore_case, *region: _region_matches(text, ignore_case, region),
    ),
    row("boolean String.startsWith(String)", _starts),
    row("boolean String.startsWith(String, int)", _starts),
    row("boolean String.endsWith(String)", lambda text, suffix: units(text).endswith(units(suffix))),
    row(
        "boolean String.contains(CharSequence)",
        lambda text, part: units(part) in units(text),
        "a part of the text, not an element",
    ),
    row("int String.hashCode()", hash_code),
    row("int String.indexOf(int)", _index),
    row("int String.indexOf(int, int)", _index),
    row("int String.indexOf(String)", _index),
    row("int String.indexOf(String, int)", _index),
    row("int String.lastIndexOf(int)", _last_index),
    row("int String.lastIndexOf(int, int)", _last_index),
    row("int String.lastIndexOf(String)", _last_index),
    row("int String.lastIndexOf(String, int)", _last_index),
    row("String String.substring(int)", lambda text, start: _part(text, start, len(units(text)))),
    row("String String.substring(int, int)", _part),
    row("CharSequence String.subSequence(int, int)", _part),
    row("String String.concat(String)", lambda text, other: made_text(text + other)),
    row("String String.replace(char, char)", lambda text, old, new: joined(units(text).replace(old.value, new.value))),
    row("String String.replace(CharSequence, CharSequence)", _replaced, "every occurrence; no pattern"),
    row("String String.replaceAll(String, String)", _between_halves(regexes.replace_all), "every match of a pattern"),
    row("String String.replaceFirst(String, String)", _between_halves(regexes.replace_first)),
    row("boolean String.matches(String)", lambda text, pattern: regexes.matches(pattern, text), "the whole text"),
    row("String[] String.split(String)", _between_halves(_split)),
    row("String[] String.split(String, int)", _between_halves(_split)),
    row("String String.toLowerCase()", lambda text: text.lower()),
    row("String String.toUpperCase()", lambda text: text.upper()),
    row("String String.trim()", lambda text: text.strip(_TRIMMED)),
    row("String String.strip()", lambda text: text.strip(_STRIPPED)),
    row("String String.stripLeading()", lambda text: text.lstrip(_STRIPPED)),
    row("String String.stripTrailing()", lambda text: text.rstrip(_STRIPPED)),
    row("String String.repeat(int)", _repeated),
    row("String String.intern()", str),
    row("String String.toString()", str),
    row("IntStream String.chars()", lambda _text: Opaque("IntStream"), "only to compare with null"),
    row("IntStream String.codePoints()", lambda _text: Opaque("IntStream"), "only to compare with null"),
    row("Stream String.lines()", lambda _text: Opaque("Stream"), "only to compare with null"),
    row("char[] String.toCharArray()", _chars),
    row("byte[] String.getBytes()", _encoded),
    row("byte[] String.getBytes(Charset)", _encoded),
    row("String String.formatted(Object...)", lambda text, args: format_text(text, args.items)),
    row("static String String.format(String, Object...)", lambda t, args: format_text(t, args.items)),
    row("static String String.join(CharSequence, CharSequence...)", _joined_with),
    row("static String String.join(CharSequence, Iterable)", _joined_with),
    row("static String String.valueOf(char[])", _char_text),
    row("static String String.valueOf(Object)", java_text),
    row("static String String.copyValueOf(char[])", _char_text),
    *(
        row(f"static String String.valueOf({kind})", java_text)
        for kind in ("boolean", "char", "int", "long", "float", "double")
    ),
    row("new String()", lambda: ""),
    row("new String(String)", str),
    row("new String(char[])", _char_text),
    row("new String(byte[])", _decoded),
    row("new String(byte[], Charset)", _decoded),
    row("new String(byte[], String)", lambda data, name: _decoded(data, str(convert(name, "Charset")))),
    row("new String(byte[], int)", _widened),
    row("static String URLEncoder.encode(String, Charset)", _url_encode),
    row("static String URLDecoder.decode(String, Charset)", _url_decode),
    _codec("getDecoder", "Base64.Decoder", "basic"),
    _codec("getUrlDecoder", "Base64.Decoder", "url"),
    _codec("getMimeDecoder", "Base64.Decoder", "mime"),
    _codec("getEncoder", "Base64.Encoder", "basic"),
    _codec("getUrlEncoder", "Base64.Encoder", "url"),
    _codec("getMimeEncoder", "Base64.Encoder", "mime"),
    row("byte[] Base64.Decoder.decode(String)", _base64_decode),
    row("byte[] Base64.Decoder.decode(byte[])", lambda codec, data: _base64_decode(codec, _decoded(data))),
    row("String Base64.Encoder.encodeToString(byte[])", _base64_encode),
    row("byte[] Base64.Encoder.encode(byte[])", lambda codec, data: _encoded(_base64_encode(codec, data))),
    row("Base64.Encoder Base64.Encoder.withoutPadding()", lambda codec: Codec(codec.owner, codec.kind, False)),
)
