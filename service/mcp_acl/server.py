"""The composition root of the service: settings, policies, gate, tables, host. Has no logic of its own."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.table import for_gateways, for_people
from mcp_acl.hosts import grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.address import parse_address, worker_addresses
from mcp_acl.runtime.certificates import Certificates
from mcp_acl.runtime.collector import keep_all
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.reload import Reloader
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.store import compile_sources, read_sources
from mcp_acl.runtime.supervisor import Record, Supervisor

_LOG: Final = logging.getLogger("mcp_acl")
_END_SECONDS: Final = 2 * grpcio.GRACE
"""How long a worker may take to end after its drain."""


def serve(settings: Settings, ready: Callable[[Sequence[str], PolicySet], None]) -> None:
    """Serve in this process until a signal asks to stop. `ready` is told what is bound, in the order of `listen` and `admin_listen`.

    Raises SourceError for policies that cannot be used, CertificateError for certificates, ListenError for an address.
    """
    sources = read_sources(settings.policies)
    gate = Gate(compile_sources(sources))
    listeners = listeners_of(settings, gate)
    keep_all()
    reloader = Reloader(gate, settings.policies, sources)
    if settings.reload:
        reloader.start(settings.reload)

    def started(bound: Sequence[str]) -> None:
        _LOG.info("listening on %s, revision %s", ", ".join(bound), gate.policies.revision)
        ready(bound, gate.policies)

    health = Health(gate.is_current)
    try:
        _run(lambda: grpcio.run(listeners, limits_of(settings), health, settings.drain, started))
    finally:
        reloader.stop()


def supervise(settings: Settings, ready: Callable[[Sequence[Record]], None]) -> None:
    """Serve in several processes until a signal asks to stop. `ready` is told what each said when it was. Raises WorkerError."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    seconds = settings.drain + _END_SECONDS

    def command(number: int, before: Record | None) -> Sequence[str]:
        return [sys.executable, "-m", "mcp_acl", "serve", "--attached", *worker_flags(settings, number, before)]

    _run(lambda: Supervisor(settings.workers, command, environment, seconds).run(ready))


def worker_flags(settings: Settings, number: int, before: Record | None) -> Iterator[str]:
    """Every setting of one worker as flags. One that takes the place of another listens where that one did (`before`)."""
    addresses = {name: getattr(settings, name) for name in ("listen", "admin_listen") if getattr(settings, name)}
    own = {name: worker_addresses(text, settings.workers)[number] for name, text in addresses.items()}
    if before is not None:
        own = dict(zip(own, before["listening"], strict=True))
    for name, value in {**dict(settings), **own, "workers": 1}.items():
        if isinstance(value, bool):
            yield ROWS[name].flag if value else f"--no-{name}"
        elif value is not None and value != "":
            yield from chain.from_iterable(
                (ROWS[name].flag, str(one)) for one in (value if isinstance(value, tuple) else [value])
            )


def listeners_of(settings: Settings, gate: Gate) -> Sequence[Listener]:
    """What is served where, and to whom. Raises CertificateError.

    On `listen` what gateways ask; what people ask too, if clients are named for it. On `admin_listen` everything.
    """
    certificates = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificates = Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    gateways, people = for_gateways(gate), for_people(gate)
    clients, admins = frozenset(settings.client_names), frozenset(settings.admin_names)
    names = {**_named(gateways, clients), **_named(people, admins)}
    mode = int(settings.socket_mode, 8)

    def listener(text: str, table: Table, names: Mapping[str, frozenset[str]]) -> Listener:
        address = parse_address(text, insecure=settings.insecure, encrypted=certificates is not None)
        if address.file:
            return Listener(address, table, socket_mode=mode)
        return Listener(address, table, certificates, names)

    listeners = [listener(settings.listen, {**gateways, **(people if admins else {})}, names)]
    if settings.admin_listen:
        table = {**gateways, **people}
        listeners.append(listener(settings.admin_listen, table, _named(table, admins)))
    return listeners


def _named(table: Table, names: frozenset[str]) -> Mapping[str, frozenset[str]]:
    return dict.fromkeys(table, names) if names else {}


def limits_of(settings: Settings) -> Limits:
    """How much a host takes on."""
    return Limits(settings.max_request, settings.max_calls, settings.message_timeout, settings.keepalive)


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """The event loop of uvloop, where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - it is not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
