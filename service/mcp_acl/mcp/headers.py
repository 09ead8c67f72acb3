"""Whether the headers that mirror a message say what it says (MCP 2026-07-28, standard request headers). Knows no rules.

They are compared whenever they are there, in any revision: a gateway may have routed by them.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Final

from mcp_acl.domain import Message
from mcp_acl.mcp.demands import target_of
from mcp_acl.mcp.methods import METHODS

MIRRORS: Final = ("mcp-method", "mcp-name", "mcp-param-")
"""How the names of headers begin that mirror a message."""

_METHOD: Final = "mcp-method"
_NAME: Final = "mcp-name"
_SENTINEL: Final = ("=?base64?", "?=")
"""What encloses a base64 value; lower case exactly (MCP 2026-07-28, value encoding)."""
_PLAIN: Final = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
"""Text that HTTP carries as it is (RFC 9110 §5.5): visible ASCII, white space only inside."""


def header_mismatch(message: Message, headers: Mapping[str, Sequence[str]]) -> str:
    """What `Mcp-Method` or `Mcp-Name` says against the message, or `''`. Header names are lower case, each with all values.

    A header that is there without a value matches nothing.
    `Mcp-Name` mirrors the name, URI or task id of a method that acts on one; anywhere else it must not be.
    """
    methods = headers.get(_METHOD)
    if methods is not None and (not message.method or list(methods) != [message.method]):
        return "the header `Mcp-Method` does not match the message"
    names = headers.get(_NAME)
    if names is not None and (len(names) != 1 or not _names_target(names[0], message)):
        return "the header `Mcp-Name` does not match the message"
    return ""


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
