"""What the most lenient of known parsers find in a message or in a response. The opposite of strict intake, and no part of it.

Where parsers disagree, all of them are right: of two members both count, an array is run, case and Unicode are folded, what follows
the first document is read as well. So what is found here is what some server might do.
"""

import gzip
import json
import re
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from mcp_acl.mcp.message import fold
from mcp_acl.mcp.methods import METHODS

SECRET: Final = "secret"  # noqa: S105 - a name, not a secret
"""What everything is called that nobody may use."""

_LARGEST: Final = 1000
_NESTED: Final = re.compile(r"\[{50,}|\]{50,}")
_COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
_TRAILING: Final = re.compile(r",(?=\s*[}\]])")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)", re.DOTALL)


class Thing(NamedTuple):
    """What a server may do by a message: the method, and one of the names in it, or the arguments of a tool."""

    method: str
    name: str

    def __str__(self) -> str:
        return f"{self.method} {self.name}".strip()


class _Object(dict[str, list[Any]]):
    """Every value that some parser takes for a member, by what the member's name is folded to."""


# ---- text -----------------------------------------------------------------------------------------------------------


def texts_of(body: bytes) -> Iterator[str]:
    """The body in every encoding that it may be in."""
    for inflate in (gzip.decompress, zlib.decompress):
        with suppress(OSError, EOFError, zlib.error):
            body = inflate(body)
    yield body.decode(errors="replace").removeprefix("\ufeff")
    if b"\0" in body[:4]:
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            with suppress(UnicodeError):
                yield body.decode(encoding).removeprefix("\ufeff")


def is_secret(text: str) -> bool:
    """Whether somebody may take this text for the name of something secret."""
    spelled = text
    for _ in range(3):
        spelled = unquote(spelled)
    plain = normalize("NFKC", spelled).casefold()
    return SECRET in re.sub(r"[\0-\x20\x7f\u00ad\u200b-\u200f\u2060\ufeff]", "", plain)


def secrets_in(body: bytes) -> bool:
    """Whether something secret can be read in a response, escaped or not."""
    return any(is_secret(text) or is_secret(_ESCAPED.sub(_unescaped, text)) for text in texts_of(body))


def shows(body: bytes, name: str) -> bool:
    """Whether a name can be read in a response."""
    return any(name in text or name in _ESCAPED.sub(_unescaped, text) for text in texts_of(body))


def told_by(denial: bytes, asked: bytes) -> bytes:
    """What a denial tells whoever asked: its text without the secret names that were asked for, and without ids of its own."""
    text = _OWN_ID.sub(b"", denial)
    for name in sorted(set(_STRING.findall(asked)), key=len, reverse=True):
        if is_secret(name.decode(errors="replace")):
            text = text.replace(name, b"*")
    return text


_STRING: Final = re.compile(rb'"([^"\\]+)"')
_OWN_ID: Final = re.compile(rb'"\w+(?:_id|Id)"\s*:\s*"[^"]*"')


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else match[2]


# ---- JSON -----------------------------------------------------------------------------------------------------------


def documents_of(body: bytes) -> Iterator[Any]:
    """Every JSON value in a body, one after the other."""
    for text in texts_of(body):
        for one in (text, _TRAILING.sub("", _COMMENT.sub("", text))):
            found = list(_documents(_NESTED.sub(lambda run: run[0][0], one)))
            yield from found
            if found:
                break


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_object)
    at = 0
    while True:
        start = re.compile(r"[\[{]").search(text, at)
        if start is None:
            return
        try:
            value, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return
        yield value


def _object(pairs: Sequence[tuple[str, Any]]) -> _Object:
    found = _Object()
    for key, value in pairs:
        found.setdefault(fold(key), []).append(value)
    return found


def _all(value: Any, *path: str) -> list[Any]:
    """Every value at a path, whichever members are taken."""
    found = [value]
    for name in path:
        found = [one for each in found if isinstance(each, _Object) for one in each.get(fold(name), ())]
    return found


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Every text in some values, however deep."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, _Object):
            yield from _texts(each for found in value.values() for each in found)


# ---- messages -------------------------------------------------------------------------------------------------------


def things_of(body: bytes, headers: Mapping[str, Sequence[str]]) -> list[Thing]:
    """Everything that some server might do by this HTTP request. Names of headers are lower case."""
    found = [thing for document in documents_of(body) for message in _messages(document) for thing in _things(message)]
    methods = [*headers.get("mcp-method", ()), *(thing.method for thing in found)] or ["tools/call"]
    names = [_decoded(name) for name in headers.get("mcp-name", ())]
    return [*found, *(Thing(methods[0], name) for name in names)]


def _messages(document: Any) -> Iterator[_Object]:
    if isinstance(document, list):
        for one in document:
            yield from _messages(one)
    elif isinstance(document, _Object):
        yield document


def _things(message: _Object) -> Iterator[Thing]:
    params = [value for one in _all(message, "params") for value in (one, *_inside(one))]
    methods = [str(method) for method in _all(message, "method")]
    for method in methods:
        names = _called(params) if method.strip() == "tools/call" else [*_texts(params)]
        yield from (Thing(method, name) for name in names or [""])
    if not methods:
        results = [*_all(message, "result"), *_all(message, "error")]
        yield from (Thing("response", text) for text in _texts(results))


def _called(params: Sequence[Any]) -> list[str]:
    """What a call may run: the tool, and what its arguments name unless it is one that only looks at them."""
    arguments = [one for each in params for one in _all(each, "arguments")]
    names = [name for each in params for name in _texts(_all(each, "name") if isinstance(each, _Object) else [each])]
    if not set(names) <= {"echo", "add"}:
        names += _texts(arguments)
    if "add" in names and any(_is_large(a) for each in arguments for a in _all(each, "a")):
        names.append(f"add, a number being more than {_LARGEST}: {SECRET}")
    return names


def _inside(value: Any) -> Iterator[Any]:
    """What is in a text that is JSON."""
    if isinstance(value, str):
        yield from documents_of(value.encode(errors="replace"))


def _is_large(number: Any) -> bool:
    try:
        return not float(number) <= _LARGEST
    except (TypeError, ValueError, OverflowError):
        return True


def _decoded(header: str) -> str:
    with suppress(ValueError):
        if header.lower().startswith("=?base64?"):
            text = header[9:].removesuffix("?=")
            return b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")
    return header


def is_denied(thing: Thing) -> bool:
    """Whether a member must not do this, by the policy of the corpus: what is secret, and methods that nobody was granted."""
    method = thing.method.strip()
    return is_secret(thing.name) or is_secret(method) or method not in _GRANTED


_GRANTED: Final = {"", "response", *METHODS} - {
    "logging/setLevel",
    "skills/list",
    "skills/get",
    "resources/directory/read",
}
"""Methods of which nothing is denied but what they name."""
