"""The client for asyncio. Carries bytes: what they mean is `wire`'s.

A client belongs to the event loop of its first call. Cancelling a task cancels its call.
"""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cached_property
from itertools import count, cycle
from types import TracebackType
from typing import Any

import grpc

from mcp_acl.client import health, wire
from mcp_acl.client.failures import AGAIN, UNKNOWN_SERVICE, check_timeout, closed, cut_off, ended, failure_of, late
from mcp_acl.client.targets import Tls, credentials_of, options_of, targets_of
from mcp_acl.client.values import (
    CutOffError,
    FilteredResponse,
    Question,
    Report,
    UnavailableError,
    Verdict,
)
from mcp_acl.gen import acl_pb2 as pb


class AsyncFilteredStream(AsyncIterator[bytes]):
    """As `FilteredStream`, by `async for`. Await `aclose` if it is not iterated to its end."""

    def __init__(
        self, head: FilteredResponse, pieces: AsyncIterator[tuple[bytes, Report]], close: Callable[[], object]
    ) -> None:
        self.status = head.status
        self.content_type = head.content_type
        self.cause = head.cause
        self.report = head.report
        self._pieces = pieces
        self._close = close
        self._is_cut = False

    async def __anext__(self) -> bytes:
        if self._is_cut:
            raise cut_off()
        try:
            while True:
                piece, report = await anext(self._pieces)
                self.report += report
                if piece:
                    return piece
        except StopAsyncIteration:
            raise
        except BaseException:
            self._is_cut = True
            raise

    async def aclose(self) -> None:
        """Ask for no more."""
        self._is_cut = True
        self._close()


