"""The default host: grpcio's asyncio servers, one for each listener, until a signal. Knows no policy and no message.

It owns what a handler must not: limits, status, health, TLS, signals, the drain.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import grpc

from mcp_acl.adapters.health import Health
from mcp_acl.hosts.grpcio_calls import Calls, wait
from mcp_acl.hosts.listening import Limits, Listener, ListenError, check_socket_file
from mcp_acl.runtime.certificates import Certificates, Pems

_LOG: Final = logging.getLogger("mcp_acl")

GRACE: Final = 5.0
"""Seconds that calls may take to end once no more are taken."""
_AGAIN: Final = 0.5
"""Seconds until a listener whose address is taken is tried again."""
_UNIX: Final = "unix:"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_MOST_PINGS_SECONDS: Final = 10
"""How often, in seconds, a client may ask for a sign of life before it is taken for hostile."""


async def run(  # noqa: PLR0913 - what a host is told
    listeners: Sequence[Listener],
    limits: Limits,
    health: Health,
    drain: float,
    ready: Callable[[Sequence[str]], None],
    *,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or, where signals are someone else's, until `stop`.

    `ready` is told each address with the port that is bound. Raises ListenError.

    Then health says NOT_SERVING, and for `drain` seconds, or until a second signal, calls are taken as ever. Calls that
    have arrived by then are answered, as far as half a second suffices, and for at most as long again whatever comes
    is refused with UNAVAILABLE, which clients repeat elsewhere; so are streams that wait for their client. Only then are connections
    closed and do the calls that are begun have `GRACE` seconds to end: what grpcio has taken by then and not handed over it ends with
    CANCELLED, which clients do not repeat. Only a client that goes on sending while it is refused can meet that. A large request that is
    being worked on then is finished, though nobody is told, before the process ends.
    """
    pool = ThreadPoolExecutor(1, "large")
    servers = [_Server(one, limits, health, pool) for one in listeners]
    bound = [server.bind() for server in servers]
    stop = _at_signals() if stop is None else stop
    for server in servers:
        await server.start()
    ready(bound)
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(server.keep()) for server in servers]
        await stop.wait()
        stop.clear()
        health.draining = True
        for server in servers:
            server.calls.drain()
        await wait(stop, drain)
        for keeper in keepers:
            keeper.cancel()
    await asyncio.gather(*(server.stop() for server in servers))
    pool.shutdown(wait=False, cancel_futures=True)


def _at_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for sign in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    return stop


class _Server:
    """One listener."""

    def __init__(self, listener: Listener, limits: Limits, health: Health, pool: Executor) -> None:
        self._listener = listener
        self._limits = limits
        self._address = listener.address.text
        self.calls = Calls(listener, limits, health, pool)
        self._server = self._made()

    def _made(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=_options(self._limits))
        server.add_generic_rpc_handlers((self.calls,))
        return server

    async def start(self) -> None:
        await self._server.start()

    async def keep(self) -> None:
        """Begin another server whenever one ends by itself: grpcio ends it for good when the path of a call is not UTF-8."""
        while True:
            with suppress(Exception):
                # Shielded, because the end of this task would be taken for the server's.
                await asyncio.shield(self._server.wait_for_termination())
            _LOG.error("the listener `%s` ended by itself; another takes its place", self._address)
            while not await self._has_begun_again():  # noqa: ASYNC110 - another process holds the address, and tells nobody
                await asyncio.sleep(_AGAIN)

    async def _has_begun_again(self) -> bool:
        self._server = self._made()
        try:
            self.bind()
        except ListenError as error:
            _LOG.error("%s", error)
            return False
        await self._server.start()
        return True

    async def stop(self) -> None:
        await self.calls.settled()
        self.calls.refuse()
        await self.calls.settled()
        await self._server.stop(GRACE)

    def bind(self) -> str:
        """The address with the port that is bound, and is from then on. Raises ListenError."""
        address, certificates = self._listener.address, self._listener.certificates
        if address.file:
            check_socket_file(address.file)
        try:
            port = self._add_port() if certificates is None else self._add_secure_port(certificates)
        except RuntimeError:
            why = "it is in use, or no address of this machine"
            why += "" if certificates is None else ", or gRPC cannot use the certificate"
            raise ListenError(f"cannot listen on `{self._address}`: {why}") from None
        if not address.file:
            self._address = f"{address.text.rpartition(':')[0]}:{port}"
        return self._address

    def _add_port(self) -> int:
        address = self._listener.address
        if not address.file:
            return self._server.add_insecure_port(self._address)
        before = os.umask(0o777 & ~self._listener.socket_mode)
        try:
            # grpcio takes what follows `unix:` for a part of a URI, and decodes it.
            return self._server.add_insecure_port(f"{_UNIX}{quote(address.file)}")
        finally:
            os.umask(before)

    def _add_secure_port(self, certificates: Certificates) -> int:
        fetch: Any = _Fetcher(certificates)  # may return None, which the type of the library does not know
        credentials = grpc.dynamic_ssl_server_credentials(
            _configuration(certificates.current()), fetch, certificates.requires_clients
        )
        return self._server.add_secure_port(self._address, credentials)


class _Fetcher:
    """Asked at every handshake: the certificate to show from here on, or None for the one before."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._shown = certificates.current()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._certificates.current()
        if current is self._shown:
            return None
        self._shown = current
        return _configuration(current)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.chain)], pems.client_authorities or None)


def _options(limits: Limits) -> tuple[tuple[str, int], ...]:
    keepalive = int(limits.keepalive_seconds * 1000)
    return (
        ("grpc.max_receive_message_length", limits.request),
        ("grpc.max_send_message_length", -1),
        # Off: with it a forgotten old process goes on answering beside the new one, with its old policies.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", limits.calls),
        ("grpc.keepalive_time_ms", keepalive),
        ("grpc.keepalive_timeout_ms", keepalive),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MOST_PINGS_SECONDS * 1000),
        ("grpc.server_handshake_timeout_ms", int(limits.message_seconds * 1000)),
    )
