"""gRPC over ASGI: a table of handlers for servers that speak HTTP/2, pass trailers on and take back-pressure from `send`.

Knows no policy and no process. Its one strategy: everything about a call happens inside a guard that nothing passes, and OK is sent in
one place, after the last answer. So a call can neither end with status 0 that was not answered, nor without a status (gRPC over HTTP/2,
"Responses"). Errors before the first answer are sent as trailers-only.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from mcp_acl.adapters import health as grpc_health
from mcp_acl.adapters.handlers import Informed, Metadata, Session, Streaming, Table, Traced, Unary
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.status import Code, Status, outcome_of, status_of
from mcp_acl.hosts.asgi_answer import Answer, ClientGoneError, Send
from mcp_acl.hosts.deadlines import Deadlines
from mcp_acl.hosts.framing import CallError, Frames, is_call, timeout_of
from mcp_acl.hosts.listening import Limits
from mcp_acl.hosts.together import ALONE, LARGE, MOST, SMALL, Together
from mcp_acl.runtime.trace import HEADER

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Given: TypeAlias = Iterable[tuple[bytes, bytes]]
_T = TypeVar("_T")

_LOG: Final = logging.getLogger("mcp_acl")
_LOOK: Final = 1.0
"""Seconds between looks at what a watcher of health is told."""
_END_SECONDS: Final = 1.0
"""How long a client may keep its flow control closed to the status of its call, after which the stream is reset."""


class Application:
    """An ASGI application that serves a table to one listener. `drain` and `refuse` may be called from any thread."""

    def __init__(
        self, table: Table, limits: Limits, health: Health, batch: AbstractContextManager[object] = ALONE
    ) -> None:
        self._table = {path.encode(): handler for path, handler in table.items()}
        self._limits = limits
        self._health = health
        self._load = health.load
        self._pool = ThreadPoolExecutor(1, "large")
        self._active = 0
        self._idle: set[asyncio.Task[Any]] = set()
        self._refusing = False
        self._draining = asyncio.Event()
        self._deadlines = Deadlines()
        self._together: Together[bytes | Status] = Together(outcome_of, batch)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, or the life of the server (ASGI 3).

        What leaves here of a call has no status yet: nothing does, unless messages were sent, so that it becomes a reset.
        """
        if scope["type"] != "http":
            return await _lifespan(scope, receive, send)
        answer = Answer(send)
        self._loop = asyncio.get_running_loop()
        self._active += 1
        self._load.calls += 1
        try:
            status = await self._served(scope, receive, answer)
            if not answer.has_ended:
                async with asyncio.timeout(_END_SECONDS):
                    await answer.end(status)
        except ClientGoneError:
            _LOG.debug("the client of a call is gone")
            return None
        except BaseException as error:  # noqa: BLE001 - an error that leaves here may be sent to the client as status 0
            _LOG.error("a call could not be ended", exc_info=error)
        finally:
            self._active -= 1
            self._load.calls -= 1
        if answer.is_cut:
            raise RuntimeError("the client of a call has not taken its status")
        return None

    def drain(self) -> None:
        """Tell whoever watches health."""
        self._soon(self._draining.set)

    def refuse(self) -> None:
        """From here on refuse whatever comes, health aside; and end the streams that wait for their client."""
        self._refusing = True
        self._soon(self._end_idle)

    def _soon(self, run: Callable[[], None]) -> None:
        if self._loop is None:
            run()
        else:
            self._loop.call_soon_threadsafe(run)

    def _end_idle(self) -> None:
        for task in tuple(self._idle):
            task.cancel()

    # ---- a call ----------------------------------------------------------------------------------------------------

    async def _served(self, scope: Scope, receive: Receive, answer: Answer) -> Status | None:
        """Serve a call: how it ends, whatever happens, or None if it is no gRPC call."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not is_call(scope["method"], headers):
            return None
        try:
            seconds = self._admitted(scope["raw_path"], headers)
            messages = _Messages(receive, Frames(self._limits.request, headers.get(b"grpc-encoding", b"identity")))
            if seconds is None:
                await self._method(scope, messages, answer)
            else:
                await self._within(seconds, scope, messages, answer)
        except ClientGoneError:
            raise
        except CallError as error:
            return error.status
        except BaseException as error:  # noqa: BLE001 - SystemExit and a cancelled task included
            return status_of(error)
        return _OK

    def _admitted(self, path: bytes, headers: Mapping[bytes, bytes]) -> float | None:
        """The time that the client gives. Raises CallError for a call that is not served, whatever it asks for."""
        if headers.get(b"te") != b"trailers":
            raise CallError(Code.INTERNAL, "the header `te: trailers` is missing, so that a status would be lost")
        # Health is asked of a service that has all it can take, too.
        if self._active > self._limits.calls and path != _CHECK:
            self._load.refused += 1
            raise CallError(Code.RESOURCE_EXHAUSTED, f"more than {self._limits.calls} calls at once")
        return timeout_of(headers)

    async def _within(self, seconds: float, scope: Scope, messages: "_Messages", answer: Answer) -> None:
        try:
            with self._deadlines.within(seconds) as deadline:
                await self._method(scope, messages, answer)
        except TimeoutError:
            if not deadline.has_expired:
                raise
            raise CallError(Code.DEADLINE_EXCEEDED, "the call took longer than its client gives") from None

    async def _method(self, scope: Scope, messages: "_Messages", answer: Answer) -> None:
        path = scope["raw_path"]
        handler = self._health.check if path == _CHECK else self._table.get(path)
        if handler is None:
            if path == _WATCH:
                return await self._watch(messages, answer)
            raise CallError(Code.UNIMPLEMENTED, "there is no such method")
        if self._refusing and path != _CHECK:
            raise _shutting_down()
        if isinstance(handler, Streaming):
            self._load.streams += 1
            try:
                return await self._stream(handler, _metadata(scope["headers"]), messages, answer)
            finally:
                self._load.streams -= 1
        message = await self._message(messages)
        handler = _told(handler, scope["headers"])
        if len(message) >= SMALL:
            return await answer.last(await self._run(handler, message))
        outcome = await self._together.answer(handler, message)
        if isinstance(outcome, Status):
            raise CallError(*outcome)
        return await answer.last(outcome)

    async def _message(self, messages: "_Messages") -> bytes:
        try:
            with self._deadlines.within(self._limits.message_seconds) as deadline:
                return await messages.only()
        except TimeoutError:
            if not deadline.has_expired:
                raise
            raise CallError(Code.DEADLINE_EXCEEDED, "the request did not arrive in time") from None

    async def _stream(self, handler: Streaming, metadata: Metadata, messages: "_Messages", answer: Answer) -> None:
        """Feed each message, when the answers to the one before are taken: a client that does not read is not worked for."""
        session: Session = _run(lambda _: handler.open(metadata), b"")
        while not session.is_over:
            message = await self._next(messages)
            await answer.taken()
            if message is None:
                return await _last(answer, await self._run(lambda _: session.close(), b"", session.held))
            answers, error = await self._fed(session, message, messages)
            if error is None and session.is_over:
                return await _last(answer, answers)
            await answer.messages(answers)
            if error is not None:
                raise error
        return None

    async def _fed(self, session: Session, first: bytes, messages: "_Messages") -> tuple[list[bytes], CallError | None]:
        """The answers to a message, and to small ones that have come with it: each thing that is sent costs more than most answers."""
        message: bytes | None = first
        answers: list[bytes] = []
        fed = 0
        try:
            while message is not None:
                answers += await self._run(session.feed, message, session.held)
                fed += 1
                is_more = fed < MOST and len(message) < SMALL and not (session.is_over or session.held)
                message = messages.next() if is_more else None
        except CallError as error:
            return answers, error
        return answers, None

    async def _next(self, messages: "_Messages") -> bytes | None:
        """The next message of a stream, or None at the end. Raises CallError. While this waits, the end of the service ends the call."""
        while (message := messages.next()) is None and not messages.has_ended:
            task = asyncio.current_task()
            assert task is not None
            self._idle.add(task)
            try:
                if self._refusing:
                    raise _shutting_down()
                await messages.more()
            except asyncio.CancelledError:
                if self._refusing:
                    raise _shutting_down() from None
                raise
            finally:
                self._idle.discard(task)
        return message

    async def _run(self, run: Callable[[bytes], _T], request: bytes, held: int = 0) -> _T:
        if len(request) + held < LARGE:
            return _run(run, request)
        return await asyncio.get_running_loop().run_in_executor(self._pool, _run, run, request)

    async def _watch(self, messages: "_Messages", answer: Answer) -> None:
        """A watcher is told of every change, and let go at the end, so that it does not hold the drain up."""
        request = await self._message(messages)
        told = b""
        while True:
            is_last = self._draining.is_set()
            status = _run(self._health.watched, request)
            if status != told:
                await answer.message(status)
                await answer.taken()
                told = status
            if is_last:
                return
            await _wait(self._draining, _LOOK)
            await messages.check_client()


class _Messages:
    """What arrives on a call."""

    def __init__(self, receive: Receive, frames: Frames) -> None:
        self._receive = receive
        self._frames = frames
        self.has_ended = False

    async def only(self) -> bytes:
        """The body as exactly one message. Raises CallError."""
        while await self.more():
            if self._frames.has_more_than_one():
                break
        return self._frames.only()

    def next(self) -> bytes | None:
        """The next message, or None if it has not come, or none comes any more. Raises CallError."""
        message = self._frames.next()
        if message is None and self.has_ended:
            self._frames.end()
        return message

    async def check_client(self) -> None:
        """Raise ClientGoneError if it is. After the end of the body alone, and not often: what is asked answers at once, every time."""
        if (await self._receive())["type"] == "http.disconnect":
            raise ClientGoneError

    async def more(self) -> bool:
        """Take what comes next. Raises CallError."""
        event = await self._receive()
        if event["type"] != "http.request":
            raise ClientGoneError
        self.has_ended = not event.get("more_body", False)
        self._frames.feed(event.get("body", b""))
        return not self.has_ended


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        return
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


def _run(run: Callable[[bytes], _T], request: bytes) -> _T:
    """What a handler gives; whatever error it ends with is a status."""
    outcome = outcome_of(run, request)
    if isinstance(outcome, Status):
        raise CallError(*outcome)
    return outcome


async def _last(answer: Answer, messages: Sequence[bytes]) -> None:
    """Send what is said last, and OK with the very last of it. OK alone is for whoever ends the call."""
    for number, one in enumerate(messages, 1):
        await (answer.last(one) if number == len(messages) else answer.message(one))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _metadata(headers: _Given) -> Metadata:
    """What came with the call as text; what is binary is for nobody here."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if not name.endswith(b"-bin")]


def _told(handler: Unary | Informed | Traced, headers: _Given) -> Unary:
    """A handler that knows of the call what it is to know."""
    if isinstance(handler, Traced):
        return partial(handler.answer, _traceparent(headers))
    return partial(handler.answer, _metadata(headers)) if isinstance(handler, Informed) else handler


def _traceparent(headers: _Given) -> str:
    """As `traceparent_in`, of bytes."""
    found = [value for name, value in headers if name == _TRACE]
    return b",".join(found).decode("latin-1") if found else ""


def _shutting_down() -> CallError:
    return CallError(Code.UNAVAILABLE, "the service is shutting down")


_OK: Final = Status(Code.OK)
_TRACE: Final = HEADER.encode()
_CHECK: Final = grpc_health.CHECK.encode()
_WATCH: Final = grpc_health.WATCH.encode()
