"""Every scenario through every entrance: the library and the command line; hosts have theirs beside their tests."""

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mcp_acl.cli import app, asking
from mcp_acl.domain import Denial, Direction, Effect, Reason, ResponseNeeds, TokenState
from mcp_acl.engine.scenarios import (
    LIBRARY,
    Answer,
    Otherwise,
    Question,
    Response,
    Scenario,
    Shown,
    run_scenarios,
)
from mcp_acl.engine.shadow import Shadow
from mcp_acl.mcp.methods import LIST_CHANGED, METHODS, MethodClass
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.store import load_policies, read_policies
from tests.corpus import PATHS, ROOT, every_scenario, file_of, path_id, policies_of, policy_files, shown_of

SHIPPED = sorted(path for path in (ROOT / "policies").iterdir() if path.is_dir())

NOT_BY_DATA = {Reason.INTERNAL_ERROR, Reason.RESPONSE_REFUSED, Reason.UNAVAILABLE}
"""Reasons that no message leads to: an error of our own, what a response that is withheld says in its body, and no answer."""


# ---- the library -----------------------------------------------------------------------------------------------------


class WithoutFilter:
    """The library as an entrance that cannot filter responses, as an external authorizer of calls alone."""

    filters = False
    tells_shadow = True

    def check(self, policies: PolicySet, question: Question) -> Answer:
        return LIBRARY.check(policies, question)

    def filter(self, _policies: PolicySet, _question: Question, _response: Response) -> Shown:
        raise AssertionError


@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_in_the_library(path: Path) -> None:
    assert "" == shown_of(run_scenarios(policies_of(path), file_of(path).scenarios, LIBRARY))


@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_where_responses_cannot_be_filtered(path: Path) -> None:
    assert "" == shown_of(run_scenarios(policies_of(path), file_of(path).scenarios, WithoutFilter()))


def needs_nothing(path: Path, scenario: Scenario) -> bool:
    answer = LIBRARY.check(policies_of(path), scenario.question)
    return answer.decision is Effect.ALLOW and answer.response_needs is ResponseNeeds.NONE


ASKING = b'"inputRequests":{"a":{"method":"sampling/createMessage"},"b":{"method":"roots/list"}}'


def test_response_of_which_nothing_is_needed_would_not_change() -> None:
    answers = Response(
        "application/json", b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"cacheScope":"public",' + ASKING + b"}}"
    )
    left = []
    for path in PATHS:
        for scenario in file_of(path).scenarios:
            answer = LIBRARY.check(policies_of(path), scenario.question)
            if answer.decision is Effect.ALLOW and answer.response_needs is ResponseNeeds.STREAM:
                left.append(scenario.question.body)
                if b'"tools/call"' in scenario.question.body or b'"resources/read"' in scenario.question.body:
                    assert answers.body == LIBRARY.filter(policies_of(path), scenario.question, answers).body, scenario
    assert any(b'"tools/call"' in body for body in left)
    assert any(b'"subscriptions/listen"' in body for body in left)


# ---- the command line ------------------------------------------------------------------------------------------------


