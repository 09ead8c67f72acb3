"""The trace that a message belongs to, as its senders say (W3C Trace Context, `traceparent`; MCP: in `_meta`). Knows no telemetry."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from mcp_acl.domain import Http, Json, Message

HEADER: Final = "traceparent"
_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 0x01
_NONE: Final = {"0" * 32, "0" * 16}
_ONLY_FOUR: Final = "00"
"""The version of which nothing follows the flags."""


class Trace(NamedTuple):
    """A span of somebody else's that what is done here belongs under. Ids are hexadecimal."""

    trace_id: str
    span_id: str
    is_sampled: bool


def trace_of(given: str, http: Http, message: Message | None) -> Trace | None:
    """What the nearest to here says: the gateway (`given`), the HTTP request, the message. None if none does, or not in its form."""
    text: Json = given or None
    if text is None and (found := http.headers.get(HEADER)) and len(found) == 1:
        text = found[0]
    if text is None and message is not None:
        meta = message.params.get("_meta")
        text = meta.get(HEADER) if isinstance(meta, Mapping) else None
    return read_trace(text) if isinstance(text, str) else None


def read_trace(text: str) -> Trace | None:
    """A `traceparent` (W3C Trace Context §3.2), or None if it is none."""
    match = _FORM.fullmatch(text)
    if match is None or match[2] in _NONE or match[3] in _NONE or (match[1] == _ONLY_FOUR and match[5]):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))
