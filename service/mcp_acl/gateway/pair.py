"""The gateway as two processes: the service in this one, on a socket file, and Envoy as a child under its keeper."""

import asyncio
from pathlib import Path
from typing import Final

from mcp_acl.adapters.health import Health
from mcp_acl.gateway import process
from mcp_acl.gateway.config import bootstrap
from mcp_acl.gateway.form import GatewayError, Ground
from mcp_acl.gateway.planning import site_of
from mcp_acl.hosts import grpcio
from mcp_acl.hosts.envoy.config import admin_file
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.event_loop import loop_factory
from mcp_acl.server import follow, limits_of, listeners_of

_START_SECONDS: Final = 30.0


class Pair:
    """A `Form`."""

    start_seconds = _START_SECONDS

    def __init__(self, ground: Ground, binary: Path) -> None:
        service = {"pipe": {"path": parse_address(ground.settings.listen).file}}
        found = site_of(ground.plan, ground.host, ground.port, service)
        self.loop_factory = loop_factory()
        self.site = found._replace(admin=admin_file(ground.directory))
        self._ground = ground
        self._envoy = process.Envoy(binary, ground.directory)
        self._end_service = asyncio.Event()
        self._service: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As a `Form` does: the service first."""
        follow(self._ground.settings, self._ground.reloader)
        served = asyncio.Event()
        self._service = asyncio.create_task(self._serve(served))
        waiting = asyncio.ensure_future(served.wait())
        await asyncio.wait({self._service, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._check_service()
        await self._envoy.start(bootstrap(self.site))

    async def is_ready(self) -> bool:
        """As a `Form` does."""
        return await process.is_ready(self._ground.directory)

    async def ended(self) -> str:
        """As a `Form` does."""
        assert self._service is not None
        envoy = asyncio.ensure_future(self._envoy.wait())
        try:
            await asyncio.wait({self._service, envoy}, return_when=asyncio.FIRST_COMPLETED)
            self._check_service()
            return f"Envoy {process.how(envoy.result())}"
        finally:
            envoy.cancel()

    async def drain(self, seconds: float) -> None:
        """As a `Form` does."""
        await process.drain(self._ground.directory, seconds)

    async def stop(self) -> None:
        """As a `Form` does: the service last, so that what Envoy still asks is answered."""
        await self._envoy.stop()
        self._end_service.set()
        if self._service is not None:
            await asyncio.gather(self._service, return_exceptions=True)
        self._ground.reloader.stop()

    async def _serve(self, served: asyncio.Event) -> None:
        settings, gate = self._ground.settings, self._ground.gate
        health = Health(gate.is_current, self._ground.load)
        listeners, limits = listeners_of(settings, gate), limits_of(settings)
        await grpcio.run(listeners, limits, health, 0.0, lambda _: served.set(), stop=self._end_service)

    def _check_service(self) -> None:
        """Raise what the service ended with, if it has."""
        if self._service is not None and self._service.done():
            self._service.result()
            raise GatewayError("the service ended by itself")
