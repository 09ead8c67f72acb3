"""What is said when there is no answer, by every subcommand alike: for people, and with `--json` for programs."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.runtime.weather import WEATHER

BROKEN = "version: 1\npolicy: broken\nrules: [{id: a, method: [ping]}]\n"
SCENARIOS = "scenarios:\n  - {name: one, mesage: ping, expect: {decision: deny}}\n"
OWN = "policies: {own.yaml: {version: 1, policy: own, rules: 5}}\nscenarios: [{name: a, message: ping, expect: {decision: deny}}]\n"
ASKED = ["--server", "weather", "--message", "{}"]
COMMANDS = {
    "decide": ["--policies", "DIR", *ASKED],
    "explain": ["--policies", "DIR", *ASKED],
    "filter": ["--policies", "DIR", *ASKED, "--response", "{}"],
    "serve": ["--policies", "DIR", "--listen", "127.0.0.1:0"],
    "test": ["DIR"],
    "check": ["DIR"],
}


@pytest.fixture
def broken(policies: Path) -> Path:
    (policies / "broken.yaml").write_text(BROKEN)
    (policies / "a.scenarios.yaml").write_text("scenarios: [{name: a, message: ping, expect: {decision: deny}}]\n")
    return policies


def command(name: str, directory: Path) -> list[str]:
    return [name, *(str(directory) if one == "DIR" else one for one in COMMANDS[name])]


@pytest.mark.parametrize("name", COMMANDS)
def test_problem_is_shown_with_the_path_from_here(run: Run, broken: Path, name: str) -> None:
    result = run(*command(name, broken))
    assert 2 == result.exit_code
    assert f"{broken}/broken.yaml:3:17: problem" in result.output
    assert "  |                 ^^^^^^\n" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_problem_is_a_record_on_standard_output(run: Run, broken: Path, name: str) -> None:
    result = run(*command(name, broken), "--json")
    found = json.loads(result.stdout)
    assert (2, "", []) == (result.exit_code, result.stderr, found["findings"])
    (problem,) = found["problems"]
    assert {"severity", "code", "message", "hint", "file", "line", "column", "width"} == problem.keys()
    assert ("broken.yaml", 3, 17, 6) == tuple(problem[key] for key in ("file", "line", "column", "width"))


@pytest.mark.parametrize("name", COMMANDS)
def test_directory_must_not_be_empty(run: Run, name: str) -> None:
    result = run(name, *("" if one == "DIR" else one for one in COMMANDS[name]))
    told = "a directory must not be empty; write `.` for the current one"
    of_a_setting = "--policies: it is empty; give a value, or leave it out"
    assert (2, f"error: {of_a_setting if name == 'serve' else told}\n") == (result.exit_code, result.output)


@pytest.mark.parametrize(("text", "place"), [(SCENARIOS, "2:17"), (OWN, "3:8")])
def test_problem_of_a_scenario_file_is_shown_with_its_path(run: Run, policies: Path, text: str, place: str) -> None:
    (policies / "a.scenarios.yaml").write_text(text)
    result = run("test", policies)
    inner = "/own.yaml" if text is OWN else ""
    assert (2, "") == (result.exit_code, result.stdout)
    assert f"{policies}/a.scenarios.yaml{inner}:{place}: problem" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["decide", "--server", "s", "--message", "{}", "--claims", "[]"], "--claims: it must be one JSON object"),
        (["decide", "--server", "s"], "--message: it is missing"),
        (["decide", "--server", "s", "--token", "good"], "'good' is not one of"),
        (["decide"], "Missing option '--server'"),
        (["decide", "--unknown"], "No such option: --unknown"),
        (["filter", "--server", "s", "--method", "ping", "--message", "{}", "--response", "{}"], "--method: there is"),
        (["serve", "--listen", "9191"], "--listen: `9191` is not `host:port`"),
    ],
)
def test_bad_input_is_a_record_too(run: Run, policies: Path, args: list[str], message: str) -> None:
    result = run(*args, "--policies", policies, "--json")
    assert (2, "") == (result.exit_code, result.stderr)
    (problem,) = json.loads(result.stdout)["problems"]
    assert ("problem", "setting" if args[0] == "serve" else "input") == (problem["severity"], problem["code"])
    assert message in problem["message"]


@pytest.mark.parametrize("text", [WEATHER.replace("forecasts", "weather", 1) + "x: 1\nx: 2\n", BROKEN])
@pytest.mark.parametrize("name", COMMANDS)
def test_name_of_a_file_cannot_command_the_terminal(run: Run, policies: Path, name: str, text: str) -> None:
    (policies / "a\x1b[31m\n.yaml").write_text(text)
    (policies / "a.scenarios.yaml").write_text("scenarios: [{name: a, message: ping, expect: {decision: deny}}]\n")
    result = run(*command(name, policies))
    assert (2, False) == (result.exit_code, "\x1b" in result.output)
    assert f"{policies}/a\\u001b[31m\\u000a.yaml:" in result.output


def test_name_of_a_scenario_file_cannot_command_the_terminal(run: Run, policies: Path) -> None:
    text = 'scenarios: [{name: "\\e[2J", server: weather, message: ping, expect: {decision: deny, message: "\\e"}}]\n'
    (policies / "a\x1b.scenarios.yaml").write_text(text)
    result = run("test", policies)
    assert (1, False) == (result.exit_code, "\x1b" in result.output)
    assert "a\\u001b.scenarios.yaml: 0 of 1 scenarios" in result.stdout
