"""What is learned of a response: only from the answer to the very request, only what is certain, and before anything is hidden."""

import json
from collections.abc import Mapping

import pytest

from mcp_acl.domain import Json, Learned, Request, TaskFact, ToolDefinition
from mcp_acl.engine.learning import MAX_DEFINITION, MAX_TOOLS
from mcp_acl.engine.response import Filtered, ResponseStream, filter_response
from mcp_acl.runtime.memory import Memory
from tests.engine.weather import POLICY, policies, request

POLICIES = policies()
UNTRUSTED = policies(POLICY.replace("trust_annotations: true", "trust_annotations: false"))
JSON = "application/json"
ANN: dict[str, Json] = {"iss": "https://idp", "sub": "ann"}
FACT = TaskFact("https://idp", "ann", "shared_a")


def result(value: object, answers: object = 7) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": answers, "result": value}).encode()


def call(claims: dict[str, Json] | None = None, **params: Json) -> Request:
    return request("tools/call", ANN if claims is None else claims, "weather", name="shared_a", **params)


def learned(asked: Request, body: bytes, content_type: str = JSON) -> Learned | None:
    return filter_response(POLICIES, asked, content_type, body).learned


CREATED = {"task": {"taskId": "t9", "ttl": 60000, "status": "working"}}
FLAT = {"resultType": "task", "taskId": "t9", "ttlMs": None}


def test_a_task_is_whose_call_made_it() -> None:
    assert Learned({"t9": (FACT, 60.0)}) == learned(call(task={}), result(CREATED))
    assert Learned({"t9": (FACT, None)}) == learned(call(), result(FLAT))
    compact = json.dumps({"jsonrpc": "2.0", "id": 7, "result": FLAT}, separators=(",", ":")).encode()
    assert Learned({"t9": (FACT, None)}) == learned(call(), compact)


@pytest.mark.parametrize("claims", [{}, {"sub": "ann"}, {"iss": "https://idp"}, {"iss": "https://idp", "sub": ""}])
def test_a_task_of_nobody_is_not_learned(claims: dict[str, Json]) -> None:
    assert learned(call(claims, task={}), result(CREATED)) is None


@pytest.mark.parametrize("answers", ["7", 8, 7.0, None])
def test_a_task_in_the_answer_to_another_request_is_not_learned(answers: object) -> None:
    assert learned(call(task={}), result(CREATED, answers)) is None


def test_a_task_in_an_answer_without_an_id_is_not_learned() -> None:
    assert learned(call(task={}), b'{"jsonrpc":"2.0","result":{"task":{"taskId":"t9"}}}') is None


def test_what_is_no_task_or_answers_something_else_is_not_learned() -> None:
    assert learned(call(), result(CREATED)) is None
    assert learned(request("prompts/get", ANN, name="p", task={}), result(CREATED)) is None
    notified = call(task={})._replace(message=call(task={}).message._replace(kind="notification"))  # type: ignore[arg-type]
    assert learned(notified, result(CREATED)) is None


def test_a_task_whose_result_is_withheld_is_not_learned() -> None:
    body = result({**CREATED, "inputRequests": {"a": {"method": "roots/list"}}})
    found = filter_response(POLICIES, call(task={}), JSON, body)
    assert (True, None) == (bool(found.refused), found.learned)


def test_a_task_of_an_event_is_learned_when_that_is_passed_on() -> None:
    stream = ResponseStream(call(), "text/event-stream")
    event = b"data: " + result(FLAT) + b"\n\n"
    assert [None, Learned({"t9": (FACT, None)}), None] == [
        one.learned for one in (stream.feed(POLICIES, event[:-1]), stream.feed(POLICIES, b"\n"), stream.close(POLICIES))
    ]


def tools(*entries: object, policies_: object = POLICIES, answers: object = 7) -> Filtered:
    body = result({"tools": entries}, answers)
    return filter_response(policies_, request("tools/list", ANN), JSON, body)  # type: ignore[arg-type]


def names(found: Filtered) -> set[str]:
    return set(found.learned.tools) if found.learned else set()


def test_the_tools_of_a_trusted_server_are_learned_before_any_is_hidden() -> None:
    found = tools({"name": "shared_a", "annotations": {"readOnlyHint": True}}, {"name": "other"})
    assert found.learned is not None
    assert ("other",) == found.hidden
    assert [{"readOnlyHint": True}, {}] == [one.annotations for one in found.learned.tools.values()]
    assert {32} == {len(one.digest) for one in found.learned.tools.values()}


