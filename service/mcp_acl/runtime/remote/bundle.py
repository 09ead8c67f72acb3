"""An archive of policy files over HTTPS: asked for by its ETag, read within bounds. What it cannot be trusted with it is refused for.

Nothing of it is unpacked: each file that is wanted is read into memory, and a name that leads elsewhere, a link or a device anywhere
in it refuses all of it. Redirects are not followed: who says where policies come from says it once.
"""

import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.source import MAX_SIZE
from mcp_acl.problems import SourceError
from mcp_acl.runtime.remote.credentials import context_of, credentials_of
from mcp_acl.runtime.remote.files import UNREACHABLE, Files, parts_of, refusal
from mcp_acl.runtime.remote.order import Content, Order, Version
from mcp_acl.runtime.remote.source import Remote, is_loopback

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of an archive as it is sent."""
MAX_INFLATED: Final = 128 * 1024 * 1024
"""Of all that is in it."""
MAX_ENTRIES: Final = 10_000
"""Files, directories and whatever else there is in it."""
_UNCHANGED: Final = 304
_ENCRYPTED: Final = 0x1
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of the others Python's reader inflates more than it is asked for."""
_UNREADABLE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
)
"""What the readers of archives raise of something that is none."""


def newest(order: Order) -> Version | None:
    """The archive as it is now; None if it is that which is known. Raises SourceError."""
    got = _get(order.remote, order.etag)
    if got is None:
        return None
    body, etag = got
    digest = hashlib.sha256(body).hexdigest()
    if digest == order.version:
        return None
    return Version(digest, etag, lambda: Content(digest[:40], "", "", files_of(body, order.remote.within)))


def _get(remote: Remote, etag: str) -> tuple[bytes, str] | None:
    """The bytes and their ETag, or None if they are still those of this one. Raises SourceError."""
    headers = {"User-Agent": "mcp-acl", "Accept": "*/*", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    if remote.token:
        credentials = credentials_of(remote)
        headers["Authorization"] = credentials.basic if credentials.user else f"Bearer {credentials.secret}"
    handlers: list[Any] = [HTTPSHandler(context=context_of(remote)), _NoRedirects]
    if is_loopback(remote.address.hostname or ""):
        handlers.append(ProxyHandler({}))
    try:
        with build_opener(*handlers).open(Request(remote.url, headers=headers), timeout=remote.timeout) as answer:  # noqa: S310
            body = answer.read(MAX_BYTES + 1)
            found = answer.headers.get("ETag", "")
    except HTTPError as error:
        with error:
            if error.code == _UNCHANGED and etag:
                return None
        raise refusal(UNREACHABLE, f"it was answered {error.code} {error.reason}", _advice(error.code)) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise refusal(
            UNREACHABLE, f"it cannot be fetched: {getattr(error, 'reason', error) or type(error).__name__}"
        ) from None
    if len(body) > MAX_BYTES:
        raise refusal(UNREACHABLE, f"it has more than {MAX_BYTES:,} bytes", "leave out what is no policy")
    return body, found


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed; name where it leads to"
    return "see `policies_token`" if status in {401, 403, 404} else ""


def files_of(body: bytes, within: tuple[str, ...]) -> dict[str, bytes]:
    """The policy files of an archive. Raises SourceError for one that may not be taken, whatever is wrong in it."""
    files = Files(within)
    try:
        if body.startswith(b"PK"):
            _read_zip(body, files)
        else:
            _read_tar(body, files)
    except SourceError:
        raise
    except _UNREADABLE as error:
        why = str(error) or type(error).__name__
        raise refusal(
            "remote-content", f"it is no archive that can be read: {why}", "send a `.tar.gz` or a `.zip`"
        ) from None
    return dict(files.contents())


class _Names:
    """Counts what is in an archive, and refuses what is in it twice: some take the first, and some the last."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._count = 0

    def parts(self, path: str, *, is_directory: bool) -> tuple[str, ...]:
        self._count += 1
        if self._count > MAX_ENTRIES:
            raise refusal(
                "remote-content", f"there are more than {MAX_ENTRIES:,} entries in it", "leave out what is no policy"
            )
        parts = parts_of(path)
        folded = tuple(one.casefold() for one in parts)
        if not is_directory and folded in self._seen:
            raise refusal("remote-content", f"{quoted(path)} is in it twice", "make it anew")
        self._seen.add(folded)
        return parts


class _Bounded:
    """A stream that is read no further than may be."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_INFLATED

    def read(self, size: int) -> bytes:
        found = self._stream.read(min(size, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise _too_much()
        return found


def _read_tar(body: bytes, files: Files) -> None:
    names = _Names()
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as inflated:
        stream: Any = _Bounded(inflated)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not (member.isreg() or member.isdir()):
                    raise _not_plain(member.name)
                parts = names.parts(member.name, is_directory=member.isdir())
                if member.isreg() and parts and files.wants(parts):
                    _add(files, parts[-1], partial(archive.extractfile, member))


def _read_zip(body: bytes, files: Files) -> None:
    names, left = _Names(), MAX_INFLATED
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR} or member.flag_bits & _ENCRYPTED:
                raise _not_plain(member.filename)
            if member.compress_type not in _PACKED:
                raise refusal(
                    "remote-content",
                    f"{quoted(member.filename)} in it is packed in a way that is not read",
                    "use deflate",
                )
            # What the reader has cut off or turned around in a name was there, and may be read by others.
            parts = names.parts(member.orig_filename, is_directory=member.is_dir())
            left -= member.file_size
            if left < 0:
                raise _too_much()
            if not member.is_dir() and parts and files.wants(parts):
                _add(files, parts[-1], partial(archive.open, member))


def _add(files: Files, name: str, opened: Callable[[], IO[bytes] | None]) -> None:
    """A file, no more of it than shows that it is too large."""
    stream = opened()
    assert stream is not None
    with stream:
        files.add(name, stream.read(MAX_SIZE + 1))


def _too_much() -> SourceError:
    return refusal("remote-content", f"more than {MAX_INFLATED:,} bytes are in it", "leave out what is no policy")


def _not_plain(name: str) -> SourceError:
    return refusal(
        "remote-content", f"{quoted(name)} in it is neither file nor directory, or is encrypted", "take it out"
    )
