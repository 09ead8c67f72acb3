"""The trace that a message belongs to, as its sender says (W3C Trace Context, `traceparent`; MCP: in `_meta`). Knows no telemetry."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mcp_acl.domain import Json, Message

_HEADER: Final = "traceparent"
_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED: Final = 0x01
_NONE: Final = {"0" * 32, "0" * 16}


class Trace(NamedTuple):
    """A span of somebody else's that what is done here belongs under. Ids are hexadecimal."""

    trace_id: str
    span_id: str
    is_sampled: bool


def trace_of(headers: Mapping[str, Sequence[str]], message: Message | None) -> Trace | None:
    """What the HTTP request says, which is nearer to here than what the message does; None if neither does, or not in its form."""
    found = headers.get(_HEADER)
    text: Json = found[0] if found and len(found) == 1 else None
    if text is None and message is not None:
        meta = message.params.get("_meta")
        text = meta.get(_HEADER) if isinstance(meta, Mapping) else None
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] in _NONE or match[3] in _NONE or (match[1] == "00" and len(match[0]) != _LENGTH):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def trace_id_of(headers: Mapping[str, Sequence[str]], message: Message | None) -> str:
    """The id of the trace, or `''`."""
    found = trace_of(headers, message)
    return found.trace_id if found is not None else ""


_LENGTH: Final = 55
"""Characters of version 00: it has nothing behind the flags."""
