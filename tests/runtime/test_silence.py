"""Silence: so many questions in a row without an answer, and nothing less."""

import asyncio
from collections.abc import Iterable

from mcp_acl.runtime.silence import QUESTIONS, silent

SECONDS = 60.0


def asked(answers: Iterable[bool], seconds: float = 0.06) -> int:
    """How many questions were asked until it was silence."""
    given = iter(answers)
    count = 0

    async def answered(_: float) -> bool:
        nonlocal count
        count += 1
        return next(given)

    asyncio.run(asyncio.wait_for(silent(seconds, answered), SECONDS))
    return count


def test_so_many_questions_in_a_row_are_silence() -> None:
    assert QUESTIONS == asked([False] * QUESTIONS)


def test_every_answer_begins_the_row_anew() -> None:
    almost = [*[False] * (QUESTIONS - 1), True]
    assert 3 * QUESTIONS == asked([*almost, *almost, *[False] * QUESTIONS])


def test_nobody_is_asked_where_silence_may_last() -> None:
    async def scene() -> None:
        async def answered(_: float) -> bool:
            raise AssertionError

        waiting = asyncio.ensure_future(silent(0.0, answered))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(scene())
