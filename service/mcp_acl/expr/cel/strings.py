"""String functions: the standard ones, and those of the strings and encoders extensions.

Positions count Unicode code points from 0. A position outside the string is an error, but where a search starts beyond
its end.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final

from mcp_acl.expr.cel import inline
from mcp_acl.expr.cel.formatting import format_metered, format_text
from mcp_acl.expr.cel.rows import Row, Style, check_length, faster, overloaded
from mcp_acl.expr.cel.values import no_overload
from mcp_acl.expr.meter import FAST, FLAT
from mcp_acl.expr.nodes import Type, Value
from mcp_acl.problems import EvalError

# Unicode's White_Space; Python's own `strip` takes the four ASCII separators too.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTED: Final[Mapping[int, str]] = {
    ord(char): f"\\{letter}" for char, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)
}
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def _within(position: int, length: int) -> int:
    if not 0 <= position <= length:
        raise EvalError("index out of range")
    return position


def _char_at(text: str, position: int) -> str:
    """The character there; `''` at the end."""
    start = _within(position, len(text))
    return text[start : start + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    return text.find(part, _within(start, len(text)))


def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    """`start` is the last position that counts as the beginning of a match."""
    end = len(text) if start is None else _within(start, len(text)) + len(part)
    found = text[:end][::-1].find(part[::-1])  # Python's `rfind` is quadratic, its `find` is not
    return -1 if found < 0 else min(end, len(text)) - found - len(part)


def _substring(text: str, start: int, end: int | None = None) -> str:
    last = len(text) if end is None else _within(end, len(text))
    return text[_within(start, last) : last]


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    count = text.count(old)
    count = count if limit < 0 else min(count, limit)
    check_length(len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, count)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    """At most `limit` parts, the last with the rest; an empty separator splits into characters."""
    if limit == 0:
        return []
    if separator:
        return text.split(separator, max(limit - 1, -1))
    cut = (len(text) if limit < 0 else min(limit, len(text))) - 1
    return [*text[:cut], text[cut:]] if text else []


def _join(parts: Sequence[Value], separator: str = "") -> str:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        raise no_overload("join", *(part for part in parts[:1000] if not isinstance(part, str)))
    check_length(sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0))
    return separator.join(texts)


def _quote(text: str) -> str:
    """In double quotes, with CEL's escapes; what is no character becomes U+FFFD."""
    return '"' + _SURROGATES.sub("\ufffd", text).translate(_QUOTED) + '"'


