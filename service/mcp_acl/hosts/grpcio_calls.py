"""The calls of the default host: a table of handlers as grpcio has methods. Knows no policy, no address and no process.

Handlers run on the event loop; one of a large request runs in a thread, one at a time. A call's deadline and its end by the client are
grpcio's: it cancels what waits here, and a handler does not wait.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import grpc

from mcp_acl.adapters import health as grpc_health
from mcp_acl.adapters.handlers import Handler, Informed, Metadata, Session, Streaming, Traced, Unary
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.status import Code, Status, outcome_of
from mcp_acl.hosts.deadlines import Deadlines
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.hosts.together import LARGE, SMALL, Together
from mcp_acl.runtime.trace import traceparent_in

_SETTLE: Final = 0.5
_QUIET: Final = 0.02
"""Seconds: how long calls are given to settle, and how long nothing must happen for them to have settled."""
_END_SECONDS: Final = 5.0
"""How long a call may take to end with an error."""
_LOOK: Final = 1.0
"""Seconds between looks at what a watcher of health is told."""
_GRPC_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_SHUTTING_DOWN: Final = Status(Code.UNAVAILABLE, "the service is shutting down")

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_T = TypeVar("_T")
_Run: TypeAlias = Callable[[object, _Context], Awaitable[_T]]


class Calls(grpc.GenericRpcHandler):
    """Every method of a listener by its path. A path that is not here is answered UNIMPLEMENTED by grpcio."""

    def __init__(self, listener: Listener, limits: Limits, health: Health, pool: Executor) -> None:
        self._limits = limits
        self._active = 0
        self._health = health
        self._load = health.load
        self._pool = pool
        self._together: Together[bytes | Status] = Together(outcome_of, listener.batch)
        self._moves = 0
        self._idle: set[asyncio.Task[Any]] = set()
        self._deadlines = Deadlines()
        self._refusing = False
        self._draining = asyncio.Event()
        self._names = listener.names
        served = {path: self._method(one, path) for path, one in listener.table.items()}
        self._traced = {path: one for path, one in listener.table.items() if isinstance(one, Traced)}
        self._methods: Mapping[str, _Method] = {
            **served,
            # Health is asked of a service that has all it can take, too.
            grpc_health.CHECK: grpc.stream_unary_rpc_method_handler(partial(self._unary, health.check)),
            grpc_health.WATCH: grpc.stream_stream_rpc_method_handler(self._counted(self._watch)),
        }
        self._refusals: Mapping[str, _Method] = dict.fromkeys(served, grpc.stream_unary_rpc_method_handler(_refuse))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "_Method | None":
        """The method that a call asks for (grpc.GenericRpcHandler)."""
        self._moves += 1
        path = handler_call_details.method
        traced = self._traced.get(path)
        # Asked for once more, of the call, the metadata would be made once more.
        trace = traceparent_in(handler_call_details.invocation_metadata) if traced is not None else ""
        if traced is None or not trace or self._refusing:
            return self._methods.get(path)
        return self._method(partial(traced.answer, trace), path)

    async def settled(self) -> None:
        """Wait until calls have neither come nor ended for a while, but not for long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLE
        before = -1
        while before != self._moves and loop.time() < until:
            before = self._moves
            await asyncio.sleep(_QUIET)

    def drain(self) -> None:
        """Tell whoever watches health."""
        self._draining.set()

    def refuse(self) -> None:
        """From here on refuse whatever comes, health aside; and end the streams that wait for their client."""
        self._refusing = True
        self._methods = {**self._methods, **self._refusals}
        for task in self._idle:
            task.cancel()

    # ---- methods ---------------------------------------------------------------------------------------------------

    def _method(self, handler: Handler, path: str) -> _Method:
        """A method; if its path has names, for the clients alone whose certificate has one of them."""
        names = self._names.get(path)
        if isinstance(handler, Traced):
            handler = partial(handler.answer, "")
        if isinstance(handler, Streaming):
            stream = self._counted(partial(self._stream, handler))
            return grpc.stream_stream_rpc_method_handler(stream if names is None else _named(names, stream))
        # As one that takes many messages: grpcio never ends a unary call that brings none. A second message is not looked for: to wait
        # for the end of each request costs a seventh of an empty call's time.
        unary = self._counted(
            partial(self._informed, handler) if isinstance(handler, Informed) else partial(self._unary, handler)
        )
        return grpc.stream_unary_rpc_method_handler(unary if names is None else _named(names, unary))

    def _counted(self, run: _Run[_T]) -> _Run[_T]:
        """The same, for no more at once than are taken."""

        async def counted(messages: object, context: _Context) -> _T:
            if self._active >= self._limits.calls:
                self._load.refused += 1
                await _abort(context, Status(Code.RESOURCE_EXHAUSTED, f"more than {self._limits.calls} calls at once"))
            self._active += 1
            self._load.calls += 1
            try:
                return await run(messages, context)
            finally:
                self._active -= 1
                self._load.calls -= 1

        return counted

    async def _informed(self, handler: Informed, messages: object, context: _Context) -> bytes:
        return await self._unary(partial(handler.answer, _metadata(context)), messages, context)

    async def _unary(self, handler: Unary, _: object, context: _Context) -> bytes:
        message = await self._message(context)
        is_small = len(message) < SMALL
        outcome = await (self._together.answer(handler, message) if is_small else self._outcome(handler, message))
        del message  # how a call is ended with an error leaves this frame in a cycle
        if isinstance(outcome, Status):
            await _abort(context, outcome)
        self._moves += 1
        return outcome

    async def _message(self, context: _Context) -> bytes:
        try:
            with self._deadlines.within(self._limits.message_seconds):
                message = await context.read()
        except TimeoutError:
            await _abort(context, Status(Code.DEADLINE_EXCEEDED, "the request did not arrive in time"))
        if message is grpc.aio.EOF:
            await _abort(context, Status(Code.INTERNAL, "the request ended before its message was whole"))
        assert isinstance(message, bytes)
        return message

    async def _stream(self, handler: Streaming, _: object, context: _Context) -> None:
        """Feed each message, and read the next when its answers are written: a client that does not read is not read from."""
        session: Session | Status = outcome_of(lambda _: handler.open(_metadata(context)), b"")
        if isinstance(session, Status):
            await _abort(context, session)
        held = [session]
        del session
        self._load.streams += 1
        try:
            while not held[0].is_over:
                message = await self._next(context)
                if message is grpc.aio.EOF:
                    await self._answer(
                        context, await self._outcome(lambda _: tuple(held[0].close()), b"", held[0].held)
                    )
                    return
                await self._answer(
                    context, await self._outcome(lambda one: tuple(held[0].feed(one)), message, held[0].held)
                )
        finally:
            self._load.streams -= 1
            # Of a call that ended with an error grpcio now and then keeps the frames for as long as the connection lives.
            held.clear()

    async def _next(self, context: _Context) -> Any:
        """The next message of a stream. While this waits, the end of the service ends the call."""
        task = asyncio.current_task()
        assert task is not None
        self._idle.add(task)
        try:
            if not self._refusing:
                return await context.read()
        except asyncio.CancelledError:
            if not self._refusing:
                raise
        finally:
            self._idle.discard(task)
        return await _abort(context, _SHUTTING_DOWN)

    async def _answer(self, context: _Context, outcome: Sequence[bytes] | Status) -> None:
        self._moves += 1
        if isinstance(outcome, Status):
            await _abort(context, outcome)
        for answer in outcome:
            await context.write(answer)

    async def _outcome(self, run: Callable[[bytes], _T], request: bytes, held: int = 0) -> _T | Status:
        if len(request) + held < LARGE:
            return outcome_of(run, request)
        return await asyncio.get_running_loop().run_in_executor(self._pool, outcome_of, run, request)

    async def _watch(self, _: object, context: _Context) -> None:
        """A watcher is told of every change, and let go at the end, so that it does not hold the drain up."""
        request = await self._message(context)
        told = b""
        while True:
            is_last = self._draining.is_set()
            status = outcome_of(self._health.watched, request)
            if isinstance(status, Status):
                await _abort(context, status)
            elif status != told:
                await context.write(status)
                told = status
            if is_last:
                return
            await wait(self._draining, _LOOK)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _named(names: frozenset[str], run: _Run[_T]) -> _Run[_T]:
    async def checked(messages: object, context: _Context) -> _T:
        if names.isdisjoint(_names(context)):
            await _abort(
                context,
                Status(Code.PERMISSION_DENIED, "the client's certificate does not have a name that may call this"),
            )
        return await run(messages, context)

    return checked


def _names(context: _Context) -> set[str]:
    """The names of the client's certificate: of its subject alternative name, never of its subject (RFC 9525 §2).

    gRPC tells them up to a NUL: what stands before one in the certificate is no name.
    """
    found = context.auth_context()
    der = b"".join(ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in found.get("x509_pem_cert", ()))
    names = {name for kind in _NAMES for name in found.get(kind, ())}
    return {name.decode(errors="replace") for name in names if name + b"\0" not in der}


_NAMES: Final = ("peer_dns", "peer_uri")


def _metadata(context: _Context) -> Metadata:
    """What came with the call as text; what is binary is for nobody here."""
    return [(name, value) for name, value in context.invocation_metadata() or () if isinstance(value, str)]


async def _abort(context: _Context, status: Status) -> NoReturn:
    # Of a client that is gone grpcio now and then never says that the status was sent: the call would count for ever.
    async with asyncio.timeout(_END_SECONDS):
        await context.abort(_GRPC_CODES[status.code], status.text)
    raise AssertionError  # abort has raised


async def _refuse(_: object, context: _Context) -> None:
    await _abort(context, _SHUTTING_DOWN)
