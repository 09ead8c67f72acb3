"""An explanation names every rule that governs, what its condition saw, and why it did or did not apply."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_acl.domain import Decision, Direction, Effect, Http, Json, Message, MessageKind, Reason, Request
from mcp_acl.engine.decision import decide
from mcp_acl.engine.explanation import Explanation, Trial, explain
from mcp_acl.mcp.methods import METHODS, MethodClass
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from tests.engine.weather import policies, request
from tests.strategies import EFFECTS, PATTERNS, params_of, policy_sets, request_of, requests, source_files

POLICIES = policies()
OWNER: Final[dict[str, Json]] = {"iss": "https://idp", "sub": "ann"}


def trial(rule: str, asked: Request, among: PolicySet = POLICIES) -> Trial:
    (found,) = [one for one in explain(among, asked).trials if one.rule.rule == rule]
    return found


def rules(*lines: str, variables: str = "") -> PolicySet:
    """A policy with one rule in each line."""
    listed = "".join(f"  - {line}\n" for line in lines)
    return policies(f"version: 1\npolicy: p\n{variables}rules:\n{listed}")


def sent(asked: Request) -> Request:
    """The message as the server's."""
    return asked._replace(direction=Direction.SERVER_TO_CLIENT)


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
        ("admins-see-all-tools", request("tools/list", {"role": "admin"}), True, "its condition is true"),
        ("read-only-tools", request("tools/list"), False, "settled for each entry"),
        ("see-shared-tools", request("tools/list"), True, "no condition, for names that match glob `shared_*`"),
        ("read-templates", request("resources/read", uri="report://1/b"), True, "its condition is true"),
        ("read-templates", request("resources/read"), False, "no rule changes this denial (target_missing)"),
        (
            "read-templates",
            request("resources/read", uri="a"),
            False,
            "no rule changes this denial (uri_not_canonical)",
        ),
        ("log-and-sample", sent(request("sampling/createMessage")), True, "it has no condition"),
        ("log-and-sample", request("sampling/createMessage"), False, "no rule changes this denial (wrong_direction)"),
        ("log-and-sample", request("vendor/act"), False, "not of `vendor/act`"),
        ("see-shared-tools", request("tasks/get", OWNER, taskId="t1"), True, "it has no condition"),
        ("see-shared-tools", request("tasks/get", taskId="t1"), False, "not of `tasks/get`"),
        (
            "read-templates",
            request("completion/complete", ref={"type": "ref/resource", "uri": "report://{a}/{b}"}),
            True,
            "its condition is true",
        ),
        ("read-templates", request("completion/complete", ref=1), False, "no rule changes this denial"),
    ],
)
def test_why(rule: str, asked: Request, applies: bool, why: str) -> None:
    found = trial(rule, asked)
    assert applies is found.applies
    assert why in found.why


def test_a_servers_response_asks_nothing_of_the_rules() -> None:
    asked = Request("weather", Message(MessageKind.RESPONSE, id=1), direction=Direction.SERVER_TO_CLIENT)
    assert "not of a response" in trial("see-shared-tools", asked).why


def test_a_clients_response_asks_whether_the_server_may_ask() -> None:
    asked = Request("weather", Message(MessageKind.RESPONSE, id=1), direction=Direction.CLIENT_TO_SERVER)
    assert "not of `sampling/createMessage`" in trial("see-shared-tools", asked).why
    assert trial("a", asked, rules("{id: a, methods: [roots/list]}")).applies


def test_a_call_inside_a_call_is_asked_for() -> None:
    written = (
        "settings: {wrappers: [{tool: wrap, argument: inner}]}\nrules: [{id: a, methods: [tools/call], name: echo}]"
    )
    among = compile_policies([SourceFile("weather.yaml", f"version: 1\npolicy: p\n{written}".encode())])
    asked = request("tools/call", name="wrap", arguments={"inner": "echo"})
    assert trial("a", asked, among).applies
    assert not trial("a", request("tools/call", name="wrap", arguments={}), among).applies


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


# ---- which rules bear on a message -----------------------------------------------------------------------------------

