"""Requests that are worked on together: each has its answer, and everything else its turn."""

import asyncio
import time
from collections.abc import Callable

import pytest

from mcp_acl.hosts.together import MOST, SLICE, TURNS, Together

SECONDS = 10.0


class Noted:
    """A handler that notes what it is given, and takes a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.requests: list[bytes] = []
        self._seconds = seconds

    def __call__(self, request: bytes) -> bytes:
        self.requests.append(request)
        time.sleep(self._seconds)
        return request


def work(handler: Callable[[bytes], bytes], request: bytes) -> bytes:
    return handler(request).upper()


async def turns_until(holds: Callable[[], bool]) -> int:
    started, turns = time.monotonic(), 0
    while not holds():
        assert time.monotonic() - started < SECONDS
        await asyncio.sleep(0)
        turns += 1
    return turns


def test_each_request_has_its_answer_in_its_order() -> None:
    async def scene() -> None:
        together, handler = Together(work), Noted()
        sent = [b"r%d" % number for number in range(3 * MOST)]
        assert [request.upper() for request in sent] == await asyncio.gather(
            *(together.answer(handler, request) for request in sent)
        )
        assert sent == handler.requests

    asyncio.run(scene())


def test_lone_request_waits_some_turns_and_each_that_comes_starts_them_anew() -> None:
    async def scene() -> None:
        together, handler = Together(work), Noted()
        first = together.answer(handler, b"first")
        assert await turns_until(first.done) in range(TURNS, TURNS + 3)
        answers = [together.answer(handler, b"1")]
        for _ in range(3):
            for _ in range(TURNS - 1):
                await asyncio.sleep(0)
            answers.append(together.answer(handler, b"more"))
        assert [b"first"] == handler.requests
        assert [b"1", b"MORE", b"MORE", b"MORE"] == await asyncio.gather(*answers)

    asyncio.run(scene())


def test_no_more_than_a_few_are_waited_for() -> None:
    async def scene() -> None:
        together, handler = Together(work), Noted()
        answers = [together.answer(handler, b"r")]
        while not answers[0].done():
            answers.append(together.answer(handler, b"r"))
            await asyncio.sleep(0)
        assert len(answers) in range(MOST, MOST + 3)
        await asyncio.gather(*answers)

    asyncio.run(scene())


def test_everything_else_has_a_turn_between_requests_that_take_long() -> None:
    async def scene() -> None:
        together, handler = Together(work), Noted(2 * SLICE)
        answers = [together.answer(handler, b"r") for _ in range(4)]
        seen = []
        while not all(answer.done() for answer in answers):
            await asyncio.sleep(0)
            seen.append(len(handler.requests))
        assert {0, 1, 2, 3, 4} == set(seen)

    asyncio.run(scene())


def test_work_that_breaks_holds_up_no_other() -> None:
    def breaks(_: bytes) -> bytes:
        raise MemoryError

    async def scene() -> None:
        together, handler = Together(work), Noted()
        answers = together.answer(breaks, b"r"), together.answer(handler, b"next")
        broken, good = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), SECONDS)
        assert (MemoryError, b"NEXT") == (type(broken), good)
        assert b"LATER" == await asyncio.wait_for(together.answer(handler, b"later"), SECONDS)

    asyncio.run(scene())


def test_request_is_not_worked_on_if_its_call_has_ended_meanwhile() -> None:
    async def scene() -> None:
        together, handler = Together(work), Noted()
        first, ended, last = (together.answer(handler, name) for name in (b"first", b"ended", b"last"))
        ended.cancel()
        assert (b"FIRST", b"LAST") == (await first, await last)
        assert [b"first", b"last"] == handler.requests

    asyncio.run(scene())


class Noting:
    """A batch that notes when it begins and ends."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def __enter__(self) -> None:
        self._seen.append("begins")

    def __exit__(self, *_: object) -> None:
        self._seen.append("ends")


def test_nobody_has_an_answer_before_the_batch_has_ended_in_which_it_was_made() -> None:
    seen: list[str] = []

    def handler(request: bytes) -> bytes:
        seen.append("works")
        return request

    async def scene() -> None:
        together = Together(work, Noting(seen))

        async def call() -> None:
            await together.answer(handler, b"r")
            seen.append("has it")

        await asyncio.gather(*(call() for _ in range(3)))
        assert ["begins", *["works"] * 3, "ends", *["has it"] * 3] == seen

    asyncio.run(scene())


@pytest.mark.parametrize("breaks", ["__enter__", "__exit__"])
def test_batch_that_breaks_once_holds_up_nobody_for_ever(breaks: str) -> None:
    class Breaking(Noting):
        pass

    def fails(*_: object) -> None:
        delattr(Breaking, breaks)
        raise MemoryError

    setattr(Breaking, breaks, fails)

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        together, handler = Together(work, Breaking([])), Noted(2 * SLICE)
        answers = asyncio.gather(*(together.answer(handler, b"r") for _ in range(3)))
        assert [b"R"] * 3 == await asyncio.wait_for(answers, SECONDS)
        assert b"R" == await asyncio.wait_for(together.answer(handler, b"r"), SECONDS)

    asyncio.run(scene())


def test_batch_ends_where_everything_else_has_a_turn() -> None:
    seen: list[str] = []

    async def scene() -> None:
        together, handler = Together(work, Noting(seen)), Noted(2 * SLICE)
        await asyncio.gather(*(together.answer(handler, b"r") for _ in range(3)))
        assert ["begins", "ends"] * 3 == seen

    asyncio.run(scene())
