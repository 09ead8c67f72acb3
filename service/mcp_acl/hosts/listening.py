"""What every host is told: where to listen, what to serve there and to whom, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_acl.adapters.handlers import Table
from mcp_acl.runtime.address import Address
from mcp_acl.runtime.certificates import Certificates


class ListenError(OSError):
    """The address cannot be listened on. The text says why."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and what is served there. Health is served on each, to whoever reaches it.

    `names`: of a method by its path, the names of clients' certificates that may call it (DNS and URI names of the subject alternative
    name, byte for byte, any one of them). Others are refused with PERMISSION_DENIED. A method that is not in it may be called by whoever
    reaches the listener, and with client certificates required, that is whoever has one.
    """

    address: Address
    table: Table
    certificates: Certificates | None = None
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a host takes on."""

    request: int
    """Bytes of one message, after inflation: RESOURCE_EXHAUSTED as soon as its length is known."""
    calls: int
    """Calls at once, of all connections together, streams included: RESOURCE_EXHAUSTED beyond."""
    message_seconds: float
    """How long a unary call may take to bring its message: DEADLINE_EXCEEDED beyond."""
    keepalive_seconds: float
    """After how long without a sign of life a client is asked for one, and as long again it has to give it."""
