"""An event stream, read in any chunks and written back (WHATWG HTML §9.2, server-sent events). Knows no JSON.

Strategy: bytes become lines, lines become blocks, a block is an event. An event keeps all of its lines, so that comments,
unknown fields and their order survive when only its data is replaced. Line ends are the one thing not kept: every line leaves
with LF.
"""

import re
from dataclasses import dataclass
from typing import Final

from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.problems import MessageError

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_ODD: Final = re.compile(r"[\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line for Python's `str.splitlines`, and for nobody who follows the standard."""
_FIELDS: Final = frozenset({"", "event", "id", "retry"})
"""What a line may be beside data; `''` is a comment."""
_TEXT_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_LINE_COST: Final = 32
"""What a line counts towards the limit beside its bytes, so that many short ones are bounded too."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One block of an event stream: its lines, without their ends.

    `complete` is false if the stream ended before the blank line; a client that follows the standard drops such an event.
    """

    lines: tuple[str, ...]
    complete: bool = True

    @property
    def data(self) -> str | None:
        """The `data` lines joined by LF, or None if there is none: then the client sees no event."""
        values = self._values("data")
        return "\n".join(values) if values else None

    @property
    def name(self) -> str:
        """The event type, `''` for the default, `message`."""
        return (self._values("event") or [""])[-1]

    @property
    def id(self) -> str | None:
        """The event id, None if the block does not set one. An id with a NUL does not count."""
        values = [value for value in self._values("id") if "\0" not in value]
        return values[-1] if values else None

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds, None if the block does not set one (or none of at most 15 digits)."""
        values = [value for value in self._values("retry") if re.fullmatch("[0-9]{1,15}", value)]
        return int(values[-1]) if values else None

    def without_odd_lines(self) -> "SseEvent":
        """The event without lines that the standard ignores and some clients might take for data.

        Those are fields that it does not know (`DATA`, ` data`, a body that is no event stream at all), and lines, data aside, that some
        clients take for several.
        """
        if all(map(_is_plain, self.lines)):
            return self
        return SseEvent(tuple(filter(_is_plain, self.lines)), self.complete)

    def _values(self, field: str) -> list[str]:
        return [value for name, value in map(_field, self.lines) if name == field]


def render(event: SseEvent, data: str | None = None) -> bytes:
    """The event as a complete block; with `data`, its data lines are replaced by that text, where the first one stood."""
    lines = event.lines
    if data is not None:
        fresh = tuple(f"data: {line}" for line in _TEXT_LINE_END.split(data))
        first = next((index for index, line in enumerate(lines) if _is_data(line)), len(lines))
        lines = (*lines[:first], *fresh, *(line for line in lines[first:] if not _is_data(line)))
    # At the start of a stream a byte order mark is taken off: a field that no client knows would become one that it does.
    before = ("",) if lines and lines[0].startswith("\ufeff") else ()
    return "".join(f"{line}\n" for line in (*before, *lines, "")).encode()


def _is_plain(line: str) -> bool:
    name = _field(line)[0]
    return name == "data" or (name in _FIELDS and not _ODD.search(line))


def _is_data(line: str) -> bool:
    return _field(line)[0] == "data"


def _field(line: str) -> tuple[str, str]:
    """A line's field name and value; a comment has the name `''`."""
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


class SseReader:
    """Reads a stream fed in any chunks. `limit` bounds, in bytes, what is held of an event that has not ended.

    A stream that breaks the bounds or is not UTF-8 is refused: the events before that place are still given, then every
    call raises MessageError (`event`, `encoding`).
    """

    def __init__(self, limit: int = DEFAULT_LIMITS.size) -> None:
        self._limit = limit
        self._lines: list[bytes] = []
        self._held = 0
        self._partial = bytearray()
        self._at_start = True
        self._after_cr = False
        self._refusal: MessageError | None = None

    @property
    def held(self) -> int:
        """Bytes of an event that has not ended."""
        return self._held + len(self._partial)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that the chunk completes."""
        events: list[SseEvent] = []
        if self._refusal is None:
            try:
                for line in self._whole_lines(chunk):
                    if line:
                        self._hold(line)
                    elif self._lines:
                        events.append(self._take(complete=True))
                self._check_held()
            except MessageError as error:
                self._refusal = error
        if self._refusal is not None and not events:
            raise self._refusal
        return events

    def close(self) -> list[SseEvent]:
        """At the stream's end: what no blank line ended, as one event that is not complete."""
        if self._refusal is not None:
            raise self._refusal
        if self._partial:
            self._lines.append(bytes(self._partial))
            self._partial.clear()
        return [self._take(complete=False)] if self._lines else []

    def _whole_lines(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk; the rest is kept. A CR at the end of the last chunk and an LF now are one end."""
        if self._at_start:
            chunk = bytes(self._partial) + chunk
            self._partial.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._partial += chunk
                return []
            chunk = chunk.removeprefix(_BOM)
            self._at_start = False
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        first, *more = _LINE_END.split(chunk)
        self._partial += first
        if not more:
            return []
        lines = [bytes(self._partial), *more[:-1]]
        self._partial[:] = more[-1]
        return lines

    def _hold(self, line: bytes) -> None:
        self._lines.append(line)
        self._held += len(line) + _LINE_COST
        if self._held > self._limit:
            raise self._too_large()

    def _check_held(self) -> None:
        if self._held + len(self._partial) > self._limit:
            raise self._too_large()

    def _too_large(self) -> MessageError:
        return MessageError("event", f"an event of the stream is larger than {self._limit} bytes")

    def _take(self, *, complete: bool) -> SseEvent:
        lines, self._lines, self._held = self._lines, [], 0
        try:
            return SseEvent(tuple(line.decode() for line in lines), complete)
        except UnicodeDecodeError:
            raise MessageError("encoding", "an event of the stream is not UTF-8") from None
