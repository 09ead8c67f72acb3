"""Resources inside of results: which URI a block of content or an entry of `contents` names. Knows no policy.

A block is what its `type` says (MCP content blocks): an embedded resource or a link; all others name nothing. Texts, structured
content and metadata may hold anything; what is in them is data and is not looked at.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from mcp_acl.mcp.results import NULL, Members, read_list, read_members, text_of, watched
from mcp_acl.problems import MessageError

LINKING: Final = frozenset({"tools/call", "prompts/get", "resources/read", "tasks/get", "tasks/result"})
"""The methods whose results hold blocks, `contents`, or another result that does."""

LINKED: Final = watched("content", "messages", "contents", "taskId", "result")
"""The members of a result that clients read them from, and those by which they know that it holds another."""

_BLOCK: Final = watched("type", "resource", "uri")
_CONTENTS: Final = watched("uri")
_SPELLED: Final = re.compile(rb'"resource')
_ESCAPED: Final = re.compile(rb"\\u00[567]")  # a letter, or the low line of `resource_link`


def may_link(text: bytes) -> bool:
    """Whether a block in this text can be a resource or a link: a quick no for the many texts in which none is."""
    return _SPELLED.search(text) is not None or (b"\\" in text and _ESCAPED.search(text) is not None)


def uri_of_block(block: msgspec.Raw) -> str | None:
    """The URI of a resource or of a link, None for any other block. Raises MessageError if that is in doubt."""
    if not is_object(block) or not may_link(bytes(block)):
        return None
    members = read_members(block, "block", _BLOCK)
    kind = _text(members, "type")
    if kind == "resource":
        members = read_members(members.get("resource", NULL), "resource", _CONTENTS)
    return _text(members, "uri") if kind in ("resource", "resource_link") else None


def uri_of_contents(entry: msgspec.Raw) -> str | None:
    """The URI of an entry of `contents`, None if it names none. Raises MessageError if that is in doubt."""
    if not is_object(entry):
        return None
    members = read_members(entry, "entry", _CONTENTS)
    return _text(members, "uri") if "uri" in members else None


def blocks_of(content: msgspec.Raw) -> Sequence[msgspec.Raw]:
    """The blocks of `content`: an array, or one alone; whatever else it is holds none."""
    if is_object(content):
        return [content]
    return read_list(content) if is_array(content) else []


def is_object(value: msgspec.Raw) -> bool:
    """Whether a value is a JSON object."""
    return bytes(memoryview(value)[:1]) == b"{"


def is_array(value: msgspec.Raw) -> bool:
    """Whether a value is a JSON array."""
    return bytes(memoryview(value)[:1]) == b"["


def _text(members: Members, name: str) -> str:
    text = text_of(members, name)
    if text is None:
        raise MessageError("response", f"the member `{name}` is no text")
    return text
