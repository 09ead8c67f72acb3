"""Every reason has an answer a client can read, and none of them tells more than it should."""

import json

import pytest

from mcp_acl.domain import Decision, Effect, Message, MessageKind, Reason
from mcp_acl.engine.denial import denial_for

REQUEST = Message(MessageKind.REQUEST, "tools/call", "a", {"name": "x"})
EXPECTED = {
    Reason.MESSAGE_REFUSED: (400, -32600),
    Reason.HEADER_MISMATCH: (400, -32020),
    Reason.TARGET_MISSING: (200, -32602),
    Reason.URI_NOT_CANONICAL: (200, -32602),
    Reason.UNKNOWN_METHOD: (200, -32601),
    Reason.WRONG_DIRECTION: (200, -32601),
    Reason.TOKEN_INVALID: (401, 403),
    Reason.INTERNAL_ERROR: (200, -32603),
    Reason.UNAVAILABLE: (200, -32603),
}


@pytest.mark.parametrize("reason", [*Reason])
def test_a_denial_echoes_the_id_and_says_why(reason: Reason) -> None:
    denial = denial_for(Decision(Effect.DENY, reason, "r"), REQUEST, "d1")
    error = json.loads(denial.body)["error"]
    assert EXPECTED.get(reason, (200, 403)) == (denial.status, error["code"])
    assert "a" == json.loads(denial.body)["id"]
    assert {"reason": reason, "decision_id": "d1"} == error["data"]
    assert ("content-type", "application/json") in denial.headers


def test_a_bad_token_is_challenged() -> None:
    denial = denial_for(Decision(Effect.DENY, Reason.TOKEN_INVALID, "r"), REQUEST, "d1")
    assert "Bearer" in dict(denial.headers)["www-authenticate"]


def test_a_message_that_could_not_be_read_has_no_id_to_echo() -> None:
    denial = denial_for(Decision(Effect.DENY, Reason.MESSAGE_REFUSED, "r", message="it is an array"), None, "")
    assert {"jsonrpc": "2.0", "id": None} == {key: json.loads(denial.body)[key] for key in ("jsonrpc", "id")}
    error = json.loads(denial.body)["error"]
    assert ("it is an array", {"reason": "message_refused"}) == (error["message"], error["data"])


@pytest.mark.parametrize("kind", [MessageKind.NOTIFICATION, MessageKind.RESPONSE])
def test_what_expects_no_answer_is_acknowledged_and_dropped(kind: MessageKind) -> None:
    denial = denial_for(Decision(Effect.DENY, Reason.NO_MATCHING_RULE, "r"), Message(kind, "x"), "d1")
    assert (202, (), b"") == denial


def test_a_rules_own_message_is_told() -> None:
    denial = denial_for(Decision(Effect.DENY, Reason.DENIED_BY_RULE, "r", message="ask first"), REQUEST, "d1")
    assert "ask first" == json.loads(denial.body)["error"]["message"]
