"""The MCP servers behind the gateway, as they are given: `URL` or `NAME=URL`. Opens nothing and resolves no name.

A server that has a name is one endpoint of the gateway, `/NAME/mcp`. One without is everything under its origin, because an older transport
(HTTP+SSE) tells its client another path; so no second server may be at that origin, or the one's policy would open the other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mcp_acl.mcp.quoting import quoted

UNNAMED: Final = "mcp"
"""The id of a server that is given without a name."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
_DOTS: Final = re.compile(r"/\.{1,2}(/|$)")
_PORTS: Final = {"http": 80, "https": 443}


class GivenError(ValueError):
    """Something that was given cannot be used. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go. `host` is without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether it is asked over TLS."""
        return self.scheme == "https"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, and no name."""
        return _is_address(self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether nobody can listen in between: addresses alone, and `localhost`."""
        return ip_address(self.host).is_loopback if self.is_address else self.host == "localhost"

    @property
    def authority(self) -> str:
        """What stands in the header `Host`: with the port, unless it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server: its id, where it is, the path of its endpoint, and whether it was given a name."""

    id: str
    origin: Origin
    path: str
    is_named: bool

    @property
    def public_path(self) -> str:
        """The path of its endpoint at the gateway."""
        return f"/{self.id}/mcp" if self.is_named else self.path


def upstreams_of(given: Sequence[str]) -> tuple[Upstream, ...]:
    """Every server, in order. Raises GivenError, for servers that cannot stand beside each other too."""
    found = tuple(_upstream(one) for one in given)
    if not found:
        raise GivenError("--upstream: name the MCP server, for instance `--upstream http://127.0.0.1:3001/mcp`")
    for number, one in enumerate(found):
        for other in found[:number]:
            _check_beside(one, other)
    return found


def _check_beside(one: Upstream, other: Upstream) -> None:
    if one.id == other.id:
        raise GivenError(f"--upstream: two servers are `{one.id}`; give each a name of its own, `NAME=URL`")
    if one.origin == other.origin and not (one.is_named and other.is_named):
        raise GivenError(
            f"--upstream: two servers are at `{one.origin}`, and one of them has no name, which is everything there; "
            "give it one, `NAME=URL`"
        )
    if one.origin == other.origin and one.path == other.path:
        raise GivenError(
            f"--upstream: `{one.id}` and `{other.id}` are the same URL, and the policies of the one would not hold for the other; give it once"
        )


def _upstream(text: str) -> Upstream:
    name, equals, url = text.partition("=")
    if not equals or "/" in name or ":" in name:
        return Upstream(UNNAMED, *_place("--upstream", text), is_named=False)
    if not _NAME.fullmatch(name):
        raise GivenError(
            f"--upstream: {quoted(name)} is no name for a server; use up to 64 letters, digits, `-` and `_`"
        )
    return Upstream(name, *_place("--upstream", url), is_named=True)


def _place(flag: str, text: str) -> tuple[Origin, str]:
    """Origin and path of a URL that has nothing else. A path that is read in more than one way is refused."""
    parts = split_url(flag, text)
    path = parts.path or "/"
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise GivenError(f"{flag}: {quoted(text)} has a query or a fragment; leave it out")
    if not _PATH.fullmatch(path) or _DOTS.search(path) or "//" in path or re.search("%(2e|2f|5c)", path, re.IGNORECASE):
        raise GivenError(f"{flag}: the path of {quoted(text)} can be read in more than one way; write the plain one")
    return origin_of(flag, text), path


def split_url(flag: str, text: str) -> SplitResult:
    """The parts of an http or https URL. Raises GivenError."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise GivenError(f"{flag}: {quoted(text)} is no URL; write for instance `http://127.0.0.1:3001/mcp`") from None
    if parts.scheme not in _PORTS or not text.isascii() or not text.isprintable() or " " in text:
        raise GivenError(
            f"{flag}: {quoted(text)} is no http or https URL; write for instance `http://127.0.0.1:3001/mcp`"
        )
    if "@" in parts.netloc:
        raise GivenError(f"{flag}: a URL must not hold a name or a password; leave out what stands before `@`")
    return parts


def origin_of(flag: str, text: str) -> Origin:
    """Scheme, host and port of a URL. Raises GivenError."""
    parts = split_url(flag, text)
    host = parts.hostname or ""
    if not _is_address(host) and not (_HOST.fullmatch(host) and not re.fullmatch(r"[0-9.]+", host)):
        raise GivenError(f"{flag}: {quoted(text)} names no host; write for instance `http://127.0.0.1:3001/mcp`")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if not port:
        raise GivenError(f"{flag}: {quoted(text)} has port 0; use 1 to 65535")
    return Origin(parts.scheme, host, port)


def _is_address(host: str) -> bool:
    try:
        return not getattr(ip_address(host), "scope_id", None)
    except ValueError:
        return False
