"""gRPC framing over ASGI, event by event: every way a call may arrive, and every way it may go wrong."""

import asyncio
import gzip
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.handlers import Streaming
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.status import Code
from mcp_acl.hosts import asgi
from mcp_acl.hosts.asgi import Application
from mcp_acl.hosts.listening import Limits
from mcp_acl.hosts.together import MOST, SMALL
from tests.hosts.faults import FAULTS
from tests.hosts.service import UNREADABLE, table

LIMIT = 10_000
APP = Application(table(), Limits(LIMIT), Health())
ECHO = b"/test.Echo/Echo"


def framed(message: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4, "big") + message


@dataclass
class Call:
    """One call: what arrives, and what was sent."""

    chunks: Sequence[bytes] = (framed(b"hello"),)
    path: bytes = ECHO
    method: str = "POST"
    headers: MutableMapping[bytes, bytes] = field(default_factory=dict)
    without: frozenset[bytes] = frozenset()
    then: str = "http.request"
    sent: list[MutableMapping[str, Any]] = field(default_factory=list)
    send_error: BaseException | None = None

    async def receive(self) -> MutableMapping[str, Any]:
        if self._left:
            chunk = self._left.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._left) or self.then != "http.request"}
        if self.then == "never":
            await asyncio.sleep(60)
        return {"type": self.then, "body": b"", "more_body": False}

    async def send(self, event: MutableMapping[str, Any]) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(event)

    def run(self, app: Application = APP) -> "Call":
        self._left = list(self.chunks)
        usual = {b"content-type": b"application/grpc", b"te": b"trailers"}
        headers = {**usual, **self.headers}
        scope = {
            "type": "http",
            "method": self.method,
            "path": "/decoded",
            "raw_path": self.path,
            "headers": [(name, value) for name, value in headers.items() if name not in self.without],
        }
        asyncio.run(app(scope, self.receive, self.send))
        return self

    @property
    def status(self) -> tuple[int, str]:
        """The gRPC status, wherever it stands, once."""
        found = [
            (int(headers[b"grpc-status"]), headers.get(b"grpc-message", b"").decode())
            for headers in (dict(event.get("headers", [])) for event in self.sent)
            if b"grpc-status" in headers
        ]
        (status,) = found
        return status


def test_answer_is_a_frame_between_headers_and_trailers() -> None:
    start, body, trailers = Call().run().sent
    assert (200, True, [(b"content-type", b"application/grpc")]) == (
        start["status"],
        start["trailers"],
        start["headers"],
    )
    assert (framed(b"hello"), False) == (body["body"], body["more_body"])
    assert [(b"grpc-status", b"0")] == trailers["headers"]


def test_error_is_trailers_only() -> None:
    start, body = Call(path=b"/test.Fault/Exception").run().sent
    assert "trailers" not in start
    assert (b"", False) == (body["body"], body["more_body"])
    assert (b"grpc-status", b"13") in start["headers"]


@given(st.binary(max_size=40), st.lists(st.integers(0, 45), max_size=5))
def test_chunks_come_as_they_please(message: bytes, cuts: list[int]) -> None:
    whole = framed(message)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(edges)]
    assert whole == Call(chunks).run().sent[1]["body"]


@pytest.mark.parametrize("name", FAULTS)
def test_error_of_a_handler_is_a_status_whatever_it_is(name: str) -> None:
    assert (Code.INTERNAL, "internal error") == Call(path=f"/test.Fault/{name}".encode()).run().status


