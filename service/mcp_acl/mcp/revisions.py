"""In which revision of the protocol a message is, as servers read it. Knows no policy.

The rule: the header decides where there is one. Python and TypeScript servers go by it alone; one that reads the message too
refuses what disagrees. What is said in the message counts for callers that pass no headers.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from mcp_acl.domain import Json
from mcp_acl.mcp.methods import REVISIONS

DEFAULT_REVISION: Final = REVISIONS[1]
"""What a message without a revision is in (MCP 2025-06-18, protocol version header)."""

VERSION_HEADER: Final = "mcp-protocol-version"
_META: Final = "io.modelcontextprotocol/protocolVersion"
_STATELESS: Final = frozenset(REVISIONS[4:])


class Era(StrEnum):
    """The two ways of the protocol: a session that `initialize` opens, or messages that each stand for themselves."""

    SESSION = "session"
    STATELESS = "stateless"


def revision_in_header(headers: Mapping[str, Sequence[str]]) -> str | None:
    """What the header says, the first if there are several; None without one. Header names are lower case."""
    return next(iter(headers.get(VERSION_HEADER, ())), None)


def revision_in_message(params: Mapping[str, Json]) -> Json:
    """What `_meta` says, whatever it is; None if it says nothing."""
    meta = params.get("_meta")
    return meta.get(_META) if isinstance(meta, Mapping) else None


def revision_of(params: Mapping[str, Json], headers: Mapping[str, Sequence[str]]) -> str:
    """The revision that a server takes the message to be in, known or not."""
    stated = revision_in_header(headers)
    said = revision_in_message(params) if stated is None else stated
    return said if isinstance(said, str) else DEFAULT_REVISION


def era_of(revision: str) -> Era:
    """The era of a revision. One that is not known is refused by every server, in whatever way."""
    return Era.STATELESS if revision in _STATELESS else Era.SESSION
