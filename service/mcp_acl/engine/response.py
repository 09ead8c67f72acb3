"""`filter_response`: one response body in, the body to send out.

Every list in it is filtered, by the shape of the result as well as by the method that was asked; a server's own requests and
notifications inside an event stream are decided like any message. What cannot be read with certainty is not passed on: in
its place goes a JSON-RPC error. What is kept leaves byte for byte as it came, but for the line ends of event streams.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mcp_acl.domain import Feature, Reason, Request, RuleError
from mcp_acl.engine.completion import filter_completion
from mcp_acl.engine.decision import decide, from_server, input_decisions
from mcp_acl.engine.denial import error_body
from mcp_acl.engine.listing import Listing
from mcp_acl.mcp.demands import INPUTS
from mcp_acl.mcp.message import ENVELOPE, parse_json, parse_message
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.mcp.results import (
    MESSAGE,
    RESULT,
    EntryReader,
    Members,
    find_result,
    read_members,
    write_list,
    write_members,
)
from mcp_acl.mcp.sse import SseEvent, SseReader, render
from mcp_acl.policy.index import PolicySet, View
from mcp_acl.problems import MessageError

MAX_EVENTS: Final = 100_000
"""How many events of a stream one call may hold."""

MAX_TTL_MS: Final = 60_000
"""How long, in milliseconds, a client may keep a response that depends on who asked (MCP 2026-07-28, caching)."""

REFUSED_CODE: Final = -32603
_EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"
_CHARSET: Final = re.compile(r"charset\*?\s*=\s*[\"']?([^\s;\"']*)")
_SLICE: Final = 64 * 1024  # bytes of a stream that are read at once
_LISTS: Final[Mapping[str, tuple[Method, EntryReader]]] = {
    row.list_key: (row, EntryReader(row.list_member))
    for row in METHODS.values()
    if row.method_class is MethodClass.LIST
}
_CACHE: Final = frozenset({"cacheScope", "ttlMs"})
_PRIVATE: Final = msgspec.Raw(b'"private"')


@dataclass(frozen=True, slots=True)
class Filtered:
    """The body to send. `hidden` are names, `dropped` what was in doubt, `refused` why all of it was replaced."""

    content_type: str
    body: bytes
    shown: int = 0
    hidden: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    refused: str = ""
    errors: tuple[RuleError, ...] = ()


@dataclass(slots=True)
class _Report:
    shown: int = 0
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)

    def add(self, listing: Listing, shown: int) -> None:
        self.shown += shown
        self.hidden += listing.hidden
        self.dropped += listing.dropped
        self.errors += listing.errors.values()


def filter_response(policies: PolicySet, request: Request, content_type: str, body: bytes) -> Filtered:
    """Filter the response to `request`: JSON or a whole event stream. Total."""
    report = _Report()
    view = policies.view(request.server)
    if view is None:
        return _refused(request, content_type, Reason.NO_POLICY, "no policy governs this server")
    reader = _Reader(policies, view, request, report)
    try:
        media = _media(content_type)
        if not body.strip():
            out = body
        elif media == _EVENT_STREAM:
            out = reader.stream(body)
        elif media == _JSON:
            out = reader.document(body)
        else:
            raise MessageError("response", f"a response of type `{media[:60]}` cannot be filtered")
    except MessageError as error:
        return _refused(request, content_type, Reason.RESPONSE_REFUSED, error.message)
    return Filtered(
        content_type,
        out,
        report.shown,
        tuple(report.hidden),
        tuple(report.dropped),
        errors=tuple(dict.fromkeys(report.errors)),
    )


def _refused(request: Request, content_type: str, reason: Reason, why: str) -> Filtered:
    body = _error(request, reason, why)
    if _media(content_type) == _EVENT_STREAM:
        return Filtered(content_type, b"data: " + body + b"\n\n", refused=why)
    return Filtered(_JSON, body, refused=why)


def _media(content_type: str) -> str:
    """The media type in lower case. With another charset than UTF-8 it is a type of its own, which nobody here can read."""
    media = content_type.strip().lower()
    foreign = set(_CHARSET.findall(media)) - {"utf-8", "utf8", "us-ascii"}
    return media if foreign else media.partition(";")[0].strip()


def _error(request: Request, reason: Reason, why: str) -> bytes:
    return error_body(request.message, REFUSED_CODE, f"the response was withheld: {why}", reason, "")


@dataclass(slots=True)
class _Reader:
    """Filters the messages of one response. `told`: an error stands for what could not be read."""

    policies: PolicySet
    view: View
    request: Request
    report: _Report
    told: bool = False

    def document(self, body: bytes) -> bytes:
        """One JSON body: exactly one JSON-RPC message."""
        _check_utf8(body)
        out = self._message(body)
        if out is None:
            raise MessageError("response", "the server sent a message that is not permitted")
        return out

    def stream(self, body: bytes) -> bytes:
        """A whole event stream: each event filtered by itself."""
        _check_utf8(body)
        return b"".join(out for event in _events(body) if (out := self._event(event)) is not None)

    def _event(self, event: SseEvent) -> bytes | None:
        """The event to pass on. An error goes in the place of the first that cannot be read, nothing in that of others."""
        if not event.data:
            return render(event)
        if not event.complete:
            self.report.dropped.append("an event that was cut off")
            return None
        if event.name not in ("", "message"):
            self.report.dropped.append(f"an event named `{event.name[:60]}`")
            return None
        text = event.data.encode()
        try:
            out = self._message(text)
        except MessageError as error:
            self.report.dropped.append(error.message)
            if self.told:
                return None
            self.told = True
            out = _error(self.request, Reason.RESPONSE_REFUSED, error.message)
        if out is None:
            return None
        return render(event) if out is text else render(event, out.decode())

    def _message(self, text: bytes) -> bytes | None:
        """One JSON-RPC message: the bytes to pass on, or None if it must not be."""
        slot = find_result(text)
        if slot is not None:
            result = self._result(slot.members)
            return text if result is None else b"".join((text[: slot.start], result, text[slot.end :]))
        members = read_members(text, "message", MESSAGE)
        if members.keys() - ENVELOPE or len(members.keys() & {"method", "result", "error"}) != 1:
            raise MessageError("response", "the response is not one JSON-RPC message")
        if "method" in members:
            return self._from_server(text)
        if "error" in members:
            return text
        result = self._result(read_members(members["result"], "result", RESULT))
        return text if result is None else write_members({**members, "result": msgspec.Raw(result)})

    def _from_server(self, text: bytes) -> bytes | None:
        message = parse_message(text)
        decision = decide(self.policies, from_server(self.request, message))
        self.report.errors += decision.errors
        if not decision.allowed:
            self.report.dropped.append(f"the server's `{message.method[:100]}`: {decision.reason}")
            return None
        return text

    def _result(self, result: Members) -> bytes | None:
        """The result with its lists filtered and its cache fields bounded, or None if nothing changed."""
        changed: dict[str, object] = {}
        row = method_named(self.request.message.method)
        if row is not None and row.method_class is MethodClass.LIST and row.list_key not in result:
            raise MessageError("response", f"the result of `{row.name}` holds no `{row.list_key}`")
        if INPUTS in result:
            self._check_inputs(result[INPUTS])
        lists = [_LISTS[key] for key in result if key in _LISTS]
        for list_row, reader in lists:
            changed |= self._list(list_row, reader, list_row.list_key, result[list_row.list_key])
        if row is not None and row.method_class is MethodClass.COMPLETION:
            changed |= filter_completion(self.view, self.request, result, self.report.hidden)
        if result.keys() & _CACHE and any(map(self._is_private, [row, *(list_row for list_row, _ in lists)])):
            changed |= _cache(result)
        return write_members({**result, **changed}) if changed else None

    def _check_inputs(self, inputs: msgspec.Raw) -> None:
        """A result that asks the client for something that is not granted is withheld: half of it would be no use."""
        for decision in input_decisions(self.policies, self.request, parse_json(bytes(inputs))):
            self.report.errors += decision.errors
            if not decision.allowed:
                why = decision.message or decision.reason
                raise MessageError("response", f"it asks the client for what is not permitted: {why}")

    def _list(self, row: Method, reader: EntryReader, key: str, text: msgspec.Raw) -> dict[str, object]:
        entries = reader.read(text)
        listing = Listing(self.view, self.request, row)
        kept = listing.keep(entries.raws, entries.names)
        self.report.add(listing, len(kept))
        return {} if len(kept) == len(entries.raws) else {key: write_list(kept)}

    def _is_private(self, row: Method | None) -> bool:
        """Whether what a method answers depends on who asks."""
        return row is not None and (row.feature is Feature.TASKS or self.view.facts(row.name).reads_principal)


def _events(body: bytes) -> Iterator[SseEvent]:
    """The events of a whole stream, read few at a time. Raises MessageError if there are too many."""
    sse = SseReader()
    number = 0
    for start in range(0, len(body), _SLICE):
        for event in sse.feed(body[start : start + _SLICE]):
            number += 1
            if number > MAX_EVENTS:
                raise MessageError("response", f"it has more than {MAX_EVENTS:,} events; hand over fewer at a time")
            yield event
    yield from sse.close()


def _cache(result: Members) -> dict[str, object]:
    """A response that depends on who asked is private, and soon asked for again (MCP 2026-07-28, caching)."""
    changed: dict[str, object] = {} if result.get("cacheScope") == _PRIVATE else {"cacheScope": _PRIVATE}
    if "ttlMs" in result:
        ttl = _milliseconds(result["ttlMs"])
        if ttl is None or not 0 <= ttl <= MAX_TTL_MS:
            changed["ttlMs"] = MAX_TTL_MS
    return changed


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise MessageError("response", "the response is not UTF-8") from None


def _milliseconds(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int)
    except msgspec.MsgspecError:
        return None
