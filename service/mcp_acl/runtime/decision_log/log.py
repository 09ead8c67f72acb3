"""Decisions on their way into a log: put into a ring when they are made, written by a thread. An observer; knows no record's content.

Nothing here keeps a decision waiting, and no record of a denial is lost with its process: what a process had not written is written by the one
that takes its place, or by any other that has the same log. When the ring is full, records of what was allowed are the first to go.
"""

import fcntl
import hashlib
import logging
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import gettempdir
from typing import Final, NamedTuple, Protocol

from mcp_acl.runtime.decision_log.record import Decisions, Masking, of_response
from mcp_acl.runtime.decision_log.ring import Ring, RingError, is_unbegun
from mcp_acl.runtime.observed import Decided, Observer, Replied, each

_LOG: Final = logging.getLogger("mcp_acl")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file of ours alone, by mode and owner
_RESERVE: Final = 0.25
"""The share of the ring that is left to denials."""
_PAUSE: Final = 0.2
"""Seconds between looks at the ring: what waits there is safe, and each look takes time from decisions."""
_SOON: Final = 0.125
"""The share of the ring that may wait so long; what is more is written at once."""
_BATCH: Final = 256 * 1024
"""Bytes that are written at once."""
_END_SECONDS: Final = 5.0
_LOOKS: Final = 10
"""Of how many looks one is for what other processes left."""
_AGAIN: Final = 1.0
"""Seconds until what could not be written is tried again."""


class LogError(Exception):
    """The log cannot be kept. The text says why."""


class Sink(Protocol):
    """What takes lines: all of them, or none."""

    def append(self, lines: bytes) -> None:
        """Write lines. Raises OSError if they were not written."""

    def close(self) -> None:
        """Let go of it."""


class Kept(NamedTuple):
    """How much of it is kept: the share of what is allowed and would be in shadow too, and bytes that wait at the most."""

    allowed: float = 1.0
    waiting: int = 8 * 1024 * 1024


