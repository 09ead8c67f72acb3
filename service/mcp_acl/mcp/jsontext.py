"""`parse_json`: JSON bytes to a value, accepted only if every known parser reads the same. Knows nothing of messages.

Two lanes. The fast one takes a text that proves itself: it decodes, counts of bytes bound every limit, no whole number is
long enough to lose digits, and encoding the value again gives the same bytes but for white space, so that no key was repeated
and nothing was written in an unusual way. Whatever does not prove itself is read again by `exact`, which alone refuses.
"""

import re
from typing import Final

import msgspec

from mcp_acl.domain import Json
from mcp_acl.mcp.exact import is_deeper, read_exactly
from mcp_acl.mcp.limits import DEFAULT_LIMITS, Limits
from mcp_acl.problems import MessageError

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_unspaced: Final = msgspec.json.format

_ZEROS: Final = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
_SIXTEEN_DIGITS: Final = b"0" * 16
_LONGEST_USUAL: Final = 32
"""No number that is written as it would be encoded, with fewer digits before the point than sixteen, is longer."""
_LONG_INTEGER: Final = re.compile(rb'(?<![\w."-])-?[0-9]{16}')


def parse_json(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """One JSON value. Whole numbers beyond ±(2^53−1) and doubles out of range become `InexactNumber`.

    Raises MessageError and nothing else; `code` is `size`, `bom`, `encoding`, `syntax`, `duplicate`, `surrogate`, or the
    name of a limit.
    """
    if len(body) > limits.size:
        raise MessageError("size", f"the body is larger than {limits.size} bytes; send less in one message")
    try:
        value: Json = _decode(body) if _proves_limits(body, limits) else None
        if value is not None and _proves_itself(body, value, limits):
            return value
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return read_exactly(body, limits)


def _proves_limits(body: bytes, limits: Limits) -> bool:
    """Whether byte counts alone show that no limit is exceeded (depth aside) and no whole number can lose digits."""
    size = len(body)
    return (
        size <= limits.string
        and limits.number >= _LONGEST_USUAL
        and (size <= limits.keys or body.count(b":") <= limits.keys)
        and (size <= limits.items or body.count(b",") + body.count(b"[") <= limits.items)
        and not (_SIXTEEN_DIGITS in body.translate(_ZEROS) and _LONG_INTEGER.search(body))
    )


def _proves_itself(body: bytes, value: Json, limits: Limits) -> bool:
    if body.count(b"{") + body.count(b"[") > limits.depth and is_deeper(value, limits.depth):
        return False
    encoded = _encode(value)
    return encoded == body or encoded == _unspaced(body, indent=-1)
