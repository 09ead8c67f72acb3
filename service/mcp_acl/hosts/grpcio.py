"""The default host: grpcio's asyncio server around a table of handlers. Knows no policy and no message but health's.

It owns what a handler must not: size limits, status, health, signals, the drain. Deadlines and cancelled calls are grpcio's:
a handler does not wait, so a call whose time is up is not begun. Handlers run on the event loop; one of a large request
runs in a thread, one at a time.
"""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import MAX_REQUEST, SERVICE, Handler
from mcp_acl.adapters.status import Status, status_of
from mcp_acl.runtime.address import Address

GRACE: Final = 5.0
"""Seconds that calls may take to end once no more are taken."""
_SETTLE: Final = 0.5
_QUIET: Final = 0.02
"""Seconds: how long calls are given to settle, and how long nothing must happen for them to have settled."""
_LARGE: Final = 256 * 1024
"""Bytes from which a request is worked on beside the event loop: everything else, health first, goes on meanwhile."""
_UNIX: Final = "unix:"
_IN_USE: Final = dict.fromkeys((0, errno.EAGAIN), "it is in use")
"""What a connection meets that is taken, or waits for its turn."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_GRPC_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.max_send_message_length", -1),
    # Off: with it a forgotten old process goes on answering beside the new one, with its old policies.
    ("grpc.so_reuseport", 0),
)
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class ListenError(OSError):
    """The address cannot be listened on."""


async def run(handlers: Mapping[str, Handler], address: Address, drain: float, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the address with the port that is bound. Raises ListenError.

    Then health says NOT_SERVING, and for `drain` seconds, or until a second signal, calls are taken as ever. Calls that
    have arrived by then are answered, as far as `_SETTLE` seconds suffice, and for at most as long again whatever comes
    is refused with UNAVAILABLE, which clients repeat elsewhere. Only then are connections closed and do the calls that
    are begun have `GRACE` seconds to end: what grpcio has taken by then and not handed over it ends with CANCELLED,
    which clients do not repeat. Only a client that goes on sending while it is refused can meet that. A large request that is
    being worked on then is finished, though nobody is told, before the process ends.
    """
    server = grpc.aio.server(options=_OPTIONS)
    health = _Health()
    pool = ThreadPoolExecutor(1, "large")
    table = _Table(handlers, health, pool)
    server.add_generic_rpc_handlers((table,))
    bound = _bind(server, address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in _SIGNALS:
        loop.add_signal_handler(sign, stop.set)
    await server.start()
    ready(bound)
    await stop.wait()
    health.draining.set()
    stop.clear()
    await _wait(stop, drain)
    await table.settled()
    table.refuse()
    await table.settled()
    await server.stop(GRACE)
    pool.shutdown(wait=False, cancel_futures=True)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _bind(server: grpc.aio.Server, address: Address) -> str:
    if address.file:
        _check_socket_file(address.file)
    try:
        # grpcio takes what follows `unix:` for a part of a URI, and decodes it.
        port = server.add_insecure_port(f"{_UNIX}{quote(address.file)}" if address.file else address.text)
    except RuntimeError:
        raise ListenError(f"cannot listen on `{address.text}`: it is in use, or no address of this machine") from None
    return address.text if address.file else f"{address.text.rpartition(':')[0]}:{port}"


def _check_socket_file(path: str) -> None:
    """Raise ListenError unless the file is not there, or left over from a process that has ended.

    grpcio replaces whatever socket it finds, and would delete this one's when that one ends.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        found = probe.connect_ex(path)
    if found == errno.ENOENT:
        if not Path(path).parent.is_dir():
            raise ListenError(f"cannot listen on `{path}`: there is no directory `{Path(path).parent}`")
    elif found == errno.ECONNREFUSED:
        if not Path(path).is_socket():
            raise ListenError(f"cannot listen on `{path}`: it is there, and no socket")
    else:
        raise ListenError(f"cannot listen on `{path}`: {_IN_USE.get(found) or os.strerror(found).lower()}")


class _Table(grpc.GenericRpcHandler):
    """Every method by its path. A path that is not here is answered UNIMPLEMENTED by grpcio."""

    def __init__(self, handlers: Mapping[str, Handler], health: "_Health", pool: Executor) -> None:
        self._pool = pool
        self._moves = 0
        self._methods: Mapping[str, _Method] = {
            **{path: _unary(partial(self._call, one)) for path, one in handlers.items()},
            **health.methods(),
        }
        self._refusals: Mapping[str, _Method] = dict.fromkeys(handlers, grpc.stream_unary_rpc_method_handler(_refuse))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "_Method | None":
        self._moves += 1
        return self._methods.get(handler_call_details.method)

    async def settled(self) -> None:
        """Wait until calls have neither come nor ended for a while, but not for long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLE
        before = -1
        while before != self._moves and loop.time() < until:
            before = self._moves
            await asyncio.sleep(_QUIET)

    def refuse(self) -> None:
        """From here on refuse whatever comes, health aside."""
        self._methods = {**self._methods, **self._refusals}

    async def _call(self, handler: Handler, request: bytes, context: _Context) -> bytes:
        if len(request) < _LARGE:
            outcome = _outcome(handler, request)
        else:
            outcome = await asyncio.get_running_loop().run_in_executor(self._pool, _outcome, handler, request)
        self._moves += 1
        if isinstance(outcome, Status):
            await context.abort(_GRPC_CODES[outcome.code], outcome.text)
        return outcome


def _outcome(handler: Handler, request: bytes) -> bytes | Status:
    try:
        return handler(request)
    except BaseException as error:  # noqa: BLE001 - no error of a handler ends the server, or the call without a status
        return status_of(error)


async def _refuse(_: object, context: _Context) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "the service is shutting down")


def _unary(call: Callable[[Any, _Context], Awaitable[Any]], *forms: Callable[[Any], Any]) -> _Method:
    """A method that takes one message, as one that takes many: grpcio never ends a unary call that brings none.

    A second message is not looked for: to wait for the end of each request costs a seventh of an empty call's time.
    """

    async def read(_: object, context: _Context) -> object:
        return await call(await _message(context), context)

    return grpc.stream_unary_rpc_method_handler(read, *forms)


async def _message(context: _Context) -> Any:
    message = await context.read()
    if message is grpc.aio.EOF:
        await context.abort(grpc.StatusCode.INTERNAL, "the request ended before its message was whole")
    return message


class _Health:
    """grpc.health.v1: SERVING until the drain begins. A watcher is told, and let go, so that it does not hold the drain up."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()

    def methods(self) -> Mapping[str, _Method]:
        forms = (health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString)
        return {
            "/grpc.health.v1.Health/Check": _unary(self._check, *forms),
            "/grpc.health.v1.Health/Watch": grpc.stream_stream_rpc_method_handler(self._watch, *forms),
        }

    def _status(self, service: str) -> health_pb2.HealthCheckResponse:
        if service not in ("", SERVICE):
            return health_pb2.HealthCheckResponse(status=_UNKNOWN)
        return health_pb2.HealthCheckResponse(status=_NOT_SERVING if self.draining.is_set() else _SERVING)

    async def _check(self, request: health_pb2.HealthCheckRequest, context: _Context) -> health_pb2.HealthCheckResponse:
        status = self._status(request.service)
        if status.status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return status

    async def _watch(self, _: object, context: _Context) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        request = await _message(context)
        yield self._status(request.service)
        await self.draining.wait()
        yield self._status(request.service)
