"""How the command line ends: its exit codes, and the error for what a person gave it that cannot be used."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every subcommand."""

    FINE = 0
    """Allowed, or nothing to say against it."""

    DENIED = 1
    """Denied, a message that was refused included; findings under `--strict`; scenarios that differ."""

    UNUSABLE = 2
    """Policies, claims or flags that cannot be read or are refused."""


class InputError(Exception):
    """Something given on the command line cannot be used. The text says what to do."""
