"""Policy files → specs, or every problem."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.domain import Effect
from mcp_acl.policy.checks import check_policies
from mcp_acl.policy.patterns import NamePattern
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import LoadedPolicy, load_policies
from mcp_acl.problems import Problem, Span, render_problems, sort_problems

EXAMPLE = """\
version: 1
policy: weather
description: who sees what
servers: [weather, "weather-*"]
variables:
  is_admin: 'claims.role == "admin"'
rules:
  - id: everyone-sees-the-tools
    feature: tools
    methods: [tools/list]
  - id: reports
    description: what analysts read
    targets:
      - {methods: [resources/list, resources/read], name: {template: "report://{year}/{name}"}}
      - {methods: [prompts/get], name: [greeting, {glob: "report_*"}, {literal: other}, {any: true}]}
      - {methods: [prompts/list]}
    condition: "{#context.attributes['jwt.claims']['role'] == 'admin'}"
    cel: '"analysts" in claims.groups'
  - id: nobody-deletes
    effect: deny
    methods: [tools/call]
    name: {regex: "delete_.*"}
    message: Deleting goes through a change request.
"""


def load(*texts: str | bytes) -> tuple[tuple[LoadedPolicy, ...], tuple[Problem, ...]]:
    contents = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return load_policies([SourceFile(f"{number}.yaml", content) for number, content in enumerate(contents)])


def loaded(text: str) -> LoadedPolicy:
    (policy,), problems = load(text)
    assert () == problems
    return policy


def codes(*texts: str | bytes) -> list[tuple[str, int]]:
    return [(problem.code, problem.place.line) for problem in sort_problems(load(*texts)[1])]


def rule(text: str) -> str:
    return f"version: 1\npolicy: p\nrules:\n  - {text}\n"


# ---- what is read -------------------------------------------------------------------------------------------------


def test_a_policy_is_read_whole() -> None:
    policy = loaded(EXAMPLE)
    spec = policy.spec
    assert (1, "weather", "who sees what") == (spec.version, spec.policy, spec.description)
    assert ("weather", "weather-*") == spec.servers
    assert {"is_admin": 'claims.role == "admin"'} == spec.variables
    assert ["everyone-sees-the-tools", "reports", "nobody-deletes"] == [one.id for one in spec.rules]
    assert [Effect.ALLOW, Effect.ALLOW, Effect.DENY] == [one.effect for one in spec.rules]
    assert [False, True, False] == [one.is_conditional for one in spec.rules]
    assert ("0.yaml", True) == (policy.file, policy.whole)


def test_the_targets_of_a_rule_are_methods_and_patterns() -> None:
    policy = loaded(EXAMPLE)
    first, second, third = (list(policy.targets_of(one)) for one in policy.spec.rules)
    assert [(("tools/list",), (NamePattern("any"),))] == first
    assert [
        (("resources/list", "resources/read"), (NamePattern("template", "report://{year}/{name}"),)),
        (
            ("prompts/get",),
            (
                NamePattern("literal", "greeting"),
                NamePattern("glob", "report_*"),
                NamePattern("literal", "other"),
                NamePattern("any"),
            ),
        ),
        (("prompts/list",), (NamePattern("any"),)),
    ] == second
    assert [(("tools/call",), (NamePattern("regex", "delete_.*"),))] == third


def test_every_pattern_knows_where_its_text_stands() -> None:
    policy = loaded(EXAMPLE)
    data = policy.document
    texts = {}
    for index, one in enumerate(policy.spec.rules):
        for naming in one.namings:
            for name in naming.names:
                place = data.place(("rules", index, *name.path), Span(0, len(name.pattern.text)))
                texts[str(name.pattern)] = place.text[place.column - 1 : place.column - 1 + place.width]
    assert {
        "literal `greeting`": "greeting",
        "glob `report_*`": "report_*",
        "literal `other`": "other",
        "template `report://{year}/{name}`": "report://{year}/{name}",
        "regex `delete_.*`": "delete_.*",
    } == {key: text for key, text in texts.items() if key != "any"}


def test_no_rules_are_said_on_purpose() -> None:
    assert () == loaded("version: 1\npolicy: p\nrules: []\n").spec.rules


def test_several_files_are_read_in_order() -> None:
    policies, problems = load(EXAMPLE, "version: 1\npolicy: b\nrules: []\n")
    assert (["weather", "b"], ()) == ([policy.spec.policy for policy in policies], problems)


def test_a_spec_survives_json_without_a_word_of_warning() -> None:
    assert '"glob":"report_*"' in loaded(EXAMPLE).spec.model_dump_json()


def test_yaml_1_1_booleans_are_names() -> None:
    policy = loaded(rule("{id: no, methods: [tools/call], name: [on, y, 1:20, 2024-01-01]}"))
    ((_, patterns),) = policy.targets_of(policy.spec.rules[0])
    assert ("no", ["on", "y", "1:20", "2024-01-01"]) == (policy.spec.rules[0].id, [one.text for one in patterns])


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["2", "0", "1.0", '"1"', "true", "[1]", "{a: 1}", "one", "", "[]"])
def test_another_version_is_the_only_problem_of_a_file(value: str) -> None:
    assert [("wrong-value", 1)] == codes(f"version: {value}\npolicy: p\nnew: thing\nrules: {{}}\n")


@pytest.mark.parametrize("value", ["a b", "-a", ".a", "_a", "é", "a/b", "a" * 129, '"a\\n"', '"a\\0"'])
def test_an_id_is_plain(value: str) -> None:
    assert [("wrong-id", 2)] == codes(f"version: 1\npolicy: {value}\nrules: []\n")
    assert [("wrong-id", 4)] == codes(rule(f"{{id: {value}, methods: [tools/call]}}"))


@pytest.mark.parametrize("value", ["a", "A1", "0.a-b_c", "a" * 128])
def test_these_are_ids(value: str) -> None:
    assert [] == codes(f"version: 1\npolicy: {value if value != '1' else 'x'}\nrules: []\n")


@pytest.mark.parametrize("key", ["description", "feature", "methods", "name", "targets", "condition", "cel", "message"])
@pytest.mark.parametrize("value", ["", "~", "null", "''", "[]", "{}"])
def test_a_key_with_an_empty_value_is_a_problem(key: str, value: str) -> None:
    assert [("empty-value", 4)] == codes(rule(f"{{id: a, {key}: {value}}}"))


@pytest.mark.parametrize("key", ["description", "servers", "variables", "policy"])
@pytest.mark.parametrize("value", ["", "~", "''", "[]", "{}"])
def test_an_empty_value_of_a_policy_is_a_problem(key: str, value: str) -> None:
    rest = {"version": "1", "policy": "p", "rules": "[]"} | {key: value}
    assert ["empty-value"] == [code for code, _ in codes("".join(f"{one}: {text}\n" for one, text in rest.items()))]


@pytest.mark.parametrize("value", ["", "~", "''", "{}"])
def test_rules_are_a_list_even_without_any(value: str) -> None:
    assert [("empty-value", 3)] == codes(f"version: 1\npolicy: p\nrules: {value}\n")


@pytest.mark.parametrize(
    "name", ["['']", "[~]", "[[]]", "{glob: ''}", "{any: }", "{any: ''}", "{regex: []}", "[{template: ''}]"]
)
def test_an_empty_name_is_a_problem(name: str) -> None:
    assert [("empty-value", 4)] == codes(rule(f"{{id: a, methods: [tools/call], name: {name}}}"))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("{any: false}", "wrong-value"),
        ("{any: 1}", "wrong-value"),
        ("{any: yes}", "wrong-value"),
        ("{glob: 1}", "wrong-type"),
        ("{glob: [a]}", "wrong-type"),
        ("{glob: a, regex: b}", "name-pattern"),
        ("{literal: a, any: true}", "name-pattern"),
        ("{prefix: a}", "name-pattern"),
        ("{glob: a, flags: i}", "unknown-key"),
        ("7", "wrong-type"),
        ("1.5", "wrong-type"),
        ("true", "wrong-type"),
        ("[a, [b]]", "name-pattern"),
        ("[a, 1]", "wrong-type"),
        ("[a, {b: c}]", "name-pattern"),
        (f"{'a' * 4097}", "too-long"),
        (f"[{'a,' * 1001}]", "too-long"),
    ],
)
def test_a_name_is_one_pattern_or_a_list_of_them(name: str, code: str) -> None:
    assert [(code, 4)] == codes(rule(f"{{id: a, methods: [tools/call], name: {name}}}"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{id: a, methods: tools/call}", "wrong-type"),
        ("{id: a, methods: {tools: call}}", "wrong-type"),
        ("{id: a, methods: [1]}", "wrong-type"),
        ("{id: 1, methods: [tools/call]}", "wrong-type"),
        ("{id: a, methods: [tools/call], cel: true}", "wrong-type"),
        ("{id: a, methods: [tools/call], effect: permit}", "wrong-value"),
        ("{id: a, methods: [tools/call], effect: 1}", "wrong-value"),
        ("{id: a, methods: [tools/call], feature: tool}", "wrong-value"),
        ("{id: a, methods: [tools/call], feature: 1}", "wrong-type"),
        ("{id: a, targets: {methods: [tools/call]}}", "wrong-type"),
        ("{id: a, targets: [tools/call]}", "wrong-type"),
        ("{id: a, targets: [{name: b}]}", "missing-key"),
        ("{id: a, targets: [{methods: [tools/call], id: b}]}", "unknown-key"),
        ("{methods: [tools/call]}", "missing-key"),
        ("{id: a, methods: [tools/call], cell: b}", "unknown-key"),
        ("{id: a, methods: [tools/call], <text>: b}", "unknown-key"),
        ("{id: a, methods: [tools/call], '*': }", "unknown-key"),
        ("text", "wrong-type"),
        ("[list]", "wrong-type"),
        (f"{{id: a, methods: [tools/call], cel: {'a' * 10_001}}}", "too-long"),
        (f"{{id: a, methods: [tools/call], message: {'a' * 1001}}}", "too-long"),
        (f"{{id: a, methods: [{'a,' * 201}]}}", "too-long"),
    ],
)
def test_a_rule_of_the_wrong_shape_is_a_problem(text: str, code: str) -> None:
    assert [(code, 4)] == codes(rule(text))


@pytest.mark.parametrize("text", ["text", "[a]", "1", "~", "''", "{}", "[]"])
def test_a_file_is_a_mapping(text: str) -> None:
    assert ["wrong-type" if text in ("text", "[a]", "1") else "empty-value"] == [code for code, _ in codes(text)]


def test_variables_are_texts() -> None:
    found = codes("version: 1\npolicy: p\nvariables: {a: 1, b: '', <c>: [d], e: f}\nrules: []\n")
    assert ["wrong-type", "empty-value", "wrong-type"] == [code for code, _ in found]


def test_no_word_of_pydantic_reaches_a_person() -> None:
    text = rule("{id: 1, methods: 2, name: {any: 3}, targets: 4, effect: 5, feature: 6, cel: [7], x: 8}")
    said = render_problems(load(text)[1]).lower()
    assert not [word for word in ("input", "pydantic", "tuple", "dict", "spec", "valid string") if word in said]


# ---- many problems ------------------------------------------------------------------------------------------------


def test_a_bad_rule_does_not_hide_what_is_wrong_with_others() -> None:
    policies, problems = load(
        "version: 1\npolicy: p\nextra: 1\nservers: one\nrules:\n"
        "  - {id: a, method: [x]}\n  - {id: b, methods: [tools/calls]}\n  - {id: c, methods: [tools/call], cel: ''}\n"
    )
    (policy,) = policies
    assert 4 == len(problems)
    assert (["b"], None, False) == ([one.id for one in policy.spec.rules], policy.spec.servers, policy.whole)
    assert [("unknown-method", 7)] == [(one.code, one.place.line) for one in check_policies(policies)]


def test_the_first_of_two_equal_keys_is_read_on() -> None:
    policies, problems = load("version: 1\npolicy: p\npolicy: q\nrules: []\n")
    assert [("p", False)] == [(policy.spec.policy, policy.whole) for policy in policies]
    assert ["yaml-duplicate-key"] == [problem.code for problem in problems]


def test_without_an_id_there_is_no_policy() -> None:
    assert () == load("version: 1\nrules: []\n")[0]


def test_a_bad_file_does_not_hide_another() -> None:
    policies, problems = load(b"\xff", "version: 1\npolicy: p\nrules: []\n", "a: [", "version: 2\n")
    assert ["p"] == [policy.spec.policy for policy in policies]
    assert ["0.yaml", "2.yaml", "3.yaml"] == [problem.place.file for problem in problems]


def test_of_very_many_problems_the_first_are_told() -> None:
    _, problems = load("version: 1\npolicy: p\nrules:\n" + "- {id: a}\n- {id: b, x: 1}\n" * 1000)
    assert 101 == len(problems)
    assert "more" == problems[-1].code


def test_very_many_rules_are_a_problem() -> None:
    assert ["too-long"] == [one.code for one in load("version: 1\npolicy: p\nrules:\n" + "- {id: a}\n" * 20_001)[1]]


# ---- anything at all ----------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_any_bytes_are_a_policy_or_a_problem(content: bytes) -> None:
    policies, problems = load(content)
    assert policies or problems
    render_problems(problems)


_LINES = st.lists(st.sampled_from(EXAMPLE.splitlines()), min_size=1, max_size=30)
_EDITS = st.lists(
    st.tuples(
        st.integers(0, len(EXAMPLE) - 1),
        st.integers(0, 8),
        st.text(st.sampled_from("{}[]:,'\"#-*&!|>%@ \n\tabz019~?é"), max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@given(_LINES)
def test_lines_in_any_order_are_a_policy_or_a_problem(lines: list[str]) -> None:
    policies, problems = load("\n".join(lines))
    assert policies or problems
    render_problems((*problems, *check_policies(policies)))


@given(_EDITS)
def test_a_damaged_policy_is_a_policy_or_a_problem(edits: list[tuple[int, int, str]]) -> None:
    text = EXAMPLE
    for start, length, inserted in edits:
        text = text[:start] + inserted + text[start + length :]
    policies, problems = load(text)
    assert policies or problems
    for problem in (*problems, *check_policies(policies)):
        assert "\n" not in problem.message
        assert problem.place.width >= 1
        assert 1 <= problem.place.line <= text.count("\n") + 1
