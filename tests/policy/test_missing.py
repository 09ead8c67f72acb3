"""Deny rules and facts that not every request brings."""

import pytest

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.missing import optional_facts
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import load_policies
from mcp_acl.problems import Problem


def findings(rule: str, effect: str = "deny", head: str = "") -> list[Problem]:
    text = f"version: 1\npolicy: p\n{head}rules:\n  - id: r\n    effect: {effect}\n    methods: [tools/call]\n{rule}\n"
    return [*compile_policies([SourceFile("p.yaml", text.encode())]).findings]


def found(**texts: str) -> list[str]:
    """The text a finding stands at."""
    rule = "\n".join(f"    {key}: |\n      {text}" for key, text in texts.items())
    places = [one.place for one in findings(rule) if one.code == "optional-fact"]
    return [place.text[place.column - 1 : place.column - 1 + place.width] for place in places]


@pytest.mark.parametrize(
    ("cel", "expected"),
    [
        ('claims.env == "prod"', "claims.env"),
        ('"interns" in claims.groups', "claims.groups"),
        ('!(claims.role == "admin")', "claims.role"),
        ('claims.env != null && claims.env == "prod"', "claims.env"),
        ('claims.env == "prod" && mcp.name == "x"', "claims.env"),
        ('mcp.name == "x" && claims.env == "prod"', "claims.env"),
        ("mcp.arguments.amount > claims.limit", "claims.limit"),
        ("mcp.arguments.ok ? claims.a : claims.b", "claims.a"),
        ('claims.groups.exists(g, g == "x")', "claims.groups"),
        ('cel.bind(e, claims.env, e == "prod")', "claims.env"),
        ('cel.bind(c, claims, c.env == "prod")', "c.env"),
        ('claims["env"] == "prod"', 'claims["env"]'),
        ('request.headers["x-env"] == "prod"', 'request.headers["x-env"]'),
        ("attributes.tenant.tier == 1", "attributes.tenant"),
        ('claims.a.startsWith("x") || attributes.b == 1', "claims.a"),
        ("has(claims.a.b) && claims.a.b == 1", "claims.a"),
    ],
)
def test_cel_that_needs_a_fact_is_found(cel: str, expected: str) -> None:
    assert [expected] == found(cel=cel)


@pytest.mark.parametrize(
    "cel",
    [
        'has(claims.env) && claims.env == "prod"',
        'claims.env == "prod" && has(claims.env)',
        '!has(claims.env) || claims.env == "prod"',
        'has(claims.env) && claims.env == "prod" && mcp.name == "x"',
        'has(claims.env) ? claims.env == "prod" : false',
        '"env" in claims && claims.env == "prod"',
        'claims.?env.orValue("") == "prod"',
        'claims.?env == optional.of("prod")',
        'claims[?"env"].orValue("") == "prod"',
        'claims.exists(key, key == "env" && claims[key] == "prod")',
        'size(claims) == 0 || claims.env == "prod"',
        'claims == {"env": "prod"}',
        'claims[mcp.name] == "x"',
        'mcp.arguments.force || claims.env == "prod"',
        "has(claims.a) && has(claims.a.b) && claims.a.b == 1",
        '"x-env" in request.headers && request.headers["x-env"] == "prod"',
        "mcp.arguments.amount > 1000",
        "mcp.annotations.destructiveHint",
        'mcp.name.startsWith("delete_")',
        'request.path == "/prod"',
        "1 / 0 == 1 && mcp.arguments.x == 1",
        "request.time.getHours() < 6",
    ],
)
def test_cel_that_guards_it_or_needs_none_is_not(cel: str) -> None:
    assert [] == found(cel=cel)


@pytest.mark.parametrize(
    ("el", "expected"),
    [
        ("{#request.headers['X-Env'][0] == 'prod'}", "#request.headers['X-Env'][0]"),
        ("{#context.attributes['user'].startsWith('svc-')}", "#context.attributes['user'].startsWith('svc-')"),
        ("{#context.attributes['tenant'].tier == 1}", "#context.attributes['tenant'].tier"),
        (
            "{#context.attributes['jwt.claims']['groups'].contains('x')}",
            "#context.attributes['jwt.claims']['groups'].contains('x')",
        ),
        ("{#token['groups'].contains('x')}", "#token['groups'].contains('x')"),
        ("{#subscription.id == 'x'}", "#subscription.id"),
        ("{#dictionaries['a']['b'] == 'x'}", "#dictionaries['a']"),
        ("{#request.method == 'POST' && #token['a'].length() > 1}", "#token['a'].length()"),
    ],
)
def test_el_that_needs_a_fact_is_found(el: str, expected: str) -> None:
    assert [expected] == found(condition=el)