UNSUBSCRIBING: Final = rules(
    '{id: deny-unsub, effect: deny, methods: [resources/unsubscribe], name: {glob: "x://a*"}}',
    "{id: sub, methods: [resources/subscribe]}",
    "{id: allow-unsub, methods: [resources/unsubscribe]}",
)
DECIDED_ELSEWHERE: Final = rules(
    "{id: allow-all, methods: [completion/complete, subscriptions/listen, notifications/resources/updated, tasks/get, tasks/list]}",
    "{id: allow-acknowledged, methods: [notifications/subscriptions/acknowledged]}",
    '{id: deny-all, effect: deny, methods: [completion/complete, subscriptions/listen, tasks/get], name: [x, "a:x"]}',
    '{id: deny-notes, effect: deny, name: "a:x", methods: [notifications/subscriptions/acknowledged, notifications/resources/updated]}',
    "{id: grant, methods: [prompts/get, resources/read, resources/subscribe, tools/call]}",
)
SPELLING: Final = rules(
    '{id: star, feature: "*", effect: deny, methods: ["*"]}',
    '{id: named, feature: "*", effect: deny, methods: [ping, tools/call, vendor/act], name: a}',
    '{id: allow-ping, feature: "*", methods: [ping]}',
    '{id: deny-ping, effect: deny, methods: [ping], cel: "claims.slow == true"}',
    '{id: vendor, feature: "*", methods: [vendor/act]}',
)


def listening(method: str, *uris: str, tasks: Sequence[str] = (), **claims: Json) -> Request:
    wanted: dict[str, Json] = {"resourceSubscriptions": uris and list(uris), "taskIds": list(tasks)}
    wanted = {key: value for key, value in wanted.items() if value}
    asked = request(method, notifications=wanted)._replace(claims=claims)
    return asked if method == "subscriptions/listen" else sent(asked)


def completing(name: str, kind: str = "ref/prompt") -> Request:
    return request("completion/complete", ref={"type": kind, "uri" if kind == "ref/resource" else "name": name})


@pytest.mark.parametrize(
    ("among", "rule", "asked", "applies", "why"),
    [
        (UNSUBSCRIBING, "deny-unsub", request("resources/unsubscribe", uri="x://a1"), True, "it has no condition"),
        (UNSUBSCRIBING, "deny-unsub", request("resources/unsubscribe", uri="x://b"), False, "`x://b` does not match"),
        (UNSUBSCRIBING, "sub", request("resources/unsubscribe", uri="x://b"), True, "it has no condition"),
        (
            UNSUBSCRIBING,
            "allow-unsub",
            request("resources/unsubscribe", uri="x://b"),
            False,
            "allowing `resources/unsubscribe` has no effect: the rules on `resources/subscribe` decide",
        ),
        (DECIDED_ELSEWHERE, "deny-all", completing("x"), True, "it has no condition"),
        (DECIDED_ELSEWHERE, "allow-all", completing("x"), False, "no effect: the rules on `prompts/get` decide"),
        (DECIDED_ELSEWHERE, "grant", completing("x"), True, "it has no condition"),
        (DECIDED_ELSEWHERE, "allow-all", completing("a:y", "ref/resource"), False, "on `resources/read` decide"),
        (DECIDED_ELSEWHERE, "deny-all", listening("subscriptions/listen", "a:y", "a:x"), True, "it has no condition"),
        (
            DECIDED_ELSEWHERE,
            "allow-all",
            listening("subscriptions/listen", "a:y"),
            False,
            "`resources/subscribe` decide",
        ),
        (DECIDED_ELSEWHERE, "allow-all", listening("subscriptions/listen"), False, "the rules on what it names decide"),
        (
            DECIDED_ELSEWHERE,
            "allow-all",
            listening("subscriptions/listen", tasks=["t1"], **OWNER),
            False,
            "allowing `tasks/get` has no effect: the task's owner and the rules on `tools/call` decide",
        ),
        (
            DECIDED_ELSEWHERE,
            "deny-notes",
            listening("notifications/subscriptions/acknowledged", "a:x"),
            True,
            "it has no condition",
        ),
        (
            DECIDED_ELSEWHERE,
            "allow-acknowledged",
            listening("notifications/subscriptions/acknowledged", "a:x"),
            False,
            "the rules on `resources/subscribe` decide",
        ),
        (
            DECIDED_ELSEWHERE,
            "deny-notes",
            sent(request("notifications/resources/updated", uri="a:x")),
            True,
            "no condition",
        ),
        (
            DECIDED_ELSEWHERE,
            "allow-all",
            sent(request("notifications/resources/updated", uri="a:y")),
            False,
            "`resources/read`",
        ),
        (
            DECIDED_ELSEWHERE,
            "allow-all",
            request("tasks/get", taskId="t1"),
            False,
            "allowing `tasks/get` has no effect",
        ),
        (DECIDED_ELSEWHERE, "grant", request("tasks/get", taskId="t1"), False, "not of `tasks/get`"),
        (DECIDED_ELSEWHERE, "grant", request("tasks/get", OWNER, taskId="t1"), True, "it has no condition"),
        (DECIDED_ELSEWHERE, "deny-all", request("tasks/get", taskId="x"), True, "it has no condition"),
        (DECIDED_ELSEWHERE, "allow-all", request("tasks/list"), False, "allowing `tasks/list` has no effect"),
        (SPELLING, "star", request("ping"), False, "it does not spell out `ping`"),
        (SPELLING, "named", request("ping"), False, "it has a name, and `ping` acts on nothing that has one"),
        (SPELLING, "allow-ping", request("ping"), False, "allowing `ping` has no effect: it is always permitted"),
        (SPELLING, "deny-ping", request("ping", {"slow": True}), True, "its condition is true"),
        (SPELLING, "deny-ping", request("ping", {"slow": False}), False, "its condition is false"),
        (SPELLING, "star", request("vendor/act"), False, "not of `vendor/act`"),
        (SPELLING, "named", request("vendor/act"), False, "`vendor/act` acts on nothing that has one"),
        (SPELLING, "vendor", request("vendor/act"), True, "it has no condition"),
    ],
)
def test_only_rules_that_bear_on_the_message_apply(
    among: PolicySet, rule: str, asked: Request, applies: bool, why: str
) -> None:
    found = trial(rule, asked, among)
    assert applies is found.applies
    assert why in found.why


