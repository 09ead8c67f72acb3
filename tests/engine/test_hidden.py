"""A hidden denial is word for word what the server says of what it does not have, and says nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.domain import Decision, Denial, Direction, Effect, Http, Message, MessageKind, Reason, Request, RuleRef
from mcp_acl.engine.denial import HIDDEN_REASONS, denial_for
from mcp_acl.engine.hidden import hidden_answer
from mcp_acl.engine.response import filter_response
from mcp_acl.mcp.methods import METHODS, REVISIONS
from mcp_acl.policy.servers import DenialStyle, ServerInfo, ServerKind, ServerSettings
from tests.engine.weather import policies

BLOCKS = yaml.safe_load((Path(__file__).parents[1] / "cases" / "denials.yaml").read_text("utf-8"))
BOTH = ["application/json, text/event-stream"]
EVERY = [(block, revision) for block in BLOCKS for revision in block["revisions"]]
IDS = [f"{block['kind']}-{revision}" for block, revision in EVERY]


def http(revision: str, *accept: str, **more: str) -> Http:
    headers = {"mcp-protocol-version": [revision], "accept": list(accept) or BOTH}
    return Http(headers={**headers, **{name.replace("_", "-"): [value] for name, value in more.items()}})


def settings_of(block: dict[str, Any], **more: Any) -> ServerSettings:
    return ServerSettings(DenialStyle.HIDDEN, kind=ServerKind(block["kind"]), server_info=ServerInfo("canary"), **more)


def request(case: dict[str, Any]) -> Message:
    return Message(MessageKind.REQUEST, case["method"], case["id"], case["params"])


def told(denial: Denial) -> tuple[int, dict[str, str], str]:
    return denial.status, dict(denial.headers), denial.body.decode()


def test_every_kind_is_measured_in_every_revision() -> None:
    assert {(kind.value, revision) for kind in ServerKind for revision in REVISIONS} == {
        (block["kind"], revision) for block, revision in EVERY
    }


@pytest.mark.parametrize(("block", "revision"), EVERY, ids=IDS)
def test_it_is_what_the_server_answers_by_default(block: dict[str, Any], revision: str) -> None:
    headers = block["stream_headers"] if block["stream"] else block["json_headers"]
    for case in block["answers"]:
        body = block["stream"].replace("~", case["body"]) or case["body"]
        assert (case["status"], headers, body) == told(hidden_answer(request(case), http(revision), settings_of(block)))


@pytest.mark.parametrize(("block", "revision"), EVERY, ids=IDS)
def test_it_is_what_a_client_sees_of_the_server_that_filters(block: dict[str, Any], revision: str) -> None:
    among = policies("version: 1\npolicy: p\nrules: [{id: all, feature: '*', methods: ['*']}]")
    headers = block["stream_headers"] if block["stream"] else block["json_headers"]
    for case in block["answers"]:
        body = block["stream"].replace("~", case["body"]) or case["body"]
        asked = Request("s", request(case), http=http(revision))
        passed = filter_response(among, asked, headers["content-type"], body.encode())
        denial = hidden_answer(asked.message, asked.http, settings_of(block), filtered=True)
        assert ("", passed.body) == (passed.refused, denial.body)


@pytest.mark.parametrize(("block", "revision"), EVERY, ids=IDS)
def test_it_is_what_the_server_answers_in_json(block: dict[str, Any], revision: str) -> None:
    for case in block["answers"]:
        expected = (case["status"], block["json_headers"], case["body"])
        said = settings_of(block, json_responses=True)
        assert expected == told(hidden_answer(request(case), http(revision), said))
        assert expected == told(hidden_answer(request(case), http(revision, "application/json"), settings_of(block)))


@pytest.mark.parametrize(("block", "revision"), EVERY, ids=IDS)
@pytest.mark.parametrize("kind", [MessageKind.NOTIFICATION, MessageKind.RESPONSE])
def test_what_is_no_request_is_acknowledged_as_the_server_does(
    kind: MessageKind, block: dict[str, Any], revision: str
) -> None:
    expected = block["notification"]
    denial = hidden_answer(Message(kind, "no/such"), http(revision), settings_of(block))
    assert (expected["status"], expected["headers"], expected["body"]) == told(denial)


@pytest.mark.parametrize(("block", "revision"), EVERY, ids=IDS)
def test_a_session_is_repeated_where_the_server_does(block: dict[str, Any], revision: str) -> None:
    denial = hidden_answer(request(block["answers"][0]), http(revision, mcp_session_id="s-1"), settings_of(block))
    assert ("s-1" if block["stream"] else None) == dict(denial.headers).get("mcp-session-id")


def test_a_python_server_repeats_a_session_to_notifications_too() -> None:
    note = Message(MessageKind.NOTIFICATION, "no/such")
    asked = http("2025-11-25", mcp_session_id="s-1")
    denials = {kind: hidden_answer(note, asked, ServerSettings(kind=kind)).headers for kind in ServerKind}
    python = (("content-type", "application/json"), ("mcp-session-id", "s-1"))
    assert {"python": python, "typescript-1": (), "typescript-2": ()} == denials


@pytest.mark.parametrize("given_id", [["a\r\nb: c"], ["ä"], [""], ["a", "b"], ["a" * 513]])
def test_a_session_that_cannot_be_one_is_not_repeated(given_id: list[str]) -> None:
    asked = Http(headers={"mcp-session-id": given_id})
    assert "mcp-session-id" not in dict(hidden_answer(REQUEST, asked, ServerSettings()).headers)


def test_a_server_that_is_not_described_says_nothing_of_itself() -> None:
    denial = hidden_answer(REQUEST, http("2026-07-28"), ServerSettings())
    assert "_meta" not in json.loads(denial.body)["result"]


def test_what_is_not_utf_8_is_escaped() -> None:
    message = Message(MessageKind.REQUEST, "tools/call", "\udc00", {"name": "\ud800"})
    body = hidden_answer(message, Http(), ServerSettings()).body.decode()
    assert ("\udc00", "Unknown tool: \ud800") == (
        json.loads(body)["id"],
        json.loads(body)["result"]["content"][0]["text"],
    )


@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", {}), ("tools/call", {"name": 1}), ("completion/complete", {}), ("completion/complete", {"ref": 1})],
)
def test_what_names_nothing_is_answered_as_a_method(method: str, params: Any) -> None:
    denial = hidden_answer(Message(MessageKind.REQUEST, method, 1, params), Http(), ServerSettings())
    assert {"code": -32601, "message": "Method not found", "data": method} == json.loads(denial.body)["error"]


# ---- nothing of the policy ------------------------------------------------------------------------------------------

REQUEST = Message(MessageKind.REQUEST, "tools/call", 1, {"name": "x"})
RULE = RuleRef("the-policy", "the-rule", "the-file.yaml", 1)
SECRETS = (
    "the-policy",
    "the-rule",
    "the-file",
    "the-message",
    "the-decision",
    "polic",
    "denied",
    "permitted",
    "reason",
)
NAMES = st.text() | st.sampled_from(["x", "demo://a", "$id", "~", "{x}"])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    method = draw(st.sampled_from([*METHODS, "no/such"]))
    name = draw(NAMES)
    refs = [{"type": "ref/prompt", "name": name}, {"type": "ref/resource", "uri": name}, name]
    params: dict[str, Any] = {"name": name, "uri": name, "taskId": name, "ref": draw(st.sampled_from(refs))}
    if draw(st.booleans()):
        params["task"] = {}
    given_id = draw(st.integers(-(2**53) + 1, 2**53 - 1) | st.text())
    kind = draw(st.sampled_from([MessageKind.REQUEST, MessageKind.NOTIFICATION, MessageKind.RESPONSE]))
    return Message(kind, method, None if kind is MessageKind.NOTIFICATION else given_id, params)


@given(
    messages(),
    st.sampled_from(sorted(HIDDEN_REASONS)),
    st.builds(
        ServerSettings, st.just(DenialStyle.HIDDEN), kind=st.sampled_from(ServerKind), json_responses=st.booleans()
    ),
    st.sampled_from(Direction),
    st.dictionaries(
        st.sampled_from(["accept", "mcp-protocol-version", "mcp-session-id"]),
        st.lists(st.text() | st.sampled_from([*REVISIONS, *BOTH, "text/event-stream"]), max_size=2),
    ),
)
def test_a_hidden_denial_tells_nothing_of_the_policy(
    message: Message, reason: Reason, said: ServerSettings, direction: Direction, headers: Any
) -> None:

    def answer(decision: Decision, decision_id: str) -> Denial:
        asked = Http(headers=headers)
        return denial_for(decision, message, decision_id, http=asked, direction=direction, settings=said)

    denial = answer(Decision(Effect.DENY, reason, "r", (RULE,), message="the-message"), "the-decision")
    assert denial == answer(Decision(Effect.DENY, Reason.NO_MATCHING_RULE, "s"), "")
    if message.params["name"] in ("x", "demo://a"):
        text = repr(denial).casefold()
        assert [] == [secret for secret in SECRETS if secret in text and secret not in repr(headers).casefold()]


@given(NAMES, NAMES, st.sampled_from(ServerKind), st.sampled_from(REVISIONS))
def test_names_differ_in_nothing_but_the_name(one: str, other: str, kind: ServerKind, revision: str) -> None:
    def said(name: str) -> tuple[object, ...]:
        message = Message(MessageKind.REQUEST, "tools/call", 1, {"name": name})
        denial = hidden_answer(message, http(revision), ServerSettings(kind=kind, json_responses=True))
        mark = json.dumps(name)[1:-1]
        return (
            denial.status,
            denial.headers,
            json.dumps(json.loads(denial.body)).replace(f"ool: {mark}", "ool: ~").replace(f"ool {mark} ", "ool ~ "),
        )

    assert said(one) == said(other)
