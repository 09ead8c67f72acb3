"""What an attacker tried on every host, and what must come of it."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.events import DataReceived, ResponseReceived, TrailersReceived

from mcp_acl.hosts.asgi_answer import Answer
from mcp_acl.hosts.framing import CallError, Frames, framed
from tests.certificates import Certified
from tests.hosts.clients import credentials
from tests.hosts.conftest import HOSTS
from tests.hosts.running import CLIENT_NAME, channel_to, python_of, running
from tests.service.hostile import Peer, connected
from tests.service.started import until

SECONDS = 20.0


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def command(host: str, **told: object) -> list[str]:
    return [python_of(host), "-m", "tests.hosts.service", host, json.dumps(told)]


def test_path_that_is_not_utf8_ends_that_call_alone(host: str, tmp_path: Path) -> None:
    with running(command(host), tmp_path / "log") as address:
        for _ in range(3):
            with reached(address) as raw:
                peer = Peer(raw)
                peer.begin_at(b"/a.B/\xff")
                raw.recv(65536)
            with grpc.insecure_channel(address) as channel:
                until(lambda: grpc.StatusCode.OK is status(channel))


@contextmanager
def reached(address: str) -> Iterator[socket.socket]:
    """A connection, once there is one to be had: between a listener that ended by itself and the next there is none."""
    end = time.monotonic() + SECONDS
    while True:
        with suppress(ConnectionRefusedError), connected(address) as raw:
            yield raw
            return
        assert time.monotonic() < end
        time.sleep(0.01)


def status(channel: grpc.Channel) -> grpc.StatusCode:
    """How a call ends."""
    call: Any = channel.unary_unary("/test.Echo/Echo")
    code: grpc.StatusCode = call.future(b"x", timeout=SECONDS, wait_for_ready=True).code()
    return code


@pytest.mark.parametrize("name", [CLIENT_NAME + "\0.evil.test", "spiffe://x\0y"])
def test_name_with_a_nul_is_not_the_name_before_it(host: str, name: str, tmp_path: Path) -> None:
    one = Certified(tmp_path)
    files = {"cert": str(one.cert), "key": str(one.key), "client_ca": str(one.client_ca)}
    with (
        running(command(host, **files, names=[CLIENT_NAME, "spiffe://x"]), tmp_path / "log") as address,
        grpc.secure_channel(address, credentials(one, name)) as channel,
    ):
        echo: Any = channel.unary_unary("/test.Echo/Echo")
        with pytest.raises(grpc.RpcError) as caught:
            echo(b"x", timeout=SECONDS)
        assert isinstance(caught.value, grpc.Call)
        assert grpc.StatusCode.PERMISSION_DENIED is caught.value.code()


def test_many_calls_that_end_before_their_answer_cost_their_connection_nothing(host: str, tmp_path: Path) -> None:
    with channel_to(host, "tcp", tmp_path) as channel:
        slow: Any = channel.unary_unary("/test.Echo/Slow")
        echo: Any = channel.unary_unary("/test.Echo/Echo")
        assert b"x" == echo(b"x", timeout=SECONDS, wait_for_ready=True)
        begun = [slow.future(b"x", timeout=SECONDS) for _ in range(3)]
        for call in [echo.future(b"x", timeout=SECONDS) for _ in range(900)]:
            call.cancel()
        assert [b"x"] * 3 == [call.result() for call in begun]
        assert b"x" == echo(b"x", timeout=SECONDS)


def test_message_before_one_that_is_too_long_is_given() -> None:
    frames = Frames(100, b"identity")
    frames.feed(framed(b"first") + b"\0\0\1\0\0")
    assert b"first" == frames.next()
    with pytest.raises(CallError):
        frames.next()


def test_answer_that_is_cut_in_its_body_is_a_reset() -> None:
    async def scene() -> None:
        async def send(event: Any) -> None:
            if event["type"] == "http.response.body":
                await asyncio.sleep(60)

        answer = Answer(send)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answer.last(b"x")
        assert answer.is_cut

    asyncio.run(scene())


def test_health_is_answered_by_a_service_that_has_all_it_can_take(host: str, tmp_path: Path) -> None:
    with running(command(host, calls=2), tmp_path / "log") as address, connected(address) as raw:
        peer = Peer(raw)
        for _ in range(2):
            peer.send(peer.begin_at(b"/test.Stream/Echo"), framed(b"x"))
            answered(peer)
        with grpc.insecure_channel(address) as channel:
            health: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert grpc.StatusCode.RESOURCE_EXHAUSTED is status(channel)
            assert health(b"", timeout=SECONDS)


def answered(peer: Peer) -> None:
    """Wait for an answer: a call that has one is taken."""
    while not any(isinstance(event, DataReceived) for event in peer.read()):
        continue


def test_stream_that_ends_inside_a_message_is_an_error_where_that_can_be_told(tmp_path: Path) -> None:
    with running(command("envoy"), tmp_path / "log") as address, connected(address) as raw:
        raw.settimeout(SECONDS)
        peer = Peer(raw)
        peer.send(peer.begin("CheckStream"), framed(b"\x0a\x01x")[:-1], end=True)
        status = b""
        while not status:
            for event in peer.read():
                if isinstance(event, ResponseReceived | TrailersReceived):
                    found = {bytes(name): bytes(value) for name, value in event.headers or ()}
                    status = found.get(b"grpc-status", status)
        assert b"13" == status
