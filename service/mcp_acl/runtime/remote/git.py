"""A branch, tag or commit of a git repository: what it is at, and the policy files there, read from git's own objects.

Nothing is checked out, and nothing of a repository is run or obeyed: there are no hooks, filters, attributes, submodules or LFS here, no
file of git's settings is read, and files are taken byte for byte as they were committed. Each object is known by its hash.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import IO, Final, TypeVar

from dulwich.client import GitClient
from dulwich.object_store import DiskObjectStore, ObjectStoreGraphWalker
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.refs import Ref

from mcp_acl.mcp.quoting import quoted
from mcp_acl.runtime.remote.files import UNREACHABLE, Files, refusal
from mcp_acl.runtime.remote.order import Content, Order, Version
from mcp_acl.runtime.remote.source import Remote
from mcp_acl.runtime.remote.transport import connected

MAX_PACK: Final = 256 * 1024 * 1024
"""Bytes of all that is sent."""
DEPTH: Final = 50
"""Commits that are fetched, to see whether the one before is among them."""
_MAX_TAGS: Final = 5  # tags of tags
_HASH: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_Kind = TypeVar("_Kind", bound=ShaFile)
_BRANCHES: Final = b"refs/heads/"
_TAGS: Final = b"refs/tags/"


def newest(order: Order) -> Version | None:
    """What the branch or tag is at now; None if it is the version that is known. Raises SourceError.

    A commit that is pinned is not asked for.
    """
    remote = order.remote
    pinned = _HASH.fullmatch(remote.ref) is not None
    found = remote.ref.encode() if pinned else _advertised(remote)
    if found.decode() == order.version:
        return None
    return Version(found.decode(), "", lambda: _load(order, ObjectID(found)))


def _advertised(remote: Remote) -> bytes:
    """The id of what the ref is at."""
    ref = remote.ref.encode()
    names = [ref or b"HEAD"] if not ref or ref.startswith(b"refs/") else [_BRANCHES + ref, _TAGS + ref]
    with connected(remote) as (client, path):
        refs = client.get_refs(path.encode(), ref_prefix=names).refs
    found = [id_ for name in names if (id_ := refs.get(Ref(name))) is not None]
    if not found:
        raise refusal(UNREACHABLE, f"there is no branch or tag {quoted(remote.ref or 'HEAD')}", "see `policies_ref`")
    if len(found) > 1:
        hint = f"say `refs/heads/{remote.ref}` or `refs/tags/{remote.ref}`"
        raise refusal(UNREACHABLE, f"there is a branch and a tag named {quoted(remote.ref)}", hint)
    return bytes(found[0])


def _load(order: Order, wanted: ObjectID) -> Content:
    remote = order.remote
    with TemporaryDirectory(prefix=".fetch-", dir=order.directory, ignore_cleanup_errors=True) as name:
        with connected(remote) as (client, path):
            store = _fetched(client, path, wanted, Path(name))
        with closing(store):
            tags, commit = _peeled(store, wanted)
            if remote.signers:
                from mcp_acl.runtime.remote.signatures import check_signed  # noqa: PLC0415 - a large library that not all need

                check_signed(remote, tags, commit)
            files = _files(store, commit, remote.within)
            hash_ = commit.id.decode()
            return Content(hash_, hash_, _note(store, commit, order.commit), files)


def _fetched(client: GitClient, path: str, wanted: ObjectID, directory: Path) -> DiskObjectStore:
    """An object store with what was sent. Whatever it is, its objects are known by hashes that were made here."""
    store = DiskObjectStore.init(directory)
    file, commit, abort = store.add_pack()
    try:
        client.fetch_pack(
            path,
            lambda *_, **__: [wanted],
            ObjectStoreGraphWalker([], lambda _: []),
            _Bounded(file).write,
            depth=DEPTH,
        )
        commit()
    except BaseException:
        abort()
        store.close()
        raise
    return store


class _Bounded:
    """A file that takes no more than may be sent."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_PACK

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            hint = "policies need a repository of their own, or one whose last commits are not as large"
            raise refusal("remote-content", f"more than {MAX_PACK:,} bytes would have to be fetched", hint)
        return self._file.write(data)


def _peeled(store: DiskObjectStore, wanted: ObjectID) -> tuple[list[Tag], Commit]:
    """The commit, and the tags that lead to it."""
    tags: list[Tag] = []
    found = _object(store, wanted, ShaFile)
    while isinstance(found, Tag) and len(tags) < _MAX_TAGS:
        tags.append(found)
        found = _object(store, found.object[1], ShaFile)
    return tags, _object(store, found.id, Commit)


def _object(store: DiskObjectStore, name: ObjectID, kind: type[_Kind]) -> _Kind:
    try:
        found = store[name]
    except KeyError:
        raise refusal(UNREACHABLE, f"{name.decode()} was not sent") from None
    if not isinstance(found, kind):
        raise refusal("remote-content", f"{name.decode()} is no {kind.__name__.lower()}", "see `policies_ref`")
    return found


def _files(store: DiskObjectStore, commit: Commit, within: tuple[str, ...]) -> Mapping[str, bytes]:
    """The policy files of a commit. Raises SourceError."""
    tree = _object(store, commit.tree, Tree)
    for name in within:
        entry = next((one for one in tree.iteritems() if one.path == name.encode()), None)
        if entry is None or entry.mode != 0o40000:
            raise refusal("remote-content", f"there is no directory {quoted('/'.join(within))}", "see `policies_path`")
        tree = _object(store, entry.sha, Tree)
    files = Files(within)
    for entry in tree.iteritems():
        name = entry.path.decode(errors="surrogateescape")
        if entry.mode != 0o40000 and files.wants((*within, name)):
            if not S_ISREG(entry.mode):
                raise refusal("remote-content", f"{quoted(name)} is a link or a submodule", "commit the file itself")
            files.add(name, _object(store, entry.sha, Blob).data)
    return files.contents()


def _note(store: DiskObjectStore, commit: Commit, before: str) -> str:
    """What is to be said of how a commit follows from the one that was in force."""
    if not before or before == commit.id.decode():
        return ""
    seen = set(_ancestors(store, commit))
    if before.encode() in seen:
        return ""
    is_whole = all(one in store for one in seen)
    return "history was rewritten" if is_whole else f"history was rewritten, or went on by more than {DEPTH} commits"


def _ancestors(store: DiskObjectStore, commit: Commit) -> Iterator[ObjectID]:
    """The commits before one, as far as they were sent, and those that were not."""
    waiting, seen = [*commit.parents], set[ObjectID]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in store:
            waiting += _object(store, name, Commit).parents
