"""The gate: what it adds to the engine, and that nothing breaks it."""

import gc
import json
import logging
from typing import Any

import pytest

from mcp_acl.domain import (
    Decision,
    Http,
    InexactNumber,
    Learned,
    Message,
    MessageKind,
    Reason,
    Request,
    ResponseNeeds,
    TaskFact,
    TokenState,
    ToolDefinition,
)
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import Filtered, ResponseStream
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import MessageError
from mcp_acl.runtime import gate as gate_module
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.memory import Memory
from mcp_acl.runtime.standing import Standing
from tests.runtime.weather import NOON, POLICIES, TOOLS, WEATHER, admin, ask, body, call, gate, listed


def names_in(response: bytes) -> list[str]:
    return [tool["name"] for tool in json.loads(response)["result"]["tools"]]


# ---- deciding -------------------------------------------------------------------------------------------------------


def test_allowed_message_has_no_denial_and_only_what_is_answered_a_context() -> None:
    answer = gate().check(ask(call("forecast", city="Oslo")))
    assert Reason.GRANTED is answer.decision.reason
    assert answer.denial is None
    assert answer.context
    noted = gate().check(ask(b'{"jsonrpc":"2.0","method":"notifications/initialized"}'))
    assert (True, b"") == (noted.decision.allowed, noted.context)


def test_denied_call_carries_the_denial_with_id_and_decision_id() -> None:
    answer = gate().check(ask(call("forecast", city="Atlantis")))
    assert answer.denial is not None
    error = json.loads(answer.denial.body)
    assert (1, "Atlantis has no weather.") == (error["id"], error["error"]["message"])
    assert answer.decision_id == error["error"]["data"]["decision_id"]


def test_condition_that_breaks_is_told_and_denies() -> None:
    answer = gate().check(ask(call("forecast")))
    assert Reason.DENIED_BY_RULE is answer.decision.reason
    assert ["weather/no-atlantis"] == [str(error.rule) for error in answer.decision.errors]


def test_message_that_cannot_be_read_is_denied_with_its_reason() -> None:
    answer = gate().check(ask(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'))
    assert Reason.MESSAGE_REFUSED is answer.decision.reason
    assert "stands twice" in answer.decision.message
    assert answer.denial is not None
    assert (400, None) == (answer.denial.status, json.loads(answer.denial.body)["id"])


def test_message_that_could_not_be_read_elsewhere_is_denied_too() -> None:
    answer = gate().check(ask(MessageError("envelope", "it is odd")))
    assert (Reason.MESSAGE_REFUSED, "it is odd") == (answer.decision.reason, answer.decision.message)


def test_message_that_was_read_elsewhere_is_decided() -> None:
    message = Message(MessageKind.REQUEST, "ping", 7)
    assert gate().check(Question("weather", message)).decision.allowed


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"server": "unheard-of"}, Reason.NO_POLICY), ({"token": TokenState.INVALID}, Reason.TOKEN_INVALID)],
)
def test_what_comes_before_reading_is_said_of_a_message_that_cannot_be_read(
    options: dict[str, Any], reason: Reason
) -> None:
    headers = Http(headers={"mcp-method": ["tools/call"]})
    assert reason is gate().check(ask(b"{", http=headers, **options)).decision.reason


def test_decision_ids_are_unique_among_gates() -> None:
    one, other = gate(), gate()
    ids = [some.check(ask(body("ping"))).decision_id for some in (one, other, one, other)]
    assert len(ids) == len(set(ids))
    assert all(len(decision_id) < 20 for decision_id in ids)


def test_time_of_the_question_wins_over_the_clock() -> None:
    source = SourceFile(
        "hours.yaml",
        b"version: 1\npolicy: hours\nrules:\n  - {id: a, methods: [logging/setLevel], "
        b"cel: 'request.time.getHours() == 12'}\n",
    )
    hours = Gate(compile_policies([source]), clock=lambda: NOON)
    message = body("logging/setLevel", level="debug")
    assert hours.check(ask(message)).decision.allowed
    assert not hours.check(ask(message, time=NOON.replace(hour=3))).decision.allowed


