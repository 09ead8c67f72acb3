"""The ready-made answer to a refused message: HTTP status, headers, JSON-RPC body.

The rule: HTTP 200 with a JSON-RPC error that echoes the id, because clients end the session or hang on other
statuses. 401 is for tokens alone (MCP authorization, RFC 6750 §3); 400 for what is not one readable MCP message. A
notification has no id to answer, so it is acknowledged and dropped (MCP transports: 202 without a body). Where a server's denials are
hidden, what depends on the policy is answered as the server answers what it does not have (`hidden`).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from mcp_acl.domain import Decision, Denial, Direction, Http, Message, MessageKind, Reason
from mcp_acl.engine.hidden import hidden_answer
from mcp_acl.mcp.accept import EVENT_STREAM, JSON, accepted
from mcp_acl.policy.servers import DENIED_CODE, DenialStyle, ServerSettings

WITHHELD_CODE: Final = -32603
"""JSON-RPC code of the error in the place of what is withheld: internal error (JSON-RPC 2.0 §5.1)."""

HIDDEN_REASONS: Final = frozenset({
    Reason.NO_MATCHING_RULE,
    Reason.DENIED_BY_RULE,
    Reason.TASK_NOT_OWNED,
    Reason.UNKNOWN_METHOD,
    Reason.WRONG_DIRECTION,
    Reason.LIST_NOT_FILTERED,
})  # fmt: skip
"""What may be hidden: what follows from the policy, or would tell that there is one. The others say nothing of what exists: they are
about the form of the message, the token, or this service. (No settings hold for a server without a policy.)"""

_JSON: Final = (("content-type", JSON),)
_STREAM: Final = (("content-type", EVENT_STREAM),)
_NOT_OFFERED: Final = Denial(405, (("allow", "POST"),), b"")
"""For an exchange without a message: what a server says that has no stream to open and no session to end (MCP transports)."""
_HIDDEN_METHOD: Final = {"code": -32601, "message": "Method not found"}
_HIDDEN_RESPONSE: Final = {"code": WITHHELD_CODE, "message": "Internal error"}


class _Shape(NamedTuple):
    """How a reason is answered: HTTP status, JSON-RPC code (None: that of the settings), what the client is told."""

    text: str
    status: int = 200
    code: int | None = None


_BY_POLICY: Final = _Shape("access denied by policy")
_SHAPES: Final[Mapping[Reason, _Shape]] = {
    Reason.MESSAGE_REFUSED: _Shape("the message was refused", 400, -32600),
    Reason.HEADER_MISMATCH: _Shape("a header differs from the message", 400, -32020),
    Reason.TARGET_MISSING: _Shape("the message does not name its target", 200, -32602),
    Reason.URI_NOT_CANONICAL: _Shape("the URI is not in canonical form", 200, -32602),
    Reason.UNKNOWN_METHOD: _Shape("the method is not permitted", 200, -32601),
    Reason.WRONG_DIRECTION: _Shape("the method does not travel in this direction", 200, -32601),
    Reason.TOKEN_INVALID: _Shape("the access token is not valid", 401, DENIED_CODE),
    Reason.TOKEN_MISSING: _Shape("an access token is required", 401, DENIED_CODE),
    Reason.INTERNAL_ERROR: _Shape("the message could not be decided", 200, -32603),
    Reason.UNAVAILABLE: _Shape("access cannot be decided at the moment", 200, -32603),
}


def denial_for(  # noqa: PLR0913 - what an answer depends on
    decision: Decision,
    message: Message | None,
    decision_id: str,
    *,
    http: Http,
    direction: Direction,
    settings: ServerSettings,
    filtered: bool = False,
    resource_metadata: str = "",
) -> Denial:
    """The answer to a denied message; `message` is None if it could not be read. Total.

    The error carries the reason and the decision id, never a claim, a rule's name or a policy's text other than a
    rule's own `message`; hidden, none of these. It is JSON, unless only an event stream is acceptable to the client. A server gets
    its answer without HTTP: `status` and `headers` do not apply. `filtered`: what the server answers is filtered before the client gets it.
    `resource_metadata`: the URL at which a client learns where to get a token (RFC 9728 §5.1).
    """
    shape = _SHAPES.get(decision.reason, _BY_POLICY)
    if message is not None and message.kind is MessageKind.EXCHANGE and shape.status == 200:
        return _NOT_OFFERED
    from_client = direction is Direction.CLIENT_TO_SERVER
    hidden = settings.denials is DenialStyle.HIDDEN and decision.reason in HIDDEN_REASONS
    if hidden and message is not None and message.kind is not MessageKind.BATCH and from_client:
        return hidden_answer(message, http, settings, filtered=filtered)
    if message is not None and not _is_answered(message) and shape.status == 200:
        return Denial(202, (), b"")
    if hidden:
        return Denial(200, _JSON, _error(message, _HIDDEN_METHOD))
    code = settings.denial_code if shape.code is None else shape.code
    body = _told(message, code, decision.message or shape.text, decision.reason, decision_id)
    if shape.status == 401:
        return Denial(401, (*_JSON, ("www-authenticate", _challenge(decision.reason, resource_metadata))), body)
    if shape.status == 200 and from_client and not accepted(http.headers).json:
        return Denial(200, _STREAM, b"event: message\ndata: " + body + b"\n\n")
    return Denial(shape.status, _JSON, body)


def _challenge(reason: Reason, resource_metadata: str) -> str:
    """What a client is asked for. Of a token that did not come no error is said (RFC 6750 §3.1)."""
    error = 'error="invalid_token"' if reason is Reason.TOKEN_INVALID else ""
    where = f'resource_metadata="{resource_metadata}"' if resource_metadata else ""
    return f"Bearer {', '.join(filter(None, (error, where)))}".strip()


def withheld(asked: Message | None, reason: Reason, why: str, style: DenialStyle = DenialStyle.EXPLICIT) -> bytes:
    """The JSON-RPC error in the place of what is not passed on. `asked`: the message it answers, if that is known."""
    if style is DenialStyle.HIDDEN:
        return _error(asked, _HIDDEN_RESPONSE)
    return _told(asked, WITHHELD_CODE, f"the response was withheld: {why}", reason, "")


def _told(message: Message | None, code: int, text: str, reason: Reason, decision_id: str) -> bytes:
    """A JSON-RPC 2.0 error response (§5) that says why."""
    data = {"reason": reason, "decision_id": decision_id} if decision_id else {"reason": reason}
    return _error(message, {"code": code, "message": text, "data": data})


def _error(message: Message | None, error: Mapping[str, object]) -> bytes:
    """A JSON-RPC 2.0 error response (§5), for each request of a batch; the id is null if there is none to echo."""
    if message is not None and message.kind is MessageKind.BATCH:
        requests = [one for one in message.members if one.kind is MessageKind.REQUEST]
        return b"[" + b",".join(_error(one, error) for one in requests) + b"]"
    request_id = message.id if message is not None else None
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})


def _is_answered(message: Message) -> bool:
    return message.kind is MessageKind.REQUEST or any(map(_is_answered, message.members))
