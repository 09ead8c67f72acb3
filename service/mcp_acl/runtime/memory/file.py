"""The file: opened, checked, used by several threads. Does not know what its rows mean.

SQLite in WAL mode: processes share it, and who reads does not wait for who writes. What cannot be used is told at the start; what breaks
later never reaches the one who asked, who is told that nothing is known.
"""

import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import msgspec

_LOG: Final = logging.getLogger("mcp_acl")
_T = TypeVar("_T")

APPLICATION: Final = 0x4D_43_50_41
"""What says that a SQLite file is one of these (`PRAGMA application_id`)."""
VERSION: Final = 1
"""Of the tables. Another one is refused."""

WAIT: Final = 0.02
"""Seconds that a question waits for other threads, and again for other processes."""

_RESUME: Final = 0.25  # seconds without reading, and without waiting, after that failed
_PATIENCE: Final = 5.0  # seconds to wait for other processes while a file is opened
_PAUSE: Final = 0.02  # seconds between tries
_QUIET: Final = 60.0  # seconds from one line in the log to the next
_BY_OTHERS: Final = 0o007
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SCHEMA: Final = f"""
CREATE TABLE tasks (
    server TEXT NOT NULL, id TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, tool TEXT NOT NULL,
    expires REAL NOT NULL, UNIQUE (server, id)
);
CREATE INDEX tasks_by_end ON tasks (expires);
CREATE TABLE tools (
    server TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, annotations BLOB,
    changed INTEGER NOT NULL, since REAL NOT NULL, expires REAL NOT NULL, UNIQUE (server, name)
);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""
"""Times are seconds since 1970. A tool's `since` is when its definition was first seen, or seen to have changed; annotations that are too large
are NULL."""

FAULTS: Final = (sqlite3.Error, msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What reading and writing may raise: SQLite's errors, texts it does not take, rows that are not as they were written."""


class StoreError(RuntimeError):
    """A file that cannot be used to remember. The text says why, or what to do."""


