"""Every reason has an answer a client can read, and none of them tells more than it should."""

import json

import pytest

from mcp_acl.domain import Decision, Denial, Direction, Effect, Http, Message, MessageKind, Reason
from mcp_acl.engine.denial import HIDDEN_REASONS, denial_for, withheld
from mcp_acl.policy.servers import DenialStyle, ServerSettings

HIDDEN = ServerSettings(DenialStyle.HIDDEN)
REQUEST = Message(MessageKind.REQUEST, "tools/call", "a", {"name": "x"})
EXPECTED = {
    Reason.MESSAGE_REFUSED: (400, -32600),
    Reason.HEADER_MISMATCH: (400, -32020),
    Reason.TARGET_MISSING: (200, -32602),
    Reason.URI_NOT_CANONICAL: (200, -32602),
    Reason.UNKNOWN_METHOD: (200, -32601),
    Reason.WRONG_DIRECTION: (200, -32601),
    Reason.TOKEN_INVALID: (401, 403),
    Reason.TOKEN_MISSING: (401, 403),
    Reason.INTERNAL_ERROR: (200, -32603),
    Reason.UNAVAILABLE: (200, -32603),
}


def answer(
    reason: Reason,
    message: Message | None = REQUEST,
    settings: ServerSettings = ServerSettings(),  # noqa: B008 - frozen
    direction: Direction = Direction.CLIENT_TO_SERVER,
    **said: str,
) -> Denial:
    decision = Decision(Effect.DENY, reason, "r", message=said.get("told", ""))
    http = Http(headers={"accept": [said.get("accept", "application/json, text/event-stream")]})
    return denial_for(decision, message, "d1", http=http, direction=direction, settings=settings)


@pytest.mark.parametrize("reason", [*Reason])
def test_a_denial_echoes_the_id_and_says_why(reason: Reason) -> None:
    denial = answer(reason)
    error = json.loads(denial.body)["error"]
    assert EXPECTED.get(reason, (200, 403)) == (denial.status, error["code"])
    assert "a" == json.loads(denial.body)["id"]
    assert {"reason": reason, "decision_id": "d1"} == error["data"]
    assert ("content-type", "application/json") in denial.headers


@pytest.mark.parametrize(
    ("reason", "url", "challenge"),
    [
        (Reason.TOKEN_INVALID, "", 'Bearer error="invalid_token"'),
        (Reason.TOKEN_INVALID, "https://x/y", 'Bearer error="invalid_token", resource_metadata="https://x/y"'),
        (Reason.TOKEN_MISSING, "", "Bearer"),
        (Reason.TOKEN_MISSING, "https://x/y", 'Bearer resource_metadata="https://x/y"'),
    ],
)
def test_a_client_without_a_good_token_is_challenged(reason: Reason, url: str, challenge: str) -> None:
    decision = Decision(Effect.DENY, reason, "r")
    denial = denial_for(
        decision,
        REQUEST,
        "d1",
        http=Http(),
        direction=Direction.CLIENT_TO_SERVER,
        settings=ServerSettings(),
        resource_metadata=url,
    )
    assert (401, challenge) == (denial.status, dict(denial.headers)["www-authenticate"])


def test_a_message_that_could_not_be_read_has_no_id_to_echo() -> None:
    decision = Decision(Effect.DENY, Reason.MESSAGE_REFUSED, "r", message="it is an array")
    direction = Direction.CLIENT_TO_SERVER
    denial = denial_for(decision, None, "", http=Http(), direction=direction, settings=ServerSettings())
    assert {"jsonrpc": "2.0", "id": None} == {key: json.loads(denial.body)[key] for key in ("jsonrpc", "id")}
    error = json.loads(denial.body)["error"]
    assert ("it is an array", {"reason": "message_refused"}) == (error["message"], error["data"])


@pytest.mark.parametrize("kind", [MessageKind.NOTIFICATION, MessageKind.RESPONSE])
def test_what_expects_no_answer_is_acknowledged_and_dropped(kind: MessageKind) -> None:
    denial = answer(Reason.NO_MATCHING_RULE, Message(kind, "x"))
    assert (202, (), b"") == denial


@pytest.mark.parametrize("settings", [ServerSettings(), HIDDEN], ids=["explicit", "hidden"])
def test_an_exchange_without_a_message_is_not_offered(settings: ServerSettings) -> None:
    exchange = Message(MessageKind.EXCHANGE)
    assert (405, (("allow", "POST"),), b"") == answer(Reason.LIST_NOT_FILTERED, exchange, settings)
    assert 401 == answer(Reason.TOKEN_INVALID, exchange, settings).status


