"""What the corpus of scenarios does not reach."""

import pytest

from mcp_acl.domain import Json, Message, MessageKind, Reason, Request, TaskFact, TokenState
from mcp_acl.engine.decision import decide
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
