"""Worker processes kept running: started, told to stop, replaced when they end and when someone asks. Knows nothing of what they do.

Over two pipes, its standard output and its standard input, a worker

1. says a line of JSON when it has everything but its addresses, and waits for a line;
2. then listens, and says another line when it does: it is ready;
3. from then on answers each byte that it is sent by a byte, while it works;
4. ends when its input closes, so that none outlives whoever started it.

One that takes too long for 1 or 2 is killed, and so is one that has been silent for too long in 3. One that ends before it is ready has
never taken a request.

An address has one owner at a time. So whoever takes a place has everything before the one who has it is told to end, and listens when
that one has ended: a worker that cannot take over costs nothing, and one that can leaves its address empty for a moment.
"""

import asyncio
import json
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

from mcp_acl.runtime.silence import silent

_LOG: Final = logging.getLogger("mcp_acl")
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_INPUT: Final = 0
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


class Times(NamedTuple):
    """How long what may take, in seconds."""

    end: float
    """From a signal until a worker that has not ended is killed."""
    silence: float = 0.0
    """Without an answer, of one that is ready; 0: for ever."""
    pause: float = 0.0
    """For callers to come back to a worker that has replaced another, before the next one is told to end."""
    start: float = 300.0
    """Until a worker has everything, and again until it listens. More than Envoy is given twice, so that nothing that works is killed."""


class _Worker(NamedTuple):
    number: int
    process: Process

    @property
    def runs(self) -> bool:
        return self.process.returncode is None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


