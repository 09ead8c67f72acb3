"""Scenario files: what they may say, what is said of them when they are wrong, and what running them reports."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from mcp_acl.domain import Denial, Direction, Effect, Http, Reason, ResponseNeeds, TaskFact, TokenState
from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.engine.scenarios import LIBRARY, Answer, Otherwise, Question, Response, Scenario, Shown, run_scenarios
from mcp_acl.engine.shadow import Shadow
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import SourceError

POLICY = b"version: 1\npolicy: p\nrules: []\n"


def scenarios_of(text: str) -> tuple[Scenario, ...]:
    return parse_scenarios(SourceFile("s.yaml", text.encode())).scenarios


def the_scenario(*lines: str, head: str = "") -> Scenario:
    body = "".join(f"    {line}\n" for line in ("expect: {decision: deny}", *lines))
    (found,) = scenarios_of(f"{head}scenarios:\n  - name: one\n{body}")
    return found


def problems_of(text: str) -> list[str]:
    with pytest.raises(SourceError) as raised:
        scenarios_of(text)
    return [f"{one.place}: {one.message} / {one.hint}" for one in raised.value.problems]


# ---- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["message: ping"], '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'),
        (
            ["message: tools/call echo"],
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}',
        ),
        (
            ["message: tools/call a b "],
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a b"}}',
        ),
        (
            ["message: resources/read a:b"],
            '{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "a:b"}}',
        ),
        (["message: tasks/get t"], '{"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "t"}}'),
        (["message: x/y z"], '{"jsonrpc": "2.0", "id": 1, "method": "x/y", "params": {"name": "z"}}'),
        (["message: notifications/initialized"], '{"jsonrpc": "2.0", "method": "notifications/initialized"}'),
        (
            ["message: tools/call echo", "arguments: {n: 1.5}"],
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"n": 1.5}}}',
        ),
        (
            ["message: ping", "arguments: {}"],
            '{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"arguments": {}}}',
        ),
        (
            ["message: {method: a, params: {x: 1}}", "arguments: {}"],
            '{"jsonrpc": "2.0", "id": 1, "method": "a", "params": {"x": 1, "arguments": {}}}',
        ),
        (["message: {method: a, id: b}"], '{"jsonrpc": "2.0", "id": "b", "method": "a"}'),
        (["message: {result: {}}"], '{"jsonrpc": "2.0", "id": 1, "result": {}}'),
        (["message: {jsonrpc: '1', method: é}"], '{"jsonrpc": "1", "id": 1, "method": "é"}'),
        (["raw: ' {} '"], " {} "),
        (["raw: {base64: AAH/}"], b"\x00\x01\xff"),
        (["raw: {text: '@a@', repeat: {'@': ['<', 3]}}"], "<<<a<<<"),
    ],
)
def test_message_becomes_these_bytes(lines: list[str], body: str | bytes) -> None:
    expected = body if isinstance(body, bytes) else body.encode()
    assert expected == the_scenario(*lines).question.body


def test_everything_around_the_message_is_carried() -> None:
    found = the_scenario(
        "row: 1.1 first",
        "server: weather",
        "claims: {sub: ann}",
        "direction: server_to_client",
        "headers: {X-One: a, X-Two: [a, b]}",
        "http: {method: GET, path: /mcp, remote_address: 10.0.0.7}",
        "attributes: {plan: gold}",
        'time: "2026-03-02T09:30:00Z"',
        "tasks: {t: {issuer: i, subject: s, tool: x}}",
        "filters_responses: false",
        "message: ping",
    )
    assert ("one", "1.1 first", "s.yaml:2:11") == (found.name, found.row, str(found.place))
    assert found.question == Question(
        server="weather",
        body=b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        token=TokenState.VALID,
        claims=b'{"sub": "ann"}',
        direction=Direction.SERVER_TO_CLIENT,
        http=Http("GET", "/mcp", {"x-one": ("a",), "x-two": ("a", "b")}, "10.0.0.7"),
        attributes=b'{"plan": "gold"}',
        filters_responses=False,
        time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        tasks={"t": TaskFact("i", "s", "x")},
    )


@pytest.mark.parametrize(
    ("lines", "token", "claims"),
    [
        ([], TokenState.NONE, b"{}"),
        (["anonymous: true"], TokenState.NONE, b"{}"),
        (["token: invalid"], TokenState.INVALID, b"{}"),
        (["claims: {}"], TokenState.VALID, b"{}"),
        (["principal: ann"], TokenState.VALID, b'{"sub": "ann"}'),
    ],
)
def test_principal_is_one_of_four(lines: list[str], token: TokenState, claims: bytes) -> None:
    question = the_scenario("message: ping", *lines, head="principals: {ann: {sub: ann}}\n").question
    assert (token, claims) == (question.token, question.claims)


@pytest.mark.parametrize(
    ("defaults", "lines", "token"),
    [
        ("{claims: {sub: ann}}", [], TokenState.VALID),
        ("{claims: {sub: ann}}", ["anonymous: true"], TokenState.NONE),
        ("{principal: ann}", ["token: invalid"], TokenState.INVALID),
        ("{token: invalid}", ["claims: {}"], TokenState.VALID),
    ],
)
def test_what_a_scenario_says_of_the_principal_replaces_the_default(
    defaults: str, lines: list[str], token: TokenState
) -> None:
    head = f"principals: {{ann: {{sub: ann}}}}\ndefaults: {defaults}\n"
    assert token is the_scenario("message: ping", *lines, head=head).question.token


def test_defaults_fill_what_is_not_said() -> None:
    head = "defaults: {server: a, message: ping, row: r, filters_responses: false}\n"
    found = the_scenario("server: b", head=head)
    assert ("b", "r", False) == (found.question.server, found.row, found.question.filters_responses)
    assert b"ping" in found.question.body


def test_raw_replaces_the_default_message() -> None:
    head = "defaults: {message: ping, arguments: {a: 1}}\n"
    assert b"{}" == the_scenario("raw: '{}'", head=head).question.body
    assert b'"arguments": {"a": 1}' in the_scenario("message: tools/call x", head=head).question.body


# ---- the response ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "response"),
    [
        (["message: ping"], None),
        (
            ["message: tools/list", "list: [a, {name: b, title: B}]"],
            (
                "application/json",
                '{"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "a"}, {"name": "b", "title": "B"}]}}',
            ),
        ),
        (
            ["message: {id: x, method: resources/templates/list}", "list: ['a:{b}']"],
            (
                "application/json",
                '{"jsonrpc": "2.0", "id": "x", "result": {"resourceTemplates": [{"uriTemplate": "a:{b}"}]}}',
            ),
        ),
        (["message: ping", "response: {body: x, content_type: text/plain}"], ("text/plain", "x")),
        (["message: ping", "response: {json: {a: null}}"], ("application/json", '{"a": null}')),
        (["message: ping", "response: {json: null}"], ("application/json", "null")),
    ],
)
def test_response_becomes_these_bytes(lines: list[str], response: tuple[str, str] | None) -> None:
    expected = None if response is None else Response(response[0], response[1].encode())
    assert expected == the_scenario(*lines).response


def test_default_list_is_for_requests_that_ask_for_one() -> None:
    head = "defaults: {list: [a]}\n"
    assert the_scenario("message: ping", head=head).response is None
    assert the_scenario("raw: '['", head=head).response is None
    assert the_scenario("raw: '[]'", head=head).response is None
    assert the_scenario("message: prompts/list", head=head).response is not None


# ---- what is expected ------------------------------------------------------------------------------------------------


def test_expectation_holds_what_is_written() -> None:
    text = """
