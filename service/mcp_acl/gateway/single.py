"""The gateway as one process: an Envoy that has the service inside. This one starts it, checks it, shows what it tells, and ends it.

What that Envoy must be for the service is checked as where it serves alone, and that a client's message gets to the service as in the other
form.
"""

import asyncio
import os
from typing import Final

from mcp_acl.gateway import process
from mcp_acl.gateway.form import GatewayError, Ground
from mcp_acl.gateway.inside import DECISIONS, FACTORY
from mcp_acl.gateway.joined import SERVICE, bootstrap
from mcp_acl.gateway.passing import Receiver
from mcp_acl.gateway.planning import site_of
from mcp_acl.hosts.envoy import Installation, check
from mcp_acl.hosts.envoy.process import Envoy
from mcp_acl.hosts.envoy.told import Told
from mcp_acl.server import INSIDE, limits_of

_START_SECONDS: Final = 120.0
"""The policies that the Python inside loads included."""


class Single:
    """A `Form`."""

    start_seconds = _START_SECONDS
    # uvloop starts no process with the modes that its files must have.
    loop_factory = None

    def __init__(self, ground: Ground, installation: Installation) -> None:
        self.site = site_of(ground.plan, ground.host, ground.port, SERVICE)
        self._ground = ground
        self._config = bootstrap(self.site, ground.settings, ground.directory, installation.module)
        self._envoy = Envoy(installation, ground.directory, process.FLAGS)
        self._receiver: Receiver | None = None
        self._is_checked = False

    async def start(self) -> None:
        """As a `Form` does."""
        ground = self._ground
        receiving, sending = os.pipe()
        self._receiver = Receiver(receiving, ground.told)
        environment = {INSIDE: ground.settings.model_dump_json(), DECISIONS: str(sending)}
        try:
            await self._envoy.start(
                self._config, Told(FACTORY, limits_of(ground.settings), 1), environment, descriptors=[sending]
            )
        finally:
            os.close(sending)

    async def is_ready(self) -> bool:
        """As a `Form` does; the check is made once."""
        if not self._is_checked and await process.is_ready(self._ground.directory):
            faults = await asyncio.to_thread(check.faults, self._ground.directory, self._config)
            if faults:
                raise GatewayError(f"Envoy is not as it must be: {'; '.join(faults)}")
            self._is_checked = True
        return self._is_checked

    async def ended(self) -> str:
        """As a `Form` does."""
        return f"Envoy {process.how(await self._envoy.wait())}"

    async def drain(self, seconds: float) -> None:
        """As a `Form` does."""
        await process.drain(self._ground.directory, seconds)

    async def stop(self) -> None:
        """As a `Form` does."""
        await self._envoy.stop()
        if self._receiver is not None:
            await asyncio.to_thread(self._receiver.close)