class Supervisor:
    """Runs `count` workers."""

    def __init__(self, count: int, command: Command, environment: Mapping[str, str], times: Times) -> None:
        self._command = command
        self._environment = environment
        self._times = times
        self._records: list[Record | None] = [None] * count
        self._places: dict[int, _Worker] = {}
        self._changing = [asyncio.Lock() for _ in range(count)]
        self._running: list[_Worker] = []
        self._leaving: _Worker | None = None
        self._asked = asyncio.Event()
        self._stopping = asyncio.Event()
        self._has_terminal = False

    async def run(self, ready: Callable[[Sequence[Record]], None]) -> None:
        """Run until SIGTERM or SIGINT. `ready` is told once what the workers said. Raises WorkerError.

        The first worker is started alone, so that what is wrong with all of them is said once. A signal goes on to every worker, and a
        second one too. SIGHUP asks for other workers in the place of these, one after another; the first that cannot take its place ends
        that, and leaves the others.
        """
        loop = asyncio.get_running_loop()
        for sign in _SIGNALS:
            loop.add_signal_handler(sign, self._stop)
        self._has_terminal = os.isatty(_INPUT)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        try:
            await self._start(0)
            await asyncio.gather(*map(self._start, range(1, len(self._records))))
            if not self._stopping.is_set():
                ready([record for record in self._records if record is not None])
                await self._keep_all()
        finally:
            if not self._stopping.is_set():
                self._stop()
            await asyncio.gather(*map(self._ended, self._running))

    # ---- one worker ------------------------------------------------------------------------------------------------

    async def _start(self, number: int) -> None:
        """Start a worker and wait until it is ready. Raises WorkerError."""
        if not self._stopping.is_set():
            self._places[number] = worker = await self._begun(number)
            await self._said(worker)
            await self._listening(worker)

    async def _begun(self, number: int) -> _Worker:
        # A session of its own keeps the terminal's Ctrl-C from it, which would be a second signal.
        process = await asyncio.create_subprocess_exec(
            *self._command(number, self._records[number]),
            env=self._environment,
            stdin=PIPE,
            stdout=PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        worker = _Worker(number, process)
        self._running = [*(one for one in self._running if one.runs), worker]
        if self._stopping.is_set():
            process.terminate()
        return worker

    async def _said(self, worker: _Worker) -> bytes:
        """What it says next; nothing if it has ended because it was told to. Raises WorkerError."""
        assert worker.process.stdout is not None
        line = b""
        try:
            async with asyncio.timeout(self._times.start):
                line = await worker.process.stdout.readline()
        except TimeoutError:
            _LOG.error("worker %d is not ready after %g s; it is killed", worker.number, self._times.start)
            worker.kill()
        if not line and not self._stopping.is_set():
            raise WorkerError(worker.number, await worker.process.wait())
        return line

    async def _listening(self, worker: _Worker) -> None:
        """Tell a worker that waits to listen, and wait until it does. Raises WorkerError."""
        assert worker.process.stdin is not None
        worker.process.stdin.write(b"\n")
        if line := await self._said(worker):
            self._records[worker.number] = json.loads(line)

    async def _ended(self, worker: _Worker) -> None:
        """Wait until a worker has ended; kill one that takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.end):
                await worker.process.wait()
        if worker.runs:
            _LOG.error("worker %d does not end; it is killed", worker.number)
            worker.kill()
            await worker.process.wait()

    async def _end_of(self, worker: _Worker) -> int:
        """Wait for the end of a worker that is ready, and return how it ended; kill one that hangs."""
        watching = asyncio.ensure_future(self._kill_if_silent(worker))
        try:
            return await worker.process.wait()
        finally:
            watching.cancel()

    async def _kill_if_silent(self, worker: _Worker) -> None:
        stdin, stdout = worker.process.stdin, worker.process.stdout
        assert stdin is not None
        assert stdout is not None

        async def answered(seconds: float) -> bool:
            if worker is self._leaving:  # it answers nobody when it writes what is left, and has its own time for that
                return True
            stdin.write(_QUESTION)
            try:
                async with asyncio.timeout(seconds):
                    return bool(await stdout.read(_LONGEST_ANSWER))
            except TimeoutError:
                return False

        await silent(self._times.silence, answered)
        if not stdout.at_eof():  # it hangs, and has not ended
            _LOG.error("worker %d has been silent for %g s; it is killed", worker.number, self._times.silence)
            worker.kill()

    # ---- all of them -----------------------------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        """Keep every worker running until a signal."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(number)) for number in range(len(self._records))]
            tasks.append(group.create_task(self._replace_when_asked()))
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    async def _keep(self, number: int) -> None:
        """Start another worker whenever one ends by itself."""
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            started = loop.time()
            worker = self._places[number]
            code = await self._end_of(worker)
            async with self._changing[number]:
                if self._places[number] is not worker:
                    continue
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

    async def _replace_when_asked(self) -> None:
        """Replace all workers, as often as someone asks; who asks meanwhile gets all of them anew."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            _LOG.info("all workers are being replaced, one after another")
            try:
                for number in range(len(self._records)):
                    await self._replace(number)
                    await asyncio.sleep(self._times.pause)
            except (WorkerError, OSError, ValueError) as error:
                _LOG.error("%s; no more workers are replaced", error)
            else:
                _LOG.info("all workers have been replaced")

    async def _replace(self, number: int) -> None:
        """Put another worker in the place of one. Raises WorkerError if it cannot take it."""
        worker = await self._begun(number)
        await self._said(worker)
        async with self._changing[number]:
            before, self._places[number] = self._places[number], worker
            if before.runs:
                self._leaving = before
                before.process.terminate()
                await self._ended(before)
            await self._listening(worker)
            _LOG.info("worker %d is another one", number)

    # ---- signals ---------------------------------------------------------------------------------------------------

    def _hang_up(self) -> None:
        """SIGHUP asks for other workers, unless the terminal is gone that it was started from: then nobody is left who could stop it."""
        if self._has_terminal and not os.isatty(_INPUT):
            self._stop()
        else:
            self._asked.set()

    def _stop(self) -> None:
        """Tell every worker; the first time not the one that has been told already, whose drain a second signal would cut short."""
        told = None if self._stopping.is_set() else self._leaving
        self._stopping.set()
        for worker in self._running:
            if worker.runs and worker is not told:
                worker.process.send_signal(signal.SIGTERM)


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
