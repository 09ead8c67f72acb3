"""Where a service listens: `host:port`, `[v6]:port` or `unix:path`. Opens nothing.

A listener without TLS that others can reach is refused unless someone insists: whoever reaches it may ask about any
principal, and what it is told decides what passes.
"""

import os
import sys
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

_UNIX: Final = "unix:"
_LONGEST_FILE: Final = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path: `sun_path` less its NUL (unix(7); 104 on BSD and macOS)."""
_LONGEST_PORT: Final = 5
_LAST_PORT: Final = 65535


class AddressError(ValueError):
    """An address that cannot be listened on, or must not be. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. `is_local`: nobody but this machine reaches it. `host` is empty for a socket file."""

    text: str
    host: str
    port: int
    is_local: bool

    @property
    def file(self) -> str:
        """The path of the socket file, as it is; empty for a host."""
        return "" if self.host else self.text.removeprefix(_UNIX)


def parse_address(text: str, *, insecure: bool = False, encrypted: bool = False) -> Address:
    """Read an address. One that others can reach needs TLS (`encrypted`) or `insecure`. Raises AddressError."""
    address = _socket_file(text) if is_socket_file(text) else _host_and_port(text)
    if not (address.is_local or insecure or encrypted):
        raise AddressError(
            f"`{text}` can be reached from elsewhere and has no TLS; give it a certificate (`--tls-cert`, `--tls-key`), "
            "listen on loopback, or insist with `--insecure`"
        )
    return address


def is_socket_file(text: str) -> bool:
    """Whether an address is a socket file, and no host and port."""
    return text.startswith(_UNIX)


def worker_addresses(text: str, workers: int) -> tuple[str, ...]:
    """The address of each worker: as it is for one, else the ports from it on, or the path with `.0`, `.1`, … appended.

    Port 0 stays: it is another free one for each. Raises AddressError if one of them is none.
    """
    if workers == 1:
        return (text,)
    if is_socket_file(text):
        addresses = tuple(f"{text}.{worker}" for worker in range(workers))
        _socket_file(addresses[-1])
        return addresses
    address = _host_and_port(text)
    if not address.port:
        return (text,) * workers
    last = address.port + workers - 1
    if last > _LAST_PORT:
        raise AddressError(f"{workers} workers from port {address.port} on need ports to {last}; begin at a lower one")
    before = text.removesuffix(text.rpartition(":")[2])
    return tuple(f"{before}{port}" for port in range(address.port, last + 1))


def _socket_file(text: str) -> Address:
    path = text.removeprefix(_UNIX)
    if not path or (path.startswith("//") and not path.startswith("///")):
        raise AddressError(f"`{text}` names no file; write for instance `unix:/run/mcp-acl.sock`")
    if len(os.fsencode(path)) > _LONGEST_FILE:
        raise AddressError(f"the path of a socket file has at most {_LONGEST_FILE} bytes; choose a shorter one")
    return Address(text, "", 0, is_local=True)


def _host_and_port(text: str) -> Address:
    written, _, port = text.rpartition(":")
    host = written.removeprefix("[").removesuffix("]")
    if not host:
        raise AddressError(f"`{text}` is not `host:port`; write for instance `127.0.0.1:9191`")
    if host == written and ":" in host:
        raise AddressError(f"`{text}` is ambiguous; write an IPv6 address in brackets: `[::1]:9191`")
    if host != written and not (written == f"[{host}]" and _is_v6(host)):
        raise AddressError(f"`{written}` is no IPv6 address in brackets; write `[::1]:9191` or `127.0.0.1:9191`")
    if not (port.isascii() and port.isdigit() and len(port) <= _LONGEST_PORT and int(port) <= _LAST_PORT):
        raise AddressError(f"`{port[:20]}` is not a port; use 0 (any free one) to 65535")
    return Address(text, host, int(port), _is_loopback(host))


def _is_v6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    """Addresses alone, and `localhost`: what any other name stands for is somebody else's to say."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
