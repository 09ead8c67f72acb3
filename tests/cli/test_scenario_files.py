"""`test`: scenario files beside policies."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

RIGHT = """\
defaults: {server: weather}
scenarios:
  - name: Everybody asks for a forecast
    message: tools/call forecast
    arguments: {city: Oslo}
    expect: {decision: allow}
"""
WRONG = """\
defaults: {server: weather}
scenarios:
  - name: Nobody asks for a forecast
    message: tools/call forecast
    arguments: {city: Oslo}
    expect: {decision: deny}
"""
OWN = """\
policies:
  own.yaml: {version: 1, policy: own, rules: [{id: a, methods: [tools/call]}]}
scenarios:
  - name: Its own policies are asked
    server: anything
    message: tools/call delete
    expect: {decision: allow, rules: [own/a]}
"""


def test_scenarios_as_expected_end_with_0(run: Run, policies: Path) -> None:
    (policies / "a.scenarios.yaml").write_text(RIGHT)
    (policies / "b.scenarios.yaml").write_text(OWN)
    result = run("test", policies)
    assert (0, "a.scenarios.yaml: 1 of 1 scenarios as expected\nb.scenarios.yaml: 1 of 1 scenarios as expected\n") == (
        result.exit_code,
        result.stdout,
    )


def test_scenario_that_differs_is_shown_and_ends_with_1(run: Run, policies: Path) -> None:
    (policies / "a.scenarios.yaml").write_text(WRONG)
    result = run("test", policies)
    assert 1 == result.exit_code
    assert "a.scenarios.yaml:3:" in result.stdout
    assert 'Nobody asks for a forecast: `decision` should be "deny" and is "allow"\n' in result.stdout
    assert "a.scenarios.yaml: 0 of 1 scenarios as expected\n" in result.stdout


IN_SHADOW = """\
policies:
  own.yaml: {version: 1, policy: own, rules: [{id: a, methods: [tools/call]}, {id: b, mode: shadow, effect: deny, methods: [tools/call], name: delete}]}
scenarios:
  - name: Deleting will be denied
    server: anything
    message: tools/call delete
    expect: {decision: allow, shadow: {decision: deny, rules: [own/b]}}
  - name: Nothing else will be
    server: anything
    message: tools/call create
    expect: {decision: allow, shadow: {decision: allow}}
"""


def test_what_is_in_shadow_can_be_expected(run: Run, policies: Path) -> None:
    (policies / "a.scenarios.yaml").write_text(IN_SHADOW)
    result = run("test", policies)
    assert (0, "a.scenarios.yaml: 2 of 2 scenarios as expected\n") == (result.exit_code, result.stdout)
    (policies / "a.scenarios.yaml").write_text(IN_SHADOW.replace("name: delete}", "name: create}"))
    result = run("test", policies)
    assert 1 == result.exit_code
    assert 'Deleting will be denied: `shadow.decision` should be "deny" and is "allow"\n' in result.stdout
    assert 'Nothing else will be: `shadow.decision` should be "allow" and is "deny"\n' in result.stdout


def test_differences_as_json(run: Run, policies: Path) -> None:
    (policies / "a.scenarios.yaml").write_text(WRONG)
    (file,) = json.loads(run("test", "--json", policies).stdout)["files"]
    (difference,) = file["differences"]
    assert ("a.scenarios.yaml", 1) == (file["file"], file["scenarios"])
    assert ("decision", "deny", "allow", 3) == tuple(difference[key] for key in ("field", "expected", "actual", "line"))


@pytest.mark.parametrize("content", ["", "scenarios: 1", "scenarios:\n  - {name: x}\n", "{"])
def test_scenario_file_that_cannot_be_used_ends_with_2(run: Run, policies: Path, content: str) -> None:
    (policies / "a.scenarios.yaml").write_text(content)
    result = run("test", policies)
    assert (2, True) == (result.exit_code, "a.scenarios.yaml:" in result.stderr)


def test_directory_without_scenarios_ends_with_2(run: Run, policies: Path) -> None:
    result = run("test", policies)
    assert (2, True) == (result.exit_code, "no `*.scenarios.yaml` file" in result.stderr)
