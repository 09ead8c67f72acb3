"""Read the lists in a JSON-RPC response without decoding what passes through, and write them back shorter.

Strategy: values stay slices of the original bytes; only the envelope's members, the result's members and each entry's
identifying member are looked at. Those that matter must be unique, and no other may be one that some parser takes for them: parsers
disagree on which of two counts. Bytes that are not removed leave as they came.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nlargest
from types import GenericAlias
from typing import Any, Final, NamedTuple, NotRequired, TypeAlias, TypedDict

import msgspec

from mcp_acl.mcp.demands import ELICITATIONS, INPUTS
from mcp_acl.mcp.message import ENVELOPE, fold
from mcp_acl.mcp.methods import METHODS
from mcp_acl.problems import MessageError

Members: TypeAlias = Mapping[str, msgspec.Raw]

Watched: TypeAlias = Mapping[str, str]
"""Members that matter in one kind of object, by what `fold` makes of them."""


def watched(*names: str) -> Watched:
    """These members, to be watched."""
    return {fold(name): name for name in names}


MESSAGE: Final = watched(*ENVELOPE)
RESULT: Final = watched(
    *(row.list_key for row in METHODS.values() if row.list_key), "cacheScope", "ttlMs", "completion", INPUTS
)
ERROR: Final = watched("data")
ERROR_DATA: Final = watched(ELICITATIONS)
SPEAKING: Final = frozenset({"initialize", "server/discover"})
"""The methods whose result is what a server says of itself, `instructions` for the model among it."""

COMPLETION: Final = watched("values", "total", "hasMore")

NULL: Final = msgspec.Raw(b"null")
"""In the place of a member that is not there."""

_CUT: Final = 8  # so many of an object's largest values are not parsed again to look for duplicates
_LARGE: Final = 64  # bytes; smaller ones are not worth it
_OTHER_SPELLING: Final = rb"\\u00[0-7]|\\u017f|\\u212a|\xc5\xbf|\xe2\x84\xaa"
"""An escaped ASCII character, or one of the two beyond ASCII that fold to a letter (U+017F, U+212A), in lower case."""


_SPACE: Final = rb"(?:\s|\\[tnrf])"

Entry: TypeAlias = "msgspec.Raw | Mapping[str, str | msgspec.Raw]"
"""A list entry: its text, or its members, unread but for the one that identifies it."""


class Response(TypedDict):
    """A response of which the result's list is read."""

    jsonrpc: str
    id: int | str
    result: dict[str, Any]


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
    """Where the result stands in the bytes of a response, its members, and the `id` beside it."""

    start: int
    end: int
    members: Members
    id: int | str


_RESPONSE: Final = msgspec.json.Decoder(_Response)
_RESULT_KEY: Final = b'"result":'


def find_result(text: bytes, matter: Watched) -> Slot | None:
    """The result of a response written without spaces, read in one pass; None if it must be read member by member.

    As in `read_members`, a text as long as it must be for these members has room for no others.
    """
    try:
        found = _RESPONSE.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    length = _compact_length(found.result)
    envelope = len(msgspec.json.encode({"jsonrpc": found.jsonrpc, "id": found.id, "result": 0})) - 1
    if envelope + length != len(text) or _are_doubtful(found.result, matter):
        return None
    start = text.index(_RESULT_KEY) + len(_RESULT_KEY)
    return Slot(start, start + length, found.result, found.id)


def read_members(text: bytes | msgspec.Raw, what: str, matter: Watched) -> Members:
    """The members of one JSON object, values unread, in order.

    Raises MessageError if it is not one, repeats a member that matters, or has one that can be taken for it.
    """
    try:
        members = _MEMBERS.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MessageError("response", f"the {what} is not a JSON object that can be read") from None
    compact = _compact_length(members) == len(memoryview(text))
    keys = list(members) if compact else _all_keys(bytes(text), members, what)
    if _are_doubtful(keys, matter):
        raise MessageError("response", f"the {what} has a member twice, or one that can be taken for another")
    return members


def _are_doubtful(keys: Iterable[str], matter: Watched) -> bool:
    """Whether a member that matters stands twice, or some parser takes another for it."""
    found = [(key, meant) for key in keys if (meant := matter.get(fold(key))) is not None]
    return len({meant for _, meant in found}) != len(found) or any(key != meant for key, meant in found)