def open_file(file: Path | None, seconds: float) -> sqlite3.Connection:
    """A connection to the file, which is made if it is not there, or to memory of its own. For one thread at a time.

    `seconds` is how long a statement waits for another process. Raises StoreError.
    """
    try:
        if file is None:
            connection = connect(None, seconds)
            connection.executescript(_SCHEMA)
            return connection
        _make(file)
        return _settled(file, seconds)
    except sqlite3.Error as error:
        raise StoreError(f"it cannot be used: {error}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StoreError(f"it cannot be used: {why[:1].lower()}{why[1:]}") from None


def connect(file: Path | None, seconds: float) -> sqlite3.Connection:
    """A connection to a file that `open_file` has been content with. Raises StoreError."""
    name = ":memory:" if file is None else str(file.absolute())
    try:
        return sqlite3.connect(name, timeout=seconds, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreError(f"it cannot be opened: {error}") from None


def _make(file: Path) -> None:
    """An empty file for its owner alone, unless there is one. It is not opened if there is: closing it would take away SQLite's locks."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise StoreError("it is not a file") from None
        if mode & _BY_OTHERS:
            raise StoreError("others than its owner and group may use it; `chmod 600` it") from None


def _settled(file: Path, seconds: float) -> sqlite3.Connection:
    """The connection, when processes that open the file at the same moment are done with it."""
    end = time.monotonic() + _PATIENCE
    while True:
        connection = connect(file, seconds)
        try:
            _check(connection)
        except sqlite3.OperationalError as error:
            connection.close()
            if not is_busy(error) or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _check(connection: sqlite3.Connection) -> None:
    """See that the file is ours and whole, or empty: then fill it. Nothing is done to one that is not ours."""
    if not _is_ours(connection):
        _value(connection, "PRAGMA journal_mode = WAL")
        with writing(connection):
            if not _is_ours(connection):
                for statement in _SCHEMA.strip().removesuffix(";").split(";"):
                    connection.execute(statement)
    connection.execute("PRAGMA synchronous = NORMAL")
    if _value(connection, "PRAGMA journal_mode = WAL") != "wal":
        raise StoreError("its file system does not let several processes share it; use a local one")
    found = _value(connection, "PRAGMA quick_check(1)")
    if found != "ok":
        raise StoreError(f"it is damaged; move it away to begin anew ({found})")


_WHOSE: Final = """
SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_master
"""
"""In one statement, so that what another process fills at this moment is seen as a whole, or not at all."""


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether it has our tables; False for an empty file. Raises StoreError for one that is neither."""
    application, version, tables = connection.execute(_WHOSE).fetchone()
    if application == APPLICATION:
        if version != VERSION:
            raise StoreError(f"it is of version {version}, and this mcp-acl knows version {VERSION}; use another file")
        return True
    if application or version or tables:
        raise StoreError("it is a database of something else")
    return False


def _value(connection: sqlite3.Connection, statement: str) -> object:
    return connection.execute(statement).fetchone()[0]


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection was in the way."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all of it or nothing. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


class _Access:
    """A connection that several threads use, one at a time, and of which no fault gets out.

    A fault is logged, but not more often than once a minute. While another process is in the way, what comes soon after one that has waited for
    it in vain does not wait: it comes on an event loop, where each would hold up everybody.
    """

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._lock = Lock()
        self._faults = 0
        self._quiet_until = 0.0
        self._hurries_until = 0.0
        self._patience = seconds

    def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """What `work` returns; None if it cannot be done, or not within twice the seconds: once for threads, once for processes."""
        if not self._lock.acquire(timeout=self._seconds):
            self._tell("it is busy")
            return None
        try:
            self._wait_for_others(0.0 if time.monotonic() < self._hurries_until else self._seconds)
            done = work(self._connection)
            self._hurries_until = 0.0
        except FAULTS as error:
            if isinstance(error, sqlite3.Error) and is_busy(error):
                self._hurries_until = time.monotonic() + _RESUME
            self._tell(str(error))
            return None
        else:
            return done
        finally:
            self._lock.release()

    def _wait_for_others(self, seconds: float) -> None:
        """From here on let a statement wait so long for other processes."""
        if seconds != self._patience:
            self._connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            self._patience = seconds

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _tell(self, why: str) -> None:
        now = time.monotonic()
        self._faults += 1
        if now >= self._quiet_until:
            _LOG.error("what is remembered cannot be used (%d times since this was last said): %s", self._faults, why)
            self._faults, self._quiet_until = 0, now + _QUIET


class Store:
    """An open file, or memory of one process. Used by several threads; nothing that is asked of it raises.

    Raises StoreError when made, if the file cannot be used.
    """

    def __init__(self, file: Path | None) -> None:
        self._writer = self._reader = _Access(open_file(file, WAIT), WAIT)
        if file is not None:
            # Of its own, so that questions do not wait for what is being learned.
            self._reader = _Access(connect(file, WAIT), WAIT)
        self._resumes = 0.0

    def read(
        self, query: str, values: Sequence[object], made: Callable[[Sequence[Any]], Any] = tuple
    ) -> Sequence[Any] | None:
        """The rows; None if they cannot be read. Then nothing is tried for a moment, so that many questions do not wait one by one."""
        if time.monotonic() < self._resumes:
            return None
        rows = self._reader.run(lambda connection: [made(row) for row in connection.execute(query, values)])
        if rows is None:
            self._resumes = time.monotonic() + _RESUME
        return rows

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """What `work` returns, all of it in one transaction; None if that failed and nothing was written."""

        def whole(connection: sqlite3.Connection) -> _T:
            with writing(connection):
                return work(connection)

        return self._writer.run(whole)

    def close(self) -> None:
        """Close the file; from here on nothing is known."""
        self._reader.close()
        if self._writer is not self._reader:
            self._writer.close()
