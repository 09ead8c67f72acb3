"""One JSON-RPC message of a response: what of it may be passed on.

Every list in it is filtered, by the shape of the result as well as by the method that was asked; a server's own requests and
notifications are decided like any message. What is kept leaves byte for byte as it came. Knows no content types and no streams.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from mcp_acl.domain import Feature, Json, Learned, Message, MessageKind, Request, RuleError
from mcp_acl.engine.completion import filter_completion
from mcp_acl.engine.decision import decide, from_server, input_decisions
from mcp_acl.engine.learning import learned_of, together
from mcp_acl.engine.linked import Links
from mcp_acl.engine.listing import Listing
from mcp_acl.mcp.demands import ELICITATIONS, INPUTS, elicitations_of, inputs_of
from mcp_acl.mcp.links import LINKED, is_array, is_object
from mcp_acl.mcp.message import ENVELOPE, parse_json, parse_message
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.mcp.results import (
    ERROR,
    ERROR_DATA,
    MESSAGE,
    NULL,
    RESULT,
    SPEAKING,
    Entries,
    EntryReader,
    ListReader,
    Members,
    Watched,
    find_result,
    read_list,
    read_members,
    watched,
    write_members,
)
from mcp_acl.policy.index import PolicySet, View
from mcp_acl.policy.servers import LinkedResources
from mcp_acl.problems import MessageError

_LISTS: Final[Mapping[str, tuple[Method, EntryReader]]] = {
    row.list_key: (row, EntryReader(row.list_member))
    for row in METHODS.values()
    if row.method_class is MethodClass.LIST
}
_ALONE: Final[Mapping[str, tuple[Method, ListReader]]] = {
    row.name: (row, ListReader(row.list_key, row.list_member)) for row, _ in _LISTS.values()
}
_CACHE: Final = frozenset({"cacheScope", "ttlMs"})
_PRIVATE: Final = msgspec.Raw(b'"private"')
_MATTER: Final[Mapping[tuple[bool, bool], Watched]] = {
    (strips, speaks): {
        **RESULT,
        **(LINKED if strips else {}),
        **(watched("instructions", "capabilities") if speaks else {}),
    }
    for strips in (False, True)
    for speaks in (False, True)
}
"""The members of a result that matter: those that hold resources where some may not pass, what a server says of itself where it goes."""

_HOLDING: Final = frozenset({"content", "messages", "result"})
"""The members of a result that may hold resources, `contents` aside."""


@dataclass(slots=True)
class Report:
    """What was done to a response: `shown` entries are left, `hidden` are names, `dropped` what was in doubt.

    `learned` is what it brought that outlives it.
    """

    shown: int = 0
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)
    learned: Learned | None = None

    def add(self, listing: Listing, shown: int) -> None:
        """Count a list in that was filtered."""
        self.shown += shown
        self.hidden += listing.hidden
        self.dropped += listing.dropped
        self.errors += listing.errors.values()

    def learn(self, learned: Learned | None) -> None:
        """Add what one more message brought."""
        if learned is not None:
            self.learned = learned if self.learned is None else together(self.learned, learned)


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Filters messages of the response to `request`, and reports what it did."""

    policies: PolicySet
    view: View
    request: Request
    report: Report

    @property
    def _strips(self) -> bool:
        return self.view.linked_resources is not LinkedResources.PASS

    @property
    def _matter(self) -> Watched:
        return _MATTER[self._strips, self.view.settings.drop_instructions]

    def filtered(self, text: bytes) -> bytes | None:
        """The message to pass on, or None if it must not be. Raises MessageError if it cannot be read with certainty.

        After a batch it may be an array (MCP 2025-03-26); each of its messages is filtered by itself.
        """
        if self.request.message.kind is not MessageKind.BATCH:
            return self._one(text)
        if not is_array(msgspec.Raw(text.lstrip())):
            return self._answering(text)
        parts = [self._answering(bytes(part)) for part in read_list(text)]
        kept = [part for part in parts if part is not None]
        return b"[" + b",".join(kept) + b"]" if kept else None

    def _answering(self, text: bytes) -> bytes | None:
        """One message of the answer to a batch, by the request that it answers; if it answers none, by its shape."""
        answers = _id_of(read_members(text, "message", MESSAGE))
        asked = (one for one in self.request.message.members if one.id == answers and answers is not None)
        message = next(asked, Message(MessageKind.EXCHANGE))
        return replace(self, request=self.request._replace(message=message)).filtered(text)

    def _one(self, text: bytes) -> bytes | None:
        alone = self._list_alone(text)
        if alone is not None:
            return alone
        slot = find_result(text, self._matter)
        if slot is not None:
            result = self._result(slot.members)
            raw = msgspec.Raw(memoryview(text)[slot.start : slot.end])
            self.report.learn(learned_of(self.view, self.request, slot.id, raw, slot.members))
            return text if result is None else b"".join((text[: slot.start], result, text[slot.end :]))
        members = read_members(text, "message", MESSAGE)
        if members.keys() - ENVELOPE or len(members.keys() & {"method", "result", "error"}) != 1:
            raise MessageError("response", "the response is not one JSON-RPC message")
        if "method" in members:
            return self._from_server(text, members)
        if "error" in members:
            self._check_error(members["error"])
            return text
        found = read_members(members["result"], "result", self._matter)
        result = self._result(found)
        self.report.learn(learned_of(self.view, self.request, _id_of(members), members["result"], found))
        return text if result is None else write_members({**members, "result": msgspec.Raw(result)})

    def _list_alone(self, text: bytes) -> bytes | None:
        """The list that was asked for, filtered, if the text is that and nothing else; read and written in one pass."""
        found = _ALONE.get(self.request.message.method)
        # Of a server that is trusted more is learned from a list than which entries it has.
        if found is None or self.view.settings.trust_annotations:
            return None
        row, reader = found
        read = reader.read(text)
        if read is None:
            return None
        response, entries = read
        result = response["result"]
        changed = self._filtered_list(row, row.list_key, entries)
        if _caches(result) and self._is_private(row):
            changed |= _cache(result, self.view.settings.max_ttl_ms)
        return reader.write(response, changed) if changed else text

    def _from_server(self, text: bytes, members: Members) -> bytes | None:
        message = parse_message(text)
        decision = decide(self.policies, from_server(self.request, message))
        self.report.errors += decision.errors
        if not decision.allowed:
            why = f"the server's `{message.method[:100]}`: {decision.reason}"
            if message.kind is MessageKind.REQUEST and self.request.message.kind is MessageKind.REQUEST:
                # The server waits for an answer that nobody gives, and so would the client for its own.
                raise MessageError("response", why)
            self.report.dropped.append(why)
            return None
        if "taskId" not in message.params:
            return text
        params = read_members(members["params"], "params", self._matter)
        changed = self._inlined(params)
        return (
            write_members({**members, "params": msgspec.Raw(write_members({**params, **changed}))}) if changed else text
        )

    def _result(self, result: Members) -> bytes | None:
        """The result with all that is in it filtered and its cache fields bounded, or None if nothing changed."""
        row = method_named(self.request.message.method)
        if row is not None and row.method_class is MethodClass.LIST and row.list_key not in result:
            raise MessageError("response", f"the result of `{row.name}` holds no `{row.list_key}`")
        changed = {**self._contained(result), **self._inlined(result)}
        if row is not None and row.method_class is MethodClass.COMPLETION:
            changed |= filter_completion(self.view, self.request, result, self.report.hidden)
        elif "completion" in result and self.view.rules_reading:
            raise MessageError("response", "it offers values for something that was not asked for")
        if _caches(result) and any(map(self._is_private, self._deciding(row, result))):
            changed |= _cache(result, self.view.settings.max_ttl_ms)
        gone = self._unspoken(row, result)
        if not changed and not gone:
            return None
        return write_members({name: value for name, value in {**result, **changed}.items() if name not in gone})

    def _contained(self, result: Members) -> dict[str, object]:
        """The members to change for what is in them: lists, resources, requests to the client."""
        if INPUTS in result:
            self._check_inputs(result[INPUTS])
        changed: dict[str, object] = {}
        for row, reader in (_LISTS[key] for key in result if key in _LISTS):
            changed |= self._list(row, reader, row.list_key, result[row.list_key])
        links = Links(self.view, self.request, self.report.hidden, self.report.dropped, self.report.errors)
        return changed | links.filtered(result)

    def _inlined(self, holder: Members) -> dict[str, object]:
        """The result of a call inside what is said of a task, filtered as a result (tasks extension)."""
        inner = holder.get("result")
        if inner is None or "taskId" not in holder or not is_object(inner):
            return {}
        members = read_members(inner, "result", self._matter)
        changed = self._contained(members)
        return {"result": msgspec.Raw(write_members({**members, **changed}))} if changed else {}

    def _unspoken(self, row: Method | None, result: Members) -> frozenset[str]:
        """The members to take out of what a server says of itself: by the method, or because it names its capabilities."""
        if not self.view.settings.drop_instructions or "instructions" not in result:
            return frozenset()
        speaks = (row is not None and row.name in SPEAKING) or "capabilities" in result
        return frozenset({"instructions"}) if speaks else frozenset()

    def _check_error(self, text: msgspec.Raw) -> None:
        """An error, too, may ask for something: that the user goes to an address (MCP 2025-11-25, URL elicitation required)."""
        data = read_members(text, "error", ERROR).get("data", NULL)
        if is_object(data):
            members = read_members(data, "error", ERROR_DATA)
            if ELICITATIONS in members:
                self._check_inputs(members[ELICITATIONS], elicitations_of)

    def _check_inputs(self, inputs: msgspec.Raw, read: Callable[[Json], Sequence[Message]] = inputs_of) -> None:
        """What asks the client for something that is not granted is withheld: half of it would be no use."""
        for decision in input_decisions(self.policies, self.request, parse_json(bytes(inputs)), read):
            self.report.errors += decision.errors
            if not decision.allowed:
                why = decision.message or decision.reason
                raise MessageError("response", f"it asks the client for what is not permitted: {why}")

    def _list(self, row: Method, reader: EntryReader, key: str, text: msgspec.Raw) -> dict[str, object]:
        return self._filtered_list(row, key, reader.read(text))

    def _filtered_list(self, row: Method, key: str, entries: Entries) -> dict[str, object]:
        listing = Listing(self.view, self.request, row)
        kept = listing.keep(entries.raws, entries.names)
        self.report.add(listing, len(kept))
        return {} if len(kept) == len(entries.raws) else {key: kept}

    def _deciding(self, row: Method | None, result: Members) -> Iterator[Method]:
        """The methods by whose rules a result was made or filtered: the one asked, those of its lists, reading what it names."""
        if row is not None:
            yield row
        yield from (_LISTS[key][0] for key in result if key in _LISTS)
        if "completion" in result or "contents" in result or (self._strips and result.keys() & _HOLDING):
            yield METHODS["resources/read"]

    def _is_private(self, row: Method) -> bool:
        """Whether what a method answers depends on who asks."""
        return row.feature is Feature.TASKS or self.view.facts(row.name).reads_principal


def _caches(result: Members) -> bool:
    """Whether a result says how long it may be kept. `ttlMs` beside a `taskId` is how long a task lives (tasks extension)."""
    return "cacheScope" in result or ("ttlMs" in result and "taskId" not in result)


def _cache(result: Members, longest: int) -> dict[str, object]:
    """A response that depends on who asked is private, and soon asked for again (MCP 2026-07-28, caching)."""
    changed: dict[str, object] = {} if result.get("cacheScope") == _PRIVATE else {"cacheScope": _PRIVATE}
    if "ttlMs" in result and "taskId" not in result:
        ttl = _milliseconds(result["ttlMs"])
        if ttl is None or not 0 <= ttl <= longest:
            changed["ttlMs"] = longest
    return changed


def _milliseconds(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int)
    except msgspec.MsgspecError:
        return None


def _id_of(members: Members) -> str | int | None:
    try:
        return msgspec.json.decode(members.get("id", NULL), type=str | int)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
