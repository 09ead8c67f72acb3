"""Read the lists in a JSON-RPC response without decoding what passes through, and write them back shorter.

Strategy: values stay slices of the original bytes; only the envelope's members, the result's members and each entry's
identifying member are looked at. Those must be unique, because parsers disagree on which of two equal members counts. Bytes
that are not removed leave as they came.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, TypedDict

import msgspec

from mcp_acl.problems import MessageError

Members: TypeAlias = Mapping[str, msgspec.Raw]

_LARGE: Final = 64  # bytes; a member's value beyond this is not parsed again to look for duplicates
_OTHER_SPELLING: Final = re.compile(rb"\\u00[4-7]|\\u017f|\\u212a|\xc5\xbf|\xe2\x84\xaa")
"""An escaped ASCII letter, or one of the two characters beyond ASCII that fold to one (U+017F, U+212A), in lower case."""


Entry: TypeAlias = "msgspec.Raw | Mapping[str, str | msgspec.Raw]"
"""A list entry: its text, or its members, unread but for the one that identifies it."""


class Entries(NamedTuple):
    """A list's entries as they stand, and each one's identifying name, None where it is in doubt."""

    raws: Sequence[Entry]
    names: Sequence[str | None]


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Response(msgspec.Struct, forbid_unknown_fields=True):
    result: dict[str, msgspec.Raw]
    jsonrpc: str
    id: int | str


class Slot(NamedTuple):
    """Where the result stands in the bytes of a response, and its members."""

    start: int
    end: int
    members: Members


_RESPONSE: Final = msgspec.json.Decoder(_Response)
_RESULT_KEY: Final = b'"result":'


def find_result(text: bytes) -> Slot | None:
    """The result of a response written without spaces, read in one pass; None if it must be read member by member.

    As in `read_members`, a text as long as it must be for these members has room for no others.
    """
    try:
        found = _RESPONSE.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    length = _compact_length(found.result)
    envelope = len(msgspec.json.encode({"jsonrpc": found.jsonrpc, "id": found.id, "result": 0})) - 1
    if envelope + length != len(text) or _are_doubtful(found.result, list(found.result)):
        return None
    start = text.index(_RESULT_KEY) + len(_RESULT_KEY)
    return Slot(start, start + length, found.result)


def read_members(text: bytes | msgspec.Raw, what: str) -> Members:
    """The members of one JSON object, values unread, in order. Raises MessageError if it is not one or repeats a member."""
    try:
        members = _MEMBERS.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MessageError("response", f"the {what} is not a JSON object that can be read") from None
    compact = _compact_length(members) == len(memoryview(text))
    keys = list(members) if compact else _all_keys(bytes(text), members, what)
    if _are_doubtful(members, keys):
        raise MessageError("response", f"the {what} repeats a member")
    return members


def _are_doubtful(members: Members, keys: Sequence[str]) -> bool:
    """Whether a key stands twice, or in two cases, which some parsers take for the same."""
    return len({key.casefold() for key in keys}) != len(keys) or len(keys) != len(members)


def _compact_length(members: Members) -> int:
    """The least number of bytes an object with these members takes. A text of this length has room for nothing else."""
    length = 1 + max(len(members), 1)
    for key, value in members.items():
        length += len(msgspec.json.encode(key)) + 1 + len(memoryview(value))
    return length


def _all_keys(text: bytes, members: Members, what: str) -> list[str]:
    """Every key, repeated ones too: read by a parser that shows them, large values cut out."""
    for value in members.values():
        raw = bytes(value)
        if len(raw) > _LARGE and raw[:1] in b"{[":
            text = text.replace(raw, b"0", 1)
    try:
        keys: list[str] = [key for key, _ in json.loads(text, object_pairs_hook=list)]
    except (ValueError, RecursionError):
        raise MessageError("response", f"the {what} cannot be read") from None
    if set(keys) != set(members):
        raise MessageError("response", f"the {what} cannot be read")
    return keys


_KNOWN: Final = (
    *("name", "title", "description", "icons", "annotations", "_meta"),
    *("inputSchema", "outputSchema", "execution", "arguments", "mimeType", "size"),
    *("uri", "uriTemplate", "taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"),
)
"""The members of list entries in any MCP revision."""


class _Named(msgspec.Struct):
    found: str


class EntryReader:
    """Reads lists whose entries are identified by one string member."""

    def __init__(self, member: str) -> None:
        self._member = member
        self._quoted = b'"' + member.lower().encode() + b'"'
        named = msgspec.defstruct("Named", [("found", str, msgspec.field(name=member))], bases=(_Named,))
        self._all: msgspec.json.Decoder[list[_Named]] = msgspec.json.Decoder(list[named])  # type: ignore[valid-type]
        entry = TypedDict("Entry", {**dict.fromkeys(_KNOWN, msgspec.Raw), member: str}, total=False)  # type: ignore[misc]
        self._known: msgspec.json.Decoder[list[Mapping[str, str]]] = msgspec.json.Decoder(list[entry])
        self._one: msgspec.json.Decoder[_Named] = msgspec.json.Decoder(named)

    def read(self, text: msgspec.Raw) -> Entries:
        """The entries of a list. Raises MessageError if it is not a JSON array."""
        known = self._known_entries(text)
        if known is not None:
            return known
        try:
            raws = _ENTRIES.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise MessageError("response", "the list is not a JSON array") from None
        names = self._names_of_all(text, len(raws))
        return Entries(raws, names if names is not None else [self._name_of(raw) for raw in raws])

    def _known_entries(self, text: msgspec.Raw) -> Entries | None:
        """The entries, if they hold nothing but members of MCP, each once, without white space.

        What was read is written again and compared: a member that is repeated, not known or spelled otherwise is missing.
        """
        try:
            entries = self._known.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if msgspec.json.encode(entries) != bytes(text):
            return None
        return Entries(entries, [entry.get(self._member) for entry in entries])

    def _names_of_all(self, text: msgspec.Raw, count: int) -> Sequence[str] | None:
        """All names at once, if the member's name stands exactly once for each entry and nowhere else."""
        whole = bytes(text).lower()
        if whole.count(self._quoted) != count or _OTHER_SPELLING.search(whole):
            return None
        try:
            return [entry.found for entry in self._all.decode(text)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _name_of(self, raw: msgspec.Raw) -> str | None:
        try:
            read_members(raw, "entry")
            return self._one.decode(raw).found
        except (MessageError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def write_members(members: Mapping[str, object]) -> bytes:
    """An object of members still unread and new values, in order."""
    return msgspec.json.encode(members)


def write_list(entries: Sequence[Entry]) -> msgspec.Raw:
    """The list of the entries that stay."""
    return msgspec.Raw(msgspec.json.encode(entries))
