"""Who made which task. The first owner stays: ids are a server's, and it may give one twice."""

from collections.abc import Callable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any, Final, NamedTuple

from mcp_acl.domain import TaskFact
from mcp_acl.runtime.memory.file import Store
from mcp_acl.runtime.memory.lookup import Key, Lookup, Recent, fits

LONGEST_LIFE: Final = 366 * 86_400.0
"""Seconds that a server may ask for one of its tasks to be remembered."""

_LATE: Final = 0.1  # of a life: by less than that it is not prolonged, because that is a write
_AT_ONCE: Final = 100  # expired rows that a new one takes away
_EVICTED_AT_ONCE: Final = 1000
_AT_HAND: Final = 60.0  # seconds until an owner is looked up again
_LARGEST_AT_HAND: Final = 512  # characters; a longer one is looked up each time

_FIND: Final = "SELECT issuer, subject, tool, expires FROM tasks WHERE server = ? AND id = ? AND expires > ?"
_IDS: Final = "SELECT id FROM tasks WHERE server = ? AND expires > ?"
_ADD: Final = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?)"
_PROLONG: Final = "UPDATE tasks SET expires = max(expires, ?) WHERE server = ? AND id = ?"
_PURGE: Final = "DELETE FROM tasks WHERE rowid IN (SELECT rowid FROM tasks WHERE expires <= ? LIMIT ?)"
_EVICT: Final = """
DELETE FROM tasks WHERE rowid IN (
    SELECT rowid FROM tasks NOT INDEXED
    WHERE server = (SELECT server FROM tasks GROUP BY server ORDER BY count(*) DESC, server LIMIT 1)
    ORDER BY rowid LIMIT ?
)
"""


class _Owner(NamedTuple):
    fact: TaskFact
    expires: float


class Tasks:
    """The tasks of all servers. `seconds`: the life of one of which the server does not say it; `most`: how many, within a hundredth."""

    def __init__(self, store: Store, clock: Callable[[], float], seconds: float, most: int) -> None:
        self._store, self._clock, self._seconds, self._most = store, clock, seconds, most
        self._recent: Recent[_Owner] = Recent()
        self._added = 0

    def of(self, server: str) -> Mapping[str, TaskFact]:
        """The server's, by id."""
        return Lookup(server, self._find, self._ids)

    def _find(self, server: str, task_id: str) -> TaskFact | None:
        now = self._clock()
        recent = self._recent.get((server, task_id))
        if recent is not None and now < recent.expires:
            return recent.fact
        owner = self._owner(server, task_id, now)
        return owner.fact if owner is not None else None

    def _owner(self, server: str, task_id: str, now: float) -> _Owner | None:
        if not fits(server, task_id):
            return None
        owner = _first(self._store.read(_FIND, (server, task_id, now)) or ())
        if owner is not None:
            self._keep((server, task_id), owner, now)
        return owner

    def _keep(self, key: Key, owner: _Owner, now: float) -> None:
        """Keep an owner at hand: it does not change, but an operator may take the file away, and what is evicted may come anew."""
        if sum(map(len, (*key, *owner.fact))) <= _LARGEST_AT_HAND:
            self._recent.put(key, owner._replace(expires=min(owner.expires, now + _AT_HAND)))

    def _ids(self, server: str) -> list[str]:
        return [row[0] for row in self._store.read(_IDS, (server, self._clock())) or ()]

    def learn(self, server: str, task_id: str, fact: TaskFact, seconds: float | None) -> bool:
        """Remember who made a task, for so many seconds. False if it is another's."""
        if not fits(server, task_id, *fact):
            return True
        now = self._clock()
        life = self._seconds if seconds is None else min(max(0.0, seconds), LONGEST_LIFE)
        owner = self._owner(server, task_id, now)
        if owner is None or (owner.fact == fact and now + life - owner.expires > _LATE * life):
            key, claim = (server, task_id), _Owner(fact, now + life)
            owner = self._store.write(lambda connection: self._claimed(connection, key, claim, now))
            if owner is not None:
                self._keep(key, owner, now)
        return owner is None or owner.fact == fact

    def _claimed(self, connection: Connection, key: Key, claim: _Owner, now: float) -> _Owner:
        """The owner from now on: whoever else claimed it since it was looked up, or this one."""
        owner = _first(connection.execute(_FIND, (*key, now)).fetchall())
        if owner is not None:
            if owner.fact == claim.fact:
                connection.execute(_PROLONG, (claim.expires, *key))
            return owner
        connection.execute(_ADD, (*key, *claim.fact, claim.expires))
        connection.execute(_PURGE, (now, _AT_ONCE))
        if self._added % max(1, self._most // 100) == 0:
            self._evict(connection)
        self._added += 1
        return claim

    def _evict(self, connection: Connection) -> None:
        """Keep to the number: the oldest go, of the server that has the most, so that none crowds out another."""
        (count,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
        if count > self._most:
            connection.execute(_EVICT, (min(count - self._most, _EVICTED_AT_ONCE),))


def _first(rows: Sequence[Any]) -> _Owner | None:
    return next((_Owner(TaskFact(*names), expires) for *names, expires in rows), None)