scenarios:
  - name: one
    message: tools/list
    list: [a]
    expect: {decision: allow, reason: list_filtered, errors: [p/b, p/a], entries: [b, a], hidden: [d, c], id: null, json: {a: 1}}
"""
    (found,) = scenarios_of(text)
    assert {
        "decision": "allow",
        "reason": "list_filtered",
        "errors": ["p/a", "p/b"],
        "entries": ["b", "a"],
        "hidden": ["c", "d"],
        "id": None,
        "json": {"a": 1},
    } == found.expect


def test_expectation_of_what_is_in_shadow_holds_what_is_written() -> None:
    text = """
scenarios:
  - name: one
    message: tools/list
    list: [a]
    expect:
      decision: allow
      shadow: {decision: deny, reason: denied_by_rule, rules: [p/b, p/a], hidden: [d, c], shown: [f, e], refused: false}
"""
    (found,) = scenarios_of(text)
    assert {
        "decision": "allow",
        "shadow.decision": "deny",
        "shadow.reason": "denied_by_rule",
        "shadow.rules": ["p/b", "p/a"],
        "shadow.hidden": ["c", "d"],
        "shadow.shown": ["e", "f"],
        "shadow.refused": False,
    } == found.expect


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["message: tools/list", "expect: {decision: allow, reason: list_filtered}"],
            {"decision": "deny", "reason": "list_not_filtered"},
        ),
        (["message: tools/list", "expect: {decision: allow}"], {"decision": "deny", "reason": "list_not_filtered"}),
        (
            ["message: tools/list", "list: [a]", "expect: {decision: allow, reason: nothing_hidden, entries: [a]}"],
            {"decision": "allow", "reason": "nothing_hidden"},
        ),
        (
            ["message: tools/list", "expect: {decision: deny, reason: no_policy}"],
            {"decision": "deny", "reason": "no_policy"},
        ),
        (["message: ping", "expect: {decision: allow}"], {"decision": "allow"}),
        (["message: ping", "expect: {decision: allow}", "cannot_filter: {decision: deny}"], {"decision": "deny"}),
        (
            [
                "message: ping",
                "response: {body: ''}",
                "expect: {decision: allow, shadow: {decision: deny, hidden: []}}",
            ],
            {"decision": "allow", "shadow.decision": "deny"},
        ),
        (
            ["message: tools/list", "expect: {decision: deny, shadow: {decision: allow}}"],
            {"decision": "deny"},
        ),
        (
            ["message: tools/list", "expect: {decision: allow, reason: nothing_hidden, shadow: {decision: allow}}"],
            {"decision": "allow", "reason": "nothing_hidden"},
        ),
    ],
)
def test_entrance_that_cannot_filter_is_expected_to_answer(lines: list[str], expected: Mapping[str, object]) -> None:
    (found,) = scenarios_of("scenarios:\n  - name: one\n" + "".join(f"    {line}\n" for line in lines))
    assert expected == found.cannot_filter


# ---- policies --------------------------------------------------------------------------------------------------------


def test_policies_left_out_are_those_of_the_directory() -> None:
    file = parse_scenarios(SourceFile("s.yaml", b"scenarios: [{name: a, message: ping, expect: {decision: allow}}]"))
    assert file.policies is None


def test_policies_are_text_or_mappings() -> None:
    text = """
