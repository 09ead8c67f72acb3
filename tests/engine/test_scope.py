"""What a condition sees: the table and the scope agree, and what a message does not bring is an error."""

from datetime import UTC, datetime

import pytest

from mcp_acl.domain import Http, Json, Message, MessageKind, Request, ToolFact
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.cel.values import Timestamp
from mcp_acl.expr.walk import UnknownFact
from mcp_acl.policy.facts import CEL_FACTS, EL_FACTS
from mcp_acl.problems import EvalError


def scope(
    method: str = "tools/call",
    params: dict[str, Json] | None = None,
    *,
    target: str | None = "add",
    entry: dict[str, Json] | None = None,
    **given: bool | Http,
) -> Scope:
    message = Message(MessageKind.REQUEST, method, 1, {"name": "add"} if params is None else params)
    headers = {"host": ["gw"], "x-team": ["a", "b"], "mcp-param-x": ["1"], "mcp-protocol-version": ["2025-06-18"]}
    http = given.get("http")
    request = Request(
        "s",
        message,
        {"sub": "ann", "iss": "https://idp", "exp": 10},
        http=http if isinstance(http, Http) else Http("POST", "/mcp?order=1&order=2", headers, "10.0.0.7"),
        attributes={"plan": "gold", "api": {"id": "a1"}, "properties": {"k": "v"}},
        time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    )
    return Scope(request, method, target, entry, before_call=bool(given.get("before_call")))


@pytest.mark.parametrize("row", [*CEL_FACTS, *EL_FACTS], ids=lambda row: f"{row.language}:{row.variable.name}")
def test_every_variable_of_the_table_can_be_asked_for(row: object) -> None:
    variable = row.variable  # type: ignore[attr-defined]
    asked = scope(entry={"name": "add"}) if variable.name == "mcp.annotations" else scope()
    getattr(asked, variable.attribute)


def test_another_name_is_no_fact() -> None:
    with pytest.raises(AttributeError):
        scope().nothing  # noqa: B018 - asking is the test


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("server", "s"),
        ("method", "tools/call"),
        ("feature", "tools"),
        ("name", "add"),
        ("arguments", {}),
        ("meta", {}),
        ("protocol_version", "2025-06-18"),
        ("headers", {"host": "gw", "x-team": "a, b", "mcp-param-x": "1", "mcp-protocol-version": "2025-06-18"}),
        ("path", "/mcp?order=1&order=2"),
        ("http_method", "POST"),
        ("remote_address", "10.0.0.7"),
        ("time", Timestamp.of(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))),
        ("el_now", 1772443800000),
        ("el_node", None),
        ("el_arguments", {}),
        ("el_properties", {"k": "v"}),
        ("el_request_content", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}'),
    ],
)
def test_facts_of_a_call(attribute: str, expected: object) -> None:
    asked = scope()
    assert expected == getattr(asked, attribute)
    assert getattr(asked, attribute) is getattr(asked, attribute)


@pytest.mark.parametrize(
    ("asked", "attribute"),
    [
        (scope("ping", {}, target=None), "name"),
        (scope("resources/read", {"uri": "text:a"}), "arguments"),
        (scope(params={"name": "add", "arguments": []}), "arguments"),
        (scope(before_call=True), "arguments"),
        (scope(params={"_meta": 1}), "meta"),
        (scope(before_call=True), "meta"),
        (scope(), "annotations"),
        (scope("tools/list", entry={"annotations": 1}), "annotations"),
        (scope(http=Http()), "protocol_version"),
        (scope(params={"protocolVersion": 1}), "protocol_version"),
    ],
)
def test_a_fact_the_message_does_not_bring_is_an_error(asked: Scope, attribute: str) -> None:
    with pytest.raises(EvalError, match="not available"):
        getattr(asked, attribute)


def test_the_version_stated_in_the_message_counts_before_the_header() -> None:
    assert (
        "2026-07-28"
        == scope(params={"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}).protocol_version
    )
    assert "2025-11-25" == scope("initialize", {"protocolVersion": "2025-11-25"}).protocol_version


def test_missing_annotations_of_a_tool_mean_the_worst() -> None:
    worst = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
    assert worst == scope("tools/list", entry={"name": "add"}).annotations
    assert {**worst, "readOnlyHint": True} == scope(
        "tools/list", entry={"annotations": {"readOnlyHint": True}}
    ).annotations
    assert {} == scope("resources/list", entry={"uri": "text:a"}).annotations


def test_annotations_in_a_call_are_those_that_the_server_has_listed() -> None:
    request = scope().request._replace(tools={"add": ToolFact({"readOnlyHint": True}), "odd": ToolFact({})})
    assert Scope(request, "tools/call", "add").annotations["readOnlyHint"] is True  # type: ignore[index]
    assert Scope(request, "tools/call", "odd").annotations["destructiveHint"] is True  # type: ignore[index]
    for method, target in (("tools/call", "other"), ("tools/call", None), ("prompts/get", "add")):
        with pytest.raises(EvalError, match="has not listed them"):
            Scope(request, method, target).annotations  # noqa: B018 - asking is the test


def test_an_unknown_method_has_no_feature() -> None:
    assert "" == scope("vendor/act").feature
    assert "" == scope("ping").feature


def test_headers_that_mirror_arguments_are_unknown_before_the_call() -> None:
    headers = scope(before_call=True).headers
    assert isinstance(headers, dict)
    assert "a, b" == headers["x-team"]
    with pytest.raises(UnknownFact):
        headers["mcp-param-x"]
