"""How the command line ends: its exit codes, and the errors for what it was given that cannot be used."""

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from mcp_acl.problems import Problem


class Exit(IntEnum):
    """The exit codes of every subcommand."""

    FINE = 0
    """Allowed, or nothing to say against it."""

    DENIED = 1
    """Denied, a refused message and a withheld response included; scenarios that differ; attacks that got through; findings under `--strict`; not serving."""

    UNUSABLE = 2
    """Policies, claims or flags that cannot be read or are refused; a service that does not answer; output that cannot be written."""


class InputError(Exception):
    """Something given on the command line cannot be used. The text says what to do."""


class RefusedError(Exception):
    """Files that cannot be used: every problem, and the directory they are in."""

    def __init__(self, directory: Path, problems: Sequence[Problem]) -> None:
        super().__init__(str(directory))
        self.directory = directory
        self.problems = problems
