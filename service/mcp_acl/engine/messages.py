"""One JSON-RPC message of a response: what of it may be passed on.

Every list in it is filtered, by the shape of the result as well as by the method that was asked; a server's own requests and
notifications are decided like any message. What is kept leaves byte for byte as it came. Knows no content types and no streams.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mcp_acl.domain import Feature, Request, RuleError
from mcp_acl.engine.completion import filter_completion
from mcp_acl.engine.decision import decide, from_server, input_decisions
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
from mcp_acl.policy.index import PolicySet, View
from mcp_acl.problems import MessageError

MAX_TTL_MS: Final = 60_000
"""How long, in milliseconds, a client may keep a response that depends on who asked (MCP 2026-07-28, caching)."""

_LISTS: Final[Mapping[str, tuple[Method, EntryReader]]] = {
    row.list_key: (row, EntryReader(row.list_member))
    for row in METHODS.values()
    if row.method_class is MethodClass.LIST
}
_CACHE: Final = frozenset({"cacheScope", "ttlMs"})
_PRIVATE: Final = msgspec.Raw(b'"private"')


@dataclass(slots=True)
class Report:
    """What was done to a response: `shown` entries are left, `hidden` are names, `dropped` what was in doubt."""

    shown: int = 0
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)

    def add(self, listing: Listing, shown: int) -> None:
        """Count a list in that was filtered."""
        self.shown += shown
        self.hidden += listing.hidden
        self.dropped += listing.dropped
        self.errors += listing.errors.values()


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Filters messages of the response to `request`, and reports what it did."""

    policies: PolicySet
    view: View
    request: Request
    report: Report

    def filtered(self, text: bytes) -> bytes | None:
        """The message to pass on, or None if it must not be. Raises MessageError if it cannot be read with certainty."""
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


def _cache(result: Members) -> dict[str, object]:
    """A response that depends on who asked is private, and soon asked for again (MCP 2026-07-28, caching)."""
    changed: dict[str, object] = {} if result.get("cacheScope") == _PRIVATE else {"cacheScope": _PRIVATE}
    if "ttlMs" in result:
        ttl = _milliseconds(result["ttlMs"])
        if ttl is None or not 0 <= ttl <= MAX_TTL_MS:
            changed["ttlMs"] = MAX_TTL_MS
    return changed


def _milliseconds(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int)
    except msgspec.MsgspecError:
        return None
