"""Which calls may become tasks, and which task a result names: one, or none if it is in doubt."""

import json

import msgspec
import pytest

from mcp_acl.domain import Json, Message, MessageKind
from mcp_acl.mcp.tasks import Created, created_task, may_become_task

KNOWS: Json = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}


def call(method: str = "tools/call", kind: MessageKind = MessageKind.REQUEST, **params: Json) -> Message:
    return Message(kind, method, 1, params)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (call(task={}), True),
        (call(_meta=KNOWS), True),
        (call(), False),
        (call(_meta=5), False),
        (call(_meta={"io.modelcontextprotocol/clientCapabilities": {"extensions": {}}}), False),
        (call("prompts/get", task={}), False),
        (call(kind=MessageKind.NOTIFICATION, task={}), False),
    ],
)
def test_a_call_may_become_a_task_if_its_client_knows_what_to_do_with_one(message: Message, expected: bool) -> None:
    assert expected is may_become_task(message)


FLAT = {"resultType": "task", "taskId": "t1", "status": "working", "ttlMs": 60000}


@pytest.mark.parametrize(
    ("params", "result", "expected"),
    [
        ({"task": {}}, {"task": {"taskId": "t1", "ttl": 1500}}, Created("t1", 1.5)),
        ({"task": {}}, {"task": {"taskId": "t1", "ttl": None}}, Created("t1", None)),
        ({"task": {}}, {"task": {"taskId": "t1"}}, Created("t1", None)),
        ({"task": {}}, {"task": {"taskId": "t1", "ttl": -1}}, Created("t1", None)),
        ({"task": {}}, {"task": {"taskId": "t1", "ttl": "1"}}, Created("t1", None)),
        ({"task": {}}, {"task": "t1"}, None),
        ({}, {"task": {"taskId": "t1"}}, None),
        ({}, FLAT, Created("t1", 60.0)),
        ({"task": {}}, FLAT, Created("t1", 60.0)),
        ({}, {**FLAT, "ttlMs": None}, Created("t1", None)),
        ({}, {**FLAT, "resultType": "complete"}, None),
        ({}, {**FLAT, "taskId": ""}, None),
        ({}, {**FLAT, "taskId": 1}, None),
        ({}, {**FLAT, "TaskId": "t2"}, None),
        ({}, {"resultType": "task"}, None),
        ({}, {"taskId": "t1"}, None),
    ],
)
def test_a_result_names_the_task_that_was_made(
    params: dict[str, Json], result: dict[str, Json], expected: Created | None
) -> None:
    assert expected == created_task(
        Message(MessageKind.REQUEST, "tools/call", 1, params), msgspec.Raw(json.dumps(result).encode())
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"resultType":"task","taskId":"t1","taskId":"t2"}',
        '{"resultType":"task","taskId":"t1","ttlMs":1,"ttlMs":2}',
        '{"task":{"taskId":"t1","taskId":"t2"}}',
        '{"task":{"taskId":"t1"},"task":{"taskId":"t2"}}',
        '{"task":{"taskId":"t1","TaskId":"t2"}}',
    ],
)
def test_a_task_whose_id_is_in_doubt_is_none(text: str) -> None:
    assert created_task(call(task={}), msgspec.Raw(text.encode())) is None
