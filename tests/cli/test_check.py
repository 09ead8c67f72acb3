"""`check` and `schema`: what is wrong or odd about policy files, and the form they have."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.cli.conftest import Run
from tests.runtime.weather import WEATHER

ODD = """\
version: 1
policy: odd
rules:
  - {id: never, methods: [tools/call], cel: 'false'}
"""
BROKEN = """\
version: 1
policy: broken
rules:
  - {id: one, methods: [tools/cal]}
  - {id: two, methods: [tools/call], cel: 'claims.'}
"""


def test_policies_that_are_fine_end_with_0(run: Run, policies: Path) -> None:
    result = run("check", policies)
    assert (0, True) == (result.exit_code, result.stdout.startswith("fine: 1 policy, 4 rules, 0 findings, revision "))


@pytest.mark.parametrize(("args", "code"), [([], 0), (["--strict"], 1)])
def test_finding_ends_with_1_if_it_must(run: Run, policies: Path, args: list[str], code: int) -> None:
    (policies / "odd.yaml").write_text(ODD)
    result = run("check", policies, *args)
    assert code == result.exit_code
    assert f"{policies}/odd.yaml:4:" in result.stdout
    assert "fine: 2 policies, 5 rules, 1 finding, revision " in result.stdout


def test_strict_is_content_with_policies_that_are_fine(run: Run, policies: Path) -> None:
    assert 0 == run("check", "--strict", policies).exit_code


def test_every_problem_is_shown_with_its_place(run: Run, policies: Path) -> None:
    (policies / "broken.yaml").write_text(BROKEN)
    result = run("check", policies)
    assert 2 == result.exit_code
    for part in (
        f"{policies}/broken.yaml:4:",
        f"{policies}/broken.yaml:5:",
        "^",
        "`tools/call`",
        "refused: 2 problems",
    ):
        assert part in result.stdout


MIXED = """\
version: 1
policy: mixed
rules:
  - {id: more, mode: shadow, methods: [tools/call], name: more}
  - {id: less, mode: shadow, effect: deny, methods: [tools/call], name: less}
  - {id: same, methods: [tools/call], name: same}
"""
STRICTER = (
    "version: 1\npolicy: stricter\nmode: shadow\nrules:\n  - {id: never, effect: deny, methods: [ping], feature: '*'}\n"
)


def test_what_is_in_shadow_is_listed_and_is_no_finding(run: Run, policies: Path) -> None:
    (policies / "mixed.yaml").write_text(MIXED)
    (policies / "stricter.yaml").write_text(STRICTER)
    result = run("check", "--strict", policies)
    assert 0 == result.exit_code
    assert result.stdout.startswith(
        f"{policies}/mixed.yaml:4: in shadow: `mixed/more` allows nothing\n"
        f"{policies}/mixed.yaml:5: in shadow: `mixed/less` denies nothing\n"
        f"{policies}/stricter.yaml:2: in shadow: the policy `stricter` decides nothing: 1 rule\n\n"
        "fine: 3 policies, 8 rules (3 in shadow), 0 findings, revision "
    )
    found = json.loads(run("check", "--json", policies).stdout)
    assert [
        ("mixed", "more", "mixed.yaml", 4, "allow"),
        ("mixed", "less", "mixed.yaml", 5, "deny"),
        ("stricter", "never", "stricter.yaml", 5, "deny"),
    ] == [tuple(rule.values()) for rule in found["shadow"]]
    assert ["enforce", "shadow", "enforce"] == [one["mode"] for one in found["policies"]]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_directory_that_cannot_be_read_ends_with_2(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    result = run("check", tmp_path / name)
    assert (2, 1) == (result.exit_code, result.stdout.count(str(tmp_path / name)))


def test_check_as_json(run: Run, policies: Path) -> None:
    (policies / "odd.yaml").write_text(ODD)
    found = json.loads(run("check", "--json", policies).stdout)
    assert [] == found["problems"]
    assert [("odd.yaml", 4, "finding")] == [(one["file"], one["line"], one["severity"]) for one in found["findings"]]
    assert [("odd", 1), ("weather", 4)] == [(one["id"], one["rules"]) for one in found["policies"]]
    assert found["revision"]
    (policies / "broken.yaml").write_text(BROKEN)
    result = run("check", "--json", policies)
    found = json.loads(result.stdout)
    assert (2, "", [], 2) == (result.exit_code, found["revision"], found["policies"], len(found["problems"]))
    assert {"severity", "code", "message", "hint", "file", "line", "column", "width"} == found["problems"][0].keys()


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_schema_accepts_what_is_accepted(run: Run, args: list[str]) -> None:
    result = run("schema", *args)
    schema = json.loads(result.stdout)
    assert 0 == result.exit_code
    jsonschema.validate(yaml.safe_load(WEATHER), schema)
    validator = jsonschema.Draft202012Validator(schema)
    weather = yaml.safe_load(WEATHER)
    (rule, *_) = weather["rules"]
    for key in ("unknown", "servers", "variables", "description"):
        assert not validator.is_valid({**weather, key: None}), key
    for key in ("name", "feature", "targets", "cel", "condition", "message"):
        assert not validator.is_valid({**weather, "rules": [{**rule, key: None}]}), key


def test_schema_in_the_documentation_is_the_one_printed(run: Run) -> None:
    page = Path(__file__).parents[2] / "docs" / "policy.schema.json"
    assert page.read_text() == run("schema").stdout


def test_a_code_is_explained(run: Run) -> None:
    result = run("check", "--explain", "never-equal")
    assert 0 == result.exit_code
    assert result.output.startswith("finding [never-equal]\n")
    assert "for example (cel):\n    mcp.name == 5" in result.output


def test_a_code_is_explained_to_programs(run: Run) -> None:
    result = run("check", "--explain", "yaml-tab", "--json")
    row = json.loads(result.output)
    assert ("yaml-tab", "problem", "policy") == (row["code"], row["severity"], row["example"]["form"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--explain", "never-equals"], "there is no code `never-equals`: did you mean `never-equal`?"),
        (["--explain", "!"], "there is no code `!`"),
        ([], "DIR: it is missing"),
    ],
)
def test_check_of_nothing_ends_with_2(run: Run, arguments: list[str], said: str) -> None:
    result = run("check", *arguments)
    assert 2 == result.exit_code
    assert f"{said}\n" in result.output