def test_a_rules_own_message_is_told() -> None:
    denial = answer(Reason.DENIED_BY_RULE, told="ask first")
    assert "ask first" == json.loads(denial.body)["error"]["message"]


@pytest.mark.parametrize("reason", [*Reason])
def test_the_code_of_the_settings_is_that_of_denials_by_policy(reason: Reason) -> None:
    code = json.loads(answer(reason, settings=ServerSettings(denial_code=-31000)).body)["error"]["code"]
    assert EXPECTED.get(reason, (200, -31000))[1] == code


@pytest.mark.parametrize("reason", [*Reason])
def test_a_client_that_takes_only_an_event_stream_gets_one(reason: Reason) -> None:
    json_body = answer(reason).body
    denial = answer(reason, accept="text/event-stream")
    if denial.status == 200:
        assert {"content-type": "text/event-stream"} == dict(denial.headers)
        assert b"event: message\ndata: " + json_body + b"\n\n" == denial.body
    else:
        assert (json_body, "application/json") == (denial.body, dict(denial.headers)["content-type"])


def test_a_server_gets_json() -> None:
    denial = answer(Reason.NO_MATCHING_RULE, direction=Direction.SERVER_TO_CLIENT, accept="text/event-stream")
    assert (("content-type", "application/json"),) == denial.headers
    assert "a" == json.loads(denial.body)["id"]


# ---- hidden -------------------------------------------------------------------------------------------------------

TOLD = {
    # The form of the message, the token, this service: the same whatever there is.
    Reason.MESSAGE_REFUSED, Reason.HEADER_MISMATCH, Reason.TARGET_MISSING, Reason.URI_NOT_CANONICAL, Reason.TOKEN_INVALID,
    Reason.TOKEN_MISSING,
    Reason.INTERNAL_ERROR, Reason.UNAVAILABLE,
    # Without a policy there is nobody who wants it hidden.
    Reason.NO_POLICY,
}  # fmt: skip
NEVER = {
    Reason.GRANTED, Reason.ALWAYS_PERMITTED, Reason.LIST_FILTERED, Reason.NOTHING_HIDDEN, Reason.TASK_OWNER, Reason.RESPONSE_REFUSED,
}  # fmt: skip


def test_each_reason_is_told_or_hidden() -> None:
    assert set(Reason) == TOLD | NEVER | HIDDEN_REASONS
    assert len(TOLD) + len(NEVER) + len(HIDDEN_REASONS) == len(Reason)


@pytest.mark.parametrize("reason", sorted(TOLD))
def test_what_says_nothing_of_what_exists_is_told(reason: Reason) -> None:
    assert answer(reason, told="why") == answer(reason, settings=HIDDEN, told="why")
    assert answer(reason, None, told="why") == answer(reason, None, HIDDEN, told="why")


@pytest.mark.parametrize("reason", sorted(HIDDEN_REASONS))
def test_what_follows_from_the_policy_is_hidden(reason: Reason) -> None:
    body = json.loads(answer(reason, settings=HIDDEN, told="why", accept="application/json").body)
    unknown = {"content": [{"text": "Unknown tool: x", "type": "text"}], "isError": True}
    assert {"jsonrpc": "2.0", "id": "a", "result": unknown} == body


@pytest.mark.parametrize("reason", sorted(HIDDEN_REASONS))
def test_from_a_server_it_is_hidden_that_a_client_would_have_the_method(reason: Reason) -> None:
    message = Message(MessageKind.REQUEST, "sampling/createMessage", 7)
    denial = answer(reason, message, HIDDEN, direction=Direction.SERVER_TO_CLIENT, told="why")
    error = {"code": -32601, "message": "Method not found"}
    assert {"jsonrpc": "2.0", "id": 7, "error": error} == json.loads(denial.body)
    note = Message(MessageKind.NOTIFICATION, "notifications/message")
    assert (202, (), b"") == answer(reason, note, HIDDEN, direction=Direction.SERVER_TO_CLIENT)


def test_a_response_that_is_withheld_says_why_unless_it_is_hidden() -> None:
    said = json.loads(withheld(REQUEST, Reason.RESPONSE_REFUSED, "it holds `secret`"))
    assert ("a", "the response was withheld: it holds `secret`") == (said["id"], said["error"]["message"])
    hidden = json.loads(withheld(REQUEST, Reason.RESPONSE_REFUSED, "it holds `secret`", DenialStyle.HIDDEN))
    assert {"jsonrpc": "2.0", "id": "a", "error": {"code": -32603, "message": "Internal error"}} == hidden
