"""What a message asks for, and the shapes that are refused."""

import pytest

from mcp_acl.domain import Json, Message, MessageKind
from mcp_acl.mcp.demands import MAX_DEMANDS, Demand, demands_of, elicitations_of, inputs_of
from mcp_acl.mcp.methods import METHODS, MethodClass
from mcp_acl.problems import MessageError


def demanded(method: str, params: dict[str, Json]) -> tuple[Demand, ...]:
    return demands_of(Message(MessageKind.REQUEST, method, 1, params), METHODS[method])


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("tools/call", {"name": "a", "arguments": {"name": "b"}}, [("tools/call", "a")]),
        ("tools/call", {"name": ""}, [("tools/call", "")]),
        ("tools/call", {}, [("tools/call", None)]),
        ("tools/call", {"name": ["a"]}, [("tools/call", None)]),
        ("tools/call", {"name": None}, [("tools/call", None)]),
        ("prompts/get", {"name": "p"}, [("prompts/get", "p")]),
        ("resources/read", {"uri": "a:b"}, [("resources/read", "a:b")]),
        ("resources/subscribe", {"uri": "a:b"}, [("resources/subscribe", "a:b")]),
        ("resources/unsubscribe", {"uri": "a:b"}, [("resources/subscribe", "a:b")]),
        ("resources/directory/read", {"uri": "a:b"}, [("resources/directory/read", "a:b")]),
        ("notifications/resources/updated", {"uri": "a:b"}, [("resources/read", "a:b")]),
        ("skills/get", {"uri": "a:b"}, [("skills/get", "a:b")]),
        ("tasks/get", {"taskId": "t"}, [("tasks/get", "t")]),
        ("tasks/update", {"taskId": 1}, [("tasks/update", None)]),
        ("notifications/tasks", {"taskId": "t"}, [("notifications/tasks", "t")]),
        ("subscriptions/listen", {"notifications": {}}, []),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True, "promptsListChanged": False}}, []),
        (
            "subscriptions/listen",
            {"notifications": {"taskIds": ["t", "t"], "resourceSubscriptions": ["a:b", "a:c"]}},
            [("tasks/get", "t"), ("resources/subscribe", "a:b"), ("resources/subscribe", "a:c")],
        ),
        (
            "notifications/subscriptions/acknowledged",
            {"notifications": {"resourceSubscriptions": ["a:b"]}},
            [("resources/subscribe", "a:b")],
        ),
    ],
)
def test_a_message_demands(method: str, params: dict[str, Json], expected: list[tuple[str, str | None]]) -> None:
    assert tuple(Demand(*one) for one in expected) == demanded(method, params)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ({"type": "ref/prompt", "name": "p"}, ("prompts/get", "p")),
        ({"type": "ref/prompt", "name": "p", "uri": "a:b"}, ("prompts/get", "p")),
        ({"type": "ref/prompt", "uri": "a:b"}, ("prompts/get", None)),
        ({"type": "ref/resource", "uri": "a://{b}"}, ("resources/read", "a://{b}")),
        ({"type": "ref/resource", "uri": 1}, ("resources/read", None)),
        ({"type": "ref/prompt", "name": "p", "title": "P"}, ("prompts/get", "p")),
    ],
)
def test_a_completion_demands_what_it_refers_to(ref: dict[str, Json], expected: tuple[str, str | None]) -> None:
    assert (Demand(*expected, may_be_template=True),) == demanded("completion/complete", {"ref": ref})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("completion/complete", {}),
        ("completion/complete", {"ref": None}),
        ("completion/complete", {"ref": "ref/prompt"}),
        ("completion/complete", {"ref": {}}),
        ("completion/complete", {"ref": {"type": "ref/tool", "name": "a"}}),
        ("completion/complete", {"ref": {"type": ["ref/prompt"], "name": "a"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a", "Name": "b"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a", "Type": "ref/resource"}}),
        ("subscriptions/listen", {}),
        ("subscriptions/listen", {"notifications": []}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": None}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": "a:b"}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["a:b", 1]}}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": {"a:b": True}}}),
        ("subscriptions/listen", {"notifications": {"resourcesubscriptions": ["a:b"]}}),
        ("subscriptions/listen", {"notifications": {"taskIds": [None]}}),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": "yes"}}),
        ("subscriptions/listen", {"notifications": {"eventSubscriptions": ["a"]}}),
        ("subscriptions/listen", {"notifications": {"eventsChanged": True}}),
        ("subscriptions/listen", {"notifications": {"ToolsListChanged": True}}),
        ("subscriptions/listen", {"notifications": {"taskIds": [f"t{i}" for i in range(MAX_DEMANDS + 1)]}}),
        ("notifications/subscriptions/acknowledged", {}),
    ],
)
def test_an_odd_shape_is_refused(method: str, params: dict[str, Json]) -> None:
    with pytest.raises(MessageError) as refusal:
        demanded(method, params)
    assert "params" == refusal.value.code


@pytest.mark.parametrize(
    "method",
    [
        row.name
        for row in METHODS.values()
        if row.method_class in (MethodClass.ALWAYS, MethodClass.LIST, MethodClass.PLAIN)
    ],
)
def test_other_methods_demand_nothing(method: str) -> None:
    assert () == demanded(method, {"name": "a", "uri": "a:b"})


def test_what_a_server_asks_for_is_one_request_for_each_key() -> None:
    asked: dict[str, Json] = {
        "a": {"method": "roots/list"},
        "b": {"method": "sampling/createMessage", "params": {"x": 1}},
    }
    assert (
        Message(MessageKind.REQUEST, "roots/list", "a"),
        Message(MessageKind.REQUEST, "sampling/createMessage", "b", {"x": 1}),
    ) == inputs_of(asked)


@pytest.mark.parametrize(
    "asked",
    [
        [],
        "roots/list",
        None,
        {"a": "roots/list"},
        {"a": {}},
        {"a": {"method": 5}},
        {"a": {"method": "roots/list", "params": []}},
        {"a": {"method": "roots/list", "Method": "sampling/createMessage"}},
        {"a": {"method": "roots/list", "params\0": {}}},
    ],
)
def test_what_a_server_asks_for_in_another_shape_is_refused(asked: Json) -> None:
    with pytest.raises(MessageError):
        inputs_of(asked)


def test_what_an_error_asks_of_the_user_is_one_request_each() -> None:
    asked: list[Json] = [{"mode": "url"}, {}]
    assert (
        Message(MessageKind.REQUEST, "elicitation/create", "0", {"mode": "url"}),
        Message(MessageKind.REQUEST, "elicitation/create", "1"),
    ) == elicitations_of(asked)


@pytest.mark.parametrize("asked", [{}, None, "x", ["x"], [None], [{}] * (MAX_DEMANDS + 1)])
def test_what_an_error_asks_of_the_user_in_another_shape_is_refused(asked: Json) -> None:
    with pytest.raises(MessageError):
        elicitations_of(asked)
