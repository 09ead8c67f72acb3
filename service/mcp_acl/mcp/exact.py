"""The exact reading of JSON: every rule checked, every error precise. Knows limits, not messages.

Strategy: the standard library's scanner reads the grammar of RFC 8259; its hooks see each object's pairs and each number's
text; one walk, level by level, checks what only the finished value shows. Nothing recurses in Python.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NoReturn

from mcp_acl.domain import InexactNumber, Json
from mcp_acl.mcp.limits import Limits
from mcp_acl.mcp.quoting import quoted
from mcp_acl.problems import MessageError

_BOM: Final = b"\xef\xbb\xbf"
_LARGEST: Final = 2**53 - 1
"""Beyond ± this, parsers that read numbers as IEEE 754 doubles lose digits (RFC 8259 §6)."""
_LONGEST_SAFE: Final = len(str(-_LARGEST))
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_NONZERO: Final = re.compile(r"[^eE]*[1-9]")


def read_exactly(body: bytes, limits: Limits) -> Json:
    """One JSON text, by the rules every parser agrees on. The caller has checked the size.

    Raises MessageError: `bom`, `encoding`, `syntax`, `duplicate`, `surrogate`, or the limit that is exceeded.
    """
    if body.startswith(_BOM):
        raise MessageError("bom", "the body starts with a byte order mark; send UTF-8 without one")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MessageError("encoding", f"the body is not UTF-8 at byte {error.start}") from None
    _check_commas(text, limits)
    try:
        value: Json = _decoder(limits).decode(text)
    except json.JSONDecodeError as error:
        raise MessageError("syntax", f"the body is not JSON: {_told(error)}") from None
    except RecursionError:
        raise _too_deep(limits) from None
    _check(value, limits)
    return value


def _check_commas(text: str, limits: Limits) -> None:
    """Refuse what must exceed a limit before memory is spent on it: every comma outside of strings follows a key or element."""
    most = limits.keys + limits.items
    if text.count(",") > most and _STRING.sub("", text).count(",") > most:
        raise MessageError("items", f"the body has more than {most} keys and array elements; send less in one message")


def _told(error: json.JSONDecodeError) -> str:
    text = error.msg.removesuffix(" at")
    return f"{text[:1].lower()}{text[1:]} at character {error.pos}"


@lru_cache(maxsize=16)
def _decoder(limits: Limits) -> json.JSONDecoder:
    def bounded(text: str) -> str:
        if len(text) > limits.number:
            raise MessageError("number", f"a number is longer than {limits.number} characters; send it as a string")
        return text

    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=lambda text: _integer(bounded(text)),
        parse_float=lambda text: _float(bounded(text)),
        parse_constant=_refuse_constant,
    )


def _object(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise MessageError("duplicate", f"the key {quoted(repeated)} stands twice in one object")
    return found


def _integer(text: str) -> Json:
    if len(text) > _LONGEST_SAFE:
        return InexactNumber(text)
    number = int(text)
    return number if -_LARGEST <= number <= _LARGEST else InexactNumber(text)


def _float(text: str) -> Json:
    """A double; a number too large for one, or too small to differ from zero, is inexact."""
    number = float(text)
    inexact = number in (float("inf"), float("-inf")) or (number == 0 and _NONZERO.match(text))
    return InexactNumber(text) if inexact else number


def _refuse_constant(text: str) -> NoReturn:
    raise MessageError("syntax", f"the body is not JSON: `{text}` is no JSON number")


def _too_deep(limits: Limits) -> MessageError:
    return MessageError("depth", f"objects and arrays are nested more than {limits.depth} deep; send flatter data")


def is_deeper(value: Json, depth: int) -> bool:
    """Whether objects and arrays in `value` are nested more than `depth` deep."""
    level: Sequence[Json] = [value]
    for _ in range(depth + 1):
        groups = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        if not groups:
            return False
        level = [one for group in groups for one in group]
    return True


def _check(value: Json, limits: Limits) -> None:
    """Everything that is counted or measured, and lone surrogates, level by level."""
    level: list[Json] = [value]
    texts: list[str] = []
    keys = items = 0
    for _ in range(limits.depth + 1):
        below: list[Json] = []
        opened = 0
        for one in level:
            if isinstance(one, str):
                texts.append(one)
            elif isinstance(one, dict):
                opened += 1
                keys += len(one)
                texts += one
                below += one.values()
            elif isinstance(one, list):
                opened += 1
                items += len(one)
                below += one
        _check_counts(keys, items, limits)
        level = below
        if not opened:
            return _check_texts(texts, limits)
    raise _too_deep(limits)


def _check_counts(keys: int, items: int, limits: Limits) -> None:
    if keys > limits.keys:
        raise MessageError("keys", f"the body has more than {limits.keys} keys; send less in one message")
    if items > limits.items:
        raise MessageError("items", f"the body has more than {limits.items} array elements; send less in one message")


def _check_texts(texts: Sequence[str], limits: Limits) -> None:
    if max(map(len, texts), default=0) > limits.string:
        raise MessageError("string", f"a string is longer than {limits.string} characters; send it in parts")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise MessageError("surrogate", "a string holds half of a surrogate pair; escape both halves") from None