def _compact_length(members: Members) -> int:
    """The least number of bytes an object with these members takes. A text of this length has room for nothing else."""
    length = 1 + max(len(members), 1)
    for key, value in members.items():
        length += len(msgspec.json.encode(key)) + 1 + len(memoryview(value))
    return length


def _all_keys(text: bytes, members: Members, what: str) -> list[str]:
    """Every key, repeated ones too: read by a parser that shows them, the largest values cut out."""
    for raw in nlargest(_CUT, map(bytes, members.values()), key=len):
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

_BESIDE_LIST: Final = ("nextCursor", "_meta", "resultType", "ttlMs", "cacheScope")
"""What a result may hold beside a list."""


def read_list(text: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The elements of an array, unread. Raises MessageError if it is not one."""
    try:
        return _ENTRIES.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MessageError("response", "the list is not a JSON array") from None


def _entries(member: str) -> Any:
    """The type of a list whose entries hold nothing but members of MCP, one of which is read."""
    known = dict.fromkeys(_KNOWN, NotRequired[msgspec.Raw])
    return GenericAlias(list, _object({**known, member: NotRequired[str]}))


def _object(members: dict[str, Any]) -> Any:
    """The type of an object with these members."""
    kind: Any = TypedDict
    return kind("Object", members)


class ListReader:
    """Reads responses that are one list and nothing else."""

    def __init__(self, key: str, member: str) -> None:
        self._key = key
        self._member = member
        beside = dict.fromkeys(_BESIDE_LIST, NotRequired[msgspec.Raw])
        response = _object({"jsonrpc": str, "id": int | str, "result": _object({**beside, key: _entries(member)})})
        self._decode: Callable[[bytes], Response] = msgspec.json.Decoder(response).decode

    def read(self, text: bytes) -> tuple[Response, Entries] | None:
        """The response and its entries, if it holds nothing but members of MCP, each once, without white space.

        What was read is written again and compared: a member that is repeated, not known or spelled otherwise is missing.
        """
        try:
            response = self._decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if msgspec.json.encode(response) != text:
            return None
        entries = response["result"][self._key]
        return response, Entries(entries, [entry.get(self._member) for entry in entries])

    def write(self, response: Response, changed: Mapping[str, object]) -> bytes:
        """The response with some members of its result changed."""
        return msgspec.json.encode({**response, "result": {**response["result"], **changed}})


class _Named(msgspec.Struct):
    found: str


class EntryReader:
    """Reads lists whose entries are identified by one string member."""

    def __init__(self, member: str) -> None:
        self._member = member
        self._quoted = b'"' + member.lower().encode() + b'"'
        bare = member.lower().encode()
        self._lookalike = re.compile(rb'%b|"%b+%b%b*"|"%b%b+"' % (_OTHER_SPELLING, _SPACE, bare, _SPACE, bare, _SPACE))
        self._matter = watched(member)
        named = msgspec.defstruct("Named", [("found", str, msgspec.field(name=member))], bases=(_Named,))
        self._all: msgspec.json.Decoder[list[_Named]] = msgspec.json.Decoder(list[named])  # type: ignore[valid-type]
        self._known: msgspec.json.Decoder[list[Mapping[str, str]]] = msgspec.json.Decoder(_entries(member))
        self._one: msgspec.json.Decoder[_Named] = msgspec.json.Decoder(named)

    def read(self, text: msgspec.Raw) -> Entries:
        """The entries of a list. Raises MessageError if it is not a JSON array."""
        known = self._known_entries(text)
        if known is not None:
            return known
        raws = read_list(text)
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
        if whole.count(self._quoted) != count or self._lookalike.search(whole):
            return None
        try:
            return [entry.found for entry in self._all.decode(text)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _name_of(self, raw: msgspec.Raw) -> str | None:
        try:
            read_members(raw, "entry", self._matter)
            return self._one.decode(raw).found
        except (MessageError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def text_of(members: Members, name: str) -> str | None:
    """The text that a member is; None for whatever else, and if there is none."""
    try:
        return msgspec.json.decode(members.get(name, NULL), type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write_members(members: Mapping[str, object]) -> bytes:
    """An object of members still unread and new values, in order."""
    return msgspec.json.encode(members)


def write_list(entries: Sequence[Entry]) -> msgspec.Raw:
    """The list of the entries that stay."""
    return msgspec.Raw(msgspec.json.encode(entries))
