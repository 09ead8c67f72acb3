"""An event stream, filtered event by event as it comes. No I/O: bytes in, the bytes to pass on out.

An event that cannot be read with certainty is not passed on: in the place of the first such goes a JSON-RPC error, in that of others
nothing. A stream that is no event stream any more (not UTF-8, an event beyond all bounds) is broken: nothing passes from there on.
"""

import re
from collections.abc import Iterator
from typing import Final

from mcp_acl.domain import Reason
from mcp_acl.engine.denial import withheld
from mcp_acl.engine.messages import MessageFilter
from mcp_acl.mcp.sse import SseEvent, SseReader, render
from mcp_acl.problems import MessageError

MAX_EVENTS: Final = 100_000
"""How many events may be handed over at once."""

_ENDPOINT: Final = "endpoint"
_ADDRESS: Final = re.compile(r"[/A-Za-z][A-Za-z0-9/._~:?#@!$&'()*+,;=%-]{0,2047}")
"""Where messages are to be sent, as the stream of MCP 2024-11-05 says first; it cannot be taken for a message."""

_SLICE: Final = 64 * 1024  # bytes of a piece that are read at once


class EventFilter:
    """Filters one stream. Each piece comes with the filter for its messages, so that policies may change on the way.

    `broken` is why nothing passes any more, or None.
    """

    def __init__(self) -> None:
        self.broken: MessageError | None = None
        self._sse = SseReader()
        self._told = False

    @property
    def held(self) -> int:
        """Bytes of an event that has not ended."""
        return self._sse.held

    def feed(self, messages: MessageFilter, piece: bytes) -> bytes:
        """What may be passed on now: of a stream that breaks in this piece, what came before."""
        return self._passed(messages, self._events(piece))

    def close(self, messages: MessageFilter) -> bytes:
        """What may be passed on at the end: an event that was cut off is not."""
        return self._passed(messages, self._last())

    def _last(self) -> Iterator[SseEvent]:
        yield from self._sse.close()

    def _events(self, piece: bytes) -> Iterator[SseEvent]:
        """The events that the piece ends, read few at a time. Raises MessageError if there are too many."""
        number = 0
        for start in range(0, len(piece), _SLICE):
            for event in self._sse.feed(piece[start : start + _SLICE]):
                number += 1
                if number > MAX_EVENTS:
                    raise MessageError("response", f"it has more than {MAX_EVENTS:,} events; hand over fewer at a time")
                yield event
        yield from self._sse.feed(b"")  # raises if the stream broke after its last event

    def _passed(self, messages: MessageFilter, events: Iterator[SseEvent]) -> bytes:
        out: list[bytes] = []
        try:
            out.extend(one for event in events if (one := self._event(messages, event)) is not None)
        except MessageError as error:
            self.broken = error
        return b"".join(out)

    def _event(self, messages: MessageFilter, event: SseEvent) -> bytes | None:
        if (plain := event.without_odd_lines()) is not event:
            messages.report.dropped.append("a line that some clients may take for data")
            event = plain
        if not event.data:
            return render(event)
        if event.complete and _is_address(event):
            return render(event)
        if not event.complete or event.name not in ("", "message"):
            what = f"an event named `{event.name[:60]}`" if event.complete else "an event that was cut off"
            messages.report.dropped.append(what)
            return None
        return self._message(messages, event, event.data.encode())

    def _message(self, messages: MessageFilter, event: SseEvent, text: bytes) -> bytes | None:
        try:
            out = messages.filtered(text)
        except MessageError as error:
            messages.report.dropped.append(error.message)
            if self._told:
                return None
            self._told = True
            style = messages.view.settings.denials
            out = withheld(messages.request.message, Reason.RESPONSE_REFUSED, error.message, style)
        if out is None:
            return None
        return render(event) if out is text else render(event, out.decode())


def _is_address(event: SseEvent) -> bool:
    return event.name == _ENDPOINT and event.data is not None and _ADDRESS.fullmatch(event.data) is not None
