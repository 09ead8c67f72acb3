"""What ends a subcommand before it has an answer: as text for people, as a record for programs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer

from mcp_acl.cli.exits import InputError, RefusedError
from mcp_acl.cli.printing import Record, print_lines, print_record, printable
from mcp_acl.problems import Problem, SourceError, render_problems


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """While files of this directory are read and compiled, what is wrong with them is `RefusedError`."""
    try:
        yield
    except SourceError as error:
        raise RefusedError(directory, error.problems) from None


def print_problems(directory: Path, problems: Sequence[Problem], *, err: bool = False) -> None:
    """Problems for people, with their files as paths from where the person stands. First what is wrong with no file."""
    for problem in problems:
        if not problem.place.file:
            print_lines(f"error: {problem.message}{problem.hint and f'; {problem.hint}'}", err=err)
    placed = [_from_here(directory, problem) for problem in problems if problem.place.file]
    if placed:
        print_lines(render_problems(placed), err=err)


def _from_here(directory: Path, problem: Problem) -> Problem:
    file = problem.place.file
    if not file or file == str(directory):
        return problem
    return replace(problem, place=replace(problem.place, file=printable(str(directory / file))))


def print_refusal(error: RefusedError | InputError | typer.TyperException, *, as_json: bool) -> None:
    """Say why there is no answer: people on standard error, programs on standard output."""
    if isinstance(error, RefusedError):
        if as_json:
            print_record(problems_record(error.problems))
        else:
            print_problems(error.directory, error.problems, err=True)
        return
    message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    if as_json:
        print_record(problems_record([Problem("input", message)]))
    else:
        print_lines(f"error: {message}", err=True)


def problems_record(problems: Sequence[Problem]) -> Record:
    """Problems and findings, apart, each with its place."""
    return {
        "problems": [_record(problem) for problem in problems if not problem.is_finding],
        "findings": [_record(problem) for problem in problems if problem.is_finding],
    }


def _record(problem: Problem) -> Record:
    place = problem.place
    return {
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "width": place.width,
    }