policies:
  a.yaml: |
    version: 1
    policy: a
    rules: []
  b.yaml:
    version: 1
    policy: b
    rules: [{id: x, methods: [tools/call], name: "1"}]
scenarios: [{name: a, message: ping, expect: {decision: allow}}]
"""
    file = parse_scenarios(SourceFile("s.yaml", text.encode()))
    assert file.policies is not None
    assert ["a.yaml", "b.yaml"] == [one.name for one in file.policies]
    assert b"version: 1\npolicy: a\nrules: []\n" == file.policies[0].content
    assert ["a", "b"] == [one.id for one in compile_policies(file.policies).policies]


# ---- what is wrong ---------------------------------------------------------------------------------------------------

ONE = "scenarios:\n  - name: one\n    message: ping\n    expect: {decision: deny}\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["s.yaml:1:1: the file is empty / fill it, or remove it"]),
        ("scenarios: []", ["s.yaml:1:12: `scenarios` must not be empty / "]),
        (
            "scenario: []",
            [
                "s.yaml:1:1: the key `scenarios` is missing / ",
                "s.yaml:1:1: the key `scenario` is not known / did you mean `scenarios`?",
            ],
        ),
        (ONE + "    mesage: x\n", ["s.yaml:5:5: the key `mesage` is not known / did you mean `message`?"]),
        (ONE + "defaults: {servr: x}\n", ["s.yaml:5:12: the key `servr` is not known / did you mean `server`?"]),
        (
            "scenarios:\n  - name: one\n    message: ping\n    expect: {decision: deny, reson: x}\n",
            ["s.yaml:4:30: the key `reson` is not known / did you mean `reason`?"],
        ),
        ("scenarios:\n  - name: one\n    message: ping\n", ["s.yaml:2:5: the key `expect` is missing / "]),
        (
            "scenarios:\n  - name: one\n    message: ping\n    expect: {decision: maybe}\n",
            ["s.yaml:4:24: `decision` must be 'allow' or 'deny' / "],
        ),
        (ONE.replace("message: ping", "raw: {base64: '!'}"), ["s.yaml:3:19: `base64` must be base64 / "]),
        (
            ONE.replace("message: ping", "raw: {text: aaa, repeat: {a: [bbb, 9000000]}}"),
            ["s.yaml:3:10: `raw` must be smaller / "],
        ),
        (
            ONE.replace("message: ping", "raw: {txt: a}"),
            ["s.yaml:3:11: the key `txt` is not known / did you mean `text`?"],
        ),
        (ONE.replace("message: ping", "raw: [a]"), ["s.yaml:3:10: `raw` must be an object / "]),
        (ONE.replace("message: ping", "raw: 5"), ["s.yaml:3:10: `raw` must be a valid string / "]),
        ("[]", ["s.yaml:1:1: `the file` must be an object / "]),
        (ONE + "    headers: {X-One: 5}\n", ["s.yaml:5:22: `X-One` must be a valid string / "]),
        (ONE + "    headers: {X-One: [a, 5]}\n", ["s.yaml:5:26: `1` must be a valid string / "]),
        (
            ONE + "    tasks: {t: {issuer: 5}}\n",
            [
                "s.yaml:5:16: the key `subject` is missing / ",
                "s.yaml:5:16: the key `tool` is missing / ",
                "s.yaml:5:25: `issuer` must be a valid string / ",
            ],
        ),
        (ONE.replace("one", "''"), ["s.yaml:2:11: `name` must not be empty / "]),
        (ONE + "    claims: [a]\n", ["s.yaml:5:13: `claims` must be an object / "]),
        (ONE + "    time: yesterday\n", ["s.yaml:5:11: `time` must be a valid datetime, input is too short / "]),
        (
            ONE + ONE.removeprefix("scenarios:\n"),
            ["s.yaml:5:11: the name `one` stands twice / say in which way the two differ"],
        ),
        (
            ONE + "    raw: '{}'\n",
            ["s.yaml:2:11: both `message` and `raw` are given / keep one of them"],
        ),
        (
            ONE.replace("message: ping", "raw: '{}'") + "    arguments: {}\n",
            ["s.yaml:2:11: both `arguments` and `raw` are given / keep one of them"],
        ),
        (
            "defaults: {claims: {}, principal: ann}\nprincipals: {ann: {}}\n" + ONE + "    anonymous: true\n",
            ["s.yaml:1:11: both `claims` and `principal` are given / keep one of them"],
        ),
        (
            "defaults: {raw: '{}'}\n" + ONE.replace("message: ping", "arguments: {}"),
            ["s.yaml:3:11: there is nothing to ask / add `message` or `raw`"],
        ),
        (
            ONE.replace("message: ping", "raw: {text: a, base64: ''}"),
            ["s.yaml:3:10: `raw` must be `base64` alone, or `text` and `repeat` / "],
        ),
        (
            ONE.replace("message: ping", "raw: {base64: AA==, repeat: {a: [b, 2]}}"),
            ["s.yaml:3:10: `raw` must be `base64` alone, or `text` and `repeat` / "],
        ),
        (
            ONE + "    response: {body: '', json: null}\n",
            ["s.yaml:5:15: `response` must be given by one of `body` and `json` / "],
        ),
        (
            ONE + "    response: {content_type: text/plain}\n",
            ["s.yaml:5:15: `response` must be given by one of `body` and `json` / "],
        ),
        (
            ONE + "    headers: {X-One: a, x-one: a}\n",
            ["s.yaml:5:14: `headers` must be names that differ in more than their case / "],
        ),
        (
            ONE + '    time: "2026-03-02T09:30:00"\n',
            ["s.yaml:5:11: `time` must be a time with its zone: `2026-03-02T09:30:00Z` / "],
        ),
        (
            ONE + "    claims: {}\n    anonymous: true\n",
            ["s.yaml:2:11: both `anonymous` and `claims` are given / keep one of them"],
        ),
        (
            ONE.replace("ping", "tools/list") + "    list: []\n    response: {body: ''}\n",
            ["s.yaml:2:11: both `list` and `response` are given / keep one of them"],
        ),
        (
            "scenarios:\n  - name: one\n    expect: {decision: deny}\n",
            ["s.yaml:2:11: there is nothing to ask / add `message` or `raw`"],
        ),
        (
            "principals: {ann: {}}\n" + ONE + "    principal: anne\n",
            ["s.yaml:6:16: the principal `anne` is not known / did you mean `ann`?"],
        ),
        (
            ONE + "    principal: anne\n",
            ["s.yaml:5:16: the principal `anne` is not known / name it under `principals`"],
        ),
        (
            ONE + "    list: [a]\n",
            ["s.yaml:5:11: the message does not ask for a list / leave out `list`, or use `response`"],
        ),
        (
            "scenarios:\n  - name: one\n    message: ping\n    expect: {decision: deny, hidden: []}\n",
            ["s.yaml:4:13: `hidden` is expected of a response, and there is none / add `list` or `response`"],
        ),
        (
            ONE.replace("deny}", "deny, shadow: {hidden: []}}"),
            ["s.yaml:4:13: `shadow.hidden` is expected of a response, and there is none / add `list` or `response`"],
        ),
        (ONE.replace("deny}", "deny, shadow: {}}"), ["s.yaml:4:38: `shadow` must not be empty / "]),
        (ONE.replace("deny}", "deny, shadow: null}"), ["s.yaml:4:38: `shadow` must be an object / "]),
        (
            ONE.replace("deny}", "deny, shadow: {effect: allow, decison: allow}}"),
            [
                "s.yaml:4:39: the key `effect` is not known / ",
                "s.yaml:4:54: the key `decison` is not known / did you mean `decision`?",
            ],
        ),
    ],
)
def test_problem_says_where_and_what_to_do(text: str, problems: list[str]) -> None:
    assert problems == problems_of(text)


@pytest.mark.parametrize("told", ["reason: granted", "decision: deny, rules: []"])
@pytest.mark.parametrize("key", ["expect", "cannot_filter"])
def test_reason_and_rules_in_shadow_are_of_another_decision(told: str, key: str) -> None:
    wrong = f"    {key}: {{decision: deny, shadow: {{{told}}}}}\n"
    text = ONE + wrong if key == "cannot_filter" else ONE.replace("    expect: {decision: deny}\n", wrong)
    (problem,) = problems_of(text)
    assert "its reason and rules only where it would decide otherwise / give `shadow` the other `decision`" in problem
    assert problem.startswith(f"s.yaml:{text.count(chr(10))}:")


# ---- running ---------------------------------------------------------------------------------------------------------


class Fixed:
    """An entrance that always says the same."""

    def __init__(self, answer: Answer, shown: Shown | None = None, *, tells_shadow: bool = True) -> None:
        self.filters = shown is not None
        self.tells_shadow = tells_shadow
        self.answer = answer
        self.shown = shown
        self.asked: list[bool] = []

    def check(self, _policies: PolicySet, question: Question) -> Answer:
        self.asked.append(question.filters_responses)
        return self.answer

    def filter(self, _policies: PolicySet, _question: Question, _response: Response) -> Shown:
        assert self.shown is not None
        return self.shown


POLICIES = compile_policies([SourceFile("p.yaml", POLICY)])
ALLOWED = Answer(Effect.ALLOW, Reason.LIST_FILTERED, ("p/a",), ("p/e",), ResponseNeeds.LIST, "", None)
DENIED = Answer(
    Effect.DENY, Reason.NO_POLICY, (), (), ResponseNeeds.NONE, "why",
    Denial(200, (), b'{"jsonrpc":"2.0","id":7,"error":{"code":403,"message":"x"}}'),
)  # fmt: skip
SHOWN = Shown("application/json", b'{"result":{"tools":[{"name":"a"}]}}', ("y", "x"), 2, False, ("p/f",))

LISTED = """
scenarios:
  - name: one
    message: tools/list
    list: [a]
    expect: {%s}
