"""What an operator sees of a store that services use meanwhile, and does to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from mcp_acl.runtime.memory.file import StoreError, open_file, writing

_PATIENCE: Final = 5.0  # seconds that an operator waits for services

_TASKS: Final = "SELECT server, count(*) FROM tasks WHERE expires > ? GROUP BY server ORDER BY server"
_TOOLS: Final = "SELECT server, name, changed, since FROM tools WHERE expires > ? ORDER BY server, name"
_ACCEPT: Final = "UPDATE tools SET changed = 0, since = ? WHERE server = ? AND name = ? AND changed AND expires > ?"
_FORGET: Final = "DELETE FROM tools WHERE server = ? AND ifnull(name = ?, 1)"


class Seen(NamedTuple):
    """A tool that is remembered: whether its definition has changed, and since when it is what it is, in seconds since 1970."""

    server: str
    name: str
    changed: bool
    since: float


class Review:
    """A store that is there. `now`: seconds since 1970. Raises StoreError, when made and later."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tasks(self, now: float) -> dict[str, int]:
        """How many tasks are remembered, by server."""
        with _told():
            return dict(self._connection.execute(_TASKS, (now,)))

    def tools(self, now: float) -> tuple[Seen, ...]:
        """Every tool that is remembered, by server and name."""
        with _told():
            rows = self._connection.execute(_TOOLS, (now,)).fetchall()
        return tuple(Seen(server, name, bool(changed), since) for server, name, changed, since in rows)

    def accept(self, server: str, tool: str, now: float) -> bool:
        """Take the definition that was seen last; False if there is no such tool that has changed."""
        with _told(), writing(self._connection):
            return self._connection.execute(_ACCEPT, (now, server, tool, now)).rowcount > 0

    def forget(self, server: str, tool: str | None) -> int:
        """Forget a tool, or all of a server: the next list brings them as new. How many there were."""
        with _told(), writing(self._connection):
            return self._connection.execute(_FORGET, (server, tool)).rowcount


@contextmanager
def reviewing(file: Path) -> Iterator[Review]:
    """The store for as long as it is looked at. Raises StoreError, also if there is none."""
    if not file.exists():
        raise StoreError("there is no such file")
    with closing(open_file(file, _PATIENCE)) as connection:
        yield Review(connection)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"it cannot be used: {error}") from None
