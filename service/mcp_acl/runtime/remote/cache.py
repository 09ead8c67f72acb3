"""The directory in which fetched policies are kept: a set each in a directory of its own, a link to the one in force, and what is known.

    policies/
        current -> sets/<commit>-<digest>     what the service reads
        sets/…                                that one and the last few before it
        remote.json                           what was seen last, and what is wrong with it

The link is replaced by a rename, so that there is no moment without a set. Whoever reads needs nothing but this directory. Knows no network.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

import msgspec

from mcp_acl.runtime.remote.state import CURRENT, STATE, State, read_state

SETS: Final = "sets"
KEPT: Final = 5
"""Sets that are kept, the one in force among them."""
_LOCK: Final = ".lock"


class Cache:
    """One such directory. Raises OSError where it cannot be written to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.current = directory / CURRENT

    @property
    def is_filled(self) -> bool:
        """Whether a set is in force."""
        return self.current.is_dir()

    def state(self) -> State:
        """What is known; nothing, if that cannot be read."""
        return read_state(self.directory / STATE) or State()

    def keep(self, state: State) -> None:
        """Write down what is known."""
        beside = self.directory / f"{STATE}.new"
        beside.write_bytes(msgspec.json.encode(state))
        beside.replace(self.directory / STATE)

    def put(self, name: str) -> None:
        """Put a set in force, and forget all but the last few."""
        beside = self.directory / f".{CURRENT}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path(SETS, name))
        beside.replace(self.current)
        with suppress(OSError):
            os.utime(self.directory / SETS / name)
            self._prune(name)

    def _prune(self, name: str) -> None:
        others = sorted(
            (one for one in (self.directory / SETS).iterdir() if one.name != name), key=_changed, reverse=True
        )
        for one in others[KEPT - 1 :]:
            rmtree(one, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone in this directory. What a process that ended in the middle has left is removed."""
        from fcntl import LOCK_EX, flock  # noqa: PLC0415 - not every system has it

        with (self.directory / _LOCK).open("wb") as stream:
            flock(stream, LOCK_EX)
            for left in (*self.directory.glob(".new-*"), *self.directory.glob(".fetch-*")):
                rmtree(left, ignore_errors=True)
            yield


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
