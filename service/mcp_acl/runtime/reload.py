"""Policy files that change while the service runs: looked at, compiled aside, put in force as a whole. Knows no host and no wire.

Strategy: polled, not notified, so that whatever changes the files counts: an editor, git, a ConfigMap's links, a network file system. A
look costs a stat for each file. What is new is read once it has been the same from one look to the next, so that no half of a
change is taken for the whole, and taken if nothing changed meanwhile; it is read again when no file's time can hide a change
any more. What cannot be used is refused, once, and what is in force stays. Whatever goes wrong here is told, and ends nothing.
Where files are fetched into the directory, what is wrong there is told in the same place, unless the directory itself is refused.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mcp_acl.policy.compiler import at_commit
from mcp_acl.problems import Place, Problem, SourceError
from mcp_acl.runtime.collector import beside_requests, keep_all
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.remote.state import Told
from mcp_acl.runtime.stamps import RESOLUTION
from mcp_acl.runtime.standing import Refused, Standing
from mcp_acl.runtime.store import (
    UNREADABLE,
    DirectoryStamp,
    Sources,
    compile_sources,
    directory_stamp,
    read_sources,
    shown_name,
)

_LOG: Final = logging.getLogger("mcp_acl")

PATIENCE: Final = 60.0
"""Seconds that files may go on changing before that is told."""
_START_INTERVAL: Final = 0.25
"""Seconds that young files must have stayed the same before the service starts on them."""
_LOGGED: Final = 20  # problems of one refusal
_STACK: Final = 8 << 20  # bytes: what the main thread has on most systems, and other threads on few
_JOIN: Final = 5.0


def read_settled(
    directory: Path, sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.time
) -> Sources:
    """Read a directory that may be being written: once at once if nothing in it is young, else until it stays the same.

    Raises SourceError if it does not for `PATIENCE` seconds.
    """
    before: DirectoryStamp | None = None
    for _ in range(int(PATIENCE / _START_INTERVAL)):
        sources = read_sources(directory)
        if sources.stamp is not None and (sources.stamp == before or not _is_young(sources.stamp, now())):
            return sources
        before = sources.stamp
        sleep(_START_INTERVAL)
    raise SourceError(
        [
            Problem(
                "unsettled",
                f"the files have not stayed the same for {PATIENCE:.0f} seconds",
                Place(shown_name(directory)),
            )
        ]
    )


def _is_young(stamp: DirectoryStamp, now: float) -> bool:
    """Whether a file was changed so lately that another change may be under way."""
    return any(now - max(times) / 1e9 < RESOLUTION for _, one in stamp if (times := one[-2:]))


def _now() -> datetime:
    return datetime.now(UTC)


class Reloader:
    """Keeps a gate's policy set that of a directory. `loaded` is what the set now in force was compiled from.

    `look` is one step; `start` takes it every so often in a thread of its own.
    """

    def __init__(
        self,
        gate: Gate,
        directory: Path,
        loaded: Sources,
        *,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate
        self._directory = directory
        self._clock = clock
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: DirectoryStamp | None = loaded.stamp
        self._seen_at = monotonic()
        self._changing_since: float | None = None
        self._known: DirectoryStamp | None = loaded.stamp
        self._again_at: float | None = self._seen_at + RESOLUTION
        self._in_force = loaded.digest()
        self._refused = b""
        self._commit = loaded.commit
        self._told = Told(directory)
        self._elsewhere: Refused | None = None

    def start(self, interval: float) -> None:
        """Look every `interval` seconds from now on, until `stop`."""
        before = _stack_size(_STACK)
        self._thread = threading.Thread(target=self._run, args=(interval,), name="reload", daemon=True)
        self._thread.start()
        _stack_size(before)

    def stop(self) -> None:
        """Look no more. A set that is being compiled may still be put in force."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN)

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            with suppress(BaseException):  # not even what goes wrong in telling what went wrong
                self.look()

    def look(self) -> None:
        """Look once. Never raises: what goes wrong refuses what the directory holds."""
        try:
            self._look()
        except BaseException as error:  # noqa: BLE001 - a panic of pydantic's is no Exception
            self._known, self._refused = None, b""
            self._fail(error)

    def _look(self) -> None:
        stamp, now = directory_stamp(self._directory), self._monotonic()
        if stamp != self._seen:
            self._seen, self._seen_at = stamp, now
            self._changed(now)
            return
        if stamp != self._known or (self._again_at is not None and now >= self._again_at):
            self._read(stamp, now)
        else:
            self._follow(commit_of(self._directory))
        self._heed(self._told.refused())
        if self._seen is not None:
            self._changing_since = None

    def _changed(self, now: float) -> None:
        """Wait for the files to settle, but not in silence for ever."""
        if self._changing_since is None:
            self._changing_since = now
        elif now - self._changing_since >= PATIENCE:
            self._known, self._refused = None, b""
            message = f"the files have not stayed the same from one look to the next for {PATIENCE:.0f} seconds"
            hint = "change them by renaming whole files or directories"
            self._refuse([self._problem("unsettled", message, hint)])

    def _read(self, stamp: DirectoryStamp, now: float) -> None:
        """Read files that have settled, and take what they hold if it is new."""
        sources = read_sources(self._directory)
        if sources.stamp != stamp:
            self._seen = None
            return
        self._known = stamp
        self._again_at = self._next_reading(sources, now)
        digest = sources.digest()
        if digest == self._in_force:
            self._stand()
            self._follow(sources.commit)
        elif digest != self._refused:
            self._refused = digest
            self._take(sources, digest)

    def _next_reading(self, sources: Sources, now: float) -> float | None:
        """When to read files again whose stamps stay: once they are old enough; later if some could not be read."""
        if now - self._seen_at < RESOLUTION:
            return self._seen_at + RESOLUTION
        return now + RESOLUTION if any(one.code == UNREADABLE for one in sources.problems) else None

    def _take(self, sources: Sources, digest: bytes) -> None:
        started = self._monotonic()
        try:
            with beside_requests():
                policies = compile_sources(sources)
        except SourceError as error:
            self._refuse(error.problems)
            return
        except BaseException as error:  # noqa: BLE001 - as in `look`, but here it would come again for the same files
            self._fail(error)
            return
        self._gate.put(Standing(policies, self._clock(), self._elsewhere))
        self._in_force, self._refused, self._commit = digest, b"", sources.commit
        _LOG.info(
            "policies loaded: revision %s, %d policies, %d rules, %d findings, in %.2f s",
            policies.revision,
            len(policies.policies),
            sum(policy.rules for policy in policies.policies),
            len(policies.findings),
            self._monotonic() - started,
        )
        keep_all()

    def _stand(self) -> None:
        """The directory holds what is in force."""
        self._refused = b""
        standing = self._gate.standing
        if standing.refused is not self._elsewhere:
            self._gate.put(replace(standing, refused=self._elsewhere))
            _LOG.info("policies are again those in force, revision %s", standing.policies.revision)

    def _follow(self, commit: str) -> None:
        """Give what is in force the commit that the directory is at, if it is what the directory holds."""
        standing = self._gate.standing
        if commit == self._commit or standing.refused is not self._elsewhere:
            return
        policies = at_commit(standing.policies, commit)
        self._gate.put(replace(standing, policies=policies))
        self._commit = commit
        _LOG.info("policies are unchanged, revision %s", policies.revision)

    def _heed(self, elsewhere: Refused | None) -> None:
        """Show what is wrong where the files come from, if nothing is wrong with the files. Who fetches has logged it."""
        standing = self._gate.standing
        if standing.refused is self._elsewhere and elsewhere is not self._elsewhere:
            self._gate.put(replace(standing, refused=elsewhere))
        self._elsewhere = elsewhere

    def _fail(self, error: BaseException) -> None:
        problem = self._problem("internal-error", f"loading failed: {type(error).__name__}", "see the log")
        if self._refuse([problem]):
            _LOG.error("policies could not be loaded", exc_info=error)

    def _problem(self, code: str, message: str, hint: str) -> Problem:
        return Problem(code, message, Place(shown_name(self._directory)), hint)

    def _refuse(self, problems: Iterable[Problem]) -> bool:
        """Say that what the directory holds is not in force, and why. False if that was said before."""
        refusing = tuple(problem for problem in problems if not problem.is_finding)
        standing = self._gate.standing
        if standing.refused is not None and standing.refused.problems == refusing:
            return False
        self._gate.put(replace(standing, refused=Refused(self._clock(), refusing)))
        _LOG.error(
            "policies refused: %d problems, revision %s stays in force: %s",
            len(refusing),
            standing.policies.revision,
            "; ".join(map(_line, refusing[:_LOGGED])) + ("; …" if len(refusing) > _LOGGED else ""),
        )
        return True


def _line(problem: Problem) -> str:
    """A problem in one line, whatever is in the names of files."""
    text = f"{problem.place}: {problem.message} [{problem.code}]"
    return "".join(char if char.isprintable() else " " for char in text)


def _stack_size(size: int) -> int:
    """Set how much stack threads get that start from now on; where that cannot be said they get what they get."""
    try:
        return threading.stack_size(size)
    except (ValueError, RuntimeError):
        return 0
