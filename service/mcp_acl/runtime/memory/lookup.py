"""Looking things up by server and name. Knows neither what is looked up nor where."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

_T = TypeVar("_T")
Key: TypeAlias = tuple[str, str]
"""The id of a server, and what has a name there."""

LONGEST: Final = 2048
"""Characters of a server's id, a task's id, its owner's names, a tool's name; what is longer is not remembered."""

_GENERATION: Final = 4096


class Lookup(Mapping[str, _T]):
    """What is known under a server, looked up when it is asked for."""

    __slots__ = ("_find", "_names", "_server")

    def __init__(self, server: str, find: Callable[[str, str], _T | None], names: Callable[[str], list[str]]) -> None:
        self._server, self._find, self._names = server, find, names

    def __getitem__(self, name: str) -> _T:
        found = self._find(self._server, name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names(self._server))

    def __len__(self) -> int:
        return len(self._names(self._server))


class Recent(Generic[_T]):
    """What was looked up lately: a young generation, and the one before it. For several threads: each step is one of a dict's."""

    def __init__(self) -> None:
        self._young: dict[Key, _T] = {}
        self._old: dict[Key, _T] = {}

    def get(self, key: Key) -> _T | None:
        """What was put there, if it is still at hand."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Key, value: _T) -> None:
        """Keep it at hand."""
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, {}
        self._young[key] = value


def fits(*texts: str) -> bool:
    """Whether the texts can be written, and are not too long."""
    if max(map(len, texts)) > LONGEST:
        return False
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
