"""What tells one state of a file from another without reading it. Knows nothing of what is in files.

Links are followed, so a link that is set to another file is another state. Two states can have one stamp only if the second came
within the resolution of the file system's clock, or its clock went back: who must know reads once more when `RESOLUTION` is over.
"""

import os
from pathlib import Path
from typing import Final, TypeAlias

Stamp: TypeAlias = tuple[int, ...]

RESOLUTION: Final = 2.0
"""Seconds: the coarsest clock of a file system in use (FAT); git calls a file as young as this racily clean."""


def stamp_of(file: Path) -> Stamp:
    """The state of a file by its path; why it has none, if it cannot be looked at."""
    try:
        return stamp_from(file.stat())
    except OSError as error:
        return (error.errno or 0,)
    except ValueError:  # a name that no file can have
        return ()


def stamp_from(found: os.stat_result) -> Stamp:
    """The same of a file that is open, or was looked at."""
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
