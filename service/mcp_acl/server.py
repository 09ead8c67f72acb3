"""The composition root of the service: settings, policies, memory, gate, tables, host. Has no logic of its own."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from mcp_acl.adapters import facts
from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.table import Gateways, for_gateways, for_people
from mcp_acl.hosts import envoy, grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.address import parse_address, worker_addresses
from mcp_acl.runtime.certificates import Certificates
from mcp_acl.runtime.collector import keep_all
from mcp_acl.runtime.event_loop import loop_factory
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.memory import Bounds, Memory, StoreError
from mcp_acl.runtime.observed import ObservedGate, Observer
from mcp_acl.runtime.reload import Reloader, read_settled
from mcp_acl.runtime.remote.follower import followed
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.settings_remote import RemoteSettings, remote_of
from mcp_acl.runtime.store import Sources, compile_sources
from mcp_acl.runtime.supervisor import Record, Supervisor, Times
from mcp_acl.runtime.watching import watched_elsewhere, watching, write_what_is_left

_LOG: Final = logging.getLogger("mcp_acl")
INSIDE: Final = "_MCP_ACL_SETTINGS"
"""The variable by which the Python inside Envoy is told the settings."""
_ADDRESSES: Final = ("listen", "admin_listen", "metrics_listen")
"""Settings of which each worker has its own."""
_WATCHERS: Final = ExitStack()
"""Of the Python inside Envoy, which ends without a word: what its watchers leave, the process outside writes."""
_END_SECONDS: Final = 2 * grpcio.GRACE
"""How long a worker may take to end after its drain."""


class Found(NamedTuple):
    """What a directory held at the start, and what it comes to."""

    sources: Sources
    policies: PolicySet


def serve(
    settings: Settings, ready: Callable[[Sequence[str], PolicySet], None], loaded: Callable[[], None] = lambda: None
) -> None:
    """Serve in this process until a signal asks to stop. `ready` is told what is bound, in the order of `listen` and `admin_listen`.

    `loaded` is called before anything is bound, when everything else is there, as far as can be known then, and may take its time.

    Raises SourceError for policies that cannot be used, CertificateError for certificates, StoreError for `store`, LogError for
    `decision_log`, ListenError for an address, EnvoyMissingError and EnvoyError for the host `envoy`.
    """
    with fetched(settings) as local:
        (_serve_in_envoy if settings.host == "envoy" else _serve)(local, ready, loaded)


@contextmanager
def fetched(settings: Settings) -> Iterator[Settings]:
    """The settings of who reads the policies from a directory alone. If they come from elsewhere, it is kept in step meanwhile.

    Raises SourceError if there are none that may be in force.
    """
    remote = remote_of(settings)
    if remote is None:
        yield settings
        return
    with followed(remote, settings.policies, settings.policies_interval) as directory:
        nowhere = {name: field.default for name, field in RemoteSettings.model_fields.items()}
        yield settings.model_copy(update={**nowhere, "policies": directory})


def _serve(settings: Settings, ready: Callable[[Sequence[str], PolicySet], None], loaded: Callable[[], None]) -> None:
    load = Load()
    with closing(memory_of(settings)) as memory:
        found = found_in(settings)
        certificates_of(settings)
        loaded()
        with watching(settings, load) as observers:
            gate, reloader = in_force(settings, memory, observers, found)
            del found  # it goes when another set replaces it
            listeners, limits = listeners_of(settings, gate), limits_of(settings)
            follow(settings, reloader)
            try:
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    started = _started(gate, ready)
                    runner.run(grpcio.run(listeners, limits, Health(gate.is_current, load), settings.drain, started))
            finally:
                reloader.stop()


def _serve_in_envoy(
    settings: Settings, ready: Callable[[Sequence[str], PolicySet], None], loaded: Callable[[], None]
) -> None:
    """What is served is loaded inside; here policies, store and decision log say whether it can be."""
    with closing(memory_of(settings)) as memory:
        gate, _ = in_force(settings, memory)
        certificates_of(settings)
        write_what_is_left(settings)
        loaded()
        with watched_elsewhere(settings):
            inside = {INSIDE: settings.model_dump_json()}
            engine = envoy.Engine("mcp_acl.server:inside_envoy", inside, silence=settings.worker_timeout)
            listeners, limits = listeners_of(settings, gate), limits_of(settings)
            asyncio.run(envoy.run(listeners, limits, engine, settings.drain, _started(gate, ready)))


def _started(gate: Gate, ready: Callable[[Sequence[str], PolicySet], None]) -> Callable[[Sequence[str]], None]:
    def started(bound: Sequence[str]) -> None:
        _LOG.info("listening on %s, revision %s", ", ".join(bound), gate.policies.revision)
        ready(bound, gate.policies)

    return started


def inside_envoy(observers: Sequence[Observer] = ()) -> envoy.Served:
    """What Envoy's Python serves: policies and memory of its own, for as long as that process lives."""
    log_to_stderr()
    settings = Settings.model_validate_json(os.environ[INSIDE])
    load = Load()
    watchers = _WATCHERS.enter_context(watching(settings, load))
    gate, reloader = in_force(settings, memory_of(settings), [*observers, *watchers])
    follow(settings, reloader)
    return envoy.Served(tables_of(settings, gate), Health(gate.is_current, load), gate.batch)


def memory_of(settings: Settings) -> Memory:
    """The memory of one process, which it shares with all that have the same file. Raises StoreError."""
    bounds = Bounds(settings.task_memory, settings.tool_memory, settings.max_tasks, settings.max_tools)
    return Memory(settings.store, bounds)


def found_in(settings: Settings) -> Found:
    """What the directory holds. Raises SourceError."""
    sources = read_settled(settings.policies)
    return Found(sources, compile_sources(sources))