def test_the_next_question_is_asked_of_the_set_that_was_put_in_force() -> None:
    one = gate()
    closed = compile_policies([SourceFile("c.yaml", b"version: 1\npolicy: c\nservers: [weather]\nrules: []\n")])
    assert one.check(ask(call("forecast", city="Oslo"))).decision.allowed
    one.put(Standing(closed, NOON))
    answer = one.check(ask(call("forecast", city="Oslo")))
    assert (False, closed.revision) == (answer.decision.allowed, answer.decision.revision)


def test_what_is_remembered_of_tasks_is_used() -> None:
    tasks = {"t1": TaskFact("https://id", "ann", "forecast")}
    asked = ask(body("tasks/get", taskId="t1"), claims={"iss": "https://id", "sub": "ann"}, token=TokenState.VALID)
    assert Reason.TASK_OWNER is gate(tasks=tasks).check(asked).decision.reason
    assert Reason.TASK_NOT_OWNED is gate().check(asked).decision.reason


# ---- what is remembered -----------------------------------------------------------------------------------------------

TRUSTING = """\
version: 1
policy: trusting
servers: [trusted]
settings: {trust_annotations: true}
rules:
  - {id: reading, methods: [tools/call], cel: 'mcp.annotations.readOnlyHint'}
"""
READING = {"look": ToolDefinition(b"1", {"readOnlyHint": True}), "act": ToolDefinition(b"2", {})}


def annotated(memory: Memory) -> Gate:
    """Two servers whose tools may be called if they only read; one of them is trusted to say so."""
    other = TRUSTING.replace("trust", "doubt").replace("settings: {doubt_annotations: true}\n", "")
    return Gate(
        compile_policies([SourceFile("a.yaml", TRUSTING.encode()), SourceFile("b.yaml", other.encode())]), memory=memory
    )


def learning(monkeypatch: pytest.MonkeyPatch, learned: Learned) -> None:
    """From here on every response brings this."""

    def filtered(_policies: object, _request: object, content_type: str, body: bytes) -> Filtered:
        return Filtered(content_type, body, learned=learned)

    def fed(stream: ResponseStream, _policies: object, piece: bytes = b"") -> Filtered:
        return Filtered(stream.content_type, piece, learned=learned)

    monkeypatch.setattr(gate_module, "filter_response", filtered)
    monkeypatch.setattr(ResponseStream, "feed", fed)
    monkeypatch.setattr(ResponseStream, "close", fed)


def test_annotations_of_a_tool_are_known_in_a_call_to_a_trusted_server() -> None:
    memory = Memory()
    one = annotated(memory)
    for server in ("trusted", "doubted"):
        memory.learn_tools(server, READING)
    assert one.check(ask(call("look"), server="trusted")).decision.allowed
    for tool, server in (("act", "trusted"), ("look", "doubted"), ("other", "trusted")):
        assert not one.check(ask(call(tool), server=server)).decision.allowed
    memory.learn_tools("trusted", {"look": ToolDefinition(b"3", {"readOnlyHint": True})})
    answer = one.check(ask(call("look"), server="trusted"))
    assert Reason.NO_MATCHING_RULE is answer.decision.reason
    assert "has not listed them" in answer.decision.errors[0].message


