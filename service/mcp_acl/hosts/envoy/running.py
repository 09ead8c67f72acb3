"""The life of the second host: from its addresses to its end. Knows no policy and no message.

Envoy drains nothing when it is told to stop, and its Python learns of it when the connections are gone already; so the drain is here.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mcp_acl.hosts.envoy import check
from mcp_acl.hosts.envoy.addresses import SocketFile, bound, envoy_address
from mcp_acl.hosts.envoy.config import PROBE_NAME, Site, bootstrap, name_of
from mcp_acl.hosts.envoy.installation import Installation
from mcp_acl.hosts.envoy.process import Envoy, EnvoyError
from mcp_acl.hosts.envoy.secrets import Secrets
from mcp_acl.hosts.envoy.told import DRAIN, END_SECONDS, REFUSE, Told
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.runtime.silence import silent

_LOG: Final = logging.getLogger("mcp_acl")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_SETTLE: Final = 0.5
"""Seconds that calls are given to settle."""
_START_SECONDS: Final = 120.0
"""How long Envoy may take to be ready, the policies that the Python inside loads included."""
_POLL: Final = 0.05
_LOOK: Final = 1.0
"""Seconds between looks at the certificates."""


class Engine(NamedTuple):
    """What Envoy runs: `factory` is `module:function`, called inside with `environment` added to this one, and returns a `Served`.

    `silence`: for how many seconds it may be silent when it is asked for its health; 0: for ever.
    """

    factory: str
    environment: Mapping[str, str] = MappingProxyType({})
    installation: Installation | None = None
    silence: float = 0.0


async def run(
    listeners: Sequence[Listener],
    limits: Limits,
    engine: Engine,
    drain: float,
    ready: Callable[[Sequence[str]], None],
) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told each address with the port that is bound.

    What is served comes from the engine; the tables of the listeners here are not looked at, but their names are. Raises ListenError for
    an address, EnvoyMissingError, and EnvoyError if Envoy does not start, is not as it must be, hangs, or ends by itself.

    After the signal health says NOT_SERVING, and for `drain` seconds, or until a second signal, calls are taken as ever. Then clients are
    told to go elsewhere, what has arrived is answered as far as half a second suffices, whatever comes is refused with UNAVAILABLE, and
    so are streams that wait for their client. When no call is left, or after `END_SECONDS`, Envoy is ended.
    """
    addressed = {name_of(number): (one, envoy_address(one)) for number, one in enumerate(listeners)}
    installation = engine.installation or Installation.of_this_python()
    stop = asyncio.Event()
    for sign in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    with TemporaryDirectory(prefix="mcp-acl-") as name:
        directory = Path(name)
        secrets = [
            Secrets(directory, name, one.certificates)
            for name, (one, _) in addressed.items()
            if one.certificates is not None
        ]
        config = bootstrap(addressed, Site(limits, directory, installation.module))
        envoy = Envoy(installation, directory)
        sockets: list[SocketFile] = []
        try:
            await envoy.start(config, Told(engine.factory, limits, len(listeners)), engine.environment)
            ports = await _until(stop, envoy, _ports(envoy, {*addressed, PROBE_NAME}))
            if ports is None:
                return
            sockets += [SocketFile(one.address.file) for one in listeners if one.address.file]
            faults = await asyncio.to_thread(check.faults, directory, config)
            if faults:
                raise EnvoyError(f"Envoy is not as it must be: {'; '.join(faults)}")
            ready([bound(one.address, ports[name]) for name, (one, _) in addressed.items()])
            await _until(stop, envoy, _attend(envoy, secrets, directory, engine.silence))
            await _drain(envoy, stop, drain)
        finally:
            await envoy.stop()
            for socket in sockets:
                socket.remove()


async def _until(stop: asyncio.Event, envoy: Envoy, work: Coroutine[Any, Any, Any]) -> Any:
    """Do something until it is done, or until the signal: then None. Raises EnvoyError if Envoy ends meanwhile."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    ending = asyncio.ensure_future(envoy.wait())
    tasks: set[asyncio.Future[Any]] = {working, stopping, ending}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if ending.done() and not stop.is_set():
            raise EnvoyError(f"Envoy ended by itself, with code {ending.result()}", ending.result())
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _ports(envoy: Envoy, names: set[str]) -> Mapping[str, int]:
    """The ports of all listeners, when they are there."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while (ports := await envoy.ports()) is None or not names <= set(ports):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise EnvoyError(f"Envoy is not ready after {_START_SECONDS:.0f} seconds") from None
    return ports


async def _attend(envoy: Envoy, secrets: Sequence[Secrets], directory: Path, silence: float) -> None:
    """Hand on certificates that change. Raises EnvoyError when Envoy has been silent for too long."""

    async def answered(seconds: float) -> bool:
        return await asyncio.to_thread(check.answers, directory, seconds)

    refreshing = asyncio.ensure_future(_refresh(secrets))
    try:
        await silent(silence, answered)
    finally:
        refreshing.cancel()
    envoy.kill()
    raise EnvoyError(f"Envoy has been silent for {silence:g} s; it is killed")


async def _refresh(secrets: Sequence[Secrets]) -> None:
    told = ""
    while True:
        await asyncio.sleep(_LOOK)
        try:
            for one in secrets:
                one.refresh()
        except OSError as error:
            if str(error) != told:
                _LOG.error("certificates cannot be handed to Envoy, those before stay in force: %s", error)
            told = str(error)


async def _drain(envoy: Envoy, stop: asyncio.Event, seconds: float) -> None:
    stop.clear()
    envoy.tell(DRAIN)
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    await envoy.drain()
    await envoy.settled(_SETTLE)
    envoy.tell(REFUSE)
    await envoy.idle(END_SECONDS)
