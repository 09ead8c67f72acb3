"""Worker processes kept running: started, told to stop, and replaced when they end. Knows nothing of what they do.

A worker is a command that says that it is ready by one line of JSON on its standard output, and ends when its standard input closes, so
that none outlives whoever started it. One that ends before it is ready has never taken a request. One that is ready answers each byte that
it is sent by a byte, while it works; one that has been silent for too long is killed.
"""

import asyncio
import json
import logging
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from mcp_acl.runtime.silence import silent

_LOG: Final = logging.getLogger("mcp_acl")
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 10.0
"""Seconds until a worker that ended is replaced: twice as long each time, up to the longest."""
_LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes of what a worker says when it is ready: every policy by name."""
_STEADY: Final = 10.0
"""Seconds that a worker must have run for its end to count as the first one again."""
_QUESTION: Final = b"?"
_LONGEST_ANSWER: Final = 4096

Record: TypeAlias = Mapping[str, Any]
Command: TypeAlias = Callable[[int, Record | None], Sequence[str]]
"""The command of a worker by its number. When it is started anew, with what the one before it said when it was ready."""


class WorkerError(RuntimeError):
    """A worker ended before the service was ready. `code` is how, as a process says it."""

    def __init__(self, number: int, code: int) -> None:
        self.code = code
        super().__init__(f"worker {number} {_how(code)} before it was ready")


class Supervisor:
    """Runs `count` workers. `seconds`: how long they have to end after a signal, before they are killed.

    `silence`: for how many seconds one may be silent that is ready; 0: for ever.
    """

    def __init__(
        self, count: int, command: Command, environment: Mapping[str, str], seconds: float, silence: float = 0.0
    ) -> None:
        self._command = command
        self._environment = environment
        self._seconds = seconds
        self._silence = silence
        self._records: list[Record | None] = [None] * count
        self._processes: dict[int, Process] = {}
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[Sequence[Record]], None]) -> None:
        """Run until SIGTERM or SIGINT. `ready` is told once what the workers said. Raises WorkerError.

        The first worker is started alone, so that what is wrong with all of them is said once. A signal goes on to every worker, and a
        second one too.
        """
        loop = asyncio.get_running_loop()
        for sign in _SIGNALS:
            loop.add_signal_handler(sign, self._stop)
        try:
            await self._start(0)
            await asyncio.gather(*map(self._start, range(1, len(self._records))))
            if not self._stopping.is_set():
                ready([record for record in self._records if record is not None])
                await self._keep_all()
        finally:
            if not self._stopping.is_set():
                self._stop()
            await self._ended()

    async def _start(self, number: int) -> None:
        """Start a worker and wait until it is ready. Raises WorkerError."""
        if self._stopping.is_set():
            return
        command = self._command(number, self._records[number])
        # A session of its own keeps the terminal's Ctrl-C from it, which would be a second signal.
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            stdin=PIPE,
            stdout=PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        self._processes[number] = process
        if self._stopping.is_set():
            process.terminate()
        assert process.stdout is not None
        line = await process.stdout.readline()
        if line:
            self._records[number] = json.loads(line)
        elif not self._stopping.is_set():
            raise WorkerError(number, await process.wait())

    async def _keep_all(self) -> None:
        """Keep every worker running until a signal."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(number)) for number in range(len(self._records))]
            await self._stopping.wait()
            for keeper in keepers:
                keeper.cancel()

    async def _keep(self, number: int) -> None:
        """Replace a worker whenever it ends."""
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            started = loop.time()
            code = await self._end_of(number, self._processes[number])
            delay = _FIRST_DELAY if loop.time() - started > _STEADY else delay
            _LOG.error("worker %d %s; another takes its place in %.1f s", number, _how(code), delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            try:
                await self._start(number)
            except (WorkerError, OSError, ValueError) as error:
                _LOG.error("%s", error)
            else:
                _LOG.info("worker %d is ready again", number)

    async def _end_of(self, number: int, process: Process) -> int:
        """Wait for the end of a worker, and return how it ended."""
        watching = asyncio.ensure_future(self._kill_if_silent(number, process))
        try:
            return await process.wait()
        finally:
            watching.cancel()

    async def _kill_if_silent(self, number: int, process: Process) -> None:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        async def answered(seconds: float) -> bool:
            stdin.write(_QUESTION)
            try:
                return bool(await asyncio.wait_for(stdout.read(_LONGEST_ANSWER), seconds))
            except TimeoutError:
                return False

        await silent(self._silence, answered)
        if not stdout.at_eof():  # it hangs, and has not ended
            _LOG.error("worker %d has been silent for %g s; it is killed", number, self._silence)
            with suppress(ProcessLookupError):
                process.kill()

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)

    async def _ended(self) -> None:
        """Wait until every worker has ended; kill those that take too long."""
        waiting = [asyncio.ensure_future(process.wait()) for process in self._processes.values()]
        _, late = await asyncio.wait(waiting, timeout=self._seconds) if waiting else ((), ())
        for number, process in self._processes.items():
            if process.returncode is None:
                _LOG.error("worker %d does not end; it is killed", number)
                process.kill()
        await asyncio.gather(*late)


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