def test_tasks_are_known_under_their_server_alone() -> None:
    memory = Memory()
    memory.learn_task("weather", "t1", TaskFact("https://id", "ann", "forecast"))
    memory.learn_task("climate", "t2", TaskFact("https://id", "ann", "forecast"))
    both = WEATHER.replace("[weather]", "[weather, climate]")
    one = Gate(compile_policies([SourceFile("a.yaml", both.encode())]), memory=memory)

    def allowed(server: str, task_id: str) -> bool:
        message = body("tasks/get", taskId=task_id)
        asked = ask(message, server=server, claims={"iss": "https://id", "sub": "ann"}, token=TokenState.VALID)
        return one.check(asked).decision.allowed

    assert (True, False) == (allowed("weather", "t1"), allowed("weather", "t2"))
    assert (False, True) == (allowed("climate", "t1"), allowed("climate", "t2"))


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_response_brought_is_remembered_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, streamed: bool
) -> None:
    memory = Memory()
    one = gate(memory=memory)
    fact = TaskFact("https://id", "ann", "forecast")
    context = one.check(ask(body("tools/list"))).context

    def bring(learned: Learned) -> str:
        caplog.clear()
        learning(monkeypatch, learned)
        if streamed:
            stream = one.filter_stream(context, "text/event-stream")
            assert b"x" == stream.feed(b"x").filtered.body
            assert b"" == stream.close().filtered.body
        else:
            assert b"{}" == one.filter(context, "application/json", b"{}").filtered.body
        return "".join(record.getMessage() for record in caplog.records)

    assert "" == bring(Learned({"t1": (fact, None)}, READING))
    assert fact == memory.tasks("weather")["t1"]
    assert {"look", "act"} == set(memory.tools("weather"))
    told = bring(Learned({}, {"look": ToolDefinition(b"9", {})}))
    assert told.startswith("`weather`: tool `look` is not defined as it was")
    assert told.count("`look`") == 1
    assert "task `t1`" in bring(Learned({"t1": (fact._replace(subject="bob"), None)}))


def test_response_is_withheld_if_what_it_brought_cannot_be_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    memory = Memory()
    one = gate(memory=memory)
    context = one.check(ask(body("tools/list"))).context
    learning(monkeypatch, Learned())
    monkeypatch.setattr(memory, "learn", fail)
    assert "internal error" == one.filter(context, "application/json", listed(*TOOLS)).filtered.refused
    stream = one.filter_stream(context, "text/event-stream")
    assert "internal error" == stream.feed(b"data: {}").filtered.refused
    assert b"" == stream.close().filtered.body


# ---- filtering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "shown"), [(ask, ["forecast"]), (admin, ["forecast", "history"])])
def test_list_is_filtered_by_the_context_of_its_request(asked: Any, shown: list[str]) -> None:
    one = gate()
    answer = one.check(asked(body("tools/list")))
    assert ResponseNeeds.LIST is answer.decision.response_needs
    reply = one.filter(answer.context, "application/json", listed(*TOOLS))
    assert shown == names_in(reply.filtered.body)
    assert (True, 200, POLICIES.revision) == (reply.changed, reply.status, reply.revision)


def test_any_worker_can_filter() -> None:
    context = gate().check(admin(body("tools/list"))).context
    assert ["forecast", "history"] == names_in(gate().filter(context, "application/json", listed(*TOOLS)).filtered.body)


def test_list_of_which_nothing_is_taken_out_is_not_changed() -> None:
    one = gate()
    response = listed("forecast")
    reply = one.filter(one.check(ask(body("tools/list"))).context, "application/json", response)
    assert (False, response) == (reply.changed, reply.filtered.body)


@pytest.mark.parametrize("context", [b"", b"\x00", b"\x01", b"\x01\x90", b"\x02" + b"x" * 9, b"\x01" + b"\x91" * 5000])
def test_body_is_withheld_if_the_context_cannot_be_read(context: bytes) -> None:
    reply = gate().filter(context, "application/json", listed(*TOOLS))
    error = json.loads(reply.filtered.body)
    assert -32603 == error["error"]["code"]
    assert reply.filtered.refused
    assert b"forecast" not in reply.filtered.body
    assert ("application/json", True) == (reply.filtered.content_type, reply.changed)


@pytest.mark.parametrize(("status", "sent"), [(200, 200), (202, 200), (404, 404), (500, 500)])
def test_withheld_body_is_sent_with_a_status_that_clients_read(status: int, sent: int) -> None:
    assert sent == gate().filter(b"", "application/json", b"{}", status).status


@pytest.mark.parametrize("status", [200, 206, 500])
def test_status_of_a_body_that_passes_stays(status: int) -> None:
    one = gate()
    context = one.check(ask(body("tools/list"))).context
    assert status == one.filter(context, "application/json", listed("forecast"), status).status


