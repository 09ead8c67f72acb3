"""The composition root of the service: settings, policies, gate, handlers, host. Has no logic of its own."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_acl.adapters.health import Health
from mcp_acl.adapters.table import for_gateways, for_people
from mcp_acl.hosts import asgi, grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.store import load_policies

_LOG: Final = logging.getLogger("mcp_acl")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs. `insecure` allows an address that others can reach.

    `drain` is how long, in seconds, to go on answering after a signal while health says NOT_SERVING.
    """

    policies: Path
    listen: str = "127.0.0.1:9191"
    insecure: bool = False
    drain: float = 0.0


def serve(settings: Settings, ready: Callable[[str, PolicySet], None]) -> None:
    """Serve until a signal asks to stop. `ready` is told the bound address and what is in force.

    Raises SourceError for policies that cannot be used, AddressError and ListenError for an address.
    """
    address = parse_address(settings.listen, insecure=settings.insecure)
    policies = load_policies(settings.policies)
    gate = Gate(policies)
    table = {**for_gateways(gate), **(for_people(gate) if address.is_local else {})}
    # What is loaded stays: from here on the collector need not look at it.
    gc.freeze()

    def started(bound: Sequence[str]) -> None:
        _LOG.info("listening on %s, revision %s", bound[0], policies.revision)
        ready(bound[0], policies)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(grpcio.run([Listener(address, table)], Limits(), Health(), settings.drain, started))


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """The event loop of uvloop, where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - it is not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def asgi_application(policies: Path) -> asgi.Application:
    """The service over a policy directory as an ASGI application. Raises SourceError."""
    return asgi.application(for_gateways(Gate(load_policies(policies))))
