"""Keeps a directory in step with where policies come from: looks, puts in force what was found to be fit, and says what was not.

Strategy: each look is a process that ends (`__main__`), and a link that is replaced. What is newest and unfit, and a remote that cannot be
reached, change nothing but what is told, once, in the log and in the directory, where each worker sees it. Knows no gate: whoever reads the
directory takes what is in it.
"""

import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.remote.cache import Cache
from mcp_acl.runtime.remote.credentials import text_of
from mcp_acl.runtime.remote.files import UNREACHABLE
from mcp_acl.runtime.remote.order import Order, Reply
from mcp_acl.runtime.remote.source import Remote
from mcp_acl.runtime.remote.state import State, Trouble

_LOG: Final = logging.getLogger("mcp_acl")
_COMMAND: Final = (sys.executable, "-P", "-m", "mcp_acl.runtime.remote")
_GRACE: Final = 5.0
"""Seconds that a look may take beyond its timeout, at which it ends itself."""
_JOIN: Final = 5.0
_LOGGED: Final = 20  # problems of one refusal


class Follower:
    """Looks at one remote for one directory. Others may do so too: they take turns."""

    def __init__(
        self, remote: Remote, directory: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.cache = Cache(directory)
        self._remote = remote
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_first = True
        self._asked = ""
        self._told: tuple[Problem, ...] = ()

    def begin(self) -> None:
        """Look for the first time. Raises SourceError if there is then nothing in the directory that may be in force.

        What was fetched before may, if it is from where the policies come from, under the same signers.
        """
        try:
            self.cache.directory.mkdir(parents=True, exist_ok=True)
            state = self._looked()
        except OSError as error:
            raise SourceError([_unusable(self.cache.directory, error)]) from None
        if not self.cache.is_filled or not self._asked or state.held != self._asked:
            assert state.trouble is not None
            raise SourceError(state.trouble.problems)

    def start(self, interval: float) -> None:
        """Look every `interval` seconds from now on, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(interval,), name="follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and wait for nothing."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.kill()
        if self._thread is not None:
            self._thread.join(_JOIN)

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            with suppress(Exception):
                self.look()

    def look(self) -> None:
        """Look once. Never raises: what goes wrong is told."""
        try:
            self._looked()
        except OSError as error:
            self._tell([_unusable(self.cache.directory, error)])

    def _looked(self) -> State:
        with self.cache.locked():
            before = self.cache.state()
            state = self._next(before)
            if state != before:
                self.cache.keep(state)
        self._tell(() if state.trouble is None else state.trouble.problems)
        return state

    def _next(self, before: State) -> State:
        """Look, and put in force what was found."""
        self._asked = ""
        try:
            self._asked = asked = _asked(self._remote)
        except SourceError as error:
            return self._unknown(before, error.problems)
        known = before if before.asked == asked and self._is_usable(before) else State(asked, before.held)
        self._is_first = False
        commit = before.commit if before.held == asked else ""
        reply = self._asked_for(Order(self._remote, str(self.cache.directory), known.version, known.etag, commit))
        if self._stop.is_set():
            return before
        known = replace(known, commit=before.commit, unknown=before.unknown)
        if not reply.version:
            return self._unknown(known, reply.problems)
        known = replace(known, version=reply.version, etag=reply.etag, unknown=None)
        if reply.problems:
            return replace(known, refused=self._since(known.refused, reply.problems))
        if not reply.name:
            return known
        self.cache.put(reply.name)
        self._say_new(reply)
        return State(asked, asked, reply.version, reply.etag, reply.commit)

    def _is_usable(self, state: State) -> bool:
        """Whether a version that is known need not be fetched again. At the start one that was refused is: the program may be another."""
        return self.cache.is_filled and not (self._is_first and state.refused)

    def _unknown(self, state: State, problems: tuple[Problem, ...]) -> State:
        return replace(state, unknown=self._since(state.unknown, problems))

    def _since(self, before: Trouble | None, problems: tuple[Problem, ...]) -> Trouble:
        return before if before is not None and before.problems == problems else Trouble(self._clock(), problems)

    def _asked_for(self, order: Order) -> Reply:
        """What a process of its own finds. It ends itself when its time is over, and is ended if it does not."""
        pipe = subprocess.PIPE
        # Threads of C share one heap: each of its own is counted as if it were full.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        with subprocess.Popen(  # noqa: S603
            _COMMAND, stdin=pipe, stdout=pipe, env=environment, start_new_session=True
        ) as process:
            self._process = process
            if self._stop.is_set():
                process.kill()
            try:
                found, _ = process.communicate(msgspec.json.encode(order), timeout=order.remote.timeout + _GRACE)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGALRM)
                found = b""
            self._process = None
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(found, type=Reply)
        if process.returncode == -signal.SIGALRM:
            return _no_reply(f"it took longer than {order.remote.timeout:g} seconds")
        return _no_reply(f"what fetches ended with {process.returncode}")

    def _say_new(self, reply: Reply) -> None:
        what = f"commit {reply.commit}" if reply.commit else f"archive {reply.version}"
        _LOG.info("policies fetched: %s of %s", what, self._remote.url)
        if reply.note:
            _LOG.warning("policies fetched: %s of %s: %s", what, self._remote.url, reply.note)

    def _tell(self, problems: tuple[Problem, ...] | list[Problem]) -> None:
        """Say what is wrong, unless it was said."""
        problems = tuple(problems)
        if problems and problems != self._told and not self._stop.is_set():
            shown = "; ".join(map(_line, problems[:_LOGGED])) + ("; …" if len(problems) > _LOGGED else "")
            _LOG.error("policies of %s are not taken: %s", self._remote.url, shown)
        elif self._told and not problems:
            _LOG.info("policies of %s are again what is in force", self._remote.url)
        self._told = problems


def _line(problem: Problem) -> str:
    place = f"{problem.place}: " if problem.place.file else ""
    return "".join(char if char.isprintable() else " " for char in f"{place}{problem.message} [{problem.code}]")


@contextmanager
def followed(remote: Remote, directory: Path, interval: float) -> Iterator[Path]:
    """The directory to read, kept in step while this lasts; with an interval of 0 it stays as it is. Raises SourceError."""
    follower = Follower(remote, directory)
    follower.begin()
    if interval:
        follower.start(interval)
    try:
        yield follower.cache.current
    finally:
        follower.stop()


def _asked(remote: Remote) -> str:
    """What says whether two sets are from one place and under the same signers."""
    signers = text_of("policies_signers", remote.signers) if remote.signers else ""
    return hashlib.sha256(repr((remote.url, remote.ref, remote.path, signers)).encode()).hexdigest()


def _no_reply(why: str) -> Reply:
    return Reply(problems=(Problem(UNREACHABLE, f"it cannot be fetched: {why}"),))


def _unusable(directory: Path, error: OSError) -> Problem:
    why = (error.strerror or str(error)).lower()
    hint = "`policies` must be a directory that can be written to if `policies_from` is given"
    return Problem("unreadable", f"`{directory}` cannot be kept in step: {why}", hint=hint)
