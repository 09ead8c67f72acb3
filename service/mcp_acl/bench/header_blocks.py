"""Header blocks of HTTP/2 that cost next to nothing: what is sent is encoded once, what came before is known by its bytes. Knows no gRPC.

HPACK makes the meaning of a block depend on those before it. This side tells its peer to keep no table (a size of 0), so that equal blocks
mean the same; its own blocks say the same headers each time, and so are the same bytes from the second on.
"""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import hpack

Headers: TypeAlias = Sequence[tuple[str, str]]

_TABLE: Final = 4096
"""Bytes of the table that each side keeps until it says otherwise (RFC 9113, 6.5.2)."""
_MOST_KNOWN: Final = 1000
"""Blocks that are known by their bytes: a peer that says the time in each has new ones without end."""

_T = TypeVar("_T")


class Written:
    """Headers that are sent again and again: `first` once, and `again` from then on."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self._size = _TABLE
        self._write(hpack.Encoder())

    def resize(self, size: int) -> bool:
        """Take the size of the table that the peer keeps; if that changes anything, `first` is to be sent once more."""
        size = min(size, _TABLE)
        if size == self._size:
            return False
        self._size = size
        self._write(self._emptied())
        return True

    def _emptied(self) -> hpack.Encoder:
        """An encoder that has its peer empty the table first, whatever is in it."""
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        if self._size:
            encoder.header_table_size = self._size
        return encoder

    def _write(self, encoder: hpack.Encoder) -> None:
        self.first, self.again = encoder.encode(self._headers), encoder.encode(self._headers)
        if encoder.encode(self._headers) != self.again:
            # The table is too small for all of them: what falls out of it would be another block each time.
            never = [hpack.NeverIndexedHeaderTuple(*header) for header in self._headers]
            encoder = self._emptied()
            self.first, self.again = encoder.encode(never), encoder.encode(never)


class Read(Generic[_T]):
    """What blocks mean, by `read`."""

    def __init__(self, read: Callable[[Headers], _T]) -> None:
        self._decoder = hpack.Decoder()
        self._read = read
        self._known: dict[bytes, _T] = {}

    def meaning(self, block: bytes) -> _T:
        """What a block means. Raises hpack.HPACKError, or ValueError for one that is not UTF-8."""
        known = self._known.get(block)
        return self._decoded(block) if known is None else known

    def _decoded(self, block: bytes) -> _T:
        meaning = self._read([(str(name), str(value)) for name, value in self._decoder.decode(block)])
        # A peer that keeps a table nevertheless (it has not read yet that it is not to) is understood, and costs more.
        if not self._decoder.header_table.dynamic_entries:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[block] = meaning
        return meaning