def in_force(
    settings: Settings, memory: Memory, observers: Sequence[Observer] = (), found: Found | None = None
) -> tuple[Gate, Reloader]:
    """The gate over the policies of the directory, as they were found or are now, and what makes it follow them. Raises SourceError."""
    sources, policies = found or found_in(settings)
    made = partial(ObservedGate, observers, obeys_clients=settings.trace_clients) if observers else Gate
    gate = made(policies, memory=memory, resource_metadata=settings.resource_metadata)
    keep_all()
    return gate, Reloader(gate, settings.policies, sources)


def follow(settings: Settings, reloader: Reloader) -> None:
    """Begin to look at the files, unless that is off."""
    if settings.reload:
        reloader.start(settings.reload)


def supervise(settings: Settings, ready: Callable[[Sequence[Record]], None]) -> None:
    """Serve in several processes until a signal asks to stop. `ready` is told what each said when it was.

    Raises WorkerError, StoreError, SourceError for policies that come from elsewhere.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    seconds = settings.drain + _END_SECONDS

    with fetched(settings) as local, _shared(local) as shared:

        def command(number: int, before: Record | None) -> Sequence[str]:
            flags = ["--attached", "--standby", *worker_flags(shared, number, before)]
            return [sys.executable, "-P", "-m", "mcp_acl", "serve", *flags]

        # Callers come back as they leave: by their looks at health, for which the drain must be long enough.
        times = Times(seconds, settings.worker_timeout, settings.drain)
        supervisor = Supervisor(settings.workers, command, environment, times)
        try:
            asyncio.run(supervisor.run(ready))
        finally:
            write_what_is_left(local)


@contextmanager
def _shared(settings: Settings) -> Iterator[Settings]:
    """The settings with a store for all workers: without one, a file in a directory of its own, which is removed at the end."""
    if settings.store is not None:
        yield settings
        return
    try:
        directory = TemporaryDirectory(prefix="mcp-acl-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreError(f"there is no place for a file that the workers share; name one ({error.strerror})") from None
    with directory as name:
        yield settings.model_copy(update={"store": Path(name) / "memory.db"})


def worker_flags(settings: Settings, number: int, before: Record | None) -> Iterator[str]:
    """Every setting of one worker as flags. One that takes the place of another listens where that one did (`before`)."""
    addresses = {name: getattr(settings, name) for name in _ADDRESSES if getattr(settings, name)}
    own = {name: worker_addresses(text, settings.workers)[number] for name, text in addresses.items()}
    if before is not None:
        own |= zip([name for name in own if name != "metrics_listen"], before["listening"], strict=True)
    return flags_of({**dict(settings), **own, "workers": 1})


def flags_of(settings: Mapping[str, object]) -> Iterator[str]:
    """Settings as flags of `serve`."""
    for name, value in settings.items():
        if isinstance(value, bool):
            yield ROWS[name].flag if value else f"--no-{ROWS[name].flag[2:]}"
        elif value is not None and value != "":
            yield from chain.from_iterable(
                (ROWS[name].flag, _written(one)) for one in (value if isinstance(value, tuple) else [value])
            )


def log_to_stderr() -> None:
    """Write log lines to standard error, each with its time and process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")


def _written(value: object) -> str:
    """A value as a flag takes it, which reads numbers of few digits."""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def tables_of(settings: Settings, gate: Gate) -> Sequence[Table]:
    """What is served on each listener: on `listen` what gateways ask, and what people ask too if clients are named for it.

    On `admin_listen` everything.
    """
    set_up = gateways_of(settings)
    gateways, people = for_gateways(gate, set_up), for_people(gate, set_up)
    main = {**gateways, **(people if settings.admin_names else {})}
    return [main, {**gateways, **people}] if settings.admin_listen else [main]


def gateways_of(settings: Settings) -> Gateways:
    """How gateways that speak an interface which is not ours are set up."""
    jwt = tuple((namespace, key) for namespace, _, key in (one.partition("/") for one in settings.jwt_metadata))
    sources = facts.Sources(
        settings.server,
        settings.server_attribute,
        jwt,
        settings.mtls_principals,
        settings.claims_header,
        settings.anonymous,
        settings.attribute_metadata,
    )
    return Gateways(sources, settings.filtered_behind, settings.early_close)


def certificates_of(settings: Settings) -> Certificates | None:
    """What listeners show, if they speak TLS. Raises CertificateError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


def listeners_of(settings: Settings, gate: Gate) -> Sequence[Listener]:
    """Where what is served, and to whom. Raises CertificateError."""
    certificates = certificates_of(settings)
    clients, admins = frozenset(settings.client_names), frozenset(settings.admin_names)
    mode = int(settings.socket_mode, 8)

    def listener(text: str, table: Table, names: Mapping[str, frozenset[str]]) -> Listener:
        address = parse_address(text, insecure=settings.insecure, encrypted=certificates is not None)
        if address.file:
            return Listener(address, table, socket_mode=mode, batch=gate.batch)
        return Listener(address, table, certificates, names, batch=gate.batch)

    main, *admin = tables_of(settings, gate)
    names = {**_named(for_gateways(gate), clients), **_named(for_people(gate), admins)}
    listeners = [listener(settings.listen, main, names)]
    return listeners + [listener(settings.admin_listen, table, _named(table, admins)) for table in admin]


def _named(table: Table, names: frozenset[str]) -> Mapping[str, frozenset[str]]:
    return dict.fromkeys(table, names) if names else {}


def limits_of(settings: Settings) -> Limits:
    """How much a host takes on."""
    return Limits(settings.max_request, settings.max_calls, settings.message_timeout, settings.keepalive)
