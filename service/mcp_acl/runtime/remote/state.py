"""What is known of where a directory's policies come from, as it is written down in it, and told to whoever reads there. Knows no network."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from mcp_acl.problems import Problem
from mcp_acl.runtime.stamps import Stamp, stamp_of
from mcp_acl.runtime.standing import Refused

CURRENT: Final = "current"
"""The link to the set in force, in the directory where sets are kept."""
STATE: Final = "remote.json"
"""The file beside it, with what is known."""


class Trouble(Struct, frozen=True):
    """What is wrong, and since when."""

    time: datetime
    problems: tuple[Problem, ...]


class State(Struct, frozen=True):
    """What is known. `asked` says of where `version` is the newest, and `held` of where the set in force is from.

    `refused` is what is wrong with that version; `unknown` why it is not known what is there now.
    """

    asked: str = ""
    held: str = ""
    version: str = ""
    etag: str = ""
    commit: str = ""
    refused: Trouble | None = None
    unknown: Trouble | None = None

    @property
    def trouble(self) -> Trouble | None:
        """What people should know first."""
        return self.unknown or self.refused


class Told:
    """What is known to be wrong where the files of a directory come from, if they come from elsewhere. Costs a stat each time."""

    def __init__(self, directory: Path) -> None:
        self._file = directory.parent / STATE if directory.name == CURRENT else None
        self._stamp: Stamp | None = None
        self._refused: Refused | None = None

    def refused(self) -> Refused | None:
        """What is not in force, though it is the newest; or that it is not known what is."""
        if self._file is not None and (stamp := stamp_of(self._file)) != self._stamp:
            self._stamp = stamp
            state = read_state(self._file)
            trouble = None if state is None else state.trouble
            self._refused = None if trouble is None else Refused(trouble.time, trouble.problems)
        return self._refused


def read_state(file: Path) -> State | None:
    """What is written there, if it can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