def _decode_base64(text: str) -> bytes:
    """RFC 4648, section 4, with padding or without any."""
    try:
        return base64.b64decode(text if "=" in text else text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise EvalError("not base64") from None


def _lines(*lines: str) -> str:
    return "\n".join(lines)


STRING_FUNCTIONS: Final[tuple[Row, ...]] = (
    faster(
        overloaded(
            "startsWith",
            Style.METHOD,
            Type.BOOL,
            "string.startsWith(string) -> bool\nwhether the string begins with another\n'get_weather'.startsWith('get_')",
            {(str, str): str.startswith},
            pace=FAST,
        ),
        inline.string_method("startswith"),
        flat_beside_constant=True,
    ),
    faster(
        overloaded(
            "endsWith",
            Style.METHOD,
            Type.BOOL,
            "string.endsWith(string) -> bool\nwhether the string ends with another\n'a@example.com'.endsWith('@example.com')",
            {(str, str): str.endswith},
            pace=FAST,
        ),
        inline.string_method("endswith"),
        flat_beside_constant=True,
    ),
    faster(
        overloaded(
            "contains",
            Style.METHOD,
            Type.BOOL,
            "string.contains(string) -> bool\nwhether another string occurs in the string\n'get_weather'.contains('wea')",
            {(str, str): lambda text, part: part in text},
            pace=FAST,
        ),
        inline.substring,
    ),
    overloaded(
        "charAt",
        Style.METHOD,
        Type.STRING,
        "string.charAt(int) -> string\nthe character at a position, `''` at the end\n'hello'.charAt(4) == 'o'",
        {(str, int): _char_at},
        pace=FLAT,
    ),
    overloaded(
        "indexOf",
        Style.METHOD,
        Type.INT,
        _lines(
            "string.indexOf(string) -> int, string.indexOf(string, int) -> int",
            "where another string first occurs, from a position on; -1 if it does not",
            "'hello mellow'.indexOf('ello', 2) == 7",
        ),
        {(str, str): _index_of, (str, str, int): _index_of},
        pace=FAST,
    ),
    overloaded(
        "lastIndexOf",
        Style.METHOD,
        Type.INT,
        _lines(
            "string.lastIndexOf(string) -> int, string.lastIndexOf(string, int) -> int",
            "where another string last begins, at a position or before; -1 if it does not",
            "'hello mellow'.lastIndexOf('ello', 6) == 1",
        ),
        {(str, str): _last_index_of, (str, str, int): _last_index_of},
        pace=FAST,
    ),
    overloaded(
        "substring",
        Style.METHOD,
        Type.STRING,
        _lines(
            "string.substring(int) -> string, string.substring(int, int) -> string",
            "the part from a position on, up to and without another",
            "'tacocat'.substring(0, 4) == 'taco'",
        ),
        {(str, int): _substring, (str, int, int): _substring},
        pace=FAST,
    ),
    overloaded(
        "lowerAscii",
        Style.METHOD,
        Type.STRING,
        "string.lowerAscii() -> string\nwith the letters A to Z in lower case\n'TacoCÆt'.lowerAscii() == 'tacocÆt'",
        {(str,): lambda text: text.translate(_LOWER)},
    ),
    overloaded(
        "upperAscii",
        Style.METHOD,
        Type.STRING,
        "string.upperAscii() -> string\nwith the letters a to z in upper case\n'TacoCæt'.upperAscii() == 'TACOCæT'",
        {(str,): lambda text: text.translate(_UPPER)},
    ),
    overloaded(
        "trim",
        Style.METHOD,
        Type.STRING,
        "string.trim() -> string\nwithout white space at its ends\n'  a b\\n'.trim() == 'a b'",
        {(str,): lambda text: text.strip(_SPACE)},
        pace=FAST,
    ),
    overloaded(
        "replace",
        Style.METHOD,
        Type.STRING,
        _lines(
            "string.replace(string, string) -> string, string.replace(string, string, int) -> string",
            "with a part replaced wherever it occurs, or the first so many times",
            "'hello hello'.replace('he', 'we', 1) == 'wello hello'",
        ),
        {(str, str, str): _replace, (str, str, str, int): _replace},
    ),
    overloaded(
        "split",
        Style.METHOD,
        Type.LIST,
        _lines(
            "string.split(string) -> list, string.split(string, int) -> list",
            "the parts between separators, at most so many",
            "'a b c'.split(' ', 2) == ['a', 'b c']",
        ),
        {(str, str): _split, (str, str, int): _split},
    ),
    overloaded(
        "join",
        Style.METHOD,
        Type.STRING,
        _lines(
            "list.join() -> string, list.join(string) -> string",
            "the strings of a list one after the other, with a separator between",
            "['a', 'b'].join('-') == 'a-b'",
        ),
        {(list,): _join, (list, str): _join},
    ),
    overloaded(
        "format",
        Style.METHOD,
        Type.STRING,
        _lines(
            "string.format(list) -> string",
            "with %s, %d, %f, %e, %b, %o, %x, %X replaced by the items of a list, and %% by %",
            "'%s has %d'.format(['x', 3]) == 'x has 3'",
        ),
        {(str, list): format_text},
        metered={(str, list): format_metered},
    ),
    overloaded(
        "strings.quote",
        Style.GLOBAL,
        Type.STRING,
        "strings.quote(string) -> string\nin double quotes, with escapes\nstrings.quote('a\\n') == '\"a\\\\n\"'",
        {(str,): _quote},
    ),
    overloaded(
        "base64.encode",
        Style.GLOBAL,
        Type.STRING,
        "base64.encode(bytes) -> string\nBase64 with padding\nbase64.encode(b'hello') == 'aGVsbG8='",
        {(bytes,): lambda value: base64.b64encode(value).decode()},
    ),
    overloaded(
        "base64.decode",
        Style.GLOBAL,
        Type.BYTES,
        "base64.decode(string) -> bytes\nthe bytes of Base64, with padding or without\nbase64.decode('aGVsbG8') == b'hello'",
        {(str,): _decode_base64},
    ),
)
