"""Other spellings of keys, strings, numbers, URIs and content types. Nothing here knows what a message is."""

import json
from random import Random
from typing import Final
from urllib.parse import quote

MEMBERS: Final = (
    "__proto__", "constructor", "prototype", "toString", "name", "method", "params", "arguments", "uri", "_meta", "ref", "extra",
    "task", "inputResponses", "requestState", "tool", "toolName", "Name", "cursor", "progressToken", "context", "batch", "",
)  # fmt: skip

IN_STRINGS: Final = (
    "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\udc00\\ud800", "\0", "\x01", "\x1f", "\x7f", "\\u0000", "\u2028", "\u2029", "\ufeff",
    "\\b", "\\/", "\\v", "\\x41", "\\u{41}", "\\U00000041", "\\u00g0", "\n", "\t", "\\\n", "\\", "\\'", "\u202e", "\u200b",
)  # fmt: skip

NUMBERS: Final = (
    "NaN", "Infinity", "-Infinity", "-0", "-0.0", "1e400", "-1e400", "1e-400", "9007199254740993", "18446744073709551617", "01", "+1",
    "0x10", "1.", ".5", "1_000", "1E2", "1.0", "2e0", "1e", "0e0", "1" * 300, "123456789012345678901234567890", "0.1e1", "٣",
    "5e-324", "1.7976931348623157e308", "1.00000000000000000000001",
)  # fmt: skip

CONTENT_TYPES: Final = (
    b"text/plain", b"application/json; charset=utf-8", b"application/json;charset=UTF-8", b"application/json; charset=utf-7",
    b"application/json; charset=utf-16", b"application/json; charset=latin1", b"APPLICATION/JSON", b"application/json, text/plain",
    b"text/plain; x=application/json", b"application/json;", b"application/vnd.api+json", b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x", b"", b"application/json; charset*=utf-8''utf-7", b"application/json-seq", b"text/json",
    b"application/json; charset=utf-8; charset=utf-7", b'application/json; charset="utf-8"', b"application/json; charset=ibm037",
)  # fmt: skip

UTF_7: Final = (
    b"application/json; charset=utf-7", b"application/json;charset=UTF-7", b'application/json; charset="utf-7"',
    b"application/json; x=1; charset=utf-7-imap", b"application/json; CharSet=Utf-7", b"application/json ; charset = utf-7",
    b'application/json; charset="utf\\-7"', b"application/json; x=charset=utf-8; charset=utf-7", b"application/json\t;\tcharset=utf-7",
)  # fmt: skip

_FOLDS: Final = {"s": "\u017f", "k": "\u212a", "i": "\u0131", "a": "\u0430", "e": "\u0435", "o": "\uff4f"}
_AFTER: Final = ("\0", " ", "\t", "\n", "\u200b", "\ufeff", "\0x", ".", "/", "\u00a0", "\u0301", "\\")


def escaped(text: str, rng: Random) -> str:
    """The same string in JSON with some characters escaped."""
    written = (
        rng.choice((f"\\u{ord(one):04x}", f"\\u{ord(one):04X}")) if rng.random() < 0.4 else json.dumps(one)[1:-1]
        for one in text
    )
    return f'"{"".join(written)}"'


def like(text: str, rng: Random) -> str:
    """Another string, in JSON, that someone might take for this one."""
    change = rng.randrange(6)
    if change == 0:
        text = "".join(_FOLDS.get(one, one) if rng.random() < 0.6 else one for one in text)
    elif change == 1:
        text += rng.choice(_AFTER)
    elif change == 2:
        text = rng.choice(_AFTER[:8]) + text
    else:
        text = rng.choice((text.upper(), text.title(), text.capitalize(), text.swapcase(), text.replace("_", "-")))
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


def uri(text: str, rng: Random) -> str:
    """Another spelling of a URI, or something near."""
    scheme, _, rest = text.partition("://")
    area, _, name = rest.partition("/")
    odd = rng.choice(
        ("\t", "\n", "\r", " ", "\\", "%00", "\0", "%2e", "%2F", "%5c", "?", "#", "?x", "#x", ";", "//", "\u3002", "%")
    )
    coded = "".join(f"%{ord(one):02x}" if rng.random() < 0.4 else one for one in name)
    return rng.choice((
        f"{scheme.upper()}://{rest}", f"{scheme}://{area.upper()}/{name}", f"{scheme}://{area}/{name.upper()}", f"{scheme}:{rest}",
        f"{scheme}:/{rest}", f"{scheme}:///{rest}", f"{scheme}://{area}/x/../{name}", f"{scheme}://{area}/./{name}",
        f"{scheme}://{area}/%2e%2e/{name}", f"{scheme}://x/../{rest}", f"{scheme}://{area}/{coded}", f"{scheme}://{area}/{name}/",
        f"{scheme}://{area}//{name}", f"{scheme}://user@{rest}", f"{scheme}://{area}:80/{name}", f"{scheme}://{area}:/{name}",
        f"{text}{odd}", f"{odd}{text}", f"{scheme}://{area}/{odd}{name}", f"{scheme}://{area}{odd}/{name}", f"{scheme}://docs/{quote(odd)}",
        f"{scheme}://docs/{odd}", f"{scheme}://docs/{coded}", f"{scheme}://docs/..%2Fsecret%2Fone", f"{scheme}://docs/a%2Fb",
        f"{scheme}://docs/%25{name}", f"{scheme}://docs/{name}%252F", f"{scheme}://docs/{{name}}", f"{scheme}://docs/%7Bname%7D",
        f"{scheme}://docs/\u00e9", f"{scheme}://docs/%C3%A9", f"{scheme}://docs/%c3%a9", f"{scheme}://docs/%FF", f"{scheme}://docs/e\u0301",
        f"{scheme}://docs/{name}?x=1", f"{scheme}://docs/{name}#x", f"{scheme}://docs/a+b", f"{scheme}://docs/a%20b", f"{scheme}://docs/,",
        f"{scheme}://docs/a&b", f"{scheme}://docs/a;b", f"{scheme}://docs/a=b", f"{scheme}://docs/a:b", f"{scheme}://docs/~%7E", text,
    ))  # fmt: skip
