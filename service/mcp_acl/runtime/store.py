"""Policy files from a directory. The first place in this package that reads a file.

Which files: the regular ones of that directory alone, links followed, that end in `.yaml` and do not begin with a dot;
`*.scenarios.yaml` are scenarios. Knows nothing of what is in them.
"""

import os
import stat
from pathlib import Path
from typing import Final

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import MAX_SIZE, SourceFile
from mcp_acl.problems import Place, Problem, SourceError
from mcp_acl.runtime.commit import commit_of

_POLICY: Final = ".yaml"
_SCENARIOS: Final = ".scenarios.yaml"


def load_policies(directory: Path) -> PolicySet:
    """Read and compile a directory. Raises SourceError with everything that is wrong with any file."""
    files, unreadable = _read(_policy_paths(directory))
    if not unreadable:
        return compile_policies(files, commit_of(directory))
    try:
        rest = compile_policies(files).findings
    except SourceError as error:
        rest = error.problems
    raise SourceError([*unreadable, *rest])


def read_policies(directory: Path) -> tuple[SourceFile, ...]:
    """The policy files of a directory, by name. Raises SourceError if one cannot be read or there is none."""
    return _read_all(_policy_paths(directory))


def read_scenarios(directory: Path) -> tuple[SourceFile, ...]:
    """The scenario files of a directory, by name. Raises SourceError if one cannot be read."""
    return _read_all([path for path in _yaml_files(directory) if path.name.endswith(_SCENARIOS)])


def _policy_paths(directory: Path) -> list[Path]:
    paths = [path for path in _yaml_files(directory) if not path.name.endswith(_SCENARIOS)]
    if not paths:
        hint = "a policy that denies everything says so: `rules: []`"
        raise SourceError([Problem("no-policies", f"there is no `*{_POLICY}` file", Place(str(directory)), hint)])
    return paths


def _yaml_files(directory: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in directory.iterdir()
            if path.name.endswith(_POLICY) and not path.name.startswith(".") and not path.is_dir()
        )
    except (OSError, ValueError) as error:
        raise SourceError([_unreadable(str(directory), error)]) from None


def _read_all(paths: list[Path]) -> tuple[SourceFile, ...]:
    files, problems = _read(paths)
    if problems:
        raise SourceError(problems)
    return files


def _read(paths: list[Path]) -> tuple[tuple[SourceFile, ...], list[Problem]]:
    """The files that can be read, and a problem for each that cannot."""
    files: list[SourceFile] = []
    problems: list[Problem] = []
    for path in paths:
        name = os.fsencode(path.name).decode(errors="replace")
        try:
            files.append(SourceFile(name, _content(path)))
        except OSError as error:
            problems.append(_unreadable(name, error))
    return tuple(files), problems


def _content(path: Path) -> bytes:
    """The bytes of a file, no more than show that it is too large. What is not a file (a pipe) is not opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_SIZE + 1)


def _unreadable(name: str, error: Exception) -> Problem:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem("unreadable", f"cannot be read: {why[:1].lower()}{why[1:]}", Place(name))
