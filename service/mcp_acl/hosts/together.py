"""Requests that come together are worked on one after another, so that they are answered together. Knows no call and no status.

An event loop hands calls over one by one. Answered one by one, each answer is a write that wakes its client by itself, and each decision
finds the processor's caches full of something else. To wait for more costs a lone request some turns of the loop, which are
microseconds, and saves those that come together half of what they cost, and their clients as much.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Generic, TypeVar

SMALL: Final = 16 * 1024
"""Bytes of a request below which it is worked on together with others."""
LARGE: Final = 256 * 1024
"""Bytes from which it is worked on beside the event loop: everything else, health first, goes on meanwhile."""
MOST: Final = 32
"""How many requests are waited for."""
TURNS: Final = 6
"""For how many turns of the loop one more is waited for. A call of grpcio takes three."""
SLICE: Final = 0.005
"""Seconds after which everything else has a turn, if there is more to do."""

ALONE: Final[AbstractContextManager[object]] = nullcontext()
"""For who has nothing to do for several requests at once."""

_T = TypeVar("_T")


class Together(Generic[_T]):
    """What waits, in the order in which it came. `work` makes an answer of a handler and a request, and never raises.

    All that is worked on at a time is within `batch`; whoever waits for an answer has it afterwards.
    """

    def __init__(
        self,
        work: Callable[[Callable[[bytes], bytes], bytes], _T],
        batch: AbstractContextManager[object] = ALONE,
    ) -> None:
        self._work = work
        self._batch = batch
        self._waiting: deque[tuple[Callable[[bytes], bytes], bytes, asyncio.Future[_T]]] = deque()

    def answer(self, handler: Callable[[bytes], bytes], request: bytes) -> asyncio.Future[_T]:
        """The answer to be. A request whose answer is cancelled before is not worked on."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._look, loop, 0, TURNS)
        self._waiting.append((handler, request, answer))
        return answer

    def _look(self, loop: asyncio.AbstractEventLoop, before: int, turns: int) -> None:
        """Wait on while more come, and some turns longer."""
        number = len(self._waiting)
        if number >= MOST or (number == before and not turns):
            self._go(loop)
        else:
            loop.call_soon(self._look, loop, number, TURNS if number > before else turns - 1)

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        until = loop.time() + SLICE
        try:
            with self._batch:
                while self._waiting and loop.time() <= until:
                    handler, request, answer = self._waiting.popleft()
                    if not answer.done():
                        self._answer(handler, request, answer)
        finally:
            if self._waiting:
                loop.call_soon(self._go, loop)

    def _answer(self, handler: Callable[[bytes], bytes], request: bytes, answer: asyncio.Future[_T]) -> None:
        """Whatever happens, who waits is told, and whoever comes next has a turn: without memory nothing is sure not to raise."""
        try:
            answer.set_result(self._work(handler, request))
        except BaseException as error:  # noqa: BLE001 - see above
            answer.set_exception(error)