def test_a_target_refused_for_itself_is_not_put_to_the_rules() -> None:
    among = rules('{id: a, methods: [resources/subscribe], name: "x://A/../b"}')
    asked = listening("subscriptions/listen", "x://a", "x://A/../b")
    assert Reason.NO_MATCHING_RULE is decide(among, asked).reason
    assert "`x://a` does not match" in trial("a", asked, among).why


def test_a_deny_rule_applies_to_every_form_of_a_uri() -> None:
    among = rules(
        "{id: a, effect: deny, methods: [resources/read], name: 'doc://h/b c'}", "{id: b, methods: [resources/read]}"
    )
    asked = request("resources/read", uri="doc://h/b%20c")
    assert [str(rule) for rule in decide(among, asked).rules] == ["p/a"]
    assert trial("a", asked, among).applies


@pytest.mark.parametrize(
    ("inner", "reason", "applies"),
    [
        ({"method": "sampling/createMessage"}, Reason.DENIED_BY_RULE, [True, True, False]),
        ({"method": "roots/list"}, Reason.ALWAYS_PERMITTED, [False, False, True]),
        ({"method": "elicitation/create"}, Reason.NO_MATCHING_RULE, [False, False, False]),
        (
            {"method": "ping", "params": {"inputRequests": {"a": {"method": "roots/list"}}}},
            Reason.ALWAYS_PERMITTED,
            [False, False, True],
        ),
        ({"method": "tools/call"}, Reason.WRONG_DIRECTION, [False, False, False]),
        (1, Reason.MESSAGE_REFUSED, [False, False, False]),
    ],
)
def test_rules_are_asked_for_what_a_message_of_a_server_asks_the_client_for(
    inner: Json, reason: Reason, applies: list[bool]
) -> None:
    among = rules(
        "{id: a, effect: deny, methods: [sampling/createMessage]}",
        "{id: b, methods: [sampling/createMessage]}",
        "{id: c, methods: [roots/list]}",
    )
    explanation = explain(among, sent(request("ping", inputRequests={"a": inner})))
    assert (reason, applies) == (explanation.decision.reason, [one.applies for one in explanation.trials])


