"""The trace that a message belongs to, as its senders say (W3C Trace Context, `traceparent`; MCP: in `_meta`). Knows no telemetry."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from mcp_acl.domain import Http, Json, Message

HEADER: Final = "traceparent"
_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 0x01
_NONE: Final = {"0" * 32, "0" * 16}
_ONLY_FOUR: Final = "00"
"""The version of which nothing follows the flags."""


class Trace(NamedTuple):
    """A span of somebody else's that what is done here belongs under. Ids are hexadecimal.

    `is_sampled` is None where nobody who is believed has said it.
    """

    trace_id: str
    span_id: str
    is_sampled: bool | None


def traceparent_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """What the metadata of a gateway's call says, or `''`. Said twice it is in no form, and so no trace."""
    found = ""
    for name, value in metadata:
        if name == HEADER and isinstance(value, str):
            found = f"{found},{value}" if found else value
    return found


def trace_of(given: str, http: Http, message: Message | None, *, obeys_clients: bool = False) -> Trace | None:
    """What the nearest to here says: the gateway (`given`), the HTTP request, the message. None if none does, or not in its form.

    The last two are a client's. Whether they are sampled they may say only with `obeys_clients`: a span costs as much as a decision.
    """
    if given:
        return read_trace(given)
    text: Json = None
    if (found := http.headers.get(HEADER)) and len(found) == 1:
        text = found[0]
    if text is None and message is not None:
        meta = message.params.get("_meta")
        text = meta.get(HEADER) if isinstance(meta, dict) else None
    return read_trace(text, says_sampled=obeys_clients) if isinstance(text, str) else None


def read_trace(text: str, *, says_sampled: bool = True) -> Trace | None:
    """A `traceparent` (W3C Trace Context §3.2), or None if it is none."""
    match = _FORM.fullmatch(text)
    if match is None or match[2] in _NONE or match[3] in _NONE or (match[1] == _ONLY_FOUR and match[5]):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & _SAMPLED) if says_sampled else None)
