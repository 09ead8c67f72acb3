"""The event loop that everything of ours runs on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop of uvloop, where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - it is not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def run_loop(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop of its own."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
