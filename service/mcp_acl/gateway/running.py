"""The life of the gateway: policies, the service in this process, Envoy as a child; ready together, and ended together.

The service listens on a socket file in a directory that nobody else may enter, and so does Envoy's own interface. Knows no command line.
"""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from mcp_acl.adapters.health import Health
from mcp_acl.gateway.config import Site, bootstrap
from mcp_acl.gateway.planning import ANYWHERE, Plan, bracketed, public_url_of, settings_of, site_of
from mcp_acl.gateway.process import Envoy
from mcp_acl.gateway.upstreams import Origin, Upstream
from mcp_acl.gateway.watching import Tell, WatchedGate
from mcp_acl.hosts import grpcio
from mcp_acl.hosts.envoy.addresses import free_address
from mcp_acl.hosts.envoy.config import admin_file
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.event_loop import loop_factory
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.settings import Settings
from mcp_acl.server import follow, in_force, limits_of, listeners_of, memory_of

_LOG: Final = logging.getLogger("mcp_acl")
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_START_SECONDS: Final = 30.0
_DRAIN_SECONDS: Final = 3.0
"""How long requests may take to end after a signal. What listens to a server never does, so it is short."""
_PROBE_SECONDS: Final = 5.0
_POLL: Final = 0.05
_LOOK_SECONDS: Final = 1.0
"""How long a server has to take a connection before it is told that it does not."""


class GatewayError(RuntimeError):
    """The gateway cannot start, or cannot go on. The text says why."""


class Ready(NamedTuple):
    """What is told once it is: where it listens, the URL of each server for its clients, what is in force, and servers that do not answer."""

    address: str
    urls: dict[str, str]
    policies: PolicySet
    silent: tuple[Upstream, ...] = ()


def run(plan: Plan, binary: Path, ready: Callable[[Ready], None], tell: Tell) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told once a request has come through; from then on each decision is told.

    Raises SourceError, ListenError, AddressError, StoreError, and GatewayError if Envoy does not start or ends by itself.
    """
    host, port = free_address(plan.listen)
    with TemporaryDirectory(prefix="mcp-acl-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        file = directory / "service.sock"
        settings = settings_of(plan, public_url_of(plan, port), f"unix:{file}")
        site = site_of(plan, host, port, {"pipe": {"path": str(file)}})._replace(admin=admin_file(directory))
        with closing(memory_of(settings)) as memory:
            told = _Told(tell)
            gate, reloader = in_force(settings, memory, partial(WatchedGate, told))
            follow(settings, reloader)
            try:
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    runner.run(_Running(settings, site, gate, Envoy(binary, directory)).run(ready, told))
            finally:
                reloader.stop()


class _Told:
    """Whoever watches, from when they want to: not of what is asked to see whether it works."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.is_on = False

    def __call__(self, seen: Any) -> None:
        if self.is_on:
            self._tell(seen)


class _Running:
    """The service and Envoy, while they run."""

    def __init__(self, settings: Settings, site: Site, gate: Gate, envoy: Envoy) -> None:
        self._settings = settings
        self._site = site
        self._gate = gate
        self._envoy = envoy
        self._stop = asyncio.Event()
        self._end_service = asyncio.Event()

    async def run(self, ready: Callable[[Ready], None], told: _Told) -> None:
        for sign in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(sign, self._stop.set)
        served = asyncio.Event()
        service = asyncio.create_task(self._serve(served))
        try:
            await self._until(served.wait(), service)
            if self._stop.is_set():
                return
            await self._envoy.start(bootstrap(self._site))
            if not await self._until(self._answers(), service, self._envoy.wait()):
                return
            told.is_on = True
            ready(self._ready(await asyncio.to_thread(silent_of, self._site.upstreams)))
            await self._until(asyncio.Event().wait(), service, self._envoy.wait())
            self._stop.clear()
            await self._until(self._envoy.drain(_DRAIN_SECONDS), service)
        finally:
            await self._envoy.stop()
            self._end_service.set()
            await asyncio.gather(service, return_exceptions=True)

    async def _serve(self, served: asyncio.Event) -> None:
        limits = limits_of(self._settings)
        listeners = listeners_of(self._settings, self._gate)
        health = Health(self._gate.is_current)
        await grpcio.run(listeners, limits, health, 0.0, lambda _: served.set(), stop=self._end_service)

    async def _until(
        self,
        work: Coroutine[Any, Any, Any],
        service: "asyncio.Task[None]",
        envoy: Coroutine[Any, Any, int] | None = None,
    ) -> Any:
        """Do something until it is done, or until the signal: then None. Raises GatewayError if one of the two ends meanwhile."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        ending = asyncio.ensure_future(envoy) if envoy is not None else None
        tasks: set[asyncio.Future[Any]] = {working, stopping, *([ending] if ending is not None else [])}
        try:
            await asyncio.wait({*tasks, service}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if service.done():
                service.result()
                raise GatewayError("the service ended by itself")
            if ending is not None and ending.done() and not self._stop.is_set():
                raise GatewayError(f"Envoy {_how(ending.result())}; what it says is above, and the gateway has ended")
            return None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _answers(self) -> bool:
        """Wait until a request comes through. Raises GatewayError if none does."""
        why = "it is not ready"
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while True:
                    if await self._envoy.is_ready() and not (why := await asyncio.to_thread(probe, self._site)):
                        return True
                    await asyncio.sleep(_POLL)
        raise GatewayError(f"nothing comes through Envoy after {_START_SECONDS:.0f} seconds: {why}")

    def _ready(self, silent: tuple[Upstream, ...]) -> Ready:
        site = self._site
        urls = {one.id: f"{site.public_url}{one.public_path}" for one in site.upstreams}
        return Ready(f"http://{bracketed(site.host)}:{site.port}", urls, self._gate.policies, silent)


def probe(site: Site) -> str:
    """Ask the gateway something that no policy allows and no server sees. What is wrong with the answer, or `''`. Blocks."""
    host = ANYWHERE.get(site.host, site.host)
    connection = HTTPConnection(host, site.port, timeout=_PROBE_SECONDS)
    headers = {"Content-Type": "application/json", "Host": site.names[0] if site.names else host}
    try:
        connection.request("POST", site.upstreams[0].public_path, b"not a message", headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        return f"it cannot be asked: {error}"
    finally:
        connection.close()
    try:
        decided = json.loads(body)["error"]["data"]["decision_id"]
    except (ValueError, LookupError, TypeError):
        decided = ""
    return "" if decided else f"it answers {response.status} without having asked the service"


def silent_of(upstreams: Sequence[Upstream]) -> tuple[Upstream, ...]:
    """Servers to which there is no connection at the moment. Blocks."""

    def answers(origin: Origin) -> bool:
        with suppress(OSError), socket.create_connection((origin.host, origin.port), _LOOK_SECONDS):
            return True
        return False

    with ThreadPoolExecutor() as pool:
        found = pool.map(answers, (one.origin for one in upstreams))
    return tuple(one for one, is_there in zip(upstreams, found, strict=True) if not is_there)


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
