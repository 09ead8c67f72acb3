"""Every host carries streams alike: in order, no faster than they are read, and never ended by OK that was not answered."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from mcp_acl.adapters.grpc_api import MAX_REQUEST
from tests.hosts.faults import FAULTS
from tests.hosts.test_hosts import SECONDS, ask

ECHO = "/test.Stream/Echo"


def stream(channel: grpc.Channel, messages: Iterable[bytes], path: str = ECHO, timeout: float = SECONDS) -> Any:
    call: Any = channel.stream_stream(path)
    return call(iter(messages), timeout=timeout, wait_for_ready=True)


class Told:
    """The messages of a stream as a test puts them in; None is the end."""

    def __init__(self, *messages: bytes | None) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        for message in messages:
            self.put(message)

    def put(self, message: bytes | None) -> None:
        self._queue.put(message)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._queue.get()) is not None:
            yield message


def ended(answers: Any) -> tuple[grpc.StatusCode, list[bytes]]:
    """How a stream ended, and what was answered before."""
    found: list[bytes] = []
    with suppress(grpc.RpcError):
        # Not extend: what came before the error counts.
        for answer in answers:
            found.append(answer)  # noqa: PERF402
    return answers.code(), found


def number(channel: grpc.Channel, name: str) -> int:
    return int(ask(channel, f"/test.Streams/{name}"))


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_messages_are_answered_in_order_and_the_end_is_heard(channel: grpc.Channel) -> None:
    messages = [b"%d" % one for one in range(500)]
    assert (grpc.StatusCode.OK, [*messages, b"500"]) == ended(stream(channel, messages))


def test_each_message_is_answered_before_the_next_is_sent(channel: grpc.Channel) -> None:
    told = Told()
    answers = stream(channel, told)
    for one in range(20):
        told.put(b"%d" % one)
        assert b"%d" % one == next(answers)
    told.put(None)
    assert (grpc.StatusCode.OK, [b"20"]) == ended(answers)


def test_stream_without_messages_has_an_end(channel: grpc.Channel) -> None:
    assert (grpc.StatusCode.OK, [b"0"]) == ended(stream(channel, []))


def test_stream_without_answers_is_ok(channel: grpc.Channel) -> None:
    assert (grpc.StatusCode.OK, []) == ended(stream(channel, [b"x"], "/test.Stream/Silent"))


@pytest.mark.parametrize("size", [0, 1, 300_000, 3_000_000])
def test_message_of_a_stream_has_any_size(channel: grpc.Channel, size: int) -> None:
    assert (grpc.StatusCode.OK, [bytes(size), b"x", b"2"]) == ended(stream(channel, [bytes(size), b"x"]))


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("name", FAULTS)
def test_error_on_a_stream_is_its_status_after_what_was_answered(channel: grpc.Channel, name: str, before: int) -> None:
    messages = [b"x"] * before
    found = ended(stream(channel, [*messages, b"raise"], f"/test.Stream/{name}"))
    assert (grpc.StatusCode.INTERNAL, messages) == found
    assert b"x" == ask(channel, "/test.Echo/Echo", b"x")


@pytest.mark.parametrize("name", FAULTS)
def test_error_at_the_end_of_a_stream_is_its_status(channel: grpc.Channel, name: str) -> None:
    assert (grpc.StatusCode.INTERNAL, [b"x"]) == ended(stream(channel, [b"x"], f"/test.Stream/{name}"))


@pytest.mark.parametrize("name", ["NeverOpened", "Forgetful"])
def test_handler_that_is_wrong_is_never_ok(channel: grpc.Channel, name: str) -> None:
    code, found = ended(stream(channel, [b"x"], f"/test.Stream/{name}"))
    assert (grpc.StatusCode.INTERNAL, []) == (code, found)


def test_message_of_a_stream_that_is_too_large_is_refused(channel: grpc.Channel) -> None:
    code, found = ended(stream(channel, [b"x", bytes(MAX_REQUEST + 1)]))
    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, True) == (code, found in ([], [b"x"]))


def test_stream_ends_at_its_deadline(channel: grpc.Channel) -> None:
    told = Told(b"x")
    answers = stream(channel, told, timeout=0.5)
    assert (grpc.StatusCode.DEADLINE_EXCEEDED, [b"x"]) == ended(answers)
    told.put(None)
    wait_until(lambda: number(channel, "Open") == 0)


def test_stream_that_is_cancelled_is_forgotten(channel: grpc.Channel) -> None:
    told = Told(b"x")
    answers = stream(channel, told)
    assert b"x" == next(answers)
    assert number(channel, "Open") >= 1
    answers.cancel()
    told.put(None)
    wait_until(lambda: number(channel, "Open") == 0)


def test_client_that_does_not_read_is_not_read_from(channel: grpc.Channel) -> None:
    count, message = 1000, bytes(64 * 1024)
    before = number(channel, "Fed")
    answers = stream(channel, (message for _ in range(count)))
    seen = -1

    def stands_still() -> bool:
        nonlocal seen
        time.sleep(0.3)
        last, seen = seen, number(channel, "Fed")
        return last == seen

    wait_until(stands_still)
    assert 0 < number(channel, "Fed") - before < count
    code, found = ended(answers)
    assert (grpc.StatusCode.OK, count + 1) == (code, len(found))


def test_streams_at_once_do_not_wait_for_each_other(channel: grpc.Channel) -> None:
    told = [Told() for _ in range(50)]
    streams = [stream(channel, one) for one in told]
    for one in (*range(50), *reversed(range(50))):
        told[one].put(b"%d" % one)
        assert b"%d" % one == next(streams[one])
    for one in told:
        one.put(None)
    assert {(grpc.StatusCode.OK, b"2")} == {(code, last) for code, (last,) in map(ended, streams)}


def test_stream_that_is_over_ends_though_its_client_goes_on(channel: grpc.Channel) -> None:
    told = Told(b"first", b"last")
    answers = stream(channel, told, "/test.Stream/Over")
    assert (grpc.StatusCode.OK, [b"first", b"last"]) == ended(answers)
    told.put(None)


@pytest.mark.parametrize("path", ["/test.Stream/Told", "/test.Echo/Told"])
def test_handlers_that_ask_are_told_what_came_with_the_call(channel: grpc.Channel, path: str) -> None:
    sent = (("x-server", "a"), ("x-other", "b, c"), ("x-server", "d"), ("x-raw-bin", b"\xff"))
    call: Any = channel.stream_stream(path)
    answer = next(call(iter([b"x"]), metadata=sent, timeout=SECONDS, wait_for_ready=True))
    found = [tuple(one) for one in json.loads(answer) if one[0].startswith("x-")]
    assert [one for one in sent if isinstance(one[1], str)] == found


def test_small_message_that_much_is_kept_for_is_worked_on_beside_the_loop(channel: grpc.Channel) -> None:
    small, large = b"x", bytes(200_000)
    first, *_, last, _ = stream(channel, [small, large, large, small], "/test.Stream/Kept")
    assert (False, True) == (first.startswith(b"large"), last.startswith(b"large"))
