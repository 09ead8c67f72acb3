"""Lines against real servers and strange ones: right answers are right, all others are wrong, and none is missing."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import grpc
import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, PingAckReceived, RequestReceived, StreamReset
from h2.settings import SettingCodes

from mcp_acl.bench import http2
from mcp_acl.bench.exchange import Call, Post
from mcp_acl.bench.line_grpc import GrpcLine, open_grpc
from mcp_acl.bench.line_http import open_http
from mcp_acl.bench.opening import LineError
from mcp_acl.hosts.framing import framed
from tests.bench.asking import SECONDS, answers
from tests.bench.strange import HEAD, OK, Peer, socket_of
from tests.certificates import Certified
from tests.serving import Status, answering

LARGE = bytes(range(256)) * 4096


def echo(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
    yield from requests


def call(body: bytes = b"question", **fields: object) -> Call:
    return Call("/test.Test/Ask", [body], [body.__eq__], **fields)  # type: ignore[arg-type]


def asked(
    address: str, what: Call, questions: int = 3, tls: ssl.SSLContext | None = None
) -> tuple[list[bool], GrpcLine]:
    async def run() -> tuple[list[bool], GrpcLine]:
        line = await open_grpc(address, what, tls=tls)
        try:
            return await answers(line, questions), line
        finally:
            line.close()

    return asyncio.run(run())


# ---- gRPC against a server of gRPC -----------------------------------------------------------------------------------


def test_answers_that_are_right_are_right() -> None:
    with answering(echo) as address:
        found, line = asked(address, call(), 300)
    assert found == [True] * 300
    assert not line.reasons


def test_answers_that_are_not_the_expected_ones_are_wrong() -> None:
    with answering(echo) as address:
        found, line = asked(address, Call("/a/b", [b"question"], [b"other".__eq__]))
    assert found == [False] * 3
    assert line.reasons.total() == 3


def test_a_status_is_wrong_and_is_told() -> None:
    def refuse(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        yield from requests
        raise Status(grpc.StatusCode.RESOURCE_EXHAUSTED, "more than I can")

    with answering(refuse) as address:
        found, line = asked(address, call())
    assert found == [False] * 3
    assert line.reasons == {"status 8: more than I can": 3}


@pytest.mark.parametrize("body", [b"", LARGE], ids=["empty", "large"])
def test_questions_and_answers_of_any_size(body: bytes) -> None:
    with answering(echo) as address:
        assert asked(address, call(body), 5)[0] == [True] * 5


def test_a_line_over_a_socket_file(tmp_path: Path) -> None:
    with answering(echo, f"unix:{tmp_path / 'socket'}") as address:
        assert asked(address, call())[0] == [True] * 3


def test_a_line_over_tls(certified: Certified) -> None:
    pair = (certified.key.read_bytes(), certified.cert.read_bytes())
    with answering(echo, credentials=grpc.ssl_server_credentials([pair])) as address:
        tls = ssl.create_default_context(cafile=certified.client_ca)
        assert asked(address, call(), tls=tls)[0] == [True] * 3


def test_a_call_in_steps_is_right_when_each_answer_is() -> None:
    with answering(echo) as address:
        assert asked(address, Call("/a/b", [b"one", LARGE], [b"one".__eq__, LARGE.__eq__]), 5)[0] == [True] * 5


@pytest.mark.parametrize("wrong_at", [0, 1])
def test_a_wrong_step_is_a_wrong_answer(wrong_at: int) -> None:
    judges: list[Callable[[bytes], bool]] = [b"one".__eq__, b"two".__eq__]
    judges[wrong_at] = b"other".__eq__
    with answering(echo) as address:
        assert asked(address, Call("/a/b", [b"one", b"two"], judges))[0] == [False] * 3


def test_a_call_that_ends_between_its_steps_is_wrong() -> None:
    def half(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        yield next(requests)

    with answering(half) as address:
        assert asked(address, Call("/a/b", [b"one", b"two"], [b"one".__eq__, b"two".__eq__]))[0] == [False] * 3


def test_one_call_carries_many_questions_and_is_begun_again_when_it_ends() -> None:
    calls: list[int] = []

    def three(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        calls.append(0)
        for request in islice(requests, 3):
            calls[-1] += 1
            yield request

    async def run(address: str) -> list[list[bool]]:
        line = await open_grpc(address, call(many=True))
        try:
            # What comes for a call that has ended by then is not answered: nobody says so before.
            first = await answers(line, 3)
            while (more := await answers(line, 1)) == [False]:
                pass
            return [first, more]
        finally:
            line.close()

    with answering(three) as address:
        assert asyncio.run(run(address)) == [[True] * 3, [True]]
    assert calls[0] == 3
    assert len(calls) > 1


# ---- gRPC against strange servers --------------------------------------------------------------------------------------


def strange(kind: type[Peer], questions: int = 3, what: Call | None = None) -> tuple[list[bool], GrpcLine, Peer]:
    peer = kind()

    async def run() -> tuple[list[bool], GrpcLine]:
        async with socket_of(peer.serve) as address:
            line = await open_grpc(address, call() if what is None else what)
            try:
                return await answers(line, questions), line
            finally:
                line.close()

    found, line = asyncio.run(run())
    return found, line, peer


class Resets(Peer):
    def answer(self, stream: int) -> None:
        self.h2.reset_stream(stream, ErrorCodes.ENHANCE_YOUR_CALM)


class Leaves(Peer):
    def answer(self, stream: int) -> None:
        if stream == 1:
            self.h2.close_connection(ErrorCodes.INTERNAL_ERROR, last_stream_id=0)


class ClosesMidway(Peer):
    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, HEAD)
        self.h2.send_data(stream, framed(b"question")[:7])
        self.writer.write(self.h2.data_to_send())
        self.writer.close()


class Garbage(Peer):
    def answer(self, stream: int) -> None:
        self.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * stream)


class TooLongFrame(Peer):
    def answer(self, stream: int) -> None:
        self.writer.write(b"\xff\xff\xff\0\0" + stream.to_bytes(4, "big"))


class ForNobody(Peer):
    def answer(self, stream: int) -> None:
        self.writer.write(b"\0\0\1\0\0" + (stream + 1000).to_bytes(4, "big") + b"x")


class Headers(Peer):
    """Header blocks that are none."""

    def answer(self, stream: int) -> None:
        self.writer.write(b"\0\0\2\1\4" + stream.to_bytes(4, "big") + b"\xff\xff")


class OnlyTrailers(Peer):
    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, [*HEAD, *OK], end_stream=True)


class NoTrailers(Peer):
    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, HEAD)
        self.h2.send_data(stream, framed(b"question"), end_stream=True)


class NotGrpc(Peer):
    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, [(":status", "503")])
        self.h2.send_data(stream, b"no", end_stream=True)


class Compressed(Peer):
    def answer(self, stream: int) -> None:
        self.say(stream, b"\1" + framed(b"question")[1:])


class Twice(Peer):
    def answer(self, stream: int) -> None:
        self.say(stream, framed(b"question") * 2)


class CutOff(Peer):
    def answer(self, stream: int) -> None:
        self.say(stream, framed(b"question")[:-1])


class Surplus(Peer):
    def answer(self, stream: int) -> None:
        self.say(stream, framed(b"question") + b"\0\0")


STRANGE = [
    Resets, Leaves, ClosesMidway, Garbage, TooLongFrame, ForNobody, Headers, OnlyTrailers, NoTrailers, NotGrpc, Compressed, Twice, CutOff, Surplus,
]  # fmt: skip


@pytest.mark.parametrize("many", [False, True], ids=["once", "many"])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_answer_is_wrong_and_none_is_waited_for(kind: type[Peer], many: bool) -> None:
    class Early(kind):  # type: ignore[misc, valid-type]
        def take(self, event: Event) -> None:
            super().take(event)
            if many and isinstance(event, DataReceived) and len(self.bodies[1]) == 3 * len(framed(b"question")):
                self.answer(1)

    what = call(many=many)
    if many and kind in {Twice, NoTrailers, Surplus}:
        pytest.skip("in a call of many questions these are answers")
    found, line, _ = strange(Early, 3, what)
    assert found == [False] * 3
    assert line.reasons.total() == 3


def test_steps_of_a_server_that_resets_are_wrong() -> None:
    class ResetsFirst(Peer):
        def take(self, event: Event) -> None:
            super().take(event)
            if isinstance(event, DataReceived):
                assert event.stream_id is not None
                self.h2.reset_stream(event.stream_id, ErrorCodes.CANCEL)

    assert strange(ResetsFirst, 3, Call("/a/b", [b"1", b"2"], [b"1".__eq__] * 2))[0] == [False] * 3


def test_a_line_whose_server_has_left_answers_at_once() -> None:
    async def run() -> None:
        async with socket_of(ClosesMidway().serve) as address:
            line = await open_grpc(address, call())
            await answers(line, 1)
            found: list[bool] = []
            line.ask(found.append)
            assert found == [False]

    asyncio.run(run())


def test_what_was_begun_before_a_server_leaves_is_answered() -> None:
    class Drains(Peer):
        def answer(self, stream: int) -> None:
            if stream == 5:
                # By hand: h2 would end all of it.
                self.writer.write(self.h2.data_to_send())
                self.writer.write(b"\0\0\x08\7\0\0\0\0\0" + (3).to_bytes(4, "big") + bytes(4))
                for one in (1, 3):
                    self.say(one, self.bodies[one])

    found, line, _ = strange(Drains, 3)
    assert found == [True, True, False]
    assert line.reasons == {"the server takes no more: NO_ERROR": 1}


class SmallWindow(Peer):
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 1000}  # noqa: RUF012 - never changed


def test_a_question_is_sent_as_the_server_has_room_for_it() -> None:
    # What comes back is small: h2 sends no more than its peer has room for, which is another matter.
    class Counts(SmallWindow):
        def answer(self, stream: int) -> None:
            self.say(stream, framed(b"yes" if self.bodies[stream] == framed(LARGE) else b"no"))

    what = Call("/a/b", [LARGE], [b"yes".__eq__])
    assert strange(Counts, 4, what)[0] == [True] * 4


def test_a_window_that_grows_by_settings_is_used() -> None:
    class Grows(Peer):
        settings = {SettingCodes.INITIAL_WINDOW_SIZE: 0}  # noqa: RUF012 - never changed

        def take(self, event: Event) -> None:
            super().take(event)
            if isinstance(event, RequestReceived):
                self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10_000})

    assert strange(Grows)[0] == [True] * 3


def test_no_more_streams_are_open_than_the_server_takes() -> None:
    class Two(Peer):
        settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 2}  # noqa: RUF012 - never changed

    found, _, peer = strange(Two, 20)
    assert found == [True] * 20
    assert peer.most_open == 2


def test_a_server_may_keep_no_table_of_headers_or_a_small_one() -> None:
    for size in (0, 60):

        class Small(Peer):
            settings = {SettingCodes.HEADER_TABLE_SIZE: size}  # noqa: RUF012 - never changed

        found, _, peer = strange(Small, 5, call(metadata=[("x-tenant", "acme"), ("x-other", "y" * 30)]))
        assert found == [True] * 5
        assert ("x-tenant", "acme") in peer.headers
        assert (":path", "/test.Test/Ask") in peer.headers


def test_a_ping_is_answered() -> None:
    class Pings(Peer):
        def begun(self) -> None:
            self.h2.ping(b"12345678")

        def answer(self, stream: int) -> None:
            if any(isinstance(event, PingAckReceived) for event in self.events):
                self.say(stream, self.bodies[stream])
            else:
                self.h2.reset_stream(stream)

    assert strange(Pings)[0] == [True] * 3


@pytest.mark.parametrize("many", [False, True], ids=["once", "many"])
def test_the_server_is_told_that_bytes_have_come(many: bool) -> None:
    """More come than any window has room for: a server that is told nothing sends no more."""
    body = bytes(3_000_000)
    questions = http2.WINDOW // len(body) + 3
    with answering(echo) as address:
        assert asked(address, call(body, many=many), questions)[0] == [True] * questions


class Slow(Peer):
    """Echoes each message after a while, and says what had come by then; ends the call when its client has."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[bytes] = []

    def take(self, event: Event) -> None:
        super().take(event)
        if isinstance(event, RequestReceived):
            assert event.stream_id is not None
            self.h2.send_headers(event.stream_id, HEAD)
        elif isinstance(event, DataReceived) and event.data:
            assert event.stream_id is not None
            asyncio.get_running_loop().call_later(0.05, self.echo, event.stream_id, event.data)

    def echo(self, stream: int, data: bytes) -> None:
        self.before.append(self.bodies[stream])
        self.h2.send_data(stream, data)
        self.writer.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        self.before.append(b"the end")
        self.h2.send_headers(stream, OK, end_stream=True)