def test_text_of_a_status_is_printable_ascii() -> None:
    code, text = Call(path=b"/test.Fault/Misuse").run().status
    assert (Code.INVALID_ARGUMENT, "gr%C3%B6%C3%9Fe: 100 %25 %0A second line %00") == (code, text)
    assert UNREADABLE


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Call(chunks=[]), Code.INTERNAL),
        (Call(chunks=[b"\0\0\0"]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc", length=4)]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc", length=2)]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc") * 2]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc"), framed(b"abc")]), Code.INTERNAL),
        (Call(chunks=[framed(b"", length=LIMIT + 1)]), Code.RESOURCE_EXHAUSTED),
        (Call(chunks=[framed(b"", length=2**32 - 1)], then="never"), Code.RESOURCE_EXHAUSTED),
        (Call(chunks=[framed(b"abc", flag=1)]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc", flag=2)]), Code.INTERNAL),
        (Call(chunks=[framed(b"abc", flag=1)], headers={b"grpc-encoding": b"identity"}), Code.INTERNAL),
        (Call(chunks=[framed(b"abc", flag=1)], headers={b"grpc-encoding": b"deflate"}), Code.UNIMPLEMENTED),
        (Call(chunks=[framed(b"abc", flag=1)], headers={b"grpc-encoding": b"gzip"}), Code.INTERNAL),
        (Call(path=b"/test.Echo/Nothing"), Code.UNIMPLEMENTED),
        (Call(path=b"/test.Echo/%ff"), Code.UNIMPLEMENTED),
        (Call(path=b"/decoded"), Code.UNIMPLEMENTED),
        (Call(headers={b"grpc-timeout": b"soon"}), Code.INTERNAL),
        (Call(headers={b"grpc-timeout": b"123456789S"}), Code.INTERNAL),
        (Call(headers={b"grpc-timeout": b"10m"}, chunks=[b"\0"], then="never"), Code.DEADLINE_EXCEEDED),
        (Call(without=frozenset({b"te"})), Code.INTERNAL),
        (Call(headers={b"te": b"trailers, x"}), Code.INTERNAL),
    ],
    ids=str,
)
def test_call_that_is_wrong_has_a_status(call: Call, code: Code) -> None:
    found, text = call.run().status
    assert (code, True) == (found, bool(text))


def test_unknown_compression_is_answered_with_what_is_known() -> None:
    call = Call(chunks=[framed(b"abc", flag=1)], headers={b"grpc-encoding": b"br"}).run()
    assert (b"grpc-accept-encoding", b"identity,gzip") in call.sent[0]["headers"]


@pytest.mark.parametrize("timeout", [b"1H", b"1M", b"10S", b"99999999m", b"99999999u", b"99999999n"])
def test_time_that_is_left_is_enough(timeout: bytes) -> None:
    assert (Code.OK, "") == Call(headers={b"grpc-timeout": timeout}).run().status


GZIP = {b"grpc-encoding": b"gzip"}


def test_compressed_message_is_inflated() -> None:
    call = Call([framed(gzip.compress(b"hello", mtime=0), flag=1)], headers=GZIP).run()
    assert framed(b"hello") == call.sent[1]["body"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (gzip.compress(bytes(LIMIT), mtime=0), Code.OK),
        (gzip.compress(bytes(LIMIT + 1), mtime=0), Code.RESOURCE_EXHAUSTED),
        (gzip.compress(bytes(200 * LIMIT), mtime=0), Code.RESOURCE_EXHAUSTED),
        (gzip.compress(b"hello", mtime=0)[:-3], Code.INTERNAL),
        (gzip.compress(b"hello", mtime=0) + b"x", Code.INTERNAL),
        (gzip.compress(b"hello", mtime=0) * 2, Code.INTERNAL),
    ],
)
def test_message_is_inflated_to_the_limit_and_no_further(payload: bytes, code: Code) -> None:
    assert code == Call([framed(payload, flag=1)], headers=GZIP).run().status[0]


@pytest.mark.parametrize(
    "call",
    [
        Call(method="GET"),
        Call(headers={b"content-type": b"application/json"}),
        Call(headers={b"content-type": b"application/grpc-web"}),
        Call(without=frozenset({b"content-type"})),
    ],
    ids=str,
)
def test_request_that_is_no_call_is_refused_by_http(call: Call) -> None:
    start, _ = call.run().sent
    assert (415, []) == (start["status"], start["headers"])


@pytest.mark.parametrize("content_type", [b"application/grpc", b"application/grpc+proto", b"application/grpc;x=y"])
def test_content_type_of_a_call(content_type: bytes) -> None:
    assert (Code.OK, "") == Call(headers={b"content-type": content_type}).run().status


def test_client_that_leaves_is_not_answered() -> None:
    assert [] == Call(chunks=[b"\0\0"], then="http.disconnect").run().sent