@pytest.mark.parametrize(
    "el",
    [
        "{#token['env'] == 'prod'}",
        "{#context.attributes['jwt.claims']['env'] == 'prod'}",
        "{#context.attributes['jwt.claims']['role'] != 'admin'}",
        "{#context.attributes['blocked']}",
        "{#context.attributes['user'] == 'x'}",
        "{#context.attributes['user']?.startsWith('svc-')}",
        "{#token['groups'] != null && #token['groups'].contains('x')}",
        "{#token['groups'] == null || #token['groups'].contains('x')}",
        "{#request.headers['X-Env'] != null && #request.headers['X-Env'][0] == 'prod'}",
        "{#request.headers['X-Env'] != null ? #request.headers['X-Env'][0] == 'prod' : false}",
        "{#request.method == 'POST' && #request.headers['X'] != null && #request.headers['X'][0] == 'y'}",
        "{#request.headers.containsKey('X-Env') && #request.headers['X-Env'][0] == 'prod'}",
        "{#request.params['a'][0] == 'x'}",
        "{#request.path == '/x'}",
        "{#mcp.name == 'x'}",
        "{#mcp.arguments['x'] == 1}",
        "{#request.jsonContent.params.arguments.amount > 1}",
        "{#subscription?.id == 'x'}",
    ],
)
def test_el_that_guards_it_or_gets_null_is_not(el: str) -> None:
    assert [] == found(condition=el)


def test_one_language_may_guard_the_other() -> None:
    assert [] == found(condition="{#token['env'] != null}", cel='claims.env == "prod"')
    assert ["claims.env"] == found(condition="{#request.method == 'POST'}", cel='claims.env == "prod"')
    assert ["#token['a'].length()"] == found(condition="{#token['a'].length() > 1}", cel='mcp.name == "x"')


def test_an_allow_rule_with_an_error_does_not_apply() -> None:
    assert [] == findings("    cel: claims.env == 'prod'", effect="allow")


def test_a_fact_in_a_variable_is_found_where_the_variable_stands() -> None:
    head = "variables:\n  prod: claims.env == 'prod'\n  safe: has(claims.env) && variables.prod\n"
    assert [] == findings("    cel: variables.safe", head=head)
    (finding,) = findings("    cel: variables.safe || variables.prod", head=head)
    assert ("optional-fact", 10, 28) == (finding.code, finding.place.line, finding.place.column)


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        (
            "cel: claims.env == 'prod'",
            "`claims.env` may be missing: the condition is then an error, and the rule denies",
            "write `has(claims.env) && …`, or `!has(claims.env) || …` to deny then",
        ),
        (
            "cel: request.headers['x'] == 'prod'",
            "`request.headers['x']` may be missing: the condition is then an error, and the rule denies",
            "ask for it first, as in `has(claims.x) && …`, or `!has(claims.x) || …` to deny then",
        ),
        (
            "condition: \"{#token['a'].length() > 1}\"",
            "`#token['a'].length()` may be missing: the condition is then an error, and the rule denies",
            "compare it with null first: `… != null && …`, or `… == null || …` to deny then",
        ),
    ],
)
def test_it_says_what_to_do(rule: str, message: str, hint: str) -> None:
    (finding,) = findings(f"    {rule}")
    assert ("optional-fact", message, hint) == (finding.code, finding.message, finding.hint)
    assert finding.is_finding


def test_texts_with_problems_are_not_judged() -> None:
    text = "version: 1\npolicy: p\nvariables: {v: 'claims.'}\nrules: [{id: r, effect: deny, methods: [tools/call], cel: 'a =', condition: '{#token[}'}]"
    policies, _ = load_policies([SourceFile("p.yaml", text.encode())])
    assert [] == [*optional_facts(policies[0])]


def test_it_is_told_for_every_rule_with_the_text() -> None:
    second = "  - {id: s, effect: deny, methods: [tools/call], name: x, cel: claims.env == 'prod'}"
    places = [one.place.line for one in findings(f"    cel: claims.env == 'prod'\n{second}")]
    assert [7, 8] == places