class AsyncClient(AbstractAsyncContextManager["AsyncClient"]):
    """As `Client`, with methods to await, and `async for` over streams."""

    def __init__(
        self, addresses: str | Sequence[str] = "127.0.0.1:9191", *, tls: Tls | None = None, timeout: float = 1.0
    ) -> None:
        self._timeout = check_timeout(timeout)
        self._numbers = count(1)
        self._targets = targets_of(addresses, tls)
        self._credentials = credentials_of(tls)
        self._options = options_of(tls)

    @cached_property
    def _channels(self) -> Sequence[grpc.aio.Channel]:
        """Opened when they are first used, because a channel belongs to the loop that runs then."""
        return [
            grpc.aio.secure_channel(target, self._credentials, self._options)
            if self._credentials
            else grpc.aio.insecure_channel(target, self._options)
            for target in self._targets
        ]

    @cached_property
    def _turns(self) -> Iterator[grpc.aio.Channel]:
        return cycle(self._channels)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Calls that are begun end without an answer."""
        for channel in self._channels:
            await channel.close()

    # ---- decisions --------------------------------------------------------------------------------------------------

    async def check(self, question: Question) -> Verdict:
        """As `Client.check`."""
        request = wire.check_request(question)
        try:
            return wire.verdict_of(question, await self._ask(wire.PATHS["Check"], request))
        except UnavailableError as error:
            return wire.denied(question, error)

    async def check_stream(self, questions: AsyncIterable[Question] | Iterable[Question]) -> AsyncIterator[Verdict]:
        """As `Client.check_stream`."""
        turns: _Turns | None = None
        try:
            async for question in _each(questions):
                turns, verdict = await self._check_in(turns, question)
                yield verdict
        finally:
            if turns is not None:
                turns.close()

    async def _check_in(
        self, turns: "_Turns | None", question: Question, *, again: bool = True
    ) -> "tuple[_Turns | None, Verdict]":
        """The verdict, and the call to go on with."""
        sequence = next(self._numbers)
        request = wire.check_request(question, sequence)
        try:
            turns = turns or self._open("CheckStream")
            return turns, wire.verdict_of(question, await turns.ask(request), sequence)
        except UnavailableError as error:
            if turns is not None:
                turns.close()
            if again and error.code in AGAIN:
                return await self._check_in(None, question, again=False)
            return None, wire.denied(question, error)

    # ---- responses --------------------------------------------------------------------------------------------------

    async def filter(
        self, of: Verdict | bytes, content_type: str, body: bytes, status: int = 200, *, report_hidden: bool = False
    ) -> FilteredResponse:
        """As `Client.filter`."""
        response = FilteredResponse(status, content_type, body)
        context = wire.context_for(of, content_type)
        if context is None:
            return response
        request = wire.filter_request(context, response, report_hidden=report_hidden)
        try:
            return wire.filtered_of(of, response, await self._ask(wire.PATHS["FilterResponse"], request))
        except UnavailableError as error:
            return wire.withheld(of, response, error)

    async def filter_stream(
        self,
        of: Verdict | bytes,
        content_type: str,
        pieces: AsyncIterable[bytes] | Iterable[bytes],
        status: int = 200,
        *,
        report_hidden: bool = False,
    ) -> AsyncFilteredStream:
        """As `Client.filter_stream`. Await it for the head, then iterate."""
        response = FilteredResponse(status, content_type, b"")
        context = wire.context_for(of, content_type)
        if context is None:
            return AsyncFilteredStream(response, _untouched(pieces), _nothing)
        start = wire.start_request(context, response, report_hidden=report_hidden)
        turns: _Turns | None = None
        try:
            turns = self._open("FilterStream")
            head, first = wire.head_of(await turns.ask(start))
        except UnavailableError as error:
            if turns is not None:
                turns.close()
            instead = wire.withheld(of, response, error)
            return AsyncFilteredStream(instead, _untouched([instead.body]), _nothing)
        return AsyncFilteredStream(head, _filtered(turns, first, pieces), turns.close)

    # ---- for people -------------------------------------------------------------------------------------------------

    async def explain(self, question: Question) -> pb.ExplainResponse:
        """As `Client.explain`."""
        answer = await self._ask(wire.PATHS["Explain"], wire.explain_request(question))
        return wire.read_answer(pb.ExplainResponse, answer)

    async def policy_set(self) -> pb.GetPolicySetResponse:
        """As `Client.policy_set`."""
        return wire.read_answer(pb.GetPolicySetResponse, await self._ask(wire.PATHS["GetPolicySet"], b""))

    async def healthy(self, service: str = "") -> bool:
        """As `Client.healthy`."""
        try:
            return health.is_serving(await self._ask(health.PATH, health.request_for(service)))
        except UnavailableError as error:
            if error.code == UNKNOWN_SERVICE:
                raise health.unknown(service) from error
            raise

    # ---- calls ------------------------------------------------------------------------------------------------------

    async def _ask(self, path: str, request: bytes) -> bytes:
        """One answer; asked a second time, of the next worker, if the first is not there. Raises MisuseError, UnavailableError."""
        until = time.monotonic() + self._timeout
        try:
            return await self._once(path, request, until)
        except UnavailableError as error:
            if error.code not in AGAIN:
                raise
        return await self._once(path, request, until)

    async def _once(self, path: str, request: bytes, until: float) -> bytes:
        call: Any = next(self._turns).unary_unary(path)
        try:
            with _while_open():
                answer: bytes | None = await call(request, timeout=until - time.monotonic())
        except grpc.aio.AioRpcError as error:
            raise failure_of(error.code(), error.details()) from error
        if answer is None:
            raise ended()
        return answer

    def _open(self, method: str) -> "_Turns":
        call: Any = next(self._turns).stream_stream(wire.PATHS[method])
        with _while_open():
            return _Turns(call(), self._timeout)


class _Turns:
    """A call in which a request and its answer take turns."""

    def __init__(self, call: Any, timeout: float) -> None:
        self._call = call
        self._timeout = timeout

    async def ask(self, request: bytes) -> bytes:
        """The answer to a request. A call without one is closed. Raises MisuseError, UnavailableError."""
        try:
            answer = await self._next(self._asked(request))
            if answer is None:
                raise ended()
        except BaseException:
            self.close()
            raise
        return answer

    async def end(self) -> AsyncIterator[bytes]:
        """The answers that are due after the last request. Raises UnavailableError."""
        await self._next(self._call.done_writing())
        while (answer := await self._next(self._read())) is not None:
            yield answer

    def close(self) -> None:
        self._call.cancel()

    async def _asked(self, request: bytes) -> bytes | None:
        await self._call.write(request)
        return await self._read()

    async def _read(self) -> bytes | None:
        answer = await self._call.read()
        return None if answer is grpc.aio.EOF else answer

    async def _next(self, step: Awaitable[bytes | None]) -> bytes | None:
        try:
            with _while_open():
                async with asyncio.timeout(self._timeout):
                    return await step
        except TimeoutError as error:
            raise late(self._timeout) from error
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            # Of a call that has ended before: grpcio says here only that it has.
            raise failure_of(await self._call.code(), await self._call.details()) from error


@contextmanager
def _while_open() -> Iterator[None]:
    """Raises UnavailableError if the client is closed meanwhile. grpcio then cancels the task that waits, which nobody else did."""
    try:
        yield
    except grpc.aio.UsageError as error:
        raise closed() from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise closed() from error


async def _filtered(
    turns: _Turns, first: tuple[bytes, Report], pieces: AsyncIterable[bytes] | Iterable[bytes]
) -> AsyncIterator[tuple[bytes, Report]]:
    """What is to be sent of each piece, up to the end or to a refusal, which has its error with it."""
    try:
        yield first
        async for answer in _answers(turns, first, pieces):
            yield answer
            if answer[1].refused:
                return
    except UnavailableError as error:
        raise CutOffError(f"cut the response off, its end did not come: {error}") from error
    finally:
        turns.close()


async def _answers(
    turns: _Turns, first: tuple[bytes, Report], pieces: AsyncIterable[bytes] | Iterable[bytes]
) -> AsyncIterator[tuple[bytes, Report]]:
    if first[1].refused:
        return
    async for piece in _each(pieces):
        for request in wire.piece_requests(piece):
            yield wire.piece_of(await turns.ask(request))
    async for answer in turns.end():
        yield wire.piece_of(answer)


async def _untouched(pieces: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncIterator[tuple[bytes, Report]]:
    async for piece in _each(pieces):
        yield piece, Report()


async def _each(items: Any) -> AsyncIterator[Any]:
    """What is iterated in either way."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _nothing() -> None:
    """There is no call to close."""
