"""gRPC framing over ASGI, event by event: every way a call may arrive, and every way it may go wrong."""

import asyncio
import gzip
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.health import Health
from mcp_acl.adapters.status import Code
from mcp_acl.hosts.asgi import Application
from mcp_acl.hosts.listening import Limits
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

    def run(self) -> "Call":
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
        asyncio.run(APP(scope, self.receive, self.send))
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
