"""What is wrong or odd beyond shape. Most of it is in `tests/cases/problems`, as people see it.

`REWRITE_GOLDENS=1 pytest tests/policy/test_checks.py` writes every `expected.txt` anew; read the difference.
"""

import os
from pathlib import Path

import pytest

from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy import checks
from mcp_acl.policy.checks import check_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import load_policies
from mcp_acl.problems import Problem, render_problems, sort_problems

CASES = Path(__file__).parents[1] / "cases" / "problems"
REWRITE = os.environ.get("REWRITE_GOLDENS") == "1"


def problems_of(files: list[SourceFile]) -> tuple[Problem, ...]:
    policies, problems = load_policies(files)
    return sort_problems((*problems, *check_policies(policies)))


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_person_is_told_what_is_wrong(case: str) -> None:
    files = [SourceFile(path.name, path.read_bytes()) for path in sorted((CASES / case).glob("*.yaml"))]
    rendered = render_problems(problems_of(files)) + "\n"
    golden = CASES / case / "expected.txt"
    if REWRITE:
        golden.write_text(rendered, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == rendered


def found(rules: str, head: str = "") -> list[str]:
    text = f"version: 1\npolicy: p\n{head}rules:\n{rules}"
    return [problem.code for problem in problems_of([SourceFile("a.yaml", text.encode())])]


def test_nothing_is_wrong_with_a_plain_rule() -> None:
    assert [] == found("- {id: a, methods: [tools/list, tools/call], name: search}\n")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_of_the_table_may_be_denied(method: str) -> None:
    assert [] == found(f"- {{id: a, effect: deny, methods: [{method}]}}\n")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_of_the_table_may_be_named_under_its_feature(method: str) -> None:
    feature = METHODS[method].feature or "*"
    assert [] == found(f"- {{id: a, effect: deny, feature: '{feature}', methods: [{method}]}}\n")


NO_EFFECT = [
    name
    for name, row in METHODS.items()
    if row.method_class in ("always", "completion", "listen", "task") or row.decided_as != name
]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_allowing_what_no_allow_rule_decides_is_a_finding(method: str) -> None:
    assert ["no-effect"] * (method in NO_EFFECT) == found(f"- {{id: a, methods: [{method}]}}\n")


@pytest.mark.parametrize("feature", ["tools", "resources", "prompts", "tasks", "skills", "'*'", "logging"])
def test_star_is_fine_with_a_feature(feature: str) -> None:
    assert [] == found(f"- {{id: a, feature: {feature}, methods: ['*']}}\n")


def test_an_unknown_list_changed_is_no_unknown_method() -> None:
    assert [] == found("- {id: a, effect: deny, methods: [notifications/agents/list_changed]}\n")


@pytest.mark.parametrize("sign", list("*?[]()|\\^$"))
@pytest.mark.parametrize("method", ["tools/call", "tools/list", "prompts/get", "prompts/list"])
def test_a_name_with_a_sign_of_patterns_is_refused(sign: str, method: str) -> None:
    assert ["literal-pattern"] == found(f"- {{id: a, methods: [{method}], name: 'a{sign}b'}}\n")


@pytest.mark.parametrize("sign", list("*\\"))
@pytest.mark.parametrize("method", ["resources/read", "resources/list", "resources/subscribe", "skills/get"])
def test_a_uri_with_a_sign_of_patterns_is_refused(sign: str, method: str) -> None:
    assert ["literal-pattern"] == found(f"- {{id: a, methods: [{method}], name: 'a:{sign}b'}}\n")


@pytest.mark.parametrize("sign", list("?[]()|^$.+-{}"))
def test_other_signs_are_part_of_uris(sign: str) -> None:
    assert [] == found(f"- {{id: a, methods: [resources/list], name: 'a:{sign}b'}}\n")


@pytest.mark.parametrize("sign", list(".+-{}/:#&~%@!=,'\" é"))
def test_other_signs_are_part_of_names(sign: str) -> None:
    quoted = sign.replace("'", "''")
    assert [] == found(f"- {{id: a, methods: [tools/call], name: 'a{quoted}b'}}\n")


def test_a_literal_under_tools_and_resources_keeps_both_rules() -> None:
    assert ["literal-pattern"] == found("- {id: a, methods: [tools/call, resources/read], name: 'a?b'}\n")


def test_an_escaped_regex_is_no_literal() -> None:
    assert [] == found("- {id: a, methods: [tools/call], name: {regex: 'a\\*b'}}\n")


def test_a_name_for_what_has_none_is_refused_under_every_feature_too() -> None:
    text = "- {id: a, feature: '*', methods: [events/poll], name: a}\n"
    assert ["name-without-target", "unknown-method"] == sorted(found(text))


def test_any_is_a_name_for_what_has_none() -> None:
    assert [] == found("- {id: a, methods: [logging/setLevel], name: [{any: true}, a]}\n")


def test_a_name_beside_a_star_is_for_what_has_one() -> None:
    assert [] == found("- {id: a, feature: '*', methods: ['*'], name: a}\n")


@pytest.mark.parametrize("server", ["a", "a-*", "?", "*", "a.b:c/d@e", "é", "a+b"])
def test_a_server_is_an_id_or_a_glob(server: str) -> None:
    assert [] == found("[]\n".replace("[]", "  []"), head=f"servers: ['{server}']\n")


@pytest.mark.parametrize("sign", list("[](){}|\\^$ \t"))
def test_a_server_has_no_sign_of_other_patterns(sign: str) -> None:
    assert ["server-glob"] == found("  []\n", head=f"servers: ['a{sign}b']\n")


@pytest.mark.parametrize("text", ["variables.a", "!variables . a", 'variables["a"]', "b || variables.a"])
def test_a_variable_that_is_named_is_used(text: str) -> None:
    assert [] == found(f"- {{id: r, methods: [tools/call], cel: '{text}'}}\n", head="variables: {a: 'true'}\n")


def test_a_variable_is_used_by_a_later_one() -> None:
    rules = "- {id: r, methods: [tools/call], cel: variables.b}\n"
    assert [] == found(rules, head="variables: {a: 'true', b: variables.a}\n")


def test_a_rule_that_is_left_out_may_use_a_variable() -> None:
    assert ["unknown-key"] == found("- {id: r, method: [tools/call], cel: variables.a}\n", head="variables: {a: b}\n")


def test_all_patterns_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PROGRAMS", 100)
    rules = "".join(
        f"- {{id: r{number}, methods: [tools/call], name: [a, {{glob: 'b{number % 9}*'}}]}}\n" for number in range(20)
    )
    assert ["patterns-too-large"] == found(rules)


def test_equal_patterns_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PROGRAMS", 100)
    rules = "".join(f"- {{id: r{n}, methods: [tools/call], name: {{glob: 'b*'}}, cel: c}}\n" for n in range(50))
    assert [] == found(rules)


def test_of_very_many_findings_the_first_are_told() -> None:
    rules = "".join(f"- {{id: r{n}, feature: '*', methods: [x/y{n}]}}\n" for n in range(300))
    assert ["unknown-method"] * 100 + ["more"] == found(rules)


def test_overlaps_are_not_looked_for_where_there_are_problems() -> None:
    rules = "- {id: a, methods: [tools/call]}\n- {id: b, methods: [tools/call]}\n"
    assert ["covered-rule"] == found(rules)
    assert ["server-glob"] == found(rules, head="servers: ['a b']\n")
    assert ["unknown-key"] == found(rules, head="extra: 1\n")