@pytest.mark.parametrize("second", [{"method": "completion/complete"}, {"method": 1}])
def test_a_message_inside_that_is_refused_is_not_put_to_the_rules(second: Json) -> None:
    among = rules("{id: a, effect: deny, methods: [ping, sampling/createMessage]}")
    asked = sent(request("ping", inputRequests={"a": {"method": "sampling/createMessage"}, "b": second}))
    explanation = explain(among, asked)
    assert (Reason.DENIED_BY_RULE, [True]) == (explanation.decision.reason, [one.applies for one in explanation.trials])


def test_a_target_that_is_missing_leaves_the_rules_on_the_method() -> None:
    among = rules("{id: a, effect: deny, methods: [completion/complete]}", "{id: b, methods: [prompts/get]}")
    asked = request("completion/complete", ref={"type": "ref/prompt"})
    assert [True, False] == [one.applies for one in explain(among, asked).trials]


@pytest.mark.parametrize(
    ("rule", "claims", "expected"),
    [
        ("allow, cel: mcp.arguments.n < 5", {}, (True, "its condition may be true")),
        ("allow, cel: mcp.arguments.n < 5 && claims.a == 1", {"a": 1}, (True, "its condition may be true")),
        ("allow, cel: mcp.arguments.n < 5 && claims.a == 1", {"a": 2}, (False, "its condition is false")),
        ("allow, cel: mcp.arguments.n < 5 || claims.a == 1", {"a": 1}, (True, "its condition is true")),
        ("allow, cel: claims.a == 1", {"a": 1}, (True, "its condition is true")),
        ("deny, cel: mcp.arguments.n < 5", {}, (False, "its condition may be false")),
        ("deny, cel: claims.a == 1", {"a": 1}, (True, "its condition is true")),
        ("deny, cel: claims.a == 1", {"b": 1}, (True, "its condition is an error: no such key: `a`")),
    ],
)
@pytest.mark.parametrize("asked", [request("tools/list"), completing("a"), request("tasks/get", taskId="t1")])
def test_a_condition_may_be_only_what_the_call_can_still_change(
    rule: str, claims: dict[str, Json], expected: tuple[bool, str], asked: Request
) -> None:
    among = rules(f"{{id: a, methods: [tools/list, prompts/get, tools/call], effect: {rule}}}")
    found = trial("a", asked._replace(claims={**OWNER, **claims}), among)
    assert expected == (found.applies, found.why)


# ---- variables -------------------------------------------------------------------------------------------------------

VARIABLES: Final = """\
variables:
  claims: 'has(claims.role) && claims.role == "admin"'
  is_admin: 'variables.claims || claims["a b"][0] == mcp.name'
  role: claims.role
  called: has(mcp.arguments)
"""


@pytest.mark.parametrize(
    ("cel", "claims", "seen"),
    [
        (
            "variables.claims",
            {"role": "x"},
            {"has(claims.role)": "true", "claims.role": "'x'", "variables.claims": "false"},
        ),
        (
            "variables.is_admin",
            {"a b": []},
            {
                "has(claims.role)": "false",
                "claims['a b'][0]": "error: index out of range",
                "variables.is_admin": "error: index out of range",
            },
        ),
        (
            'variables.role == "x"',
            {"role": "x"},
            {"claims.role": "'x'", "variables.role": "'x'", 'variables.role == "x"': "true"},
        ),
        ("variables.called", {}, {"has(mcp.arguments)": "true", "variables.called": "true"}),
        ("has(mcp.arguments)", {}, {"has(mcp.arguments)": "true"}),
        (
            'claims["role"] == "x"',
            {"role": "x"},
            {"claims": "{'role': 'x'}", 'claims["role"]': "'x'", 'claims["role"] == "x"': "true"},
        ),
    ],
)
def test_what_the_facts_in_a_variable_were(cel: str, claims: dict[str, Json], seen: dict[str, str]) -> None:
    among = rules(f"{{id: a, methods: [tools/call], cel: '{cel}'}}", variables=VARIABLES)
    found = trial("a", request("tools/call", claims, name="b"), among)
    assert seen == {one.text: one.value for one in found.saw}


# ---- explain agrees with decide --------------------------------------------------------------------------------------