"""


def differences(expect: str, entrance: Fixed) -> list[tuple[str, object, object]]:
    found = run_scenarios(POLICIES, scenarios_of(LISTED % expect), entrance)
    return [(one.field, one.expected, one.actual) for one in found]


EVERYTHING = (
    "decision: allow, reason: list_filtered, rules: [p/a], errors: [p/f, p/e], response_needs: list, message: '', "
    "entries: [a], hidden: [x, y], dropped: 2, refused: false, content_type: application/json, "
    'body: \'{"result":{"tools":[{"name":"a"}]}}\', json: {result: {tools: [{name: a}]}}'
)


def test_expected_answer_makes_no_difference() -> None:
    assert [] == differences(EVERYTHING, Fixed(ALLOWED, SHOWN))


def test_expected_denial_makes_no_difference() -> None:
    expect = "decision: deny, reason: no_policy, rules: [], message: why, status: 200, code: 403, id: 7"
    assert [] == differences(expect, Fixed(DENIED, SHOWN))


def test_every_field_that_differs_is_reported() -> None:
    other = EVERYTHING.replace("allow", "deny").replace("list_filtered", "granted").replace("p/", "q/")
    other = other.replace("s: list", "s: none").replace("message: ''", "message: m, status: 1, code: 2, id: 3")
    other = other.replace("[a]", "[b]").replace("[x", "[z").replace("dropped: 2", "dropped: 3").replace("false", "true")
    other = other.replace("application", "text").replace('"a"', '"b"').replace("name: a", "name: b")
    fields = [field for field, _, _ in differences(other, Fixed(ALLOWED, SHOWN))]
    everything = "decision reason rules errors response_needs message status code id entries hidden dropped refused"
    assert {*everything.split(), "content_type", "body", "json"} == set(fields)
    assert len(fields) == len(set(fields))


DENIED_IN_SHADOW = ALLOWED._replace(errors=(), shadow=Otherwise(Effect.DENY, Reason.DENIED_BY_RULE, ("p/n",)))
OTHER_IN_SHADOW = SHOWN._replace(dropped=0, errors=(), shadow=Shadow(("y", "x"), ("z",), "unreadable"))
SAME = "decision: allow, shadow: {decision: allow, hidden: [], shown: [], refused: false}"
OTHER = (
    "decision: allow, shadow: "
    "{decision: deny, reason: denied_by_rule, rules: [p/n], hidden: [x, y], shown: [z], refused: true}"
)


def test_expected_shadow_makes_no_difference() -> None:
    assert [] == differences(OTHER, Fixed(DENIED_IN_SHADOW, OTHER_IN_SHADOW))
    same = ALLOWED._replace(errors=()), SHOWN._replace(dropped=0, errors=())
    assert [] == differences(SAME, Fixed(*same))
    assert [
        ("shadow.decision", "deny", "allow"),
        ("shadow.reason", "denied_by_rule", None),
        ("shadow.rules", ["p/n"], None),
        ("shadow.hidden", ["x", "y"], []),
        ("shadow.shown", ["z"], []),
        ("shadow.refused", True, False),
    ] == differences(OTHER, Fixed(*same))


def test_shadow_that_nobody_expects_is_no_difference() -> None:
    assert [] == differences("decision: allow", Fixed(DENIED_IN_SHADOW, OTHER_IN_SHADOW))
    assert ["shadow.decision", "shadow.hidden", "shadow.shown", "shadow.refused"] == [
        field for field, _, _ in differences(SAME, Fixed(DENIED_IN_SHADOW, OTHER_IN_SHADOW))
    ]


def test_entrance_that_does_not_tell_what_is_in_shadow_is_held_to_the_rest() -> None:
    silent = ALLOWED._replace(errors=()), SHOWN._replace(dropped=0, errors=())
    assert [("reason", "granted", "list_filtered")] == differences(
        f"reason: granted, {OTHER}", Fixed(*silent, tells_shadow=False)
    )


def test_errors_that_nobody_expects_are_a_difference() -> None:
    assert [("errors", [], ["p/e", "p/f"])] == differences("decision: allow, dropped: 2", Fixed(ALLOWED, SHOWN))


def test_response_to_a_denied_message_is_not_filtered() -> None:
    assert [("decision", "allow", "deny"), ("entries", ["a"], None)] == differences(
        "decision: allow, entries: [a]", Fixed(DENIED, SHOWN)
    )


def test_denial_without_a_body_has_no_code() -> None:
    silent = DENIED._replace(denial=Denial(202, (), b""))
    assert [("code", 403, None)] == differences(
        "decision: deny, status: 202, code: 403, id: null", Fixed(silent, SHOWN)
    )


def test_entrance_that_cannot_filter_says_so_and_is_held_to_its_own_answer() -> None:
    entrance = Fixed(DENIED)
    assert [("reason", "list_not_filtered", "no_policy")] == differences("decision: allow, entries: [a]", entrance)
    assert [False] == entrance.asked


@pytest.mark.parametrize(
    ("content_type", "body", "entries"),
    [
        ("application/json", b"", []),
        ("application/json", b'{"error":{}}', []),
        (
            "text/event-stream",
            b'data: {"result":{"tools":[{"name":"a"}]}}\n\ndata:\n\ndata: {"result":{"prompts":[{"name":"b"}]}}\n\n',
            ["a", "b"],
        ),
        (
            "application/json",
            b'{"result":{"resources":[{"uri":"a:b"}],"resourceTemplates":[{"uriTemplate":"c"}]}}',
            ["a:b", "c"],
        ),
    ],
)
def test_entries_are_the_names_in_every_list(content_type: str, body: bytes, entries: list[str]) -> None:
    shown = SHOWN._replace(content_type=content_type, body=body, dropped=0, errors=())
    found = differences("decision: allow, errors: [p/e], entries: []", Fixed(ALLOWED, shown))
    assert entries == (sorted(found[0][2]) if found else [])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        ("decision: deny", '`decision` should be "deny" and is "allow"'),
        ("decision: allow, reason: granted", '`reason` should be "granted" and is "list_filtered"'),
        ("decision: allow, response_needs: none", '`response_needs` should be "none" and is "list"'),
        ("decision: allow, refused: true", "`refused` should be true and is false"),
        ("decision: allow, status: 200", "`status` should be 200 and is null"),
        ("decision: allow, rules: [é]", '`rules` should be ["é"] and is ["p/a"]'),
        ("decision: allow, shadow: {decision: deny}", '`shadow.decision` should be "deny" and is "allow"'),
    ],
)
def test_difference_reads_as_a_sentence(expect: str, sentence: str) -> None:
    (found,) = run_scenarios(
        POLICIES,
        scenarios_of(LISTED % f"{expect}, errors: [p/e]"),
        Fixed(ALLOWED, SHOWN._replace(errors=(), dropped=0)),
    )
    assert f"s.yaml:3:11: one: {sentence}" == str(found)


@pytest.mark.parametrize(
    ("expected", "written"), [("true", "1"), ("1", "1.0"), ("1.0", "1"), ("1", '"1"'), ("[false]", "[0]")]
)
def test_id_and_json_differ_by_type(expected: str, written: str) -> None:
    denied = DENIED._replace(denial=Denial(200, (), f'{{"id":{written}}}'.encode()))
    (found,) = differences(f"decision: deny, id: {expected}", Fixed(denied, SHOWN))
    assert "id" == found[0]
    shown = SHOWN._replace(body=written.encode(), errors=(), dropped=0)
    (found,) = differences(f"decision: allow, errors: [p/e], json: {expected}", Fixed(ALLOWED, shown))
    assert "json" == found[0]


def test_order_of_keys_makes_no_difference() -> None:
    shown = SHOWN._replace(body=b'{"b":1,"a":2}', errors=(), dropped=0)
    assert [] == differences("decision: allow, errors: [p/e], json: {a: 2, b: 1}", Fixed(ALLOWED, shown))


@pytest.mark.parametrize(
    ("response", "field", "actual"),
    [("response: {body: junk}", "refused", True), ("list: [{nam: a}]", "dropped", 1)],
)
def test_response_that_is_withheld_or_in_doubt_is_a_difference_unless_it_is_expected(
    response: str, field: str, actual: object
) -> None:
    text = f"""
