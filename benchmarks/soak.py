"""Soak the service: `python benchmarks/soak.py [--seconds N] [--json FILE] [--html FILE]`.

At 70 % of what it can do, while policies are changed and broken, the log is rotated, a worker is killed and certificates are replaced, all the
time. Every answer is checked, and every denial looked up in the log. README.md beside this file says what is claimed; exit code 1 if a claim does not hold.
"""

import argparse
import asyncio
import gc
import os
import platform
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import soak_report
from rich.console import Console
from soak_asking import Asker, Counted, Plan
from soak_events import Happening, Schedule
from soak_lines import Lines
from soak_questions import Turns
from soak_results import Second, Soak, claims
from soak_service import Service, SoakError, found_in, serving

from mcp_acl.bench.histogram import latency_of
from mcp_acl.bench.loops import Span, closed_loop
from mcp_acl.bench.measuring import load, versions_in
from mcp_acl.bench.results import Latency, Machine
from mcp_acl.client.wire import PATHS
from mcp_acl.runtime.event_loop import run_loop

IN_FLIGHT: Final = 32
_CONNECTIONS: Final = 3
"""To each worker, for questions; for lists one."""
_CAPACITY_SECONDS: Final = 6.0
_LAST_ANSWERS: Final = 60.0
_SHORTEST: Final = 1.0
_BYTES_A_SECOND: Final = 1024
"""Of the run: the size of a log file at which it is turned, so that runs of any length turn some."""
_SMALLEST_LOG: Final = 64 * 1024
_MS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Soaking:
    """How: for how long, how much of the capacity, and the seed of what is asked."""

    seconds: float
    fill: float
    seed: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run has measured of the asking."""

    capacity: float
    rate: float
    length: float
    counted: Counted
    seconds: list[Second]
    latency: Latency
    happening: Happening


class Sampler:
    """Looks once a second."""

    def __init__(self, service: Service, counted: Counted, happening: Happening) -> None:
        self.seconds: list[Second] = []
        self.latencies = array("q")
        self._service = service
        self._counted = counted
        self._happening = happening
        self._turned = 0
        self._before = (0, 0, 0)
        counted.take()
        self._look()

    async def run(self) -> None:
        """Until it is cancelled."""
        at = self._happening.started
        while True:
            at = max(at + 1.0, time.perf_counter())
            await asyncio.sleep(at - time.perf_counter())
            self.seconds.append(self._look())

    def _look(self) -> Second:
        turned = self._service.turned()
        if turned > self._turned:
            self._happening.tell("turned", f"{turned} files by now")
            self._turned = turned
        counted = self._counted
        latencies, lateness = counted.take()
        self.latencies.extend(latencies)
        ordered = sorted(latencies) or [0]
        now = (counted.asked, counted.answered, sum(counted.again.values()))
        asked, answered, again = (after - before for after, before in zip(now, self._before, strict=True))
        self._before = now
        return Second(
            at=round(time.perf_counter() - self._happening.started, 3),
            asked=asked,
            answered=answered,
            waiting=counted.waiting,
            again=again,
            p50=ordered[len(ordered) // 2] / _MS,
            p99=ordered[len(ordered) * 99 // 100] / _MS,
            late=max(lateness, default=0) / _MS,
            memory=self._service.memory(),
        )


async def soak(service: Service, turns: Turns, plan: Soaking) -> Asked:
    """Ask, while everything happens."""
    seconds, seed = plan.seconds, plan.seed
    async with AsyncExitStack() as ending:
        lines = [
            await ending.enter_async_context(
                _kept(Lines(PATHS[path], service.addresses, each, lambda: service.authorities.tls))
            )
            for path, each in (("Check", _CONNECTIONS), ("FilterResponse", 1))
        ]
        asker = Asker(lines[0], lines[1], turns.known, seed)
        least = min(_CAPACITY_SECONDS, seconds / 4)
        outcome = await closed_loop([asker], IN_FLIGHT, Span(least, least / 4, _LAST_ANSWERS))
        capacity = outcome.answers / outcome.seconds
        rate = plan.fill * capacity
        print(
            f"capacity: {capacity:,.0f} questions a second; {plan.fill:.0%} of it for {seconds:,g} s", file=sys.stderr
        )

        async def renew() -> None:
            for line in lines:
                for slot in line.slots:
                    await slot.renew()

        gc.collect()
        gc.freeze()
        happening = Happening(service, turns, renew)
        sampler = Sampler(service, asker.counted, happening)
        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(sampler.run())
            with Plan(asker, rate, seed):
                await happening.run(Schedule().within(seconds), seconds)
            length = time.perf_counter() - happening.started
            await _answered(asker.counted)
            await asyncio.sleep(1.0)  # the last second is sampled, too
            sampling.cancel()
        latency = latency_of(sampler.latencies)
        return Asked(capacity, rate, length, asker.counted, sampler.seconds, latency, happening)


@asynccontextmanager
async def _kept(lines: Lines) -> AsyncIterator[Lines]:
    """Open, and kept so."""
    await asyncio.gather(*(slot.fill() for slot in lines.slots))
    keepers = [asyncio.ensure_future(slot.keep()) for slot in lines.slots]
    try:
        yield lines
    finally:
        for keeper in keepers:
            keeper.cancel()
        for slot in lines.slots:
            slot.close()


async def _answered(counted: Counted) -> None:
    """Wait for the last answers, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_ANSWERS):
            while counted.waiting:  # noqa: ASYNC110 - whatever ends the last question
                await asyncio.sleep(0.05)