class DecisionLog(Observer):
    """The log of one process. `name` tells logs apart, so that what another process left is found. Raises LogError."""

    def __init__(self, sink: Sink, name: str, masking: Masking, kept: Kept) -> None:
        self._sink = sink
        self._masking = masking
        self._decisions = Decisions(masking)
        self._kept = kept
        self._chance = random.random
        self.dropped = {"allow": 0, "deny": 0}
        self._dropping = threading.Lock()
        self._told = 0
        self._is_failing = False
        self._look = threading.Event()
        self._is_over = False
        try:
            self._rings = _Rings(name, kept.waiting)
        except OSError as error:
            raise LogError(f"there is no place for records that wait to be written ({error})") from None
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._thread.start()

    def decided(self, every: Sequence[Decided]) -> None:
        """As an observer."""
        kept = every if self._kept.allowed >= 1.0 else [decided for decided in every if self._is_kept(decided)]
        lines = b"".join(each(kept, self._decisions.record))
        if self._rings.own.put(lines, reserve=_RESERVE):
            self._wake()
        else:
            each(
                kept,
                lambda decided: self._put(self._decisions.record(decided), decided.answer.decision.allowed),
            )

    def _is_kept(self, decided: Decided) -> bool:
        is_allowed = decided.answer.decision.allowed and decided.answer.shadow is None
        return not is_allowed or self._chance() < self._kept.allowed

    def replied(self, replied: Replied) -> None:
        """As an observer."""
        filtered = replied.reply.filtered
        is_told = filtered.hidden or filtered.dropped or filtered.refused or filtered.errors or replied.reply.shadow
        if is_told or self._kept.allowed >= 1.0 or self._chance() < self._kept.allowed:
            self._put(of_response(replied, self._masking), not filtered.refused)

    def close(self) -> None:
        """Write what waits, unless that takes too long: then it is left for the next process."""
        self._is_over = True
        self._look.set()
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self._rings.close()
            self._sink.close()

    def _put(self, record: bytes, is_allowed: bool) -> None:
        if not self._rings.own.put(record, reserve=_RESERVE if is_allowed else 0.0):
            with self._dropping:
                self.dropped["allow" if is_allowed else "deny"] += 1
        self._wake()

    def _wake(self) -> None:
        """Have written what waits, if that is much. What could not be written is tried again in its time."""
        if self._rings.own.share > _SOON and not self._is_failing:
            self._look.set()

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Write until the end, and then what is left."""
        looks, is_over = 0, False
        while not is_over:
            self._look.wait(_AGAIN if self._is_failing else _PAUSE)
            self._look.clear()
            is_over = self._is_over
            if is_over or looks % _LOOKS == 0:
                self._write(self._rings.left)
            self._write(lambda: (self._rings.own,))
            self._tell_dropped()
            looks += 1

    def _write(self, rings: Callable[[], Iterable[Ring]]) -> None:
        try:
            for ring in rings():
                try:
                    self._empty(ring)
                except RingError as error:
                    self._rings.say_unusable(ring.file, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next records are written when it is over
            if not self._is_failing:
                _LOG.error("the decision log cannot be written: %s; records wait", error or type(error).__name__)
            self._is_failing = True

    def _empty(self, ring: Ring) -> None:
        """Write what waits now. What comes meanwhile has its turn when everything else has had one."""
        position, end = 0, ring.end
        while not ring.is_empty and position < end:
            lines, position = ring.waiting(_BATCH)
            self._sink.append(lines)
            ring.taken(position)
            if self._is_failing:
                _LOG.info("the decision log is written again")
            self._is_failing = False

    def _tell_dropped(self) -> None:
        dropped = sum(self.dropped.values())
        if dropped > self._told:
            _LOG.error(
                "%d records of decisions were dropped, because they came faster than they could be written "
                "(since the start: %d of what was allowed, %d of what was denied)",
                dropped - self._told,
                self.dropped["allow"],
                self.dropped["deny"],
            )
            self._told = dropped


class _Rings:
    """The ring of this process, and those of processes with the same log that have ended."""

    def __init__(self, name: str, size: int) -> None:
        digest = hashlib.sha256(f"{os.geteuid()} {name}".encode()).hexdigest()[:16]
        directory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(gettempdir())
        self._directory, self._prefix = directory, f"mcp-acl-log-{digest}-"
        self._locks: dict[Path, int] = {}
        self._unusable: set[Path] = set()
        self.own = Ring(self._free(), size)

    def left(self) -> Iterator[Ring]:
        """What processes that have ended left, each to be emptied."""
        for file in sorted(self._directory.glob(f"{self._prefix}*")):
            if file == self.own.file or not self._take(file):
                continue
            try:
                if is_unbegun(file):
                    file.unlink()
                    continue
                with closing(Ring(file, 0)) as ring:
                    yield ring
                    is_empty = ring.is_empty
                if is_empty:
                    file.unlink(missing_ok=True)
            except RingError as error:
                self.say_unusable(file, error)
            finally:
                self._release(file)

    def say_unusable(self, file: Path, error: RingError) -> None:
        """Tell once of what cannot be read; it stays for people to look at."""
        if file not in self._unusable:
            self._unusable.add(file)
            _LOG.error("records of decisions may be lost: %s", error)

    def close(self) -> None:
        """Leave what is not written, and nothing else."""
        if self.own.is_empty:
            self.own.file.unlink(missing_ok=True)
        self.own.close()
        for file in tuple(self._locks):
            self._release(file)

    def _free(self) -> Path:
        """A name that no living process has."""
        number = 0
        while True:
            file = self._directory / f"{self._prefix}{number}"
            if not file.exists() and self._take(file):
                return file
            number += 1

    def _take(self, file: Path) -> bool:
        """Lock the file, which says that a process lives that puts into it or empties it. Neither somebody else's, nor one that is gone by then."""
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(descriptor)
            is_ours = found.st_uid == os.geteuid() and os.path.samestat(found, os.lstat(file))
        except OSError:
            is_ours = False
        if not is_ours:
            os.close(descriptor)
            return False
        self._locks[file] = descriptor
        return True

    def _release(self, file: Path) -> None:
        descriptor = self._locks.pop(file, None)
        if descriptor is not None:
            os.close(descriptor)
