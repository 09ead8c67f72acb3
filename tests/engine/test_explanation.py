"""An explanation names every rule that governs, what its condition saw, and why it did or did not apply."""

import pytest

from mcp_acl.domain import Direction, Json, Message, MessageKind, Request
from mcp_acl.engine.explanation import Trial, explain
from tests.engine.weather import policies, request

POLICIES = policies()


def trial(rule: str, asked: Request) -> Trial:
    (found,) = [one for one in explain(POLICIES, asked).trials if one.rule.rule == rule]
    return found


def test_every_rule_of_the_server_is_tried_in_order() -> None:
    names = [one.rule.rule for one in explain(POLICIES, request("tools/call", name="shared_a")).trials]
    assert 7 == len(names)
    assert sorted(names) == names


def test_a_server_no_policy_governs_has_no_rules_to_try() -> None:
    assert () == explain(POLICIES, request("ping", server="else")).trials


@pytest.mark.parametrize(
    ("rule", "asked", "applies", "why"),
    [
        ("see-shared-tools", request("tools/call", name="shared_a"), True, "it has no condition"),
        ("see-shared-tools", request("tools/call", name="other"), False, "`other` does not match glob `shared_*`"),
        ("see-shared-tools", request("ping"), False, "speaks of tools/call, tools/list, not of `ping`"),
        ("no-drafts", request("tools/call", {"drafts": False}, name="a_draft"), True, "its condition is true"),
        ("no-drafts", request("tools/call", {"drafts": True}, name="a_draft"), False, "its condition is false"),
        ("no-drafts", request("tools/call", name="a_draft"), True, "its condition is an error: no such key: `drafts`"),
        ("admins-see-all-tools", request("tools/list", {"role": "admin"}), True, "its condition may be true"),
        ("read-only-tools", request("tools/list"), False, "settled for each entry"),
        ("read-templates", request("resources/read", uri="report://1/b"), True, "its condition is true"),
        ("read-templates", request("resources/read"), False, "speaks of"),
        ("log-and-sample", request("sampling/createMessage"), True, "it has no condition"),
        ("log-and-sample", request("vendor/act"), False, "not of `vendor/act`"),
        ("see-shared-tools", request("tasks/get", taskId="t1"), True, "it has no condition"),
        (
            "read-templates",
            request("completion/complete", ref={"type": "ref/resource", "uri": "report://{a}/{b}"}),
            True,
            "may be",
        ),
        ("read-templates", request("completion/complete", ref=1), False, "not of `completion/complete`"),
    ],
)
def test_why(rule: str, asked: Request, applies: bool, why: str) -> None:
    found = trial(rule, asked)
    assert applies is found.applies
    assert why in found.why


def test_a_response_asks_nothing_of_the_rules() -> None:
    asked = Request("weather", Message(MessageKind.RESPONSE, id=1), direction=Direction.CLIENT_TO_SERVER)
    assert "not of a response" in trial("see-shared-tools", asked).why


def test_what_a_condition_saw() -> None:
    claims: dict[str, Json] = {"drafts": False, "role": None}
    seen = {one.text: one.value for one in trial("no-drafts", request("tools/call", claims, name="a_draft")).saw}
    assert "false" == seen["claims.drafts"]
    assert "true" == seen["claims.drafts == false"]
    seen = {one.text: one.value for one in trial("no-drafts", request("tools/call", name="a_draft")).saw}
    assert "error: no such key: `drafts`" == seen["claims.drafts"]
    seen = {one.text: one.value for one in trial("admins-see-all-tools", request("tools/list", claims)).saw}
    assert "null" == seen["claims.role"]


def test_what_is_not_known_before_the_call_is_said_so() -> None:
    limits = policies(
        "version: 1\npolicy: p\nrules:\n  - id: limit\n    methods: [tools/list]\n    cel: 'mcp.arguments.n < 5 || claims.n == 1'\n"
    )
    (found,) = explain(limits, request("tools/list", {"n": 2})).trials
    seen = {one.text: one.value for one in found.saw}
    assert "unknown" == seen["mcp.arguments.n < 5"]
    assert "true or false or error: not known before the call" == seen["mcp.arguments.n < 5 || claims.n == 1"]
    assert found.applies