def run(directory: Path, plan: Soaking) -> Soak:
    """A soak, and what is in the log after it. Raises SoakError."""
    before, turns = load(), Turns()
    size = max(_SMALLEST_LOG, round(plan.seconds * _BYTES_A_SECOND))
    with serving(directory, turns.current.files, size) as service:
        asked = run_loop(soak(service, turns, plan))
    counted, happening = asked.counted, asked.happening
    return Soak(
        made=datetime.now(UTC),
        command=tuple(sys.argv),
        seed=plan.seed,
        machine=Machine(
            system=platform.platform(),
            processor=platform.processor() or platform.machine(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            load=(*before, *load()),
        ),
        versions=versions_in(sys.executable),
        capacity=asked.capacity,
        rate=asked.rate,
        length=asked.length,
        questions=counted.asked,
        answers=counted.answers,
        wrong=counted.wrong,
        unanswered=counted.waiting,
        again=dict(counted.again),
        faults=dict(counted.faults),
        denials=len(counted.denied),
        latency=asked.latency,
        log=found_in(directory / "log", counted.denied),
        dropped=happening.dropped,
        failures=tuple(happening.failures),
        seconds=tuple(asked.seconds),
        events=tuple(happening.events),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long (1800; 1 or more)")
    parser.add_argument("--fill", type=float, default=0.7, help="how much of the capacity is asked (0.7)")
    parser.add_argument("--seed", type=int, default=1, help="what is asked, and when (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every second, every event and every claim")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep logs and all else in this directory, which must not be there"
    )
    chosen = parser.parse_args(arguments)
    plan = Soaking(max(chosen.seconds, _SHORTEST), chosen.fill, chosen.seed)
    try:
        if chosen.keep:
            chosen.keep.mkdir()
            found = run(chosen.keep, plan)
        else:
            with tempfile.TemporaryDirectory(prefix="mcp-acl-soak-") as made:
                found = run(Path(made), plan)
    except SoakError as error:
        print(error, file=sys.stderr)
        return 2
    held = claims(found)
    Console(width=max(120, Console().width)).print(soak_report.table(found, held))
    if chosen.json:
        document = {**msgspec.to_builtins(found), "claims": msgspec.to_builtins(held)}
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    if chosen.html:
        chosen.html.write_text(soak_report.html(found, held), encoding="utf-8")
    return 1 if any(claim.holds is False for claim in held) else 0


if __name__ == "__main__":
    sys.exit(main())
