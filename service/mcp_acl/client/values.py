"""What a client is asked and what it answers: values and errors. Knows neither gRPC nor protobuf.

`reason` is a text and no `Reason`: a service that is newer than its client may know more of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mcp_acl.domain import Denial, Direction, Http, Json, ResponseNeeds, RuleError, RuleRef, TokenState


class MisuseError(ValueError):
    """The caller asks for what cannot be asked: a mistake in its program. The text says what to change."""


class UnavailableError(Exception):
    """There is no answer. `code` is the name of the gRPC status, empty if the answer came and cannot be used."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(f"{code}: {text}" if code else text)
        self.code = code


class CutOffError(UnavailableError):
    """A response that was being filtered cannot be sent to its end: send nothing more, and cut it off.

    What was sent so far may stand. Do not end the response properly: the client would take it for whole.
    """


@dataclass(frozen=True, slots=True)
class Question:
    """One MCP message and everything around it.

    `server`: the id the gateway gives the MCP server. `message`: the body exactly as it came and as it will be sent on. `claims`: the
    verified claims of the token, as a mapping or as the payload of the JWT; None: the principal is anonymous. `token`: left out, it is
    VALID if there are claims and NONE if not; say INVALID for one that came and is not good. `http`: the HTTP request the message came
    in, with all its headers; None: it came another way. `attributes`: the gateway's own facts, for conditions. `filters_responses`:
    the promise to hand every response to `filter` or `filter_stream`; without it a list that would have to be filtered is denied.
    `time`: when the message arrived, with its zone; None: now.
    """

    server: str
    message: bytes = field(repr=False)
    claims: Mapping[str, Json] | bytes | None = field(default=None, repr=False)
    token: TokenState | None = None
    direction: Direction = Direction.CLIENT_TO_SERVER
    http: Http | None = field(default=None, repr=False)
    attributes: Mapping[str, Json] = field(default_factory=dict, repr=False)
    session_id: str = ""
    filters_responses: bool = False
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShadowVerdict:
    """A decision that was not made, and the rules that would have made it."""

    allowed: bool
    reason: str
    rules: tuple[RuleRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message may pass. True as a condition if and only if it may: `if not verdict:` is how to deny.

    `denial` is what to answer to the sender: HTTP status, headers, body; there is one if and only if the message must not pass. (Of a
    message from a server to a client the body alone counts.) `message` says more about the reason, in words. `context` belongs to
    the response: it holds claims, so never log it and never send it to a client. `response_needs` and `context` are what `filter` reads.

    `shadow` is what would be decided instead if all that is in shadow were enforced; nothing is to be done about it.

    Without an answer the reason is `unavailable`, and `cause` says why; there is a `denial` to send all the same.
    """

    question: Question = field(repr=False)
    allowed: bool
    reason: str
    message: str = ""
    rules: tuple[RuleRef, ...] = ()
    errors: tuple[RuleError, ...] = ()
    revision: str = ""
    decision_id: str = ""
    response_needs: ResponseNeeds = ResponseNeeds.NONE
    context: bytes = field(default=b"", repr=False)
    denial: Denial | None = None
    cause: UnavailableError | None = None
    shadow: ShadowVerdict | None = None

    def __post_init__(self) -> None:
        if self.allowed == (self.denial is not None):
            raise ValueError("a verdict has a denial if and only if it does not allow")

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to a response: entries of lists that are left, and that were taken out because no rule shows them.

    `hidden` has their names if they were asked for: for logs, not for clients. `dropped`: what was taken out because it could not be read
    with certainty, and why. `errors`: conditions that broke. `refused`: why the body was withheld and an error is in its place; empty: it
    was not. `shadow_hidden_count` and `shadow_shown_count`: entries that would be hidden, or shown, if all that is in shadow were enforced. Reports
    of the pieces of one response add up.
    """

    shown: int = 0
    hidden_count: int = 0
    hidden: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    errors: tuple[RuleError, ...] = ()
    revision: str = ""
    refused: str = ""
    shadow_hidden_count: int = 0
    shadow_shown_count: int = 0

    def __add__(self, later: "Report") -> "Report":
        return Report(
            self.shown + later.shown,
            self.hidden_count + later.hidden_count,
            self.hidden + later.hidden,
            self.dropped + later.dropped,
            self.errors + later.errors,
            later.revision or self.revision,
            self.refused or later.refused,
            self.shadow_hidden_count + later.shadow_hidden_count,
            self.shadow_shown_count + later.shadow_shown_count,
        )


@dataclass(frozen=True, slots=True)
class FilteredResponse:
    """What to send instead of a response: HTTP status, content type, body.

    `changed`: body or content type differ, so a header with a length or a digest of the body is no longer true. Without an answer of
    the service the body is a JSON-RPC error, never the server's, and `cause` says why.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    changed: bool = False
    report: Report = Report()
    cause: UnavailableError | None = None
