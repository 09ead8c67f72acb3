"""The life of the gateway, as one process or two: ready together, and ended together. Knows no command line.

What is told of where it listens is told when a message that no policy allows has come back with a decision, and not before.
"""

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from mcp_acl.gateway.config import Site
from mcp_acl.gateway.form import Form, GatewayError, Ground
from mcp_acl.gateway.pair import Pair
from mcp_acl.gateway.planning import ANYWHERE, Plan, bracketed, public_url_of, settings_of
from mcp_acl.gateway.single import Single
from mcp_acl.gateway.telling import TellAfter
from mcp_acl.gateway.upstreams import Origin, Upstream
from mcp_acl.gateway.watching import Tell, Watcher
from mcp_acl.hosts.envoy import Installation
from mcp_acl.hosts.envoy.addresses import free_address
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.watching import watched_elsewhere, watching
from mcp_acl.server import in_force, memory_of

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_DRAIN_SECONDS: Final = 3.0
"""How long requests may take to end after a signal. What listens to a server never does, so it is short."""
_PROBE_SECONDS: Final = 5.0
_POLL: Final = 0.05
_LOOK_SECONDS: Final = 1.0
"""How long a server has to take a connection before it is told that it does not."""


class Ready(NamedTuple):
    """What is told once it is: where it listens, the URL of each server for its clients, what is in force, and servers that do not answer."""

    address: str
    urls: dict[str, str]
    policies: PolicySet
    silent: tuple[Upstream, ...] = ()


def run(plan: Plan, envoy: Path | Installation, ready: Callable[[Ready], None], tell: Tell) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told once a request has come through; from then on each decision is told.

    `envoy` is the program that asks the service, or what has the service inside: then all of it is one process. Raises SourceError,
    ListenError, AddressError, StoreError, LogError, MetricsError, and GatewayError if Envoy does not start, is not as it must be, or ends
    by itself.
    """
    host, port = free_address(plan.listen)
    with TemporaryDirectory(prefix="mcp-acl-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        settings = settings_of(plan, public_url_of(plan, port), f"unix:{directory / 'service.sock'}")
        is_single, load = isinstance(envoy, Installation), Load()
        watchers = watched_elsewhere(settings) if is_single else watching(settings, load)
        with closing(memory_of(settings)) as memory, watchers as observers:
            told = TellAfter(tell)
            gate, reloader = in_force(settings, memory, [Watcher(told), *observers])
            ground = Ground(plan, host, port, directory, settings, gate, reloader, told, load)
            form = Single(ground, envoy) if isinstance(envoy, Installation) else Pair(ground, envoy)
            running = _Running(form, told).run(lambda silent: ready(_ready(form.site, gate.policies, silent)))
            with asyncio.Runner(loop_factory=form.loop_factory) as runner:
                runner.run(running)


class _Running:
    """One of both forms, while it runs."""

    def __init__(self, form: Form, told: TellAfter) -> None:
        self._form = form
        self._told = told
        self._stop = asyncio.Event()

    async def run(self, ready: Callable[[tuple[Upstream, ...]], None]) -> None:
        for sign in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(sign, self._stop.set)
        try:
            await self._form.start()
            decision_id = await self._until(self._answers(), self._form.ended())
            if decision_id is None:
                return
            self._told.after(decision_id)
            ready(await asyncio.to_thread(silent_of, self._form.site.upstreams))
            await self._until(asyncio.Event().wait(), self._form.ended())
            self._stop.clear()
            await self._until(self._form.drain(_DRAIN_SECONDS))
        finally:
            await self._form.stop()

    async def _until(self, work: Coroutine[Any, Any, Any], ended: Coroutine[Any, Any, str] | None = None) -> Any:
        """Do something until it is done, or until the signal: then None. Raises GatewayError if what runs ends meanwhile."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        ending = asyncio.ensure_future(ended) if ended is not None else None
        tasks: set[asyncio.Future[Any]] = {working, stopping, *([ending] if ending is not None else [])}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if ending is not None and ending.done() and not self._stop.is_set():
                raise GatewayError(f"{ending.result()}; what it says is above, and the gateway has ended")
            return None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _answers(self) -> str:
        """Wait until a request comes through: the id of its decision. Raises GatewayError if none does."""
        why = "it is not ready"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._form.start_seconds):
                while True:
                    if await self._form.is_ready():
                        decision_id, why = await asyncio.to_thread(probe, self._form.site)
                        if decision_id:
                            return decision_id
                    await asyncio.sleep(_POLL)
        raise GatewayError(f"nothing comes through Envoy after {self._form.start_seconds:.0f} seconds: {why}")


def _ready(site: Site, policies: PolicySet, silent: tuple[Upstream, ...]) -> Ready:
    urls = {one.id: f"{site.public_url}{one.public_path}" for one in site.upstreams}
    return Ready(f"http://{bracketed(site.host)}:{site.port}", urls, policies, silent)


def probe(site: Site) -> tuple[str, str]:
    """Ask the gateway something that no policy allows and no server sees: the decision's id, or `''` and what is wrong. Blocks."""
    host = ANYWHERE.get(site.host, site.host)
    connection = HTTPConnection(host, site.port, timeout=_PROBE_SECONDS)
    headers = {"Content-Type": "application/json", "Host": site.names[0] if site.names else host}
    try:
        connection.request("POST", site.upstreams[0].public_path, b"not a message", headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        return "", f"it cannot be asked: {error}"
    finally:
        connection.close()
    try:
        decided = str(json.loads(body)["error"]["data"]["decision_id"])
    except (ValueError, LookupError, TypeError):
        decided = ""
    return decided, "" if decided else f"it answers {response.status} without having asked the service"


def silent_of(upstreams: Sequence[Upstream]) -> tuple[Upstream, ...]:
    """Servers to which there is no connection at the moment. Blocks."""

    def answers(origin: Origin) -> bool:
        with suppress(OSError), socket.create_connection((origin.host, origin.port), _LOOK_SECONDS):
            return True
        return False

    with ThreadPoolExecutor() as pool:
        found = pool.map(answers, (one.origin for one in upstreams))
    return tuple(one for one, is_there in zip(upstreams, found, strict=True) if not is_there)
