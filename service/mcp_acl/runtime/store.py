"""Policy files from a directory. The first place in this package that reads a file.

Which files: the regular ones of that directory alone, links followed, that end in `.yaml` and do not begin with a dot;
`*.scenarios.yaml` are scenarios. Knows nothing of what is in them.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import MAX_SIZE, SourceFile
from mcp_acl.problems import Place, Problem, SourceError
from mcp_acl.runtime.collector import uncollected
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.stamps import Stamp, stamp_from, stamp_of

_POLICY: Final = ".yaml"
_SCENARIOS: Final = ".scenarios.yaml"

DirectoryStamp: TypeAlias = tuple[tuple[str, Stamp], ...]
"""The names of a directory's policy files, each with the stamp of its file."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a directory held: its policy files, what was wrong with reading them, and the commit it was at.

    `stamp` is the directory's at the moment when all this was in it, or None if there may have been no such moment.
    """

    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    commit: str
    stamp: DirectoryStamp | None

    def digest(self) -> bytes:
        """The same for the same names, bytes and problems, whatever the commit."""
        parts = [(file.name, hashlib.sha256(file.content).digest()) for file in self.files]
        return hashlib.sha256(repr((parts, self.problems)).encode(errors="backslashreplace")).digest()


def load_policies(directory: Path) -> PolicySet:
    """Read and compile a directory. Raises SourceError with everything that is wrong with any file."""
    return compile_sources(read_sources(directory))


def read_sources(directory: Path) -> Sources:
    """Read a directory. What cannot be read is among the problems."""
    before = directory_stamp(directory)
    commit = commit_of(directory)
    try:
        reading = _read(_policy_paths(directory))
    except SourceError as error:
        reading = _Reading((), error.problems, ())
    # A name may have led to another file between two looks at it: so what was opened counts, too.
    whole = before == directory_stamp(directory) and set(reading.stamps) <= set(before)
    return Sources(reading.files, reading.problems, commit, before if whole else None)


def compile_sources(sources: Sources) -> PolicySet:
    """Compile what was read. Raises SourceError with everything that is wrong with any file, unreadable ones included."""
    with uncollected():
        if not sources.problems:
            return compile_policies(sources.files, sources.commit)
        try:
            rest = compile_policies(sources.files).findings
        except SourceError as error:
            rest = error.problems
    raise SourceError([*sources.problems, *rest])


def directory_stamp(directory: Path) -> DirectoryStamp:
    """What tells, without reading it, that a directory holds other policy files than before."""
    try:
        return tuple((path.name, stamp_of(path)) for path in _policy_paths(directory))
    except SourceError as error:
        return tuple((problem.message, ()) for problem in error.problems)


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
        raise SourceError(
            [Problem("no-policies", f"there is no `*{_POLICY}` file", Place(shown_name(directory)), hint)]
        )
    return paths


def _yaml_files(directory: Path) -> list[Path]:
    try:
        return sorted(
            path for path in directory.iterdir() if path.name.endswith(_POLICY) and not path.name.startswith(".")
        )
    except (OSError, ValueError) as error:
        raise SourceError([_unreadable(shown_name(directory), error)]) from None


def _read_all(paths: list[Path]) -> tuple[SourceFile, ...]:
    reading = _read(paths)
    if reading.problems:
        raise SourceError(reading.problems)
    return reading.files


@dataclass(frozen=True, slots=True)
class _Reading:
    """The files that can be read with the stamp of each, and a problem for each that cannot."""

    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    stamps: DirectoryStamp


def _read(paths: Sequence[Path]) -> _Reading:
    files: list[SourceFile] = []
    problems: list[Problem] = []
    stamps: list[tuple[str, Stamp]] = []
    for path in paths:
        name = shown_name(path.name)
        try:
            content, stamp = _content(path)
        except OSError as error:
            problems.append(_unreadable(name, error))
        else:
            files.append(SourceFile(name, content))
            stamps.append((path.name, stamp))
    return _Reading(tuple(files), tuple(problems), tuple(stamps))


def _content(path: Path) -> tuple[bytes, Stamp]:
    """The bytes of a file, no more than show that it is too large. What is not a file (a pipe) is not waited for."""
    _check_regular(path.stat())
    with open(path, "rb", opener=_open_at_once) as stream:
        found = os.fstat(stream.fileno())
        _check_regular(found)
        return stream.read(MAX_SIZE + 1), stamp_from(found)


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "not a regular file")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def shown_name(path: Path | str) -> str:
    """A name that can be printed and sent, whatever its bytes."""
    return os.fsencode(path).decode(errors="replace")


def _unreadable(name: str, error: Exception) -> Problem:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(UNREADABLE, f"cannot be read: {why[:1].lower()}{why[1:]}", Place(name))


UNREADABLE: Final = "unreadable"
"""The code of a problem that may pass though no file changes."""
