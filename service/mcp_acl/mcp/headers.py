"""Whether the headers of a request say what its message says, and leave no doubt how its bytes are read. Knows no rules.

Those that mirror the message (MCP 2026-07-28, standard request headers) are compared whenever they are there, in any revision: a
gateway may have routed by them, and some servers choose the revision by the header alone.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from mcp_acl.domain import Message
from mcp_acl.mcp.demands import target_of
from mcp_acl.mcp.methods import METHODS
from mcp_acl.mcp.revisions import VERSION_HEADER, revision_in_message

MIRRORS: Final = ("mcp-method", "mcp-name", "mcp-param-")
"""How the names of headers begin that mirror a message."""

_METHOD: Final = "mcp-method"
_NAME: Final = "mcp-name"
_SENTINEL: Final = ("=?base64?", "?=")
"""What encloses a base64 value; lower case exactly (MCP 2026-07-28, value encoding)."""
_PLAIN: Final = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
"""Text that HTTP carries as it is (RFC 9110 §5.5): visible ASCII, white space only inside."""
_LONGEST_TYPE: Final = 200
_JSON_TYPE: Final = re.compile(r"application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?[ \t]*;?", re.IGNORECASE)
"""The media type of a message, with no parameter but the one that says UTF-8 (RFC 8259 §8.1, RFC 9110 §8.3)."""


def header_mismatch(message: Message, headers: Mapping[str, Sequence[str]]) -> str:
    """What `Mcp-Method`, `Mcp-Name` or `MCP-Protocol-Version` says against the message, or `''`. Header names are lower case, each with all values.

    A header that is there without a value matches nothing.
    `Mcp-Name` mirrors the name, URI or task id of a method that acts on one; anywhere else it must not be.
    """
    methods = headers.get(_METHOD)
    if methods is not None and (not message.method or list(methods) != [message.method]):
        return "the header `Mcp-Method` does not match the message"
    names = headers.get(_NAME)
    if names is not None and (len(names) != 1 or not _names_target(names[0], message)):
        return "the header `Mcp-Name` does not match the message"
    versions = headers.get(VERSION_HEADER)
    if versions is not None and not _is_version(versions, message):
        return "the header `MCP-Protocol-Version` is not one value, or does not match the message"
    return ""


def doubtful_encoding(headers: Mapping[str, Sequence[str]]) -> str:
    """Why a server may read other text from the body than UTF-8 JSON, or `''`. Some decode by any `charset` they are told."""
    encodings = headers.get("content-encoding")
    if encodings and any(one.strip().lower() != "identity" for one in encodings):
        return "the body is encoded (`Content-Encoding`); send it as it is"
    types = headers.get("content-type")
    if types and (len(types) > 1 or not _is_json(types[0])):
        return "the header `Content-Type` must be `application/json`, in UTF-8"
    return ""


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    return len(content_type) <= _LONGEST_TYPE and _JSON_TYPE.fullmatch(content_type.strip()) is not None


def _is_version(versions: Sequence[str], message: Message) -> bool:
    """Whether the header is one value, and that of the message if it states one."""
    stated = revision_in_message(message.params)
    if len(versions) != 1 or "," in versions[0]:
        return False
    return stated is None or (isinstance(stated, str) and stated == versions[0])


def _names_target(header: str, message: Message) -> bool:
    row = METHODS.get(message.method)
    name = target_of(message.params, row) if row and row.target else None
    if name is None:
        return False
    if header == name and not _is_encoded(header):
        return _PLAIN.fullmatch(header) is not None
    return header == b64encode(name.encode()).decode().join(_SENTINEL)


def _is_encoded(header: str) -> bool:
    return header.startswith(_SENTINEL[0]) and header.endswith(_SENTINEL[1])
