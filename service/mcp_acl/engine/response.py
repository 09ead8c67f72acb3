"""`filter_response`: one response body in, the body to send out.

Every list in it is filtered, by the shape of the result as well as by the method that was asked; a server's own requests and
notifications inside an event stream are decided like any message. What cannot be read with certainty is not passed on: in
its place goes a JSON-RPC error. What is kept leaves byte for byte as it came, but for the line ends of event streams.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from mcp_acl.domain import Direction, Feature, Reason, Request, RuleError
from mcp_acl.engine.completion import filter_completion
from mcp_acl.engine.decision import decide
from mcp_acl.engine.denial import error_body
from mcp_acl.engine.listing import Listing
from mcp_acl.mcp.message import parse_message
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.mcp.results import EntryReader, Members, find_result, read_members, write_list, write_members
from mcp_acl.mcp.sse import SseEvent, SseReader, render
from mcp_acl.policy.index import PolicySet, View
from mcp_acl.problems import MessageError

MAX_TTL_MS: Final = 60_000
"""How long, in milliseconds, a client may keep a response that depends on who asked (MCP 2026-07-28, caching)."""

REFUSED_CODE: Final = -32603
_EVENT_STREAM: Final = "text/event-stream"
_LISTS: Final[Mapping[str, tuple[Method, EntryReader]]] = {
    row.list_key: (row, EntryReader(row.list_member))
    for row in METHODS.values()
    if row.method_class is MethodClass.LIST
}
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
        media = content_type.partition(";")[0].strip().lower()
        if not body.strip():
            out = body
        elif media == _EVENT_STREAM:
            out = reader.stream(body)
        elif media == "application/json":
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
    if content_type.partition(";")[0].strip().lower() == _EVENT_STREAM:
        return Filtered(content_type, b"data: " + body + b"\n\n", refused=why)
    return Filtered("application/json", body, refused=why)


def _error(request: Request, reason: Reason, why: str) -> bytes:
    return error_body(request.message, REFUSED_CODE, f"the response was withheld: {why}", reason, "")


@dataclass(slots=True)
class _Reader:
    """Filters the messages of one response."""

    policies: PolicySet
    view: View
    request: Request
    report: _Report

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
        sse = SseReader()
        events = [*sse.feed(body), *sse.close()]
        return b"".join(out for event in events if (out := self._event(event)) is not None)

    def _event(self, event: SseEvent) -> bytes | None:
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
        members = read_members(text, "message")
        unknown = members.keys() - {"jsonrpc", "id", "method", "params", "result", "error"}
        if unknown or len(members.keys() & {"method", "result", "error"}) != 1:
            raise MessageError("response", "the response is not one JSON-RPC message")
        if "method" in members:
            return self._from_server(text)
        if "error" in members:
            return text
        result = self._result(read_members(members["result"], "result"))
        return text if result is None else write_members({**members, "result": msgspec.Raw(result)})

    def _from_server(self, text: bytes) -> bytes | None:
        message = parse_message(text)
        http = replace(self.request.http, headers=_without_mirrors(self.request.http.headers))
        asked = replace(self.request, message=message, direction=Direction.SERVER_TO_CLIENT, http=http)
        decision = decide(self.policies, asked)
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
        for key in result.keys() & _LISTS.keys():
            list_row, reader = _LISTS[key]
            changed |= self._list(list_row, reader, key, result[key])
        if row is not None and row.method_class is MethodClass.COMPLETION:
            changed |= filter_completion(self.view, self.request, result, self.report.hidden)
        changed |= self._cache(row, result)
        return write_members({**result, **changed}) if changed else None

    def _list(self, row: Method, reader: EntryReader, key: str, text: msgspec.Raw) -> dict[str, object]:
        entries = reader.read(text)
        listing = Listing(self.view, self.request, row)
        kept = listing.keep(entries.raws, entries.names)
        self.report.add(listing, len(kept))
        return {} if len(kept) == len(entries.raws) else {key: write_list(kept)}

    def _cache(self, row: Method | None, result: Members) -> dict[str, object]:
        """A response that depends on who asked is private, and soon asked for again (MCP 2026-07-28, caching)."""
        if row is None or not result.keys() & {"cacheScope", "ttlMs"}:
            return {}
        if not (row.feature is Feature.TASKS or self.view.facts(row.name).reads_principal):
            return {}
        changed: dict[str, object] = {} if result.get("cacheScope") == _PRIVATE else {"cacheScope": _PRIVATE}
        if "ttlMs" in result:
            ttl = _milliseconds(result["ttlMs"])
            if ttl is None or not 0 <= ttl <= MAX_TTL_MS:
                changed["ttlMs"] = MAX_TTL_MS
        return changed


def _without_mirrors(headers: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """The headers without those that mirror the client's message: they say nothing of the server's."""
    return {name: values for name, values in headers.items() if not name.startswith("mcp-")}


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