def test_each_message_is_sent_when_the_one_before_it_is_answered_and_then_the_call_is_ended() -> None:
    peer = Slow()

    async def run() -> list[bool]:
        async with socket_of(peer.serve) as address:
            line = await open_grpc(address, Call("/a/b", [b"one", b"two"], [b"one".__eq__, b"two".__eq__]))
            found = await answers(line, 1)
            async with asyncio.timeout(SECONDS):
                while len(peer.before) < 3:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
            line.close()
            return found

    assert asyncio.run(run()) == [True]
    assert peer.before == [framed(b"one"), framed(b"one") + framed(b"two"), b"the end"]
    assert not any(isinstance(event, StreamReset) for event in peer.events)


def test_what_is_not_answered_when_a_line_is_closed_is_wrong() -> None:
    class Silent(Peer):
        def answer(self, stream: int) -> None:
            pass

    async def run() -> list[bool]:
        found: list[bool] = []
        async with socket_of(Silent().serve) as address:
            line = await open_grpc(address, call())
            line.ask(found.append)
            line.ask(found.append)
            await asyncio.sleep(0.05)
            assert not found
            line.close()
        return found

    assert asyncio.run(run()) == [False, False]


def test_a_line_to_nobody_says_so(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def run() -> None:
        with pytest.raises(LineError, match="cannot use"):
            await open_grpc(f"unix:{tmp_path / 'none'}", call())
        with pytest.raises(LineError, match="is not a port"):
            await open_grpc("127.0.0.1:port", call())
        async with socket_of(silent) as address:
            with pytest.raises(LineError, match="did not answer within"):
                await open_grpc(address, call(), seconds=0.1)

    asyncio.run(run())


# ---- HTTP --------------------------------------------------------------------------------------------------------------

POST = Post("/mcp", b"{}", b"answer".__eq__, {"X-Who": "me"})
TWO = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer"


def posted(answer: bytes, questions: int = 3, *, piece: int = 0, close: bool = False) -> tuple[list[bool], list[bytes]]:
    """The same answer to each question, in pieces of so many bytes; the connection is closed after the first if told so."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(POST.body)))
            for at in range(0, len(answer), piece or len(answer)):
                writer.write(answer[at : at + (piece or len(answer))])
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                writer.close()
                return

    async def run() -> list[bool]:
        async with socket_of(serve) as address:
            line = await open_http(address, POST)
            try:
                return await answers(line, questions)
            finally:
                line.close()

    return asyncio.run(run()), seen


WHOLE = {
    "length": TWO,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nans\r\n3;x=y\r\nwer\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\nA: b\r\n\r\n",
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + TWO,
}


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("answer", WHOLE.values(), ids=list(WHOLE))
def test_answers_of_http_are_read_as_they_come(answer: bytes, piece: int) -> None:
    found, seen = posted(answer, 3, piece=piece)
    assert found == [True] * 3
    assert len(seen) == 3
    assert seen[0].startswith(b"POST /mcp HTTP/1.1\r\n")
    assert b"X-Who: me\r\n" in seen[0]


def test_a_body_may_end_with_the_connection() -> None:
    found, _ = posted(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nanswer", 2, close=True)
    assert found == [True, False]


WRONG = {
    "status": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nanswer",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother",
    "garbage": b"\0\0\0\4\0\0\0\0\0\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: -6\r\n\r\nanswer",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\nanswer\r\n0\r\n\r\n",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=list(WRONG))
def test_strange_answers_of_http_are_wrong(answer: bytes) -> None:
    assert posted(answer)[0] == [False] * 3


@pytest.mark.parametrize("size", [10, 42])
def test_an_answer_of_http_that_breaks_off_is_wrong(size: int) -> None:
    assert posted(TWO[:size], close=True)[0] == [False] * 3
