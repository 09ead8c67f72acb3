"""When what must answer has been silent for too long. Knows neither what that is nor how it is asked.

Questions are counted and not seconds: whatever stops those who ask, a machine that sleeps for one, is nobody's silence.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

QUESTIONS: Final = 6
"""In a row, none of them answered."""


async def silent(seconds: float, answered: Callable[[float], Awaitable[bool]]) -> None:
    """Return when there were no answers to `QUESTIONS` in a row, spread over so many seconds; with 0 never.

    `answered` asks one, and waits for an answer no longer than it is told.
    """
    loop = asyncio.get_running_loop()
    if not seconds:
        await loop.create_future()
    each, missing = seconds / QUESTIONS, 0
    while missing < QUESTIONS:
        until = loop.time() + each
        missing = 0 if await answered(each) else missing + 1
        await asyncio.sleep(max(0.0, until - loop.time()))
