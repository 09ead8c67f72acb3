"""Policy files from a directory. The first place in this package that reads a file.

Which files: the regular ones of that directory alone, links followed, that end in `.yaml` and do not begin with a dot;
`*.scenarios.yaml` are scenarios. Knows nothing of what is in them.
"""

import os
import stat
from collections.abc import Iterator
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
    """Read and compile a directory. Raises SourceError with everything that is wrong."""
    return compile_policies(read_policies(directory), commit_of(directory))


def read_policies(directory: Path) -> tuple[SourceFile, ...]:
    """The policy files of a directory, by name. Raises SourceError if one cannot be read or there is none."""
    files = _read([path for path in _yaml_files(directory) if not path.name.endswith(_SCENARIOS)])
    if not files:
        hint = "a policy that denies everything says so: `rules: []`"
        raise SourceError([Problem("no-policies", f"there is no `*{_POLICY}` file", Place(str(directory)), hint)])
    return files


def read_scenarios(directory: Path) -> tuple[SourceFile, ...]:
    """The scenario files of a directory, by name. Raises SourceError if one cannot be read."""
    return _read([path for path in _yaml_files(directory) if path.name.endswith(_SCENARIOS)])


def _yaml_files(directory: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in directory.iterdir()
            if path.name.endswith(_POLICY) and not path.name.startswith(".") and not path.is_dir()
        )
    except (OSError, ValueError) as error:
        raise SourceError([_unreadable(str(directory), error)]) from None


def _read(paths: list[Path]) -> tuple[SourceFile, ...]:
    problems: list[Problem] = []
    files = tuple(_contents(paths, problems))
    if problems:
        raise SourceError(problems)
    return files


def _contents(paths: list[Path], problems: list[Problem]) -> Iterator[SourceFile]:
    for path in paths:
        name = os.fsencode(path.name).decode(errors="replace")
        try:
            yield SourceFile(name, _content(path))
        except OSError as error:
            problems.append(_unreadable(name, error))


def _content(path: Path) -> bytes:
    """The bytes of a file, no more than show that it is too large. What is not a file (a pipe) is not opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_SIZE + 1)


def _unreadable(name: str, error: Exception) -> Problem:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem("unreadable", f"cannot be read: {why[:1].lower()}{why[1:]}", Place(name))
