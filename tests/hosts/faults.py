"""The errors that handlers in tests end with: whatever Python can raise, not only what it should."""

from asyncio import CancelledError
from collections.abc import Callable, Mapping

FAULTS: Mapping[str, Callable[[], BaseException]] = {
    "Exception": lambda: RuntimeError("a secret"),
    "SystemExit": lambda: SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": CancelledError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
}
