"""`mcp-acl test`: run the scenario files beside the policies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, directory_of
from mcp_acl.cli.printing import Record, print_lines, print_record
from mcp_acl.cli.refusals import reading
from mcp_acl.engine.scenario_file import parse_scenarios
from mcp_acl.engine.scenarios import LIBRARY, Difference, ScenarioFile, run_scenarios
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.store import load_policies, read_scenarios


class _Run(NamedTuple):
    """One scenario file that was run."""

    file: str
    scenarios: int
    differences: tuple[Difference, ...]


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", parser=directory_of, help="Directory of policy and scenario files.")
    ],
    as_json: AsJson = False,
) -> None:
    """Ask every scenario, and show what differs from what is expected. Ends with 1 if anything does."""
    runs = _runs(directory)
    if not runs:
        raise InputError(f"DIR: there is no `*.scenarios.yaml` file in `{directory}`")
    if as_json:
        print_record({"files": [_record(run) for run in runs]})
    else:
        _print_text(runs)
    raise typer.Exit(Exit.DENIED if any(run.differences for run in runs) else Exit.FINE)


def _runs(directory: Path) -> Sequence[_Run]:
    with reading(directory):
        files = [parse_scenarios(file) for file in read_scenarios(directory)]
    return [
        _Run(file.name, len(file.scenarios), run_scenarios(_policies(directory, file), file.scenarios, LIBRARY))
        for file in files
    ]


def _policies(directory: Path, file: ScenarioFile) -> PolicySet:
    """Those that a scenario file brings, which stand in it, or else those beside it."""
    if file.policies is None:
        with reading(directory):
            return load_policies(directory)
    with reading(directory / file.name):
        return compile_policies(file.policies)


def _print_text(runs: Sequence[_Run]) -> None:
    for run in runs:
        for difference in run.differences:
            print_lines(str(difference))
        wrong = len({id(difference.scenario) for difference in run.differences})
        print_lines(f"{run.file}: {run.scenarios - wrong} of {run.scenarios} scenarios as expected")


def _record(run: _Run) -> Record:
    return {
        "file": run.file,
        "scenarios": run.scenarios,
        "differences": [
            {
                "scenario": found.scenario.name,
                "line": found.scenario.place.line,
                "field": found.field,
                "expected": found.expected,
                "actual": found.actual,
            }
            for found in run.differences
        ],
    }
