"""Files become one set: equal texts share a condition, order leaves no trace, problems stand where the text stands."""

import pytest

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet, Rule
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import Problem, SourceError


def compiled(*texts: str, commit: str = "") -> PolicySet:
    return compile_policies([SourceFile(f"{index}.yaml", text.encode()) for index, text in enumerate(texts)], commit)


def policy(name: str, *rules: str, head: str = "") -> str:
    lines = "".join(f"  - {{id: r{index}, methods: [tools/call], {rule}}}\n" for index, rule in enumerate(rules))
    return f"version: 1\npolicy: {name}\n{head}rules:\n{lines}"


def problems_of(*texts: str) -> tuple[Problem, ...]:
    with pytest.raises(SourceError) as refused:
        compiled(*texts)
    return refused.value.problems


def rules_of(policies: PolicySet, name: str = "x") -> tuple[Rule, ...]:
    view = policies.view("any")
    assert view is not None
    return view.candidates("tools/call", name).allows


def test_equal_conditions_are_compiled_once() -> None:
    first, second, third = rules_of(
        compiled(policy("p", "cel: claims.a == 1", "cel: claims.a == 1", "cel: claims.a == 2"))
    )
    assert first.condition is second.condition
    assert first.condition is not third.condition


def test_what_equal_conditions_may_come_to_is_computed_once() -> None:
    first, second = rules_of(compiled(policy("p", *["cel: mcp.arguments.a == 1"] * 2)))
    assert first.outlook is not None
    assert first.outlook is second.outlook


def test_equal_texts_over_other_variables_are_not_the_same() -> None:
    head = "variables: {v: claims.a == %d}\n"
    texts = [policy(name, "cel: variables.v", head=head % number) for name, number in (("p", 1), ("q", 2))]
    first, second = rules_of(compiled(*texts))
    assert first.condition is not second.condition


def test_both_languages_are_joined() -> None:
    (rule,) = rules_of(compiled(policy("p", "condition: \"{#token['a'] == 1L}\", cel: claims.b == 2")))
    assert rule.condition is not None
    assert "{#token['a'] == 1L}\nclaims.b == 2" == rule.condition.text
    assert {"token", "claims"} == {one.name for one in rule.condition.reads}


def test_the_revision_is_of_what_the_files_say() -> None:
    one, two = policy("p", "name: a"), policy("q", "name: b")
    assert compiled(one, two).revision == compiled(two, one).revision
    assert compiled(one).revision == compiled("# a remark\n" + one).revision
    assert compiled(one).revision != compiled(policy("p", "name: b")).revision
    assert compiled(one).revision + "+git.0123456789ab" == compiled(one, commit="0123456789abcdef").revision


def test_a_rule_is_named_by_policy_id_file_and_line() -> None:
    (rule,) = rules_of(compiled(policy("p", "name: x")))
    assert ("p", "r0", "0.yaml", 4) == rule.ref


@pytest.mark.parametrize(
    ("rule", "code", "column"),
    [
        ("cel: 'claims.a = 1'", "cel-syntax", None),
        ("cel: 'clams.a == 1'", "cel-unknown-variable", 43),
        ("cel: '1 + 1'", "not-boolean", 43),
        ("cel: 'claims'", "not-boolean", 43),
        ("condition: claims.a", "el-no-block", 48),
        ("condition: '{#token == }'", "el-syntax", None),
        ("condition: '{(1)}'", "not-boolean", 49),
    ],
)
def test_a_problem_of_a_condition_stands_where_its_text_stands(rule: str, code: str, column: int | None) -> None:
    (problem,) = problems_of(policy("p", "name: x", rule))
    assert (code, "0.yaml", 5) == (problem.code, problem.place.file, problem.place.line)
    assert column in (None, problem.place.column)


def test_a_problem_of_a_second_line_stands_there() -> None:
    text = "version: 1\npolicy: p\nrules:\n  - id: r\n    methods: [tools/call]\n    cel: |\n      true ||\n      clams.b\n"
    (problem,) = problems_of(text)
    assert (8, 7, 5) == (problem.place.line, problem.place.column, problem.place.width)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("cel: 'true || claims.a'", "always-true"),
        ("cel: 'false && claims.a'", "always-false"),
        ("cel: '1 / 0 == 1'", "always-error"),
        ("cel: '1 / 0 == 1 && claims.a'", "never-true"),
        ("condition: 'TRUE'", "always-true"),
        ('condition: "{#tokn == null}"', "el-unknown-variable"),
    ],
)
def test_what_no_request_can_change_is_a_finding(rule: str, code: str) -> None:
    assert code in [finding.code for finding in compiled(policy("p", rule)).findings]


@pytest.mark.parametrize(
    "fact", ["mcp.arguments", "mcp.annotations", "mcp.name", "mcp.meta", "request.headers", "request.time"]
)
@pytest.mark.parametrize("cel", ["has({})", "!has({})", "has({}) && claims.a == 1", "!has({}) || claims.a == 1"])
def test_whether_a_fact_is_there_depends_on_the_request(fact: str, cel: str) -> None:
    assert () == compiled(policy("p", f"cel: '{cel.format(fact)}'")).findings


def test_a_bound_value_is_of_any_type() -> None:
    assert () == compiled(policy("p", "cel: 'cel.bind(x, claims.a, x)'")).findings


def test_a_finding_is_told_for_every_rule_with_the_text() -> None:
    findings = compiled(policy("p", "cel: 'true'", "name: x, cel: 'true'")).findings
    assert [4, 5] == [one.place.line for one in findings if one.code == "always-true"]


def test_variables_may_use_those_above_them() -> None:
    head = "variables:\n  a: claims.x == 1\n  b: variables.a || claims.y == 2\n"
    (rule,) = rules_of(compiled(policy("p", "cel: variables.b", head=head)))
    assert rule.condition is not None
    assert {"claims"} == {one.name for one in rule.condition.reads}


@pytest.mark.parametrize(
    "head",
    [
        "variables:\n  b: variables.a\n  a: claims.x == 1\n",
        "variables:\n  a: variables.a\n",
        "variables:\n  a: 'claims.x =='\n",
    ],
)
def test_a_variable_that_cannot_be_read_is_a_problem(head: str) -> None:
    assert {"cel-unknown-variable", "cel-syntax"} & {
        one.code for one in problems_of(policy("p", "cel: variables.a", head=head))
    }


def test_variables_that_double_each_other_are_refused_in_time() -> None:
    lines = "".join(f"  v{n + 1}: variables.v{n} && variables.v{n}\n" for n in range(60))
    head = f"variables:\n  v0: claims.a\n{lines}"
    assert "too-large" in {one.code for one in problems_of(policy("p", "cel: variables.v60", head=head))}


def test_star_covers_the_methods_of_its_feature() -> None:
    policies = compiled("version: 1\npolicy: p\nrules:\n  - {id: r, feature: prompts, methods: ['*'], name: x}\n")
    view = policies.view("any")
    assert view is not None
    assert 1 == len(view.candidates("prompts/get", "x").allows)
    assert 0 == len(view.candidates("tools/call", "x").allows)
