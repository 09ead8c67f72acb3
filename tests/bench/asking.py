"""How tests ask lines: as many questions as they like, and whether each answer was right. No answer at all is an error, and no wait."""

import asyncio

from mcp_acl.bench.exchange import Line

SECONDS = 20.0


async def answers(line: Line, questions: int) -> list[bool]:
    """Ask all at once."""
    loop = asyncio.get_running_loop()
    open_ones: list[asyncio.Future[bool]] = [loop.create_future() for _ in range(questions)]
    for one in open_ones:
        line.ask(one.set_result)
    async with asyncio.timeout(SECONDS):
        return list(await asyncio.gather(*open_ones))
