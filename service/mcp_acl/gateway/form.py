"""What both forms of the gateway have in common: what they stand on, and what whoever runs one may ask of it. Starts nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from mcp_acl.gateway.config import Site
from mcp_acl.gateway.planning import Plan
from mcp_acl.gateway.telling import TellAfter
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.reload import Reloader
from mcp_acl.runtime.settings import Settings


class GatewayError(RuntimeError):
    """The gateway cannot start, or cannot go on. The text says why."""


class Ground(NamedTuple):
    """Where clients come, a directory that nobody else may enter, the service's settings, and its policies, looked at before anything is started."""

    plan: Plan
    host: str
    port: int
    directory: Path
    settings: Settings
    gate: Gate
    reloader: Reloader
    told: TellAfter
    load: Load


class Form(Protocol):
    """Envoy and the service, however many processes that is."""

    @property
    def site(self) -> Site:
        """Where everything is."""

    @property
    def start_seconds(self) -> float:
        """How long it may take from its start until a request comes through."""

    @property
    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The event loop it runs on."""

    async def start(self) -> None:
        """Start all of it; it is not ready yet."""

    async def is_ready(self) -> bool:
        """Whether requests are taken. Raises GatewayError if what runs is not as it must be."""

    async def ended(self) -> str:
        """Wait until something has ended without being told to, and say how."""

    async def drain(self, seconds: float) -> None:
        """Take no more, and wait until nothing is under way, but no longer than that."""

    async def stop(self) -> None:
        """End all of it, and wait until it has."""
