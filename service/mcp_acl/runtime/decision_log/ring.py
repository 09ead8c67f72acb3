"""A queue of lines in memory that outlives its process: a file that is mapped, and read by whoever comes next.

Strategy: one writer and one reader, of one process. A line counts once the number behind which it ends is written, so that a process may end
at any moment: what was put is there or is not, and what was taken is gone or is there once more. Lines lie there as they will be written, so that
whoever writes them need not look at each. Knows nothing of what they say.
"""

import mmap
import os
import struct
import threading
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("=8sQQ")
"""What it is, where the next record is put, where the next is taken: both count bytes since the beginning of time."""
_MAGIC: Final = b"mcpacl2\n"
_PUT, _TAKEN = 1, 2
"""Which of the numbers of eight bytes that the head is made of."""
_CHUNK: Final = 1024 * 1024
_END: Final = b"\n"


class RingError(OSError):
    """The file is none of these."""


def _make(file: Path, descriptor: int, size: int) -> None:
    """Take the room now, or none: what is mapped without it is an error nobody can handle when it is written to."""
    try:
        while size > 0:
            size -= os.write(descriptor, bytes(min(size, _CHUNK)))
    except OSError:
        file.unlink()
        raise


def is_unbegun(file: Path) -> bool:
    """Whether a process ended while it made the file, before it could put anything in. Raises OSError."""
    with file.open("rb") as stream:
        return not any(stream.read(_HEAD.size))


class Ring:
    """A ring of `size` bytes in a file that is the caller's alone; made if it is not there, and there is a size. Raises OSError."""

    def __init__(self, file: Path, size: int) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT * (size > 0) | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                raise RingError(f"`{file}` belongs to somebody else")
            is_new = status.st_size == 0 and size > 0
            if is_new:
                _make(file, descriptor, _HEAD.size + size)
            elif status.st_size <= _HEAD.size:
                raise RingError(f"`{file}` is not a queue of records")
            self._map = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self.file = file
        self._size = len(self._map) - _HEAD.size
        self._lock = threading.Lock()
        if is_new:
            _HEAD.pack_into(self._map, 0, _MAGIC, 0, 0)
        magic, self._put, self._taken = _HEAD.unpack_from(self._map, 0)
        if magic != _MAGIC or not 0 <= self._put - self._taken <= self._size:
            self._map.close()
            raise RingError(f"`{file}` is not a queue of records")
        whole = memoryview(self._map)
        self._numbers, self._room = whole[: _HEAD.size].cast("Q"), whole[_HEAD.size :]

    def put(self, lines: bytes, *, reserve: float = 0.0) -> bool:
        """Put lines, each with its end: all or none. Return whether there was room; a share of it may be left to others. Returns at once."""
        length = len(lines)
        with self._lock:
            if self._put + length - self._taken > self._size * (1.0 - reserve):
                return False
            start = self._put % self._size
            fits = self._size - start
            if length <= fits:
                self._room[start : start + length] = lines
            else:
                self._room[start:] = lines[:fits]
                self._room[: length - fits] = lines[fits:]
            self._put += length
            self._numbers[_PUT] = self._put
        return True

    def waiting(self, most: int) -> tuple[bytes, int]:
        """Lines in their order, of `most` bytes together, or the whole of a line that is longer; and what to say to `taken` when they are dealt with."""
        position, end = self._taken, self._put
        lines = self._read(position, min(end - position, most))
        whole = lines.rfind(_END) + 1
        if not whole:
            lines = self._read(position, end - position)
            whole = lines.find(_END) + 1
        if lines and not whole:
            raise RingError(f"`{self.file}` is not a queue of records")
        return lines[:whole], position + whole

    def taken(self, position: int) -> None:
        """Let go of lines."""
        with self._lock:
            self._taken = position
            self._numbers[_TAKEN] = position

    @property
    def end(self) -> int:
        """Where the next line will be put: what `waiting` says with the last one that waits now."""
        return int(self._put)

    @property
    def share(self) -> float:
        """How much of it waits, of 1."""
        return float(self._put - self._taken) / self._size

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return bool(self._taken == self._put)

    def close(self) -> None:
        """Keep what waits for whoever comes next."""
        with self._lock:
            self._numbers.release()
            self._room.release()
            self._map.close()

    def _read(self, position: int, length: int) -> bytes:
        start = position % self._size
        first = self._room[start : start + length]
        return b"".join((first, self._room[: length - len(first)]))
