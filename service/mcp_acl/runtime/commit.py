"""The git commit a directory is at, read from git's own files or a fetched set's label. Runs nothing, and knows nothing of policies.

It is a label for people beside the digest that says what was read: without a work tree, or with one in a form that is not
understood here, it is left out (gitrepository-layout).
"""

import re
from pathlib import Path
from typing import Final

_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF: Final = re.compile(r"ref: (refs/[\w./+@-]+)")
COMMIT: Final = ".commit"
"""The file of a set that was fetched in which the hash of its commit is."""
_BOUND: Final = 4 * 1024 * 1024  # bytes of one of git's files that are read


def commit_of(directory: Path) -> str:
    """The full hash of the commit that the directory was fetched at, or that is checked out where it lies, or `''`."""
    try:
        label = directory / COMMIT
        if label.is_file():
            return found if _HASH.fullmatch(found := _text(label).strip()) else ""
        git = _git_directory(directory.resolve())
        return _commit(git) if git is not None else ""
    except (OSError, ValueError):
        return ""


def _git_directory(directory: Path) -> Path | None:
    """The nearest `.git`, or what it points to if it is a file (linked work trees, submodules)."""
    for one in (directory, *directory.parents):
        git = one / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            return one / _text(git).removeprefix("gitdir:").strip()
    return None


def _commit(git: Path) -> str:
    head = _text(git / "HEAD").strip()
    if _HASH.fullmatch(head):
        return head
    ref = _REF.fullmatch(head)
    if ref is None or ".." in ref[1]:
        return ""
    common = git / _text(git / "commondir").strip() if (git / "commondir").is_file() else git
    for place in (git / ref[1], common / ref[1]):
        if place.is_file():
            found = _text(place).strip()
            return found if _HASH.fullmatch(found) else ""
    return _packed(common / "packed-refs", ref[1])


def _packed(file: Path, ref: str) -> str:
    for line in _text(file).splitlines() if file.is_file() else ():
        found, _, name = line.partition(" ")
        if name == ref and _HASH.fullmatch(found):
            return found
    return ""


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        return stream.read(_BOUND).decode(errors="replace")