@pytest.mark.parametrize("error", [OSError("gone"), asyncio.CancelledError(), SystemExit(3)])
def test_error_of_sending_does_not_leave_the_application(error: BaseException) -> None:
    assert [] == Call(send_error=error).run().sent


def test_other_protocols_are_not_answered() -> None:
    call = Call()
    asyncio.run(APP({"type": "websocket", "headers": []}, call.receive, call.send))
    assert [] == call.sent


def test_lifespan_is_completed() -> None:
    events: list[MutableMapping[str, Any]] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> MutableMapping[str, Any]:
        return events.pop(0)

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event["type"])

    asyncio.run(APP({"type": "lifespan"}, receive, send))
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


# ---- streams, health, limits, the end -------------------------------------------------------------------------------

STREAM = b"/test.Stream/Echo"
WATCH = b"/grpc.health.v1.Health/Watch"


def answered(call: Call) -> list[bytes]:
    """The messages that were sent, each as its frame."""
    return [frame for body in bodies(call) for frame in frames(body)]


def bodies(call: Call) -> list[bytes]:
    """The pieces of the body as they were sent."""
    return [event["body"] for event in call.sent if event["type"] == "http.response.body" and event["body"]]


def frames(body: bytes) -> Iterator[bytes]:
    """A piece of a body that holds whole messages, taken apart."""
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        assert end <= len(body)
        yield body[:end]
        body = body[end:]


