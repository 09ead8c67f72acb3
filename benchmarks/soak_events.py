"""What happens to a service during a soak, all the time, each kind on a schedule of its own. Knows no question and no report.

Each happening is waited for: it must take hold in every worker, or is a failure. A worker is not killed while the policy files are broken: it
could not start again until they are mended, which is what it promises.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
from soak_lines import opened
from soak_questions import Turns
from soak_service import Service, Told, told_by

from mcp_acl.bench.opening import LineError

_SECONDS: Final = 90.0
"""In which whatever was done must have taken hold."""
_LOOK: Final = 0.2
_PATH: Final = "/grpc.health.v1.Health/Check"


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what processes and files tell nobody."""
    while not await holds():  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(_LOOK)


class Event(msgspec.Struct, frozen=True):
    """Something that happened, so many seconds after the beginning."""

    at: float
    kind: str
    says: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds between happenings of each kind. The first of each is after a part of that."""

    reload: float = 4.0
    rename: float = 20.0
    kill: float = 20.0
    certificates: float = 15.0

    def within(self, seconds: float) -> "Schedule":
        """So that each kind happens more than once in a run that is short."""
        return Schedule(
            min(self.reload, seconds / 6),
            min(self.rename, seconds / 3),
            min(self.kill, seconds / 3),
            min(self.certificates, seconds / 3),
        )


@dataclass
class Happening:
    """What happens, what has happened, and what did not take hold."""

    service: Service
    turns: Turns
    renew: Callable[[], Awaitable[None]]
    """Replaces the clients' connections."""
    events: list[Event] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    dropped: int = 0
    """Records of denials that a worker said it had no room for."""
    started: float = field(default_factory=time.perf_counter)
    _whole: asyncio.Lock = field(default_factory=asyncio.Lock)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, schedule: Schedule, seconds: float) -> None:
        """For so many seconds, and until what was begun has taken hold: of each kind one at least."""
        kinds = (
            (schedule.reload, self._reload),
            (schedule.rename, self._rename),
            (schedule.kill, self._kill),
            (schedule.certificates, self._certify),
        )
        async with asyncio.TaskGroup() as group:
            for at, (period, step) in enumerate(kinds):
                group.create_task(self._again(period * (at + 1) / len(kinds), period, step))
            await asyncio.sleep(seconds)
            group.create_task(self._turned())
            self._over.set()

    def tell(self, kind: str, says: str) -> None:
        self.events.append(Event(round(time.perf_counter() - self.started, 3), kind, says))

    async def _again(self, first: float, period: float, step: Callable[[int], Awaitable[None]]) -> None:
        number, wait = 0, first
        while not await self._is_over(wait) or not number:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(_SECONDS):
                    await step(number)
            except TimeoutError:
                self.failures.append(f"{step.__name__.strip('_')} {number} did not take hold within {_SECONDS:g} s")
            number, wait = number + 1, max(period - (time.perf_counter() - began), 0.0)

    async def _is_over(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return self._over.is_set()
        return True

    # ---- policies --------------------------------------------------------------------------------------------------

    async def _reload(self, number: int) -> None:
        """Another set, or for every third number first one that is broken."""
        async with self._whole:
            if number % 3 == 0:
                self.service.put([self.turns.broken(number // 3)])
                await self._until_told(lambda told: told.refused)
                self.tell("refused", f"broken policies, kind {number // 3 % 3}; what was in force stays")
            before, turn = self.turns.current, self.turns.next()
            self.service.put(turn.files)
            await self._until_told(lambda told: told.revision == turn.revision and not told.refused)
            before.until = time.perf_counter_ns()
            self.tell("reloaded", f"turn {turn.number}, revision {turn.revision}")

    async def _until_told(self, holds: Callable[[Told], bool]) -> None:
        """Wait until it holds of each worker, by what its metrics say."""

        async def is_told(url: str) -> bool:
            told = await asyncio.to_thread(told_by, url)
            if told is None:
                return False
            self.dropped = max(self.dropped, told.dropped)
            return holds(told)

        for url in self.service.metrics:
            await _until(partial(is_told, url))

    # ---- the log ---------------------------------------------------------------------------------------------------

    async def _rename(self, number: int) -> None:
        """As logrotate does: the file gets another name, and whoever writes finds out."""
        log = self.service.log

        async def is_there() -> bool:
            return log.exists()

        await _until(is_there)
        log.rename(log.with_name(f"{log.name}-{number:06}"))
        self.tell("renamed", f"log file {number}")
        await _until(is_there)  # the next records begin it

    async def _turned(self) -> None:
        """Of itself, when it is long enough; a run that is short waits for that."""

        async def is_turned() -> bool:
            return self.service.turned() > 0

        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await _until(is_turned)

    # ---- workers ---------------------------------------------------------------------------------------------------

    async def _kill(self, _: int) -> None:
        async with self._whole:
            victim = self.service.victim()
            if victim is None:  # it has not come back yet, which was said
                return
            victim.kill()
            began = time.perf_counter()
            self.tell("killed", f"worker 1, process {victim.pid}")
            await asyncio.to_thread(victim.wait, _SECONDS)
            await _until(lambda: self._is_let_in(self.service.addresses[1]))
            self.tell("back", f"worker 1 after {time.perf_counter() - began:.1f} s")

    async def _is_let_in(self, address: str) -> bool:
        try:
            (await opened(_PATH, address, self.service.authorities.tls)).end("let in")
        except LineError:
            return False
        return True

    # ---- certificates ----------------------------------------------------------------------------------------------

    async def _certify(self, number: int) -> None:
        """Another authority; when each worker shows what it has signed, clients get theirs; strangers are kept out all the time."""
        authorities = self.service.authorities
        authorities.change()
        for address in self.service.addresses:
            await _until(partial(self._shows, address, authorities.shown))
        authorities.renew()
        await self.renew()
        await self._keep_out(self.service.addresses)
        self.tell("certified", f"authority {number + 1}, new certificates of the service and of clients")

    async def _shows(self, address: str, certificate: bytes) -> bool:
        """By a client with the newest certificate: it is let in, too."""
        try:
            wire = await opened(_PATH, address, self.service.authorities.client())
        except LineError:
            return False
        wire.end("seen")
        return wire.certificate == certificate

    async def _keep_out(self, addresses: Sequence[str]) -> None:
        for what, tls in self.service.authorities.strangers().items():
            for address in addresses:
                try:
                    wire = await opened(_PATH, address, tls)
                except LineError:
                    continue
                wire.end("a stranger")
                self.failures.append(f"a client with {what} was let in")
