"""What the tools of a server say of themselves, until they say something else.

A definition that changes after it was seen is a warning (a "rug pull"): nothing is known of the tool then, until an operator accepts what it
has become (`review`). So none makes way for others either: to be forgotten must not be what a changed one has to wait for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from sqlite3 import Connection
from typing import Any, Final

import msgspec

from mcp_acl.domain import ToolDefinition, ToolFact
from mcp_acl.runtime.context import packed, unpacked
from mcp_acl.runtime.memory.file import Store
from mcp_acl.runtime.memory.lookup import Key, Lookup, fits

LARGEST: Final = 8192
"""Bytes of a tool's annotations; of one that has more none are known."""

_SHARE: Final = 4  # one server may have a quarter of the tools
_AT_ONCE: Final = 1000  # new tools that one list may bring
_LATE: Final = 0.1  # of a life: by less than that it is not prolonged, because that is a write

_DEFINED: Final = "SELECT name, digest, expires FROM tools WHERE server = ? AND expires > ?"
_KNOWN: Final = "FROM tools WHERE server = ? AND expires > ? AND NOT changed AND annotations IS NOT NULL"
_FIND: Final = f"SELECT annotations {_KNOWN} AND name = ?"
_NAMES: Final = f"SELECT name {_KNOWN}"
_ROW: Final = "SELECT digest, changed FROM tools WHERE server = ? AND name = ? AND expires > ?"
_ROOM: Final = "SELECT count(*), total(server = ?) FROM tools"
_PURGE: Final = "DELETE FROM tools WHERE expires <= ?"
_ADD: Final = "INSERT INTO tools VALUES (?, ?, ?, ?, 0, ?, ?)"
_PROLONG: Final = "UPDATE tools SET expires = ? WHERE server = ? AND name = ?"
_CHANGE: Final = """
UPDATE tools SET digest = ?, annotations = ?, changed = 1, since = ?, expires = ? WHERE server = ? AND name = ?
"""


class Tools:
    """The tools of all servers. `seconds`: the life of one since it was last seen; `most`: how many."""

    def __init__(self, store: Store, clock: Callable[[], float], seconds: float, most: int) -> None:
        self._store, self._clock, self._seconds, self._most = store, clock, seconds, most
        self._doubted: set[Key] = set()

    def of(self, server: str) -> Mapping[str, ToolFact]:
        """The server's that were seen and have not changed since, by name."""
        return Lookup(server, self._find, self._names)

    def _find(self, server: str, name: str) -> ToolFact | None:
        if not fits(server, name) or self._doubts(server, name):
            return None
        rows = self._store.read(_FIND, (server, self._clock(), name), _fact)
        return rows[0] if rows else None

    def _names(self, server: str) -> list[str]:
        names = [row[0] for row in self._store.read(_NAMES, (server, self._clock())) or ()]
        return [name for name in names if not self._doubts(server, name)]

    def learn(self, server: str, definitions: Mapping[str, ToolDefinition]) -> tuple[str, ...]:
        """Remember the tools of a list. Returned are the names of those that have changed, once each."""
        if not fits(server):
            return ()
        now = self._clock()
        rows = self._store.read(_DEFINED, (server, now))
        if rows is None:
            self._doubt(server, definitions)
            return ()
        known = {name: (digest, expires) for name, digest, expires in rows}
        latest = now + self._seconds - _LATE * self._seconds
        other = [name for name, one in definitions.items() if name in known and known[name][0] != one.digest]
        late = [name for name in definitions if name in known and known[name][1] < latest]
        new = (name for name in definitions if name not in known and fits(name))
        due = {name: definitions[name] for name in (*other, *late, *islice(new, _AT_ONCE))}
        changed = self._store.write(lambda connection: self._seen(connection, server, due, now)) if due else ()
        if changed is None:
            self._doubt(server, other)
            return ()
        self._trust(server, definitions)
        return changed

    def _seen(
        self, connection: Connection, server: str, due: Mapping[str, ToolDefinition], now: float
    ) -> tuple[str, ...]:
        """Write what is new or has changed, as it stands by now; the names of those that had not changed before."""
        changed: list[str] = []
        expires = now + self._seconds
        room = self._room(connection, server, now)
        for name, one in due.items():
            row = connection.execute(_ROW, (server, name, now)).fetchone()
            if row is None:
                if room > 0:
                    connection.execute(_ADD, (server, name, one.digest, _blob(one), now, expires))
                    room -= 1
            elif row[0] == one.digest:
                connection.execute(_PROLONG, (expires, server, name))
            else:
                connection.execute(_CHANGE, (one.digest, _blob(one), now, expires, server, name))
                changed += [] if row[1] else [name]
        return tuple(changed)

    def _room(self, connection: Connection, server: str, now: float) -> int:
        """How many tools of the server may be added."""
        connection.execute(_PURGE, (now,))
        everything, own = connection.execute(_ROOM, (server,)).fetchone()
        return int(min(self._most - everything, max(1, self._most // _SHARE) - own))

    # ---- what may have changed and could not be written ---------------------------------------------------------------

    def _doubts(self, server: str, name: str) -> bool:
        """Whether a tool is in doubt. Of too many doubts none is forgotten: then all are."""
        return (server, name) in self._doubted or len(self._doubted) > self._most

    def _doubt(self, server: str, names: Iterable[str]) -> None:
        if len(self._doubted) <= self._most:
            self._doubted |= {(server, name) for name in names}

    def _trust(self, server: str, names: Iterable[str]) -> None:
        if self._doubted and len(self._doubted) <= self._most:
            self._doubted -= {(server, name) for name in names}


_encode: Final = msgspec.msgpack.Encoder(enc_hook=packed).encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, Any], ext_hook=unpacked).decode


def _blob(definition: ToolDefinition) -> bytes | None:
    """The annotations; None for those that are too large, or cannot be written."""
    try:
        blob = _encode(definition.annotations)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    return blob if len(blob) <= LARGEST else None


def _fact(row: Sequence[Any]) -> ToolFact:
    return ToolFact(_decode(row[0]))
