"""`mcp-acl check`: whether a directory of policies can be used, and what is odd about it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.flags import REMOTE, settings_by, with_some
from mcp_acl.cli.inputs import AsJson, directory_of
from mcp_acl.cli.printing import print_lines, print_record, printable, without_log
from mcp_acl.cli.records import policy_records, shadow_rule_records
from mcp_acl.cli.refusals import print_problems, problems_record
from mcp_acl.codes import CODES
from mcp_acl.domain import Effect, Mode
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.index import PolicySet
from mcp_acl.problems import Problem, SourceError, nearest
from mcp_acl.runtime.remote.follower import followed
from mcp_acl.runtime.settings_remote import remote_of
from mcp_acl.runtime.store import load_policies

_WITHOUT_POWER: Final[Mapping[Effect, str]] = {Effect.ALLOW: "allows nothing", Effect.DENY: "denies nothing"}


@with_some(REMOTE)
def command(
    remote: Mapping[str, object],
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", parser=directory_of, help="Directory of policy files.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Findings end with 1.")] = False,
    explain: Annotated[str, typer.Option("--explain", metavar="CODE", help="Say what a code means, and end.")] = "",
    as_json: AsJson = False,
) -> None:
    """Report every problem and finding of every file, of a directory or of where policies come from. Each with its place and what to do.

    Then what is in shadow, which counts for nothing.
    """
    if explain:
        _explain(explain, as_json=as_json)
        return
    if directory is None and not remote:
        raise InputError("DIR: it is missing")
    if directory is not None and remote:
        raise InputError("DIR: give either a directory or `--policies-from`")
    policies: PolicySet | None = None
    shown = directory or Path(str(remote.get("policies_path", ".")))
    try:
        with _files(directory, remote) as files:
            policies = load_policies(files)
        problems: Sequence[Problem] = policies.findings
    except SourceError as error:
        problems = error.problems
    if as_json:
        _print_json(policies, problems)
    else:
        _print_text(shown, policies, problems)
    if policies is None:
        raise typer.Exit(Exit.UNUSABLE)
    raise typer.Exit(Exit.DENIED if strict and problems else Exit.FINE)


@contextmanager
def _files(directory: Path | None, remote: Mapping[str, object]) -> Iterator[Path]:
    """The directory, or one with what is fetched, for as long as it is read. Raises SourceError."""
    if directory is not None:
        yield directory
        return
    without_log()
    with TemporaryDirectory(prefix="mcp-acl-") as name:
        found = remote_of(settings_by({**remote, "policies": name}).settings)
        if found is None:
            raise InputError("--policies-from: it is missing; it says where the policies come from")
        with followed(found, Path(name), 0) as files:
            yield files


def _explain(code: str, *, as_json: bool) -> None:
    row = CODES.get(code)
    if row is None:
        raise InputError(f"--explain: there is no code {quoted(code)}{_sentence(nearest(code, CODES))}")
    if as_json:
        example = {"form": row.form, "text": row.shown or row.example}
        print_record(
            {"code": row.code, "severity": row.severity, "means": row.means, "hint": row.hint, "example": example}
        )
    else:
        typer.echo(row.render())


def _sentence(hint: str) -> str:
    return f": {hint}" if hint else ""


def _print_json(policies: PolicySet | None, problems: Sequence[Problem]) -> None:
    print_record(
        {
            "revision": "" if policies is None else policies.revision,
            "policies": [] if policies is None else policy_records(policies),
            "shadow": [] if policies is None else shadow_rule_records(policies),
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
    if lines := [*_in_shadow(directory, policies)]:
        print_lines("\n".join(lines))
        typer.echo()
    rules = sum(policy.rules for policy in policies.policies)
    shadow = sum(len(policy.shadow) for policy in policies.policies)
    of_them = f" ({shadow} in shadow)" if shadow else ""
    counted = f"{_many(len(policies.policies), 'policy', 'policies')}, {_many(rules, 'rule')}{of_them}"
    typer.echo(f"fine: {counted}, {_many(findings, 'finding')}, revision {policies.revision}")


def _in_shadow(directory: Path, policies: PolicySet) -> Iterator[str]:
    """A line for each policy that is in shadow as a whole, and for each such rule of the others."""
    for policy in policies.policies:
        file = printable(str(directory / policy.file))
        if policy.mode is Mode.SHADOW:
            rules = _many(policy.rules, "rule")
            yield f"{file}:{policy.line}: in shadow: the policy `{policy.id}` decides nothing: {rules}"
            continue
        for ref, effect in policy.shadow:
            yield f"{file}:{ref.line}: in shadow: `{ref}` {_WITHOUT_POWER[effect]}"


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
