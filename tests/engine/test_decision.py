"""What the corpus of scenarios does not reach."""

import pytest

from mcp_acl.domain import (
    Direction,
    Http,
    InexactNumber,
    Json,
    Message,
    MessageKind,
    Reason,
    Request,
    TaskFact,
    TokenState,
)
from mcp_acl.engine.decision import decide
from mcp_acl.engine.explanation import explain
from mcp_acl.mcp.methods import METHODS
from mcp_acl.mcp.uris import MAX_LENGTH
from tests.engine.weather import policies

TASKS = policies(
    "version: 1\npolicy: p\nrules:\n"
    "  - {id: allow, methods: [tools/call]}\n"
    "  - {id: deny, effect: deny, methods: [tools/call], name: b, message: not b}\n"
    "  - {id: hide, methods: [tools/list], cel: 'mcp.annotations.readOnlyHint'}\n"
)


def of_task(tool: str, **claims: Json) -> Reason:
    message = Message(MessageKind.REQUEST, "tasks/get", 1, {"taskId": "t"})
    tasks = {"t": TaskFact("https://idp", "ann", tool)}
    return decide(TASKS, Request("s", message, claims, TokenState.VALID, tasks=tasks)).reason


@pytest.mark.parametrize(
    ("tool", "claims", "expected"),
    [
        ("a", {"iss": "https://idp", "sub": "ann"}, Reason.TASK_OWNER),
        ("b", {"iss": "https://idp", "sub": "ann"}, Reason.DENIED_BY_RULE),
        ("a", {"iss": "https://idp", "sub": "bob"}, Reason.TASK_NOT_OWNED),
        ("a", {"iss": "https://other", "sub": "ann"}, Reason.TASK_NOT_OWNED),
        ("a", {"iss": "https://idp", "sub": ""}, Reason.TASK_NOT_OWNED),
        ("a", {"iss": "https://idp", "sub": ["ann"]}, Reason.TASK_NOT_OWNED),
        ("a", {"iss": "https://idp"}, Reason.TASK_NOT_OWNED),
    ],
)
def test_a_task_is_its_creators_while_its_tool_may_be_called(
    tool: str, claims: dict[str, Json], expected: Reason
) -> None:
    assert expected == of_task(tool, **claims)


WRAPPED = policies(
    "version: 1\npolicy: p\nsettings: {wrappers: [{tool: run, argument: name, arguments: input}]}\nrules:\n"
    "  - {id: tools, methods: [tools/call]}\n"
    "  - {id: resources, methods: [resources/read]}\n"
)


@pytest.mark.parametrize("method", [*METHODS, "other/method"])
def test_a_number_that_parsers_read_differently_is_refused_or_passes_wherever_it_stands(method: str) -> None:
    number = InexactNumber("9007199254740993")
    names = (
        "name",
        "uri",
        "taskId",
        "ref",
        "argument",
        "context",
        "notifications",
        "inputRequests",
        "inputResponses",
        "task",
        "_meta",
    )
    places: list[dict[str, Json]] = [{name: number} for name in names]
    places += [
        {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": number,
                "io.modelcontextprotocol/clientCapabilities": number,
            }
        },
        {"name": "run", "arguments": number},
        {"name": "run", "arguments": {"name": number}},
        {"name": "run", "arguments": {"name": "run", "input": {"name": number}}},
        {"ref": {"type": number}},
        {"ref": {"type": "ref/resource", "uri": number}},
        {"notifications": {"toolsListChanged": number, "taskIds": number}},
    ]
    http = Http(headers={"mcp-protocol-version": ("2025-11-25",), "mcp-name": ("run",)})
    for params in places:
        message = Message(MessageKind.REQUEST, method, 1, params)
        for request in (Request("s", message), Request("s", message, http=http)):
            for direction in Direction:
                asked = request._replace(direction=direction)
                assert decide(WRAPPED, asked) == explain(WRAPPED, asked).decision


def test_a_batch_of_nothing_is_refused() -> None:
    assert Reason.MESSAGE_REFUSED is decide(WRAPPED, Request("s", Message(MessageKind.BATCH))).reason


def test_an_exchange_that_is_in_no_row_is_refused() -> None:
    asked = Request("s", Message(MessageKind.EXCHANGE), http=Http("HEAD", "/mcp"))
    assert Reason.MESSAGE_REFUSED is decide(WRAPPED, asked).reason


def test_calls_inside_of_calls_are_bounded() -> None:
    one = "{tool: run, argument: name, arguments: input}"
    other = "{tool: run, argument: tool, arguments: input}"
    both = policies(
        f"version: 1\npolicy: p\nsettings: {{wrappers: [{one}, {other}]}}\nrules:\n  - {{id: a, methods: [tools/call]}}\n"
    )
    arguments: dict[str, Json] = {"name": "echo", "tool": "echo"}
    assert decide(
        both, Request("s", Message(MessageKind.REQUEST, "tools/call", 1, {"name": "run", "arguments": arguments}))
    ).allowed
    for _ in range(60):
        arguments = {"name": "run", "tool": "run", "input": arguments}
    request = Request("s", Message(MessageKind.REQUEST, "tools/call", 1, {"name": "run", "arguments": arguments}))
    assert Reason.TARGET_MISSING is decide(both, request).reason
    assert Reason.TARGET_MISSING is explain(both, request).decision.reason


def test_a_uri_that_is_decided_as_it_is_written_is_no_longer_than_any_other() -> None:
    lenient = policies(
        "version: 1\npolicy: p\nsettings: {lenient_uris: true}\nrules:\n  - {id: a, methods: [resources/read, resources/list]}\n"
    )

    def reason(uri: str) -> Reason:
        return decide(lenient, Request("s", Message(MessageKind.REQUEST, "resources/read", 1, {"uri": uri}))).reason

    longest = "DEMO:".ljust(MAX_LENGTH, "x")
    assert (Reason.GRANTED, Reason.URI_NOT_CANONICAL) == (reason(longest), reason(f"{longest}x"))
