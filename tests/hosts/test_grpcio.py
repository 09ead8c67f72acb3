"""The default host beyond its calls: health, signals, the drain, the address. In this process, on loopback."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Handler
from mcp_acl.adapters.health import Health
from mcp_acl.hosts import grpcio, grpcio_calls
from mcp_acl.hosts.listening import Limits, Listener, ListenError
from mcp_acl.runtime.address import parse_address
from tests.hosts.faults import FAULTS

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
HEALTH = "/grpc.health.v1.Health"
FORMS = (health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)
SECONDS = 10.0


class Running:
    """A host that is running: where, and its task."""

    def __init__(self, address: str, task: "asyncio.Task[None]") -> None:
        self.address = address
        self.task = task
        self.channel = grpc.aio.insecure_channel(address)

    async def health(self, service: str = "") -> int:
        call = self.channel.unary_unary(f"{HEALTH}/Check", *FORMS)
        return int((await call(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)).status)

    async def watch(self, service: str = "") -> AsyncIterator[int]:
        call = self.channel.unary_stream(f"{HEALTH}/Watch", *FORMS)
        async for response in call(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS):
            yield int(response.status)

    async def echo(self, message: bytes) -> bytes:
        call: Any = self.channel.unary_unary("/test.Echo/Echo")
        answer: bytes = await call(message, timeout=SECONDS)
        return answer

    async def until_refused(self, begun: asyncio.Event | None = None) -> tuple[int, grpc.StatusCode]:
        """How many calls, one after the other, were answered, and how the first ended that was not. `begun`: the first one has ended."""
        for number in count():
            try:
                await self.echo(b"x")
            except grpc.aio.AioRpcError as error:
                return number, error.code()
            finally:
                if begun:
                    begun.set()
        raise AssertionError

    async def begun(self) -> None:
        """A call that does not end until it is cancelled."""
        call: Any = self.channel.stream_unary("/test.Echo/Echo")
        await call(self._never(), timeout=SECONDS)

    async def _never(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(SECONDS)
        yield b""

    async def ended(self) -> None:
        """Wait for the end of a host that was told to stop."""
        await asyncio.wait_for(self.task, SECONDS)


@asynccontextmanager
async def running(
    address: str = "127.0.0.1:0", drain: float = 0.0, handler: Handler = lambda body: body
) -> AsyncIterator[Running]:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    listener = Listener(parse_address(address), {"/test.Echo/Echo": handler})
    task = asyncio.ensure_future(
        grpcio.run([listener], Limits(), Health(), drain, lambda told: bound.set_result(told[0]))
    )
    waiting: set[asyncio.Future[Any]] = {bound, task}
    await asyncio.wait(waiting, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    one = Running(await bound, task)
    try:
        yield one
    finally:
        await one.channel.close()
        if not task.done():
            stop()
            stop()
            await one.ended()


def files(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def stop(sign: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), sign)


def test_port_0_is_any_free_one_and_is_told() -> None:
    async def scene() -> None:
        async with running() as one:
            assert not one.address.endswith(":0")
            assert b"x" == await one.echo(b"x")

    asyncio.run(scene())


def test_socket_file_is_served(tmp_path: Path) -> None:
    async def scene() -> None:
        address = f"unix:{tmp_path}/acl.sock"
        async with running(address) as one:
            assert (address, b"x") == (one.address, await one.echo(b"x"))

    asyncio.run(scene())


def test_address_in_use_is_refused_and_never_shared() -> None:
    async def scene() -> None:
        async with running() as one:
            with pytest.raises(ListenError, match="in use"):
                async with running(one.address):
                    pass
            assert b"x" == await one.echo(b"x")

    asyncio.run(scene())


def test_socket_file_in_use_is_refused_and_never_taken_over(tmp_path: Path) -> None:
    async def scene() -> None:
        address = f"unix:{tmp_path}/acl.sock"
        async with running(address) as one:
            with pytest.raises(ListenError, match="in use"):
                async with running(address):
                    pass
            assert b"x" == await one.echo(b"x")

    asyncio.run(scene())


def test_socket_file_of_a_process_that_has_ended_is_used_again(tmp_path: Path) -> None:
    async def scene() -> None:
        file = tmp_path / "acl.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(file))
        assert file.is_socket()
        async with running(f"unix:{file}") as one:
            assert b"x" == await one.echo(b"x")
        assert not file.exists()

    asyncio.run(scene())


def test_socket_file_of_the_next_process_is_left_alone_by_one_that_is_ending(tmp_path: Path) -> None:
    async def scene() -> None:
        address = f"unix:{tmp_path}/acl.sock"
        async with running(address) as old:
            waiting = asyncio.ensure_future(old.begun())
            await asyncio.sleep(0.1)
            stop()
            while (tmp_path / "acl.sock").exists():  # noqa: ASYNC110 - another task deletes it, and tells nobody
                await asyncio.sleep(0.01)
            async with running(address) as new:
                assert not old.task.done()
                waiting.cancel()
                await old.ended()
                assert b"x" == await new.echo(b"x")

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["a%20b.sock", "a b?#.sock", "größe.sock"])
def test_path_of_a_socket_file_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    async def scene() -> None:
        async with running(f"unix:{tmp_path}/{name}"):
            assert {name} == files(tmp_path)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere/acl.sock", "there is no directory `.*nowhere`"),
        ("file", "it is there, and no socket"),
        ("file/acl.sock", "not a directory"),
        ("datagrams", "wrong type"),
    ],
)
def test_socket_file_that_cannot_be_used_says_why(tmp_path: Path, name: str, why: str) -> None:
    async def scene() -> None:
        (tmp_path / "file").touch()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(tmp_path / "datagrams"))
            with pytest.raises(ListenError, match=why):
                async with running(f"unix:{tmp_path}/{name}"):
                    pass
        assert {"file", "datagrams"} == files(tmp_path)

    asyncio.run(scene())


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_serving(service: str) -> None:
    async def scene() -> None:
        async with running() as one:
            assert SERVING == await one.health(service)

    asyncio.run(scene())


def test_health_of_a_service_that_is_not_here_is_not_found() -> None:
    async def scene() -> None:
        async with running() as one:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one.health("other.Service")
            assert grpc.StatusCode.NOT_FOUND is caught.value.code()
            assert health_pb2.HealthCheckResponse.SERVICE_UNKNOWN == await anext(one.watch("other.Service"))

    asyncio.run(scene())


@pytest.mark.parametrize("method", ["Check", "Watch"])
def test_health_is_not_asked_without_a_message(method: str) -> None:
    async def scene() -> None:
        async with running() as one:
            call: Any = one.channel.stream_stream(f"{HEALTH}/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await anext(aiter(call(iter([]), timeout=SECONDS)))
            assert grpc.StatusCode.INTERNAL is caught.value.code()

    asyncio.run(scene())


def test_second_message_of_a_call_is_not_looked_for() -> None:
    async def scene() -> None:
        async with running() as one:
            call: Any = one.channel.stream_unary("/test.Echo/Echo")
            assert b"first" == await call(iter([b"first", b"second"]), timeout=SECONDS)

    asyncio.run(scene())


def test_everybody_else_is_answered_while_a_large_request_is_worked_on() -> None:
    others_are_answered = threading.Event()

    def held(body: bytes) -> bytes:
        assert len(body) == 1 or others_are_answered.wait(SECONDS)
        return body

    async def scene() -> None:
        async with running(handler=held) as one:
            large = asyncio.ensure_future(one.echo(bytes(1_000_000)))
            await asyncio.sleep(0.1)
            assert (SERVING, b"x") == (await one.health(), await one.echo(b"x"))
            others_are_answered.set()
            assert 1_000_000 == len(await large)

    asyncio.run(scene())


@pytest.mark.parametrize("error", FAULTS.values(), ids=list(FAULTS))
def test_error_of_a_large_request_is_a_status_whatever_it_is(error: Callable[[], BaseException]) -> None:
    def wrong(_: bytes) -> bytes:
        raise error()

    async def scene() -> None:
        async with running(handler=wrong) as one:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one.echo(bytes(1_000_000))
            assert grpc.StatusCode.INTERNAL is caught.value.code()
            assert SERVING == await one.health()

    asyncio.run(scene())


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_host(sign: signal.Signals) -> None:
    async def scene() -> None:
        async with running() as one:
            stop(sign)
            await one.ended()

    asyncio.run(scene())


def test_host_that_drains_answers_and_says_that_it_is_not_serving() -> None:
    async def scene() -> None:
        async with running(drain=60.0) as one:
            watch = one.watch()
            assert SERVING == await anext(watch)
            stop()
            assert NOT_SERVING == await anext(watch)
            assert (NOT_SERVING, b"x") == (await one.health(), await one.echo(b"x"))
            assert [] == [status async for status in watch]
            stop()
            await one.ended()

    asyncio.run(scene())


def test_calls_at_the_end_are_answered_or_refused_and_never_cancelled() -> None:
    async def scene() -> None:
        async with running() as one:
            begun = [asyncio.Event() for _ in range(64)]
            clients = [asyncio.ensure_future(one.until_refused(each)) for each in begun]
            await asyncio.gather(*(each.wait() for each in begun))
            stop()
            ended = await asyncio.gather(*clients)
            await one.ended()
        assert {grpc.StatusCode.UNAVAILABLE} == {code for _, code in ended}
        assert all(answered for answered, _ in ended)

    asyncio.run(scene())


def test_calls_that_have_arrived_are_answered_before_the_end() -> None:
    def brief(body: bytes) -> bytes:
        if body == b"signal":
            stop()
        time.sleep(0.002)
        return body

    async def scene() -> None:
        async with running(handler=brief) as one:
            sent = [b"signal", *[b"%d" % number for number in range(50)]]
            assert sent == await asyncio.gather(*map(one.echo, sent))
            await one.ended()

    asyncio.run(scene())


def test_health_is_answered_while_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpcio_calls, "_QUIET", 0.2)

    async def scene() -> None:
        async with running() as one:
            watch = one.watch()
            await anext(watch)
            stop()
            await anext(watch)
            assert grpc.StatusCode.UNAVAILABLE is (await one.until_refused())[1]
            assert NOT_SERVING == await one.health()
            await one.ended()

    asyncio.run(scene())


def test_watcher_does_not_hold_the_end_up() -> None:
    async def scene() -> None:
        async with running() as one:
            watch = one.watch()
            await anext(watch)
            stop()
            started = asyncio.get_running_loop().time()
            await one.ended()
            assert asyncio.get_running_loop().time() - started < grpcio.GRACE

    asyncio.run(scene())


def test_listener_that_ended_is_begun_again_until_its_address_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpcio, "_AGAIN", 0.01)
    bind, tries = grpcio._Server.bind, []

    def taken(self: Any) -> str:
        tries.append(self)
        if 1 < len(tries) < 4:
            raise ListenError("it is in use")
        return bind(self)

    monkeypatch.setattr(grpcio._Server, "bind", taken)

    async def scene() -> None:
        async with running() as one:
            await tries[0]._server.stop(None)
            call: Any = one.channel.unary_unary("/test.Echo/Echo")
            assert b"x" == await call(b"x", timeout=SECONDS, wait_for_ready=True)
        assert 4 == len(tries)

    asyncio.run(scene())