# ---- explaining -----------------------------------------------------------------------------------------------------


def test_every_rule_is_explained() -> None:
    answer, trials = gate().explain(admin(call("history")))
    assert answer.decision.allowed
    assert {"forecasts": False, "history": True, "no-atlantis": False, "prompts": False} == {
        trial.rule.rule: trial.applies for trial in trials
    }


def test_message_that_cannot_be_read_has_nothing_to_explain() -> None:
    answer, trials = gate().explain(ask(b"["))
    assert (Reason.MESSAGE_REFUSED, ()) == (answer.decision.reason, trials)


# ---- totality -------------------------------------------------------------------------------------------------------


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("something unheard of")


@pytest.mark.parametrize("name", ["decide", "read_message", "write_context"])
def test_bug_is_logged_and_denies(name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(gate_module, name, broken)
    answer = gate().check(ask(body("tools/list")))
    assert Reason.INTERNAL_ERROR is answer.decision.reason
    assert answer.denial is not None
    assert "unheard of" not in answer.denial.body.decode()
    assert ("something unheard of" in caplog.text, answer.decision_id in caplog.text) == (True, True)


def test_bug_in_deciding_still_answers_the_id_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "decide", broken)
    denial = gate().check(ask(body("tools/list", "a-7"))).denial
    assert denial is not None
    assert "a-7" == json.loads(denial.body)["id"]


def test_bug_in_explaining_leaves_the_decision(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gate_module, "explain", broken)
    answer, trials = gate().explain(ask(call("forecast", city="Oslo")))
    assert (True, ()) == (answer.decision.allowed, trials)
    assert "something unheard of" in caplog.text


def test_bug_in_filtering_withholds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    one = gate()
    context = one.check(ask(body("tools/list"))).context
    monkeypatch.setattr(gate_module, "filter_response", broken)
    with caplog.at_level(logging.ERROR):
        reply = one.filter(context, "application/json", listed(*TOOLS))
    assert b"forecast" not in reply.filtered.body
    assert "internal error" == reply.filtered.refused
    assert "something unheard of" in caplog.text


def test_context_does_not_grow_with_what_is_not_needed() -> None:
    one = gate()
    assert len(one.check(ask(body("tools/list"))).context) < 100
    assert len(one.check(ask(call("forecast", city="Oslo", note="x" * 5000))).context) < 120


def test_number_that_is_not_exact_stays_so_in_the_context() -> None:
    one = gate()
    claims = {"role": InexactNumber("9007199254740993")}
    answer = one.check(ask(body("tools/list"), claims=claims, token=TokenState.VALID))
    reply = one.filter(answer.context, "application/json", listed(*TOOLS))
    assert ["forecast"] == names_in(reply.filtered.body)
    assert ["weather/history"] == [str(error.rule) for error in reply.filtered.errors]


def test_question_is_what_the_engine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def spy(policies: PolicySet, request: Request) -> Decision:
        asked.append(request)
        return decide(policies, request)

    monkeypatch.setattr(gate_module, "decide", spy)
    http = Http("GET", "/x", {"a": ["1", "2"]}, "10.0.0.1")
    gate().check(admin(body("ping"), http=http, attributes={"k": 1}, session_id="s", time=NOON))
    (request,) = asked
    assert (http, {"k": 1}, "s", NOON, True) == (
        request.http,
        request.attributes,
        request.session_id,
        request.time,
        request.filters_responses,
    )


def test_message_that_is_refused_is_let_go_at_once() -> None:
    """It is in no cycle, which would hold its body until the collector comes."""
    one = gate()
    questions = [ask(b"{"), ask(b"\xff"), ask(body("tools/call") + b"}"), ask(b"[]")]
    for question in questions:
        one.check(question)
    gc.collect()
    gc.disable()
    try:
        for question in questions:
            assert not one.check(question).decision.allowed
        assert 0 == gc.collect()
    finally:
        gc.enable()
