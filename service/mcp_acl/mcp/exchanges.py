"""HTTP exchanges that carry no message: one row each, by HTTP method and path. Knows no policy.

Sources: the transports of the published revisions of the Model Context Protocol; RFC 9728, RFC 8414 and OpenID Connect Discovery for
what is well known; the Fetch standard for preflights.
"""

import re
from typing import Final, NamedTuple

from mcp_acl.domain import Http, Message, MessageKind
from mcp_acl.mcp.message import parse_batch, parse_message
from mcp_acl.mcp.revisions import DEFAULT_REVISION, revision_in_header
from mcp_acl.problems import MessageError


class Exchange(NamedTuple):
    """One row. `is_open`: whoever asks, with whatever token. `brings_messages`: what comes back is filtered, whatever it is.

    Else an event stream alone is, because some servers look neither at the path nor at the method.
    """

    name: str
    method: str
    doc: str
    path: re.Pattern[str] | None = None
    is_open: bool = False
    brings_messages: bool = False


_SEGMENT: Final = r"/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"

EXCHANGES: Final = (
    Exchange(
        "metadata", "GET", "how to get a token, and other things well known, without a message of the server's",
        re.compile(rf"/\.well-known(?:{_SEGMENT})+"), is_open=True,
    ),
    Exchange(
        "preflight", "OPTIONS", "a browser asks which requests it may send; it reads headers alone", is_open=True,
        brings_messages=True,
    ),
    Exchange(
        "stream", "GET", "opens the stream of the server's messages, or has one repeated (`Last-Event-ID`)",
        brings_messages=True,
    ),
    Exchange("session end", "DELETE", "ends the session", brings_messages=True),
)  # fmt: skip
"""In the order in which they are tried."""

REPLAY: Final = "last-event-id"
"""The header that asks for messages again (WHATWG HTML §9.2.4; MCP, resumability)."""
SESSION: Final = "mcp-session-id"
"""The header that names a session (MCP, session management)."""
ODD_REPLAY: Final = "messages are repeated by GET; leave the header `Last-Event-ID` out"


def read_message(body: bytes, http: Http, *, batches: bool = False) -> Message:
    """The message of an HTTP request, or what stands for one that carries none: no body, and a method that needs none.

    With `batches` an array of messages is one, too, in the revision that has them (MCP 2025-03-26).
    Raises MessageError as `parse_message` and `parse_batch`.
    """
    if not body and http.method in _METHODS:
        return Message(MessageKind.EXCHANGE)
    try:
        return parse_message(body)
    except MessageError as error:
        if error.code != "batch" or not batches or revision_in_header(http.headers) not in _BATCHING:
            raise
    return Message(MessageKind.BATCH, members=parse_batch(body))


def exchange_of(http: Http) -> Exchange:
    """The row of an exchange. Raises MessageError if there is none."""
    for row in EXCHANGES:
        if row.method == http.method and (row.path is None or row.path.fullmatch(http.path)):
            return row
    raise MessageError("exchange", f"an HTTP request {http.method[:20]} without a message is not known")


def belongs_to_a_session(http: Http) -> bool:
    """Whether a request goes on with a session, or has its messages repeated: then it is nothing that everybody may ask."""
    return SESSION in http.headers or REPLAY in http.headers


def is_odd_replay(http: Http) -> bool:
    """Whether messages are asked for again by something else than GET: no client does, and some servers obey the header alone."""
    return REPLAY in http.headers and http.method != "GET"


def may_carry(http: Http) -> bool:
    """Whether servers read a message from the body of such a request (MCP transports: each message is a POST)."""
    return http.method == "POST"


_BATCHING: Final = frozenset({None, DEFAULT_REVISION})
_METHODS: Final = frozenset(row.method for row in EXCHANGES)
