"""Many waits over one timer: each ends when it is over, by its own deadline, and leaves nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mcp_acl.hosts.deadlines import TICK, Deadline, Deadlines

SHORT = 2 * TICK


def run(scene: Callable[[Deadlines], Awaitable[None]]) -> Deadlines:
    """Run a scene; nothing waits behind it."""
    deadlines = Deadlines()

    async def whole() -> None:
        await asyncio.wait_for(scene(deadlines), 10)

    asyncio.run(whole())
    return deadlines


async def waits(deadlines: Deadlines, seconds: float, wait: float = 60) -> Deadline:
    """The deadline of a wait, after it."""
    deadline = deadlines.within(seconds)
    try:
        with deadline:
            await asyncio.sleep(wait)
    except TimeoutError:
        assert deadline.has_expired
    return deadline


def test_wait_ends_at_its_deadline_and_not_before() -> None:
    async def scene(deadlines: Deadlines) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        assert (await waits(deadlines, SHORT)).has_expired
        assert loop.time() - begin >= SHORT

    run(scene)


def test_wait_that_is_over_is_left_alone() -> None:
    async def scene(deadlines: Deadlines) -> None:
        assert not (await waits(deadlines, SHORT, wait=0)).has_expired
        await asyncio.sleep(3 * SHORT)

    run(scene)


def test_each_wait_has_its_own() -> None:
    async def scene(deadlines: Deadlines) -> None:
        long = [asyncio.ensure_future(waits(deadlines, 60, wait=4 * SHORT)) for _ in range(3)]
        short = [asyncio.ensure_future(waits(deadlines, SHORT)) for _ in range(3)]
        assert [True] * 3 == [one.has_expired for one in await asyncio.gather(*short)]
        assert [False] * 3 == [one.has_expired for one in await asyncio.gather(*long)]
        assert (await waits(deadlines, SHORT)).has_expired

    run(scene)


@pytest.mark.parametrize(("outer", "inner"), [(SHORT, 60.0), (60.0, SHORT)])
def test_of_two_the_one_that_is_over_says_so(outer: float, inner: float) -> None:
    async def scene(deadlines: Deadlines) -> None:
        one, other = deadlines.within(outer), deadlines.within(inner)
        with pytest.raises(TimeoutError), one, other:
            await asyncio.sleep(60)
        assert (outer < inner, inner < outer) == (one.has_expired, other.has_expired)

    run(scene)


def test_call_that_is_cancelled_by_another_is_cancelled() -> None:
    async def scene(deadlines: Deadlines) -> None:
        task = asyncio.ensure_future(waits(deadlines, 60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scene)


def test_it_serves_one_event_loop_after_another() -> None:
    deadlines = Deadlines()

    async def scene() -> None:
        assert (await waits(deadlines, SHORT)).has_expired
        await waits(deadlines, 60, wait=0)

    for _ in range(2):
        asyncio.run(scene())