scenarios:
  - name: one
    server: s
    message: tools/list
    {response}
    expect: {{decision: allow, entries: [], hidden: []%s}}
"""
    (found,) = run_scenarios(POLICIES, scenarios_of(text % ""), LIBRARY)
    assert (field, actual) == (found.field, found.actual)
    assert () == run_scenarios(POLICIES, scenarios_of(text % f", {field}: {str(actual).lower()}"), LIBRARY)


# ---- the library -----------------------------------------------------------------------------------------------------


def test_library_refuses_what_is_no_message() -> None:
    answer = LIBRARY.check(POLICIES, the_scenario("raw: '[]'", "server: s").question)
    assert (Effect.DENY, Reason.MESSAGE_REFUSED) == (answer.decision, answer.reason)
    assert answer.denial is not None
    assert 400 == answer.denial.status


def test_library_filters() -> None:
    scenario = the_scenario("message: tools/list", "list: [a, b]", "server: s")
    assert LIBRARY.check(POLICIES, scenario.question).denial is None
    assert scenario.response is not None
    shown = LIBRARY.filter(POLICIES, scenario.question, scenario.response)
    assert (b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}', ("a", "b"), 0, False) == (
        shown.body.replace(b" ", b""), shown.hidden, shown.dropped, shown.refused,
    )  # fmt: skip


def test_claims_are_read_as_json_is_read_from_the_wire() -> None:
    policy = b"version: 1\npolicy: p\nrules: [{id: r, methods: [tools/call], cel: 'claims.n > 0'}]\n"
    policies = compile_policies([SourceFile("p.yaml", policy)])
    scenario = the_scenario("message: tools/call a", "server: s", "claims: {n: 9007199254740993}")
    assert ("p/r",) == LIBRARY.check(policies, scenario.question).errors
