"""Addresses as Envoy takes them: names resolved, and nobody else there. Envoy says of an address in use only that it ends."""

import os
import socket
from pathlib import Path

from mcp_acl.hosts.envoy.config import Config, pipe, tcp
from mcp_acl.hosts.listening import Listener, ListenError, check_socket_file
from mcp_acl.runtime.address import Address


def envoy_address(listener: Listener) -> Config:
    """The address of a listener, as configuration. Raises ListenError if it cannot be listened on."""
    address = listener.address
    if address.file:
        check_socket_file(address.file)
        return pipe(address.file, listener.socket_mode)
    host, _ = free_address(address)
    return tcp(host, address.port)


def free_address(address: Address) -> tuple[str, int]:
    """The numeric host of an address, and its port, or a free one. Raises ListenError if it cannot be listened on."""
    try:
        family, kind, protocol, _, found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As Envoy does, so that connections that are ending do not count; a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found)
            return str(found[0]), int(probe.getsockname()[1])
    except OSError:
        raise ListenError(f"cannot listen on `{address.text}`: it is in use, or no address of this machine") from None


class SocketFile:
    """The socket file that a listener made, which Envoy leaves behind."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._made = _identity(self._path)

    def remove(self) -> None:
        """Remove it, unless another process has put its own in its place."""
        if self._made is not None and _identity(self._path) == self._made:
            self._path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def bound(address: Address, port: int) -> str:
    """The text of an address with the port that is bound."""
    return address.text if address.file else f"{address.text.rpartition(':')[0]}:{port}"