class CommandLine:
    """`mcp-acl decide` and `mcp-acl filter`, in this process."""

    filters = True
    tells_shadow = True

    def __init__(self, directory: Path, policies: Path) -> None:
        self._directory = directory
        self._policies = policies

    def check(self, _policies: PolicySet, question: Question) -> Answer:
        return answer_of(*self._run("decide", *self._options(question)))

    def filter(self, _policies: PolicySet, question: Question, response: Response) -> Shown:
        body = self._file("response", response.body)
        given = [f"--response=@{body}", f"--content-type={response.content_type}"]
        _, found = self._run("filter", *self._options(question), *given)
        return Shown(
            found["content_type"],
            found["body"].encode(),
            tuple(found["hidden"]),
            len(found["dropped"]),
            found["refused"] != "",
            rules_in(found["errors"]),
            None if found["shadow"] is None else Shadow(**found["shadow"]),
        )

    def _run(self, *arguments: str) -> tuple[int, Mapping[str, Any]]:
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code in (0, 1), result.output
        return result.exit_code, json.loads(result.stdout)

    def _options(self, question: Question) -> list[str]:
        return options_of(self._policies, self._file("message", question.body), question)

    def _file(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(content)
        return path


def options_of(policies: Path, message: Path, question: Question) -> list[str]:
    http = question.http
    options = [
        f"--policies={policies}",
        f"--server={question.server}",
        f"--message=@{message}",
        f"--direction={question.direction}",
        f"--token={question.token}",
        f"--http-method={http.method}",
        f"--path={http.path}",
        f"--remote-address={http.remote_address}",
        f"--time={question.time.isoformat()}",
        "--filters-responses" if question.filters_responses else "--no-filters-responses",
    ]
    if question.token is TokenState.VALID:
        options.append(f"--claims={question.claims.decode()}")
    options += [f"--header={name}={value}" for name, values in http.headers.items() for value in values]
    options += [f"--attribute={name}={json.dumps(value)}" for name, value in json.loads(question.attributes).items()]
    options += [f"--task={name}={json.dumps(task._asdict())}" for name, task in question.tasks.items()]
    return options


def answer_of(code: int, found: Mapping[str, Any]) -> Answer:
    assert code == (0 if found["decision"] == "allow" else 1)
    denial = None
    if found["denial"] is not None:
        headers = tuple(found["denial"]["headers"].items())
        denial = Denial(found["denial"]["status"], headers, found["denial"]["body"].encode())
    return Answer(
        Effect(found["decision"]),
        Reason(found["reason"]),
        rules_in(found["rules"]),
        rules_in(found["errors"]),
        ResponseNeeds(found["response_needs"]),
        found["message"],
        denial,
        otherwise(found["shadow"]),
    )


def otherwise(found: Mapping[str, Any] | None) -> Otherwise | None:
    if found is None:
        return None
    return Otherwise(Effect(found["decision"]), Reason(found["reason"]), rules_in(found["rules"]))


def rules_in(records: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(f"{record['policy']}/{record['rule']}" for record in records)


def written_policies(path: Path, directory: Path) -> Path:
    """The policies of a scenario file as a directory."""
    for file in policy_files(path):
        (directory / file.name).write_bytes(file.content)
    return directory


@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_on_the_command_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "load_policies", functools.cache(load_policies))
    policies = written_policies(path, tmp_path)
    # `filter` does as a gateway may: a response that needs nothing is not read.
    scenarios = [one for one in file_of(path).scenarios if one.response is None or not needs_nothing(path, one)]
    differences = run_scenarios(policies_of(path), scenarios, CommandLine(tmp_path, policies))
    assert "" == shown_of(differences)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("policies/one-tool/one-tool.scenarios.yaml", "It is called"),
        ("policies/one-tool/one-tool.scenarios.yaml", "No other is"),
        ("policies/acme/payments.scenarios.yaml", "Nothing is transferred at night"),
        ("policies/acme/payments.scenarios.yaml", "Who started a payout follows it"),
        ("policies/acme/payments.scenarios.yaml", "An amount given twice is no message"),
    ],
)
def test_scenario_holds_in_a_process_of_its_own(path: str, name: str, tmp_path: Path) -> None:
    file = ROOT / path
    (scenario,) = [one for one in file_of(file).scenarios if one.name == name]
    message = tmp_path / "message"
    message.write_bytes(scenario.question.body)
    options = options_of(file.parent, message, scenario.question)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "service")}
    command = [sys.executable, "-m", "mcp_acl", "decide", *options, "--json"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=60)
    answer = answer_of(done.returncode, json.loads(done.stdout))
    assert (scenario.expect["decision"], scenario.expect["reason"]) == (answer.decision, answer.reason)


# ---- what the scenarios show ---------------------------------------------------------------------------------------


def test_every_scenario_says_which_rule_it_shows() -> None:
    found = [one for path in PATHS if path.parent.name == "scenarios" for one in file_of(path).scenarios]
    assert [] == [str(one.place) for one in found if not one.row]


def test_there_is_a_scenario_for_every_reason() -> None:
    shown = {one.expect.get("reason") for one in every_scenario()}
    assert set(Reason) - NOT_BY_DATA == shown - {None}
    assert any(one.expect.get("refused") for one in every_scenario())


def test_every_method_is_granted_and_refused_in_each_of_its_directions() -> None:
    shown: Counter[tuple[str, Direction, str]] = Counter()
    for scenario in file_of(ROOT / "tests" / "scenarios" / "methods.yaml").scenarios:
        passes = scenario.expect["decision"] == "allow" and scenario.expect.get("entries") != []
        method = scenario.row.removeprefix("methods: ")
        shown[method, scenario.question.direction, "granted" if passes else "refused"] += 1
    for row in (*METHODS.values(), LIST_CHANGED):
        always = row.method_class is MethodClass.ALWAYS
        for direction in Direction:
            travels = direction in row.directions
            assert (travels or always) == (shown[row.name, direction, "granted"] > 0), row.name
            assert (travels or not always) == (shown[row.name, direction, "refused"] > 0), row.name


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_shipped_policies_have_neither_problems_nor_findings(directory: Path) -> None:
    assert () == load_policies(directory).findings


def without_one_rule(files: Sequence[SourceFile]) -> Iterator[tuple[str, tuple[SourceFile, ...]]]:
    """The same files, each time without one of their rules, and which one."""
    for index, file in enumerate(files):
        policy = yaml.safe_load(file.content)
        for rule in policy["rules"]:
            rest = {**policy, "rules": [one for one in policy["rules"] if one is not rule]}
            changed = SourceFile(file.name, yaml.safe_dump(rest).encode())
            yield f"{policy['policy']}/{rule['id']}", (*files[:index], changed, *files[index + 1 :])


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_without_any_one_rule_some_scenario_of_the_shipped_policies_fails(directory: Path) -> None:
    scenarios = [one for path in PATHS if path.parent == directory for one in file_of(path).scenarios]
    unnoticed = [
        rule
        for rule, files in without_one_rule(read_policies(directory))
        if not run_scenarios(compile_policies(files), scenarios, LIBRARY)
    ]
    assert [] == unnoticed
