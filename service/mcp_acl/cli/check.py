"""`mcp-acl check`: whether a directory of policies can be used, and what is odd about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mcp_acl.cli.exits import Exit
from mcp_acl.cli.inputs import AsJson, directory_of
from mcp_acl.cli.printing import print_record
from mcp_acl.cli.records import policy_records
from mcp_acl.cli.refusals import print_problems, problems_record
from mcp_acl.policy.index import PolicySet
from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.store import load_policies


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", parser=directory_of, help="Directory of policy files.")],
    strict: Annotated[bool, typer.Option("--strict", help="Findings end with 1.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report every problem and finding of every file. Each with its place and what to do."""
    policies: PolicySet | None = None
    try:
        policies = load_policies(directory)
        problems: Sequence[Problem] = policies.findings
    except SourceError as error:
        problems = error.problems
    if as_json:
        _print_json(policies, problems)
    else:
        _print_text(directory, policies, problems)
    if policies is None:
        raise typer.Exit(Exit.UNUSABLE)
    raise typer.Exit(Exit.DENIED if strict and problems else Exit.FINE)


def _print_json(policies: PolicySet | None, problems: Sequence[Problem]) -> None:
    print_record(
        {
            "revision": "" if policies is None else policies.revision,
            "policies": [] if policies is None else policy_records(policies),
            **problems_record(problems),
        }
    )


def _print_text(directory: Path, policies: PolicySet | None, problems: Sequence[Problem]) -> None:
    if problems:
        print_problems(directory, problems)
        typer.echo()
    findings = sum(problem.is_finding for problem in problems)
    if policies is None:
        wrong = len(problems) - findings
        typer.echo(f"refused: {_many(wrong, 'problem')}, {_many(findings, 'finding')}")
        return
    rules = sum(policy.rules for policy in policies.policies)
    counted = f"{_many(len(policies.policies), 'policy', 'policies')}, {_many(rules, 'rule')}"
    typer.echo(f"fine: {counted}, {_many(findings, 'finding')}, revision {policies.revision}")


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
