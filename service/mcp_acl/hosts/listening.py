"""What every host is told: where to listen, what to serve there and to whom, and how much of it."""

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcp_acl.adapters.grpc_api import MAX_REQUEST
from mcp_acl.adapters.handlers import Table
from mcp_acl.hosts.together import ALONE
from mcp_acl.runtime.address import Address
from mcp_acl.runtime.certificates import Certificates

_IN_USE: Final = dict.fromkeys((0, errno.EAGAIN), "it is in use")
"""What a connection meets that is taken, or waits for its turn."""


class ListenError(OSError):
    """The address cannot be listened on. The text says why."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and what is served there. Health is served on each, to whoever reaches it.

    `names`: of a method by its path, the names of clients' certificates that may call it (DNS and URI names of the subject alternative
    name, byte for byte, any one of them). Others are refused with PERMISSION_DENIED. A method that is not in it may be called by whoever
    reaches the listener, and with client certificates required, that is whoever has one. `socket_mode`: who may connect to a socket file.
    `batch`: what small requests are worked on within, several at a time.
    """

    address: Address
    table: Table
    certificates: Certificates | None = None
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    socket_mode: int = 0o600
    batch: AbstractContextManager[object] = ALONE


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a host takes on at each listener."""

    request: int = MAX_REQUEST
    """Bytes of one message, after inflation: RESOURCE_EXHAUSTED as soon as its length is known."""
    calls: int = 1000
    """Calls at once, of all connections together, streams included: RESOURCE_EXHAUSTED beyond."""
    message_seconds: float = 30.0
    """How long a unary call may take to bring its message: DEADLINE_EXCEEDED beyond. A handshake has as long."""
    keepalive_seconds: float = 60.0
    """After how long without a sign of life a client is asked for one, and as long again it has to give it."""


def check_socket_file(path: str) -> None:
    """Raise ListenError unless the file is not there, or left over from a process that has ended.

    A host replaces whatever socket it finds, and would delete this one's when that one ends.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        found = probe.connect_ex(path)
    if found == errno.ENOENT:
        if not Path(path).parent.is_dir():
            raise ListenError(f"cannot listen on `{path}`: there is no directory `{Path(path).parent}`")
    elif found == errno.ECONNREFUSED:
        if not Path(path).is_socket():
            raise ListenError(f"cannot listen on `{path}`: it is there, and no socket")
    else:
        raise ListenError(f"cannot listen on `{path}`: {_IN_USE.get(found) or os.strerror(found).lower()}")