class Live:
    """A call that is under way: what it is told, and what it was answered."""

    def __init__(self, app: Application, path: bytes = STREAM, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._events: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.call = Call()
        self.read = asyncio.Event()
        self.read.set()
        usual = [(b"content-type", b"application/grpc"), (b"te", b"trailers"), *headers]
        scope = {"type": "http", "method": "POST", "raw_path": path, "headers": usual}
        self.task = asyncio.ensure_future(app(scope, self._events.get, self._send))

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        self.call.sent.append(event)
        await self.read.wait()

    def put(self, body: bytes, *, more: bool = True) -> None:
        self._events.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self._events.put_nowait({"type": "http.disconnect"})

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def status(self) -> tuple[int, str]:
        await asyncio.wait_for(self.task, 10)
        return self.call.status


def live(scene: Any, limits: Limits | None = None, health: Health | None = None) -> Application:
    """Run a scene with an application of its own."""
    app = Application(table(), limits or Limits(LIMIT), health or Health())
    asyncio.run(scene(app))
    return app


@given(st.lists(st.binary(max_size=9), max_size=5), st.lists(st.integers(0, 80), max_size=6))
def test_messages_of_a_stream_come_in_chunks_as_they_please(messages: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(map(framed, messages))
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    call = Call([whole[start:end] for start, end in pairwise(edges)], path=STREAM).run()
    assert (Code.OK, [*map(framed, messages), framed(b"%d" % len(messages))]) == (call.status[0], answered(call))


@pytest.mark.parametrize(
    ("chunks", "code", "before"),
    [
        ([framed(b"x"), framed(b"abc", length=4)], Code.INTERNAL, 1),
        ([framed(b"x"), b"\0"], Code.INTERNAL, 1),
        ([framed(b"x") + framed(b"", length=LIMIT + 1)], Code.RESOURCE_EXHAUSTED, 1),
        ([framed(b"x"), framed(b"", length=LIMIT + 1)], Code.RESOURCE_EXHAUSTED, 1),
        ([framed(b"x"), framed(b"abc", flag=1)], Code.INTERNAL, 1),
    ],
)
def test_stream_that_is_wrong_has_a_status_after_its_answers(chunks: list[bytes], code: Code, before: int) -> None:
    call = Call(chunks, path=STREAM).run()
    assert (code, [framed(b"x")] * before) == (call.status[0], answered(call))


def test_next_message_is_read_when_the_answer_is_taken() -> None:
    async def scene(app: Application) -> None:
        one = Live(app)
        one.read.clear()
        one.put(framed(b"a"))
        one.put(framed(b"b"), more=False)
        await one.settled()
        assert 1 == len(one.call.sent)
        one.read.set()
        assert Code.OK == (await one.status())[0]

    live(scene)


def test_client_may_say_more_while_an_answer_passes_and_leave() -> None:
    async def scene(app: Application) -> None:
        one = Live(app)
        one.put(framed(b"a"))
        await one.settled()
        one.read.clear()
        one.put(framed(b"b"))
        await one.settled()
        one.put(framed(b"c"))
        await one.settled()
        assert [framed(b"a"), framed(b"b")] == answered(one.call)
        one.read.set()
        await one.settled()
        assert [framed(b"a"), framed(b"b"), framed(b"c")] == answered(one.call)
        one.leave()
        await asyncio.wait_for(one.task, 10)

    live(scene)


class Hearing:
    """A session that remembers what it was fed."""

    is_over = False
    held = 0

    def __init__(self) -> None:
        self.fed: list[bytes] = []

    def feed(self, message: bytes) -> list[bytes]:
        self.fed.append(message)
        return [message]

    def close(self) -> list[bytes]:
        return []


def test_message_is_not_worked_on_until_the_answer_before_has_passed() -> None:
    hearing = Hearing()

    async def scene() -> None:
        one = Live(Application({STREAM.decode(): Streaming(lambda _: hearing)}, Limits(LIMIT), Health()))
        one.put(framed(b"a"))
        await one.settled()
        one.read.clear()
        for message in (b"b", b"c", b"d"):
            one.put(framed(message))
        await one.settled()
        assert [b"a", b"b"] == hearing.fed
        one.read.set()
        one.put(b"", more=False)
        assert Code.OK == (await one.status())[0]
        assert [b"a", b"b", b"c", b"d"] == hearing.fed

    asyncio.run(scene())


def test_small_messages_that_come_together_are_answered_together_so_many_at_once() -> None:
    messages = [framed(b"%d" % number) for number in range(MOST + 3)]
    hearing = Hearing()

    async def scene() -> None:
        one = Live(Application({STREAM.decode(): Streaming(lambda _: hearing)}, Limits(LIMIT), Health()))
        one.put(b"".join(messages[:3]) + messages[3][:4])
        await one.settled()
        assert [b"".join(messages[:3])] == bodies(one.call)
        one.read.clear()
        one.put(messages[3][4:])
        await one.settled()
        one.put(b"".join(messages[4:]) + b"".join(messages), more=False)
        await one.settled()
        assert len(hearing.fed) == 4
        one.read.set()
        assert Code.OK == (await one.status())[0]
        assert [*messages, *messages] == answered(one.call)
        assert [3, 1, MOST, MOST, 2] == [len([*frames(body)]) for body in bodies(one.call)]

    asyncio.run(scene())


@pytest.mark.parametrize(("held", "first"), [(1, b"a"), (0, b"a" * SMALL)], ids=["kept", "large"])
def test_message_that_may_take_long_is_answered_by_itself(held: int, first: bytes) -> None:
    hearing = Hearing()
    hearing.held = held
    app = Application({STREAM.decode(): Streaming(lambda _: hearing)}, Limits(2 * SMALL), Health())
    call = Call([framed(first) + framed(b"b") + framed(b"c")], path=STREAM).run(app)
    assert framed(first) == bodies(call)[0]
    assert [framed(first), framed(b"b"), framed(b"c")] == answered(call)


def test_last_answer_of_a_stream_is_the_end_of_its_body() -> None:
    *_, body, trailers = Call([framed(b"a")], path=STREAM).run().sent
    assert (framed(b"1"), False) == (body["body"], body["more_body"])
    assert [(b"grpc-status", b"0")] == trailers["headers"]


def test_stream_whose_client_leaves_is_not_answered() -> None:
    async def scene(app: Application) -> None:
        one = Live(app)
        one.put(framed(b"a"))
        one.leave()
        await asyncio.wait_for(one.task, 10)
        assert [framed(b"a")] == answered(one.call)
        assert "http.response.trailers" not in [event["type"] for event in one.call.sent]

    live(scene)


def test_stream_ends_at_the_time_that_its_client_gives() -> None:
    async def scene(app: Application) -> None:
        one = Live(app, headers=[(b"grpc-timeout", b"50m")])
        one.put(framed(b"a"))
        assert Code.DEADLINE_EXCEEDED == (await one.status())[0]

    live(scene)


def test_stream_that_is_never_read_is_left_to_the_server_to_reset() -> None:
    async def scene(app: Application) -> None:
        one = Live(app, headers=[(b"grpc-timeout", b"50m")])
        one.put(framed(b"a") + framed(b"b"))
        await asyncio.sleep(0)
        one.read.set()
        await one.settled()
        one.read.clear()
        one.put(framed(b"c"))
        with pytest.raises(RuntimeError, match="has not taken its status"):
            await asyncio.wait_for(one.task, 10)

    live(scene)


def test_unary_call_has_so_long_to_bring_its_message() -> None:
    async def scene(app: Application) -> None:
        one = Live(app, ECHO)
        assert (Code.DEADLINE_EXCEEDED, "the request did not arrive in time") == await one.status()

    live(scene, Limits(LIMIT, message_seconds=0.05))


def test_calls_beyond_the_limit_are_refused_until_one_ends() -> None:
    async def scene(app: Application) -> None:
        held = [Live(app), Live(app)]
        await held[0].settled()
        assert Code.RESOURCE_EXHAUSTED == (await Live(app).status())[0]
        held[0].leave()
        await held[0].settled()
        one = Live(app)
        one.put(b"", more=False)
        assert Code.OK == (await one.status())[0]
        held[1].leave()
        await held[1].settled()

    live(scene, Limits(LIMIT, calls=2))


@pytest.mark.parametrize("size", [1, 300_000])
def test_error_of_a_large_request_is_a_status_too(size: int) -> None:
    for name in FAULTS:
        call = Call([framed(bytes(size))], path=f"/test.Fault/{name}".encode())
        app = Application(table(), Limits(), Health())
        assert (Code.INTERNAL, "internal error") == call.run(app).status


def test_shut_down_refuses_calls_and_ends_the_streams_that_wait() -> None:
    async def scene(app: Application) -> None:
        waiting = Live(app)
        waiting.put(framed(b"a"))
        await waiting.settled()
        app.refuse()
        assert (Code.UNAVAILABLE, "the service is shutting down") == await waiting.status()
        for path in (ECHO, STREAM):
            assert Code.UNAVAILABLE == (await Live(app, path).status())[0]
        assert Code.UNIMPLEMENTED == (await Live(app, b"/test.Echo/None").status())[0]
        check = Live(app, b"/grpc.health.v1.Health/Check")
        check.put(framed(b""), more=False)
        assert Code.OK == (await check.status())[0]

    live(scene)


def test_watcher_is_told_of_the_drain_and_let_go() -> None:
    health = Health()

    async def scene(app: Application) -> None:
        one = Live(app, WATCH)
        one.put(framed(b""), more=False)
        await one.settled()
        assert [framed(b"\x08\x01")] == answered(one.call)
        health.draining = True
        one.put(b"", more=False)
        app.drain()
        assert Code.OK == (await one.status())[0]
        assert [framed(b"\x08\x01"), framed(b"\x08\x02")] == answered(one.call)

    live(scene, health=health)


def test_watcher_is_told_of_a_drain_that_begins_while_it_is_told_something_else() -> None:
    health = Health()

    async def scene(app: Application) -> None:
        one = Live(app, WATCH)
        one.read.clear()
        one.put(framed(b""), more=False)
        await one.settled()
        health.draining = True
        app.drain()
        one.put(b"", more=False)
        await one.settled()
        one.read.set()
        assert Code.OK == (await one.status())[0]
        assert [framed(b"\x08\x01"), framed(b"\x08\x02")] == answered(one.call)

    live(scene, health=health)


def test_watcher_that_leaves_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "_LOOK", 0.01)

    async def scene(app: Application) -> None:
        one = Live(app, WATCH)
        one.put(framed(b""), more=False)
        one.leave()
        await asyncio.wait_for(one.task, 10)
        assert [framed(b"\x08\x01")] == answered(one.call)

    live(scene)


def test_watch_of_what_is_no_request_has_a_status() -> None:
    assert Code.INVALID_ARGUMENT == Call([framed(b"\xff")], path=WATCH).run().status[0]
