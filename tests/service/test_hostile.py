"""Hostile clients: what they cost is bounded, and others are still served."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.events import ResponseReceived, TrailersReceived

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.client import Client, MisuseError, Question, UnavailableError
from mcp_acl.gen import acl_pb2 as pb
from tests.hosts.conftest import HOSTS
from tests.runtime.weather import WEATHER, body, call
from tests.service.hostile import Peer, connected, framed
from tests.service.started import serving, until

MIB = 1024 * 1024


class Target:
    """A service, and what it takes of the machine."""

    def __init__(self, address: str, pid: int) -> None:
        self.address = address
        self._pid = pid
        self._before = self.memory()

    def memory(self) -> int:
        """Resident bytes of the process and of its children."""
        statuses = [path.read_text() for path in Path("/proc").glob("[0-9]*/status")]
        own = [text for text in statuses if f"\nPid:\t{self._pid}\n" in text or f"\nPPid:\t{self._pid}\n" in text]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) * 1024 for text in own)

    @property
    def grown(self) -> int:
        return self.memory() - self._before

    def serves_others(self) -> bool:
        with Client(self.address, timeout=10) as client:
            return bool(client.check(Question("weather", call("forecast", city="Oslo"))))


@pytest.fixture(scope="module", params=HOSTS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """One for all: what a test leaves behind is the next one's trouble."""
    policies = tmp_path_factory.mktemp("policies")
    (policies / "weather.yaml").write_text(WEATHER)
    flags = ["--listen", "127.0.0.1:0", "--message-timeout", "2", "--max-calls", "300"]
    with serving(policies, *flags, host=request.param) as (_, told):
        yield told["listening"][0], told["pids"][0]


@pytest.fixture
def target(service: tuple[str, int]) -> Target:
    return Target(*service)


def test_thousand_idle_connections(target: Target) -> None:
    with ExitStack() as open_ones:
        for number in range(1000):
            raw = open_ones.enter_context(connected(target.address))
            if number % 2:
                Peer(raw)
        assert target.serves_others()
        assert target.grown < 100 * MIB


def test_calls_that_are_begun_and_not_ended_are_ended(target: Target) -> None:
    with connected(target.address) as raw:
        peer = Peer(raw)
        streams = {peer.begin() for _ in range(100)}
        for stream in list(streams)[::2]:
            peer.send(stream, framed(b"x" * 10, 1000)[:-5])
        assert target.serves_others()
        statuses: dict[int, str] = {}
        while streams - statuses.keys():
            for event in peer.read():
                if isinstance(event, (ResponseReceived, TrailersReceived)):
                    assert event.headers is not None
                    headers = {bytes(name): bytes(value) for name, value in event.headers}
                    if b"grpc-status" in headers:
                        statuses[event.stream_id or 0] = headers[b"grpc-status"].decode()
        assert {str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])} == set(statuses.values())


def test_more_calls_than_are_taken_are_refused_and_make_room_again(target: Target) -> None:
    with ExitStack() as open_ones, Client(target.address, timeout=10) as client:
        peers = [Peer(open_ones.enter_context(connected(target.address))) for _ in range(5)]
        for peer in peers:
            for _ in range(80):
                peer.begin("CheckStream")

        def refusal() -> UnavailableError | None:
            """One call more each time: calls that were ending meanwhile may have had the place of some."""
            peers[0].begin("CheckStream")
            return client.check(Question("weather", body("ping"))).cause

        assert "RESOURCE_EXHAUSTED" == until(refusal).code
    until(target.serves_others)


@pytest.mark.parametrize("is_message", [True, False])
def test_messages_that_are_refused_are_let_go(target: Target, is_message: bool) -> None:
    """Without a token, and one after the other: what is left of each must not be its body."""
    broken = call("forecast", city="x" * 3 * MIB) + b"}"
    request = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=broken)
    sent = request.SerializeToString() if is_message else b"\xff" * 3 * MIB
    with grpc.insecure_channel(target.address, [("grpc.max_send_message_length", -1)]) as channel:
        check: Any = channel.unary_unary(f"/{SERVICE}/Check")
        for _ in range(100):
            with suppress(grpc.RpcError):
                assert pb.DECISION_DENY == pb.CheckResponse.FromString(check(sent)).decision
    assert target.grown < 150 * MIB


def test_answers_that_nobody_reads(target: Target) -> None:
    text = b'{"jsonrpc":"2.0","id":1,"result":{"content":"' + b"x" * MIB + b'"}}'
    with Client(target.address) as client:
        verdict = client.check(Question("weather", call("forecast", city="Oslo"), filters_responses=True))
    request = pb.FilterResponseRequest(context=verdict.context, content_type="application/json", body=text)
    with connected(target.address) as raw:
        peer = Peer(raw, window=0)
        with suppress(ConnectionError):  # a host may have had enough of it
            for _ in range(100):
                peer.send(peer.begin("FilterResponse"), framed(request.SerializeToString()), end=True)
        assert target.serves_others()
        assert target.grown < 500 * MIB
    assert target.serves_others()


def test_stream_that_nobody_reads_is_not_read_either(target: Target) -> None:
    request = pb.CheckRequest(
        server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=call("forecast", city="Oslo")
    )
    message = framed(request.SerializeToString())
    with connected(target.address) as raw:
        raw.settimeout(1)
        peer = Peer(raw, window=0)
        stream = peer.begin("CheckStream")
        with pytest.raises(TimeoutError):
            peer.send(stream, message * (64 * MIB // len(message)))
        assert target.serves_others()
        assert target.grown < 100 * MIB


@pytest.mark.parametrize("method", ["Check", "FilterResponse", "CheckStream", "FilterStream", "Nothing"])
def test_message_of_64_mebibytes_is_refused_and_not_kept(target: Target, method: str) -> None:
    with grpc.insecure_channel(target.address, [("grpc.max_send_message_length", -1)]) as channel:
        ask: Any = channel.stream_stream(f"/mcp_acl.v1.AccessControl/{method}")
        for _ in range(5):
            with pytest.raises(grpc.RpcError) as caught:
                list(ask(iter([bytes(64 * MIB)]), timeout=20))
            assert isinstance(caught.value, grpc.Call)
            expected = grpc.StatusCode.UNIMPLEMENTED if method == "Nothing" else grpc.StatusCode.RESOURCE_EXHAUSTED
            assert expected is caught.value.code()
    assert target.serves_others()
    assert target.grown < 150 * MIB


@pytest.mark.parametrize(
    "garbage",
    [
        secrets.token_bytes(100_000),
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + secrets.token_bytes(10_000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff\xff\xff\x01\x05\x00\x00\x00\x01",
        b"PRI * HTT",
        b"",
    ],
    ids=["noise", "HTTP/1", "TLS", "noise after the preface", "a frame of 16 MB", "half a preface", "nothing"],
)
def test_garbage_on_the_port(target: Target, garbage: bytes) -> None:
    for _ in range(50):
        with connected(target.address) as raw:
            raw.sendall(garbage)
    assert target.serves_others()
    assert target.grown < 50 * MIB


def test_misuse_without_end_is_answered_as_such(target: Target) -> None:
    with Client(target.address) as client:
        for _ in range(100):
            with pytest.raises(MisuseError):
                client.check(Question("weather", call("x"), claims=b"[]"))
    assert target.serves_others()