def test_of_another_server_nothing_is_learned() -> None:
    assert tools({"name": "shared_a"}, policies_=UNTRUSTED).learned is None
    assert tools({"name": "shared_a"}, answers=8).learned is None
    assert tools().learned is None


def digest(entry: Mapping[str, object]) -> ToolDefinition:
    found = tools(entry).learned
    assert found is not None
    return found.tools["a"]


def test_a_definition_is_the_same_however_it_is_written_and_another_if_anything_is() -> None:
    one = digest({"name": "a", "description": "x", "inputSchema": {"type": "object", "n": 1.50}})
    assert one == digest({"inputSchema": {"n": 1.50, "type": "object"}, "description": "\u0078", "name": "a"})
    for other in (
        {"name": "a", "description": "y", "inputSchema": {"type": "object", "n": 1.50}},
        {"name": "a", "description": "x", "inputSchema": {"type": "object"}},
        {"name": "a", "title": "x", "description": "x", "inputSchema": {"type": "object", "n": 1.50}},
    ):
        assert one.digest != digest(other).digest


def test_numbers_that_parsers_read_differently_are_their_digits() -> None:
    def of(number: str) -> ToolDefinition:
        body = b'{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a","x":%s}]}}' % number.encode()
        found = learned(request("tools/list", ANN), body)
        assert found is not None
        return found.tools["a"]

    assert of("9007199254740993") == of("9007199254740993")
    assert of("9007199254740993") != of("9007199254740992")


@pytest.mark.parametrize("entry", ['{"name":"a","name":"b"}', '{"name":5}', '{"title":"a"}', '"a"'])
def test_a_tool_without_one_name_is_not_learned(entry: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{entry},{{"name":"c"}}]}}}}'.encode()
    assert {"c"} == names(filter_response(POLICIES, request("tools/list", ANN), JSON, body))


@pytest.mark.parametrize(
    "entries",
    [
        '{"name":"a","inputSchema":{"x":1,"x":2},"annotations":{"readOnlyHint":true}}',
        '{"name":"a","annotations":{"readOnlyHint":true},"Annotations":{}}',
        '{"name":"a","annotations":5}',
        '{"name":"a","annotations":{"readOnlyHint":true},"x":"' + "x" * MAX_DEFINITION + '"}',
        '{"name":"a","annotations":{"readOnlyHint":true},"x":' + "[" * 100 + "]" * 100 + "}",
        '{"name":"a","annotations":{"readOnlyHint":true}},{"name":"a","annotations":{"readOnlyHint":true}}',
    ],
)
def test_a_definition_in_doubt_is_another_than_any_that_is_not_and_says_nothing(entries: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{entries},{{"name":"c"}}]}}}}'.encode()
    learned = filter_response(POLICIES, request("tools/list", ANN), JSON, body).learned
    assert learned is not None
    assert {} == learned.tools["a"].annotations
    memory = Memory()
    memory.learn_tools("s", {"a": ToolDefinition(b"as it was", {"readOnlyHint": True})})
    assert ("a",) == memory.learn_tools("s", learned.tools)
    assert "a" not in memory.tools("s")


def test_only_so_many_tools_are_read() -> None:
    entries = [{"name": f"t{index}", "annotations": {"readOnlyHint": True}} for index in range(MAX_TOOLS + 1)]
    learned = tools(*entries).learned
    assert learned is not None
    assert [f"t{MAX_TOOLS}"] == [name for name, tool in learned.tools.items() if not tool.annotations]


def test_what_several_events_bring_is_learned_together() -> None:
    events = b"".join(b"data: " + result({"tools": [{"name": name}]}) + b"\n\n" for name in ("a", "b"))
    assert {"a", "b"} == names(filter_response(POLICIES, request("tools/list", ANN), "text/event-stream", events))


def test_a_tool_of_which_two_answers_to_one_request_differ_is_in_doubt() -> None:
    asked = request("tools/list", {"role": "admin"})
    first, second = (
        {"tools": [{"name": "a", "description": text}, {"name": "b"}]} for text in ("as it was", "another")
    )

    def tools(*answers: object) -> Mapping[str, ToolDefinition]:
        found = learned(asked, b"".join(b"data: " + result(one) + b"\n\n" for one in answers), "text/event-stream")
        assert found is not None
        return found.tools

    known = tools(first)
    assert known == tools(first, first)
    for both in (tools(first, second), tools(second, first), tools(first, second, first)):
        assert known["b"] == both["b"]
        assert both["a"].digest not in (known["a"].digest, tools(second)["a"].digest)
