"""A file of lines that several processes append to, and that is begun anew when it is long. Knows nothing of what the lines say.

Whoever writes has the file locked, so that lines stay whole, also when the disk is full: what could not be written whole is taken back.
What a process that was killed has left of a line stays a line of its own. Somebody else may rename the file, as logrotate does: then a new
one is begun.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_END: Final = b"\n"


class Output:
    """A descriptor that others have opened, standard output for one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False

    def append(self, lines: bytes) -> None:
        """Write all lines. Raises OSError; what went out before that stays a line of its own."""
        data = _END * self._is_torn + lines
        while data:
            data = data[os.write(self._descriptor, data) :]
            self._is_torn = data != b""

    def close(self) -> None:
        """It is not ours to close."""


class LogFile:
    """The file at `path`. Beyond `most` bytes it becomes `path.1`, and what was that `path.2`; `kept` of them stay."""

    def __init__(self, path: Path, most: int, kept: int) -> None:
        self._path = path
        self._most = most
        self._kept = kept
        self._descriptor = -1

    def append(self, lines: bytes) -> None:
        """Append all lines, or none. Raises OSError."""
        with self._locked() as size:
            is_torn = lines and size and os.pread(self._descriptor, 1, size - 1) != _END
            data = _END + lines if is_torn else lines
            try:
                written = os.write(self._descriptor, data)
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file open, locked and not too long: its size."""
        while True:
            self._open()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                size = os.fstat(self._descriptor).st_size
                if self._is_current():
                    if size < self._most:
                        yield size
                        return
                    self._turn()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.close()

    def _open(self) -> None:
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)

    def _is_current(self) -> bool:
        """Whether the path still leads to what is open."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def _turn(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            older = self.named(self._path, number)
            if older.exists():
                older.replace(self.named(self._path, number + 1))
        with suppress(FileNotFoundError):  # somebody has renamed it since it was looked at
            if self._kept:
                self._path.replace(self.named(self._path, 1))
            else:
                self._path.unlink()

    @staticmethod
    def named(path: Path, number: int) -> Path:
        """The name of an older file: 1 is the last before."""
        return path.with_name(f"{path.name}.{number}")
