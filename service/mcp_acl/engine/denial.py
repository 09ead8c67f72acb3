"""The ready-made answer to a refused message: HTTP status, headers, JSON-RPC body.

The rule: HTTP 200 with a JSON-RPC error that echoes the id, because clients end the session or hang on other
statuses. 401 is for tokens alone (MCP authorization, RFC 6750 §3); 400 for what is not one readable MCP message. A
notification has no id to answer, so it is acknowledged and dropped (MCP transports: 202 without a body).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from mcp_acl.domain import Decision, Denial, Message, MessageKind, Reason

DENIED_CODE: Final = 403
"""JSON-RPC code of a denial by policy. Application-defined: outside −32768…−32000 (JSON-RPC 2.0 §5.1)."""

WITHHELD_CODE: Final = -32603
"""JSON-RPC code of the error in the place of what is withheld: internal error (JSON-RPC 2.0 §5.1)."""

_JSON: Final = (("content-type", "application/json"),)
_CHALLENGE: Final = ("www-authenticate", 'Bearer error="invalid_token"')


class _Shape(NamedTuple):
    """How a reason is answered: HTTP status, JSON-RPC code, what the client is told."""

    text: str
    status: int = 200
    code: int = DENIED_CODE


_BY_POLICY: Final = _Shape("access denied by policy")
_SHAPES: Final[Mapping[Reason, _Shape]] = {
    Reason.MESSAGE_REFUSED: _Shape("the message was refused", 400, -32600),
    Reason.HEADER_MISMATCH: _Shape("a header differs from the message", 400, -32020),
    Reason.TARGET_MISSING: _Shape("the message does not name its target", 200, -32602),
    Reason.URI_NOT_CANONICAL: _Shape("the URI is not in canonical form", 200, -32602),
    Reason.UNKNOWN_METHOD: _Shape("the method is not permitted", 200, -32601),
    Reason.WRONG_DIRECTION: _Shape("the method does not travel in this direction", 200, -32601),
    Reason.TOKEN_INVALID: _Shape("the access token is not valid", 401),
    Reason.INTERNAL_ERROR: _Shape("the message could not be decided", 200, -32603),
    Reason.UNAVAILABLE: _Shape("access cannot be decided at the moment", 200, -32603),
}


def denial_for(decision: Decision, message: Message | None, decision_id: str) -> Denial:
    """The answer to a denied message; `message` is None if it could not be read. Total.

    The error carries the reason and the decision id, never a claim, a rule's name or a policy's text other than a
    rule's own `message`.
    """
    shape = _SHAPES.get(decision.reason, _BY_POLICY)
    if message is not None and message.kind is not MessageKind.REQUEST and shape.status == 200:
        return Denial(202, (), b"")
    headers = (*_JSON, _CHALLENGE) if shape.status == 401 else _JSON
    text = decision.message or shape.text
    return Denial(shape.status, headers, error_body(message, shape.code, text, decision.reason, decision_id))


def withheld(asked: Message | None, reason: Reason, why: str) -> bytes:
    """The JSON-RPC error in the place of what is not passed on. `asked`: the message it answers, if that is known."""
    return error_body(asked, WITHHELD_CODE, f"the response was withheld: {why}", reason, "")


def error_body(message: Message | None, code: int, text: str, reason: Reason, decision_id: str) -> bytes:
    """A JSON-RPC 2.0 error response (§5); the id is null if there is none to echo."""
    data = {"reason": reason, "decision_id": decision_id} if decision_id else {"reason": reason}
    request_id = message.id if message is not None else None
    error = {"code": code, "message": text, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})
