"""Where policies come from: the URL that a setting says, taken apart and held to its rules. Opens nothing."""

from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

ARCHIVES: Final = (".tar.gz", ".tgz", ".zip")
_CONTROL: Final = 0x20


REPOSITORIES: Final = ("git+https", "git+ssh", "git+file", "git+http")
SCHEMES: Final = (*REPOSITORIES, "https", "http")
"""What a URL may begin with; those in the clear are for loopback alone."""


class Remote(Struct, frozen=True):
    """Where policies come from, and what must be true of them. Files are paths; `''` is none."""

    url: str
    ref: str = ""
    path: str = ""
    timeout: float = 60.0
    signers: str = ""
    token: str = ""
    key: str = ""
    known_hosts: str = ""
    ca: str = ""

    @property
    def is_git(self) -> bool:
        """Whether it is a repository, and not an archive."""
        return urlsplit(self.url).scheme in REPOSITORIES

    @property
    def address(self) -> SplitResult:
        """The URL as those who serve it write it."""
        return urlsplit(self.url.removeprefix("git+"))

    @property
    def within(self) -> tuple[str, ...]:
        """The names of the directories that lead to the policy files."""
        return PurePosixPath(self.path).parts


def check_url(text: str) -> str:
    """The URL, if policies may come from there. Raises ValueError."""
    if any(ord(char) <= _CONTROL or not char.isascii() for char in text):
        raise ValueError("it must be a URL without spaces, in ASCII")
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it must begin with {', '.join(f'`{one}://`' for one in SCHEMES if one[-4:] != 'http')}")
    if parts.query or parts.fragment:
        raise ValueError("it must have neither `?` nor `#`: branches, tags and commits are said by `policies_ref`")
    if parts.password is not None or (parts.username is not None and parts.scheme != "git+ssh"):
        raise ValueError("a URL is logged, so it must hold no credentials; name a file that does by `policies_token`")
    if parts.scheme == "git+file":
        if parts.netloc or not parts.path.strip("/"):
            raise ValueError("it must be `git+file:///` and an absolute path")
        return text
    _check_host(parts)
    if parts.scheme not in REPOSITORIES and not parts.path.endswith(ARCHIVES):
        raise ValueError(
            f"an archive is named {', '.join(f'`*{one}`' for one in ARCHIVES)}; a repository begins with `git+`"
        )
    return text


def _check_host(parts: SplitResult) -> None:
    host, _ = parts.hostname, parts.port  # a port that is none is a ValueError, which says so
    if not host or not parts.path.strip("/"):
        raise ValueError("it must name a host and a path")
    if parts.scheme.endswith("http") and not is_loopback(host):
        raise ValueError("whoever stands in between could write the policies: use https")


def is_loopback(host: str) -> bool:
    """Whether nobody stands in between."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_path(text: str) -> str:
    """A path inside of what is fetched. Raises ValueError."""
    parts = PurePosixPath(text).parts
    if text and (text.startswith("/") or "\\" in text or ".." in parts or not parts):
        raise ValueError("it must be the path of a directory inside: `policies/production`")
    return text


def check_ref(text: str) -> str:
    """A branch, a tag or a commit, as far as it can be seen from here. Raises ValueError."""
    if text.startswith(("-", "/")) or any(char in "~^:?*[\\" or ord(char) <= _CONTROL for char in text) or ".." in text:
        raise ValueError("it must be the name of a branch or a tag, or the full hash of a commit")
    return text
