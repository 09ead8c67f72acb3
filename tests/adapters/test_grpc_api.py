"""The native interface: both translations, and what is refused as misuse."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.grpc_api import MAX_REQUEST, SERVICE, policy_set_for
from mcp_acl.adapters.handlers import Handler, Informed, Streaming, Traced, Unary
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.questions import question_from as asked_and_sequence
from mcp_acl.adapters.reflection import PATHS
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_gateways, for_people
from mcp_acl.adapters.wire import length_delimited
from mcp_acl.domain import Direction, Http, InexactNumber, Message, MessageKind, Reason, ResponseNeeds, TokenState
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.gen import acl_unread_pb2 as unread
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import MessageError, Place, Problem
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.standing import Refused
from tests.runtime.weather import NOON, SOURCES, TOOLS, body, call, gate, listed

ADMIN = pb.Principal(claims_json=b'{"sub":"ann","role":"admin"}', token=pb.TOKEN_STATE_VALID)


def request(**fields: Any) -> pb.CheckRequest:
    usual: dict[str, Any] = {"server": "weather", "direction": pb.DIRECTION_CLIENT_TO_SERVER}
    if "structured" not in fields:
        usual["raw"] = body("ping")
    return pb.CheckRequest(**{**usual, **fields})


def structured(**fields: Any) -> pb.CheckRequest:
    usual: dict[str, Any] = {"method": "ping", "kind": pb.MESSAGE_KIND_REQUEST}
    if "string_id" not in fields:
        usual["integer_id"] = 1
    return request(structured=pb.StructuredMessage(**{**usual, **fields}))


def many_keys() -> Struct:
    return Struct(fields={str(number): Value(bool_value=True) for number in range(DEFAULT_LIMITS.keys + 1)})


def handler(name: str, of: Gate | None = None) -> Unary:
    found = {**for_gateways(of or gate()), **for_people(of or gate())}[f"/{SERVICE}/{name}"]
    assert not isinstance(found, Streaming | Informed | Traced)
    return found


def check(asked: pb.CheckRequest, of: Gate | None = None) -> pb.CheckResponse:
    return pb.CheckResponse.FromString(handler("Check", of)(asked.SerializeToString()))


# ---- from the wire --------------------------------------------------------------------------------------------------


def test_every_field_reaches_the_question() -> None:
    asked = request(
        direction=pb.DIRECTION_SERVER_TO_CLIENT,
        raw=b"body",
        principal=ADMIN,
        http=pb.Http(
            method="GET",
            path="/mcp?x=1",
            headers=[
                pb.Header(name="X-A", values=["1", "2"]),
                pb.Header(name="x-a", values=["3"]),
                pb.Header(name="B"),
            ],
            remote_address="10.0.0.1",
        ),
        attributes=ParseDict({"plan": "gold", "n": 3, "big": 1e17}, Struct()),
        session_id="s",
        filters_responses=True,
        time=Timestamp(seconds=1_772_452_800),
    )
    question = question_from(asked)
    assert isinstance(question.attributes["big"], InexactNumber)
    assert (
        "weather",
        b"body",
        {"sub": "ann", "role": "admin"},
        TokenState.VALID,
        Direction.SERVER_TO_CLIENT,
        Http("GET", "/mcp?x=1", {"x-a": ("1", "2", "3"), "b": ()}, "10.0.0.1"),
        "s",
        True,
        datetime(2026, 3, 2, 12, tzinfo=UTC),
        "",
    ) == (*question[:6], *question[7:])
    assert {"plan": "gold", "n": 3} == {key: question.attributes[key] for key in ("plan", "n")}


def question_from(request: pb.CheckRequest) -> Question:
    return asked_and_sequence(request.SerializeToString())[0]


@pytest.mark.parametrize(
    ("whole", "as_it_lies"), [(pb.CheckRequest, unread.UnreadCheckRequest), (pb.Http, unread.UnreadHttp)]
)
def test_what_is_left_unread_has_the_same_fields(
    whole: type[pb.CheckRequest], as_it_lies: type[pb.CheckRequest]
) -> None:
    fields, unread_fields = whole.DESCRIPTOR.fields_by_name, as_it_lies.DESCRIPTOR.fields_by_name
    assert {name: one.number for name, one in fields.items()} == {
        name: one.number for name, one in unread_fields.items()
    }
    assert not [
        name
        for name, one in fields.items()
        if one.message_type and not (unread_fields[name].is_repeated or name == "structured")
    ]


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "server": st.sampled_from(["", "weather"]),
        "raw": st.sampled_from([b"", b"{}"]),
        "structured": st.sampled_from([pb.StructuredMessage(kind=pb.MESSAGE_KIND_REQUEST, method="ping", integer_id=1)]),
        "direction": st.sampled_from([pb.DIRECTION_CLIENT_TO_SERVER, pb.DIRECTION_SERVER_TO_CLIENT]),
        "principal": st.builds(pb.Principal, token=st.just(pb.TOKEN_STATE_VALID), claims_json=st.sampled_from([b"{}", b'{"a":1}'])),
        "http": st.builds(
            pb.Http,
            method=st.sampled_from(["", "GET"]),
            path=st.sampled_from(["", "/mcp"]),
            headers=st.lists(st.builds(pb.Header, name=st.sampled_from(["A", "a", "b"]), values=st.lists(st.just("1"), max_size=2)), max_size=3),
        ),
        "attributes": st.dictionaries(st.sampled_from("ab"), st.booleans()),
        "session_id": st.just("s"),
        "time": st.builds(Timestamp, seconds=st.sampled_from([0, 1]), nanos=st.sampled_from([0, 1000])),
    },
)  # fmt: skip


@given(PARTS, PARTS)
def test_a_request_in_two_parts_is_the_one_that_protobuf_makes_of_them(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    body = request(**one).SerializeToString() + pb.CheckRequest(**other).SerializeToString()
    assert question_from(pb.CheckRequest.FromString(body)) == asked_and_sequence(body)[0]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("principal", pb.Principal(claims_json=b'{"sub":"ann"}')),
        ("http", pb.Http(path="/mcp")),
        ("attributes", Struct(fields={"a": Value(bool_value=True)})),
        ("time", Timestamp(seconds=300)),
    ],
)
def test_parts_that_are_no_messages_by_themselves_do_not_become_one(name: str, part: Any) -> None:
    """Else what is said in one part could be read as text of another."""
    field, whole = pb.CheckRequest.DESCRIPTOR.fields_by_name[name].number, part.SerializeToString()
    for cut in range(1, len(whole)):
        halves = length_delimited(field, whole[:cut]) + length_delimited(field, whole[cut:])
        with pytest.raises(ApiError, match="CheckRequest"):
            asked_and_sequence(request().SerializeToString() + halves)


def test_what_is_absent_has_its_default() -> None:
    question = question_from(request())
    assert ({}, TokenState.NONE, Direction.CLIENT_TO_SERVER, Http(), {}, "", False, None, "") == question[2:]


def test_http_without_a_method_is_post() -> None:
    assert "POST" == question_from(request(http=pb.Http(path="/"))).http.method


@pytest.mark.parametrize(
    "headers",
    [
        [pb.Header(name="a", values=["1"])] * MAX_HEADERS,
        [pb.Header(name="a", values=["1"] * (MAX_HEADERS - 1)), pb.Header(name="b", values=["1"]), pb.Header(name="c")],
        [pb.Header(name=f"n{number}", values=["1"]) for number in range(MAX_HEADERS)],
    ],
)
def test_headers_have_a_bound_and_up_to_it_none_is_lost(headers: list[pb.Header]) -> None:
    read = question_from(request(http=pb.Http(headers=headers))).http.headers
    assert MAX_HEADERS == sum(map(len, read.values()))
    for more in (pb.Header(name="z", values=["1"]), pb.Header(name="a", values=["1"])):
        with pytest.raises(ApiError, match=r"`http\.headers`"):
            question_from(request(http=pb.Http(headers=[*headers, more])))


def test_headers_without_values_are_bound_too() -> None:
    with pytest.raises(ApiError, match=r"`http\.headers`"):
        question_from(request(http=pb.Http(headers=[pb.Header(name="a")] * (MAX_HEADERS + 1))))


@pytest.mark.parametrize(
    ("principal", "token", "claims"),
    [
        (pb.Principal(), TokenState.NONE, {}),
        (pb.Principal(token=pb.TOKEN_STATE_NONE), TokenState.NONE, {}),
        (pb.Principal(token=pb.TOKEN_STATE_VALID), TokenState.VALID, {}),
        (pb.Principal(token=pb.TOKEN_STATE_INVALID, claims_json=b"no JSON"), TokenState.INVALID, {}),
        (
            pb.Principal(token=pb.TOKEN_STATE_VALID, claims_struct=ParseDict({"n": 7}, Struct())),
            TokenState.VALID,
            {"n": 7},
        ),
        (pb.Principal(token=pb.TOKEN_STATE_VALID, claims_json=b'{"n":7}'), TokenState.VALID, {"n": 7}),
    ],
)
def test_principal(principal: pb.Principal, token: TokenState, claims: dict[str, object]) -> None:
    question = question_from(request(principal=principal))
    assert (token, claims) == (question.token, question.claims)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"direction": pb.DIRECTION_UNSPECIFIED}, "`direction`"),
        ({"direction": 77}, "`direction`"),
        ({"raw": None}, "send `raw`"),
        ({"structured": pb.StructuredMessage(method="ping", integer_id=1)}, "`structured.kind`"),
        ({"principal": pb.Principal(claims_json=b"{}")}, "TOKEN_STATE_VALID"),
        ({"principal": pb.Principal(claims_struct=Struct())}, "TOKEN_STATE_VALID"),
        ({"principal": pb.Principal(claims_json=b"{}", token=pb.TOKEN_STATE_NONE)}, "TOKEN_STATE_VALID"),
        ({"principal": pb.Principal.FromString(b"\x18\x09")}, "`principal.token`"),
        ({"principal": pb.Principal(claims_json=b"", token=pb.TOKEN_STATE_VALID)}, "`principal.claims_json`"),
        ({"principal": pb.Principal(claims_json=b"[]", token=pb.TOKEN_STATE_VALID)}, "one JSON object"),
        ({"principal": pb.Principal(claims_json=b'{"a":1,"a":2}', token=pb.TOKEN_STATE_VALID)}, "twice"),
        (
            {"principal": pb.Principal(claims_struct=Struct(fields={"a": Value()}), token=pb.TOKEN_STATE_VALID)},
            "`claims_struct`",
        ),
        ({"attributes": Struct(fields={"a": Value(number_value=float("nan"))})}, "`attributes`"),
        ({"attributes": many_keys()}, "`attributes` .* 100000 keys"),
        ({"principal": pb.Principal(claims_struct=many_keys(), token=pb.TOKEN_STATE_VALID)}, "`claims_struct` .* keys"),
        ({"time": Timestamp(seconds=10**15)}, "`time`"),
    ],
)
def test_misuse_is_told_with_what_to_do(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError, match=text) as caught:
        handler("Check")(request(**fields).SerializeToString())
    assert "\n" not in caught.value.text


@pytest.mark.parametrize("name", ["Check", "FilterResponse", "Explain", "GetPolicySet"])
def test_bytes_that_are_no_request_are_misuse(name: str) -> None:
    with pytest.raises(ApiError, match="is not a `mcp_acl"):
        handler(name)(b"\xff\xff\xff")


def given_to(handler: Handler, data: bytes) -> Sequence[bytes]:
    match handler:
        case Streaming():
            return handler.open(()).feed(data)
        case Informed():
            return [handler.answer((), data)]
        case Traced():
            return [handler.answer("", data)]
    return [handler(data)]


@given(st.binary(max_size=60))
def test_any_bytes_are_answered_or_misuse(data: bytes) -> None:
    for one in [*for_gateways(gate()).values(), *for_people(gate()).values()]:
        try:
            answers = given_to(one, data)
            assert all(isinstance(answer, bytes) for answer in answers)
        except ApiError:
            continue


# ---- structured messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, Message(MessageKind.REQUEST, "ping", 1)),
        ({"string_id": ""}, Message(MessageKind.REQUEST, "ping", "")),
        ({"integer_id": -(2**53 - 1)}, Message(MessageKind.REQUEST, "ping", -(2**53 - 1))),
        ({"params_json": b' {"name": "x"} '}, Message(MessageKind.REQUEST, "ping", 1, {"name": "x"})),
        ({"params_struct": ParseDict({"n": 2}, Struct())}, Message(MessageKind.REQUEST, "ping", 1, {"n": 2})),
        ({"method": "", "kind": pb.MESSAGE_KIND_RESPONSE}, Message(MessageKind.RESPONSE, "", 1)),
    ],
)
def test_structured_message_is_read(fields: dict[str, Any], message: Message) -> None:
    assert message == question_from(structured(**fields)).message


def test_structured_notification_has_no_id() -> None:
    asked = request(structured=pb.StructuredMessage(method="a/b", kind=pb.MESSAGE_KIND_NOTIFICATION))
    assert Message(MessageKind.NOTIFICATION, "a/b") == question_from(asked).message


@pytest.mark.parametrize(
    "fields",
    [
        {"method": ""},
        {"integer_id": 2**53},
        {"kind": pb.MESSAGE_KIND_NOTIFICATION},
        {"kind": pb.MESSAGE_KIND_RESPONSE},
        {"kind": pb.MESSAGE_KIND_RESPONSE, "method": "", "params_json": b"{}"},
        {"params_json": b""},
        {"params_json": b"[]"},
        {"params_json": b"null"},
        {"params_json": b'{"a":1,"a":2}'},
        {"params_json": b'{},"method":"x"'},
        {"params_json": b'{"Name":"x"}'},
        {"params_struct": ParseDict({"Name": "x"}, Struct())},
        {"params_struct": many_keys()},
        {"params_struct": Struct(fields={"n": Value(number_value=float("inf"))})},
        {"params_json": b'{"n":1' + 256 * b"0" + b"}"},
    ],
)
def test_structured_message_that_is_none_is_an_answer_and_no_misuse(fields: dict[str, Any]) -> None:
    asked = structured(**fields)
    assert isinstance(question_from(asked).message, MessageError)
    response = check(asked)
    assert (pb.DECISION_DENY, Reason.MESSAGE_REFUSED) == (response.decision, response.reason)


def test_request_without_an_id_is_no_request() -> None:
    asked = request(structured=pb.StructuredMessage(method="ping", kind=pb.MESSAGE_KIND_REQUEST))
    assert Reason.MESSAGE_REFUSED == check(asked).reason


@pytest.mark.parametrize("number", [2.0**53, -1e17, 1e255, 1e256, -sys.float_info.max])
def test_large_number_of_a_struct_is_an_error_in_conditions_and_nowhere_else(number: float) -> None:
    params = ParseDict({"name": "forecast", "arguments": {"city": number}}, Struct())
    asked = structured(method="tools/call", params_struct=params)
    read = question_from(asked).message
    assert isinstance(read, Message)
    arguments = read.params["arguments"]
    assert isinstance(arguments, dict)
    assert isinstance(arguments["city"], InexactNumber)
    response = check(asked)
    assert (pb.DECISION_DENY, ["no-atlantis"]) == (response.decision, [error.rule.rule for error in response.errors])


def test_both_forms_of_a_message_are_decided_alike() -> None:
    arguments: dict[str, Any] = {"name": "forecast", "arguments": {"city": "Atlantis"}}
    answers = [
        check(one)
        for one in (
            request(raw=body("tools/call", **arguments)),
            structured(method="tools/call", params_json=json.dumps(arguments).encode()),
            structured(method="tools/call", params_struct=ParseDict(arguments, Struct())),
        )
    ]
    assert ["denied_by_rule"] * 3 == [one.reason for one in answers]
    assert [1] * 3 == [json.loads(one.denial.body)["id"] for one in answers]


# ---- to the wire ----------------------------------------------------------------------------------------------------


def test_denial_is_complete() -> None:
    response = check(request(raw=call("forecast", city="Atlantis")))
    assert (pb.DECISION_DENY, "denied_by_rule", "Atlantis has no weather.") == (
        response.decision,
        response.reason,
        response.message,
    )
    assert [("weather", "no-atlantis", "weather.yaml", 12)] == [
        (rule.policy, rule.rule, rule.file, rule.line) for rule in response.rules
    ]
    assert (200, [("content-type", ["application/json"])]) == (
        response.denial.status,
        [(header.name, list(header.values)) for header in response.denial.headers],
    )
    assert response.decision_id == json.loads(response.denial.body)["error"]["data"]["decision_id"]
    assert response.revision == gate().policies.revision
    assert b"" == response.context


def test_errors_of_conditions_are_told() -> None:
    (error,) = check(request(raw=call("forecast"))).errors
    assert ("no-atlantis", "no such key: `city`") == (error.rule.rule, error.message)


def test_allowed_message_has_no_denial() -> None:
    response = check(request())
    assert (pb.DECISION_ALLOW, False, pb.RESPONSE_NEEDS_RESULT) == (
        response.decision,
        response.HasField("denial"),
        response.response_needs,
    )


def test_every_enum_of_the_core_is_on_the_wire() -> None:
    assert {f"RESPONSE_NEEDS_{one.name}" for one in ResponseNeeds} == set(pb.ResponseNeeds.keys()[1:])
    assert {f"TOKEN_STATE_{one.name}" for one in TokenState} == set(pb.TokenState.keys()[1:])
    assert {f"DIRECTION_{one.name}" for one in Direction} == set(pb.Direction.keys()[1:])
    assert {f"MESSAGE_KIND_{one.name}" for one in MessageKind} - {"MESSAGE_KIND_BATCH", "MESSAGE_KIND_EXCHANGE"} == set(
        pb.MessageKind.keys()[1:]
    )


def test_limits_are_told_to_callers_as_they_are() -> None:
    told = (Path(__file__).parents[2] / "proto" / "acl.proto").read_text()
    assert f"takes at most {MAX_REQUEST >> 20} MiB" in told
    for text in (
        f"hold at most {DEFAULT_LIMITS.size >> 20} MiB, {DEFAULT_LIMITS.depth} levels",
        f"{DEFAULT_LIMITS.keys:,} keys, {DEFAULT_LIMITS.items:,} elements",
        f"{DEFAULT_LIMITS.string:,} characters",
        f"At most {MAX_HEADERS:,} entries, and {MAX_HEADERS:,} values",
    ):
        assert text in told


@pytest.mark.parametrize(("report", "names"), [(False, []), (True, ["history", "delete"])])
def test_response_is_filtered_by_the_context(report: bool, names: list[str]) -> None:
    one = gate()
    decision = check(request(raw=body("tools/list"), filters_responses=True), one)
    assert pb.RESPONSE_NEEDS_LIST == decision.response_needs
    asked = pb.FilterResponseRequest(
        context=decision.context, content_type="application/json", body=listed(*TOOLS), report_hidden=report
    )
    response = pb.FilterResponseResponse.FromString(handler("FilterResponse", one)(asked.SerializeToString()))
    assert [{"name": "forecast"}] == json.loads(response.body)["result"]["tools"]
    assert (1, 2, names, True, 200, "") == (
        response.shown,
        response.hidden_count,
        list(response.hidden),
        response.changed,
        response.status,
        response.refused,
    )
    assert decision.revision == response.revision


def test_response_without_a_context_is_withheld() -> None:
    asked = pb.FilterResponseRequest(content_type="application/json", body=listed(*TOOLS), status=202)
    response = pb.FilterResponseResponse.FromString(handler("FilterResponse")(asked.SerializeToString()))
    assert (200, True) == (response.status, response.changed)
    assert b"forecast" not in response.body
    assert response.refused


def test_every_rule_is_explained() -> None:
    asked = pb.ExplainRequest(check=request(raw=call("history"), principal=ADMIN))
    response = pb.ExplainResponse.FromString(handler("Explain")(asked.SerializeToString()))
    assert pb.DECISION_ALLOW == response.decision.decision
    assert {"forecasts": False, "history": True, "no-atlantis": False, "prompts": False} == {
        trial.rule.rule: trial.applies for trial in response.trials
    }
    (trial,) = [one for one in response.trials if one.applies]
    assert pb.EFFECT_ALLOW == trial.effect
    assert ("claims.role", '"admin"') in {(seen.text, seen.value.replace("'", '"')) for seen in trial.saw}


def test_the_fact_that_a_rule_missed_is_told() -> None:
    asked = pb.ExplainRequest(check=request(raw=call("history")))
    response = pb.ExplainResponse.FromString(handler("Explain")(asked.SerializeToString()))
    (trial,) = [one for one in response.trials if one.rule.rule == "history"]
    assert ("claims.role", "") == (trial.missing, trial.remains)


def test_explaining_nothing_is_misuse() -> None:
    with pytest.raises(ApiError):
        handler("Explain")(b"")


def test_policy_set_is_told() -> None:
    response = pb.GetPolicySetResponse.FromString(handler("GetPolicySet")(b""))
    (policy,) = response.policies
    assert ("weather", "weather.yaml", ["weather"], 4) == (policy.id, policy.file, list(policy.servers), policy.rules)
    assert gate().policies.revision == response.revision
    assert NOON == response.since.ToDatetime(UTC)
    assert not response.HasField("refused")


def test_set_that_was_refused_is_told_beside_the_one_in_force() -> None:
    problem = Problem("unknown-key", "no such key", Place("weather.yaml", 3, 5), "remove it")
    refused = Refused(NOON + timedelta(seconds=1), (problem,))
    response = policy_set_for(replace(gate().standing, refused=refused))
    assert gate().policies.revision == response.revision
    assert NOON + timedelta(seconds=1) == response.refused.time.ToDatetime(UTC)
    expected = pb.Finding(
        code="unknown-key", message="no such key", hint="remove it", file="weather.yaml", line=3, column=5
    )
    assert [expected] == list(response.refused.problems)


def test_the_service_has_exactly_the_methods_of_the_proto() -> None:
    methods = pb.DESCRIPTOR.services_by_name["AccessControl"].methods_by_name
    served = {**for_gateways(gate()), **for_people(gate())}
    ours = {path: one for path, one in served.items() if path.startswith(f"/{SERVICE}/")}
    assert {f"/{SERVICE}/{name}" for name in methods} == ours.keys()
    streaming = {path for path, one in ours.items() if isinstance(one, Streaming)}
    assert {f"/{SERVICE}/{name}" for name, method in methods.items() if method.client_streaming} == streaming


def test_what_is_for_people_is_not_for_gateways() -> None:
    assert {f"/{SERVICE}/Explain", f"/{SERVICE}/GetPolicySet", *PATHS} == for_people(gate()).keys()
    assert for_people(gate()).keys().isdisjoint(for_gateways(gate()))
    assert SERVICE == pb.DESCRIPTOR.services_by_name["AccessControl"].full_name


SHADOW = b"""
version: 1
policy: stricter
mode: shadow
servers: [weather]
rules: [{id: never, effect: deny, methods: [tools/list, tools/call], name: forecast}]
"""


def test_what_is_in_shadow_is_told_beside_the_answer() -> None:
    mixed = Gate(compile_policies([*SOURCES, SourceFile("stricter.yaml", SHADOW)]))
    answer = check(request(raw=call("forecast", city="Oslo"), filters_responses=True), mixed)
    assert (pb.DECISION_ALLOW, pb.DECISION_DENY, "denied_by_rule", ["never"]) == (
        answer.decision,
        answer.shadow.decision,
        answer.shadow.reason,
        [rule.rule for rule in answer.shadow.rules],
    )
    listed = check(request(raw=body("tools/list"), filters_responses=True), mixed)
    tools = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "forecast"}]}}).encode()
    for report, names in ((False, []), (True, ["forecast"])):
        asked = pb.FilterResponseRequest(
            context=listed.context, content_type="application/json", body=tools, report_hidden=report
        )
        answered = handler("FilterResponse", mixed)(asked.SerializeToString())
        filtered = pb.FilterResponseResponse.FromString(answered)
        assert (1, 1, names) == (filtered.shown, filtered.shadow.hidden_count, list(filtered.shadow.hidden))