LISTS: Final = (Reason.LIST_FILTERED, Reason.NOTHING_HIDDEN, Reason.LIST_NOT_FILTERED)
UNGRANTED: Final = (Reason.NO_MATCHING_RULE, Reason.UNKNOWN_METHOD, Reason.TASK_NOT_OWNED)
MANY_TARGETS: Final = ("subscriptions/listen", "notifications/subscriptions/acknowledged")


ALWAYS: Final = [row.name for row in METHODS.values() if row.method_class is MethodClass.ALWAYS]
ASKING: Final = ["sampling/createMessage", "elicitation/create", "roots/list"]
ELSEWHERE: Final = [
    row.name
    for row in METHODS.values()
    if row.decided_as != row.name or row.method_class in (MethodClass.COMPLETION, MethodClass.LISTEN, MethodClass.TASK)
]
"""Methods that other methods' rules decide."""


@st.composite
def with_more_rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Policies, and more rules for every server on methods permitted anyhow, decided elsewhere, or inside other messages."""
    written = draw(policy_sets())
    written[0].pop("servers", None)
    for number in range(draw(st.sampled_from([2, 3, 4, 5]))):
        methods = draw(st.sampled_from([ALWAYS, *[ELSEWHERE] * 4, ASKING]))
        rule = {
            "id": f"more{number}",
            "effect": draw(EFFECTS),
            "methods": draw(st.permutations(methods))[:6],
        }
        named = {"name": draw(PATTERNS)} if methods is ELSEWHERE and draw(st.booleans()) else {}
        written[0]["rules"].append({**rule, **named})
    return written


@st.composite
def requests_decided_elsewhere(draw: st.DrawFn) -> Request:
    """A message of a method that is permitted anyhow or decided elsewhere."""
    row = METHODS[draw(st.sampled_from([*ALWAYS, *ELSEWHERE, *ELSEWHERE]))]
    direction = draw(st.sampled_from(sorted(row.directions)))
    params = params_of(draw, row)
    if draw(st.booleans()):
        asking = draw(st.lists(st.sampled_from([*ASKING, "ping"])))
        params["inputRequests"] = {str(key): {"method": method} for key, method in enumerate(asking)}
    return request_of(draw, Message(row.kind, row.name, 1, params), direction, Http())


def applying(explanation: Explanation) -> Mapping[object, Effect]:
    return {one.rule: one.effect for one in explanation.trials if one.applies}


def without_idle_rules(written: Sequence[Mapping[str, Any]], explanation: Explanation) -> PolicySet:
    """The policies with no rule but those that apply and those of other servers."""
    idle = {(one.rule.policy, one.rule.rule) for one in explanation.trials if not one.applies}
    return compile_policies(
        source_files(
            [
                {**policy, "rules": [rule for rule in policy["rules"] if (policy["policy"], rule["id"]) not in idle]}
                for policy in written
            ]
        )
    )


def verdict(decision: Decision) -> tuple[object, ...]:
    return decision.effect, decision.reason, decision.rules and [str(rule) for rule in decision.rules]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(with_more_rules(), st.lists(st.one_of(requests(), requests_decided_elsewhere()), min_size=6, max_size=6))
@pytest.mark.untraced
def test_explain_agrees_with_decide(written: Sequence[Mapping[str, Any]], asked: Sequence[Request]) -> None:
    among = compile_policies(source_files(written))
    for one in asked:
        explanation = explain(among, one)
        decision = explanation.decision
        applies = applying(explanation)
        assert decide(among, one) == decision
        assert set(decision.rules) <= applies.keys()
        params = one.message.params
        is_many = one.message.method in MANY_TARGETS or bool(
            {"inputRequests", "inputResponses", "arguments"} & params.keys()
        )
        if decision.reason is Reason.ALWAYS_PERMITTED and not is_many and one.message.kind is not MessageKind.RESPONSE:
            assert not applies
        is_answer = one.message.kind is MessageKind.RESPONSE or "inputResponses" in params
        if decision.allowed and decision.reason not in LISTS and not is_answer:
            assert Effect.DENY not in applies.values()
        if decision.reason in UNGRANTED and not is_many:
            assert Effect.ALLOW not in applies.values()
        if decision.reason not in LISTS:
            assert verdict(decision) == verdict(decide(without_idle_rules(written, explanation), one))
