"""A run: every case once in each round, one after the other, and a first round that does not count. Knows no command line.

Services of all cases run from the beginning to the end; those of the same host and the same policies are one.
"""

import asyncio
import json
import os
import platform
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mcp_acl.bench.accounting import Used, used_by
from mcp_acl.bench.exchange import Exchange, Line, Post
from mcp_acl.bench.histogram import latency_of
from mcp_acl.bench.line_grpc import open_grpc
from mcp_acl.bench.line_http import open_http
from mcp_acl.bench.loops import Outcome, Span, closed_loop, open_loop
from mcp_acl.bench.opening import LineError
from mcp_acl.bench.results import Case, Machine, Results, Round
from mcp_acl.bench.running import Running, running
from mcp_acl.bench.workloads import Shape, Workload, workload
from mcp_acl.runtime.event_loop import run_loop

_BUSY: Final = 1.5
"""Runnable processes a core from which a machine is said to have been busy."""
_LATE: Final = 1_000_000
"""ns by which a client that asks late in one of a hundred cases is said to have been the limit."""
_FULL: Final = 0.85
"""Of a core, from which a client is said to have been the limit."""
_PACKAGES: Final = ("mcp-acl", "grpcio", "protobuf", "pyvoy", "uvloop")
_ASK_VERSIONS: Final = """
import importlib.metadata, json, platform, sys
found = {"Python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_ASK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Loop:
    """How is asked: closed with `in_flight` questions at once, or open at `rate` a second, at random moments."""

    in_flight: int = 32
    connections: int = 1
    rate: float = 0.0
    seconds: float = 2.0
    warm_up: float = 0.5
    seed: int = 1

    @property
    def span(self) -> Span:
        """How long."""
        return Span(self.seconds, self.warm_up)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked in one case: where, and whose processes are counted. `change` is told every `every` seconds how often it was told."""

    name: str
    facts: dict[str, str | int | float]
    address: str
    exchange: Exchange
    pids: tuple[int, ...] = ()
    unit: int = 1
    every: float = 0.0
    change: Callable[[int], None] | None = None
    tls: ssl.SSLContext | None = None
    tls_name: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a run has just done."""

    name: str
    number: int
    rounds: int
    round: Round


Told = Callable[[Step], None]


@dataclass(slots=True)
class Run:
    """What has been found so far, round by round; and what is to be said beside it."""

    targets: Sequence[Target]
    loop: Loop
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    is_whole: bool = True

    def measure(self, rounds: int, told: Told) -> None:
        """Measure; ends early, with what there is, when it is interrupted. Raises LineError if that is nothing."""
        self._note_load()
        try:
            self._measure(rounds, told)
        except KeyboardInterrupt:
            self.notes["It was interrupted: rounds are missing."] = None
            self.is_whole = False
        except LineError as error:
            if not self.rounds:
                raise
            self.notes[f"It ended early, rounds are missing: {error}"] = None
            self.is_whole = False
        self._note_load()

    def _measure(self, rounds: int, told: Told) -> None:
        for number in range(rounds + 1):
            for target in self.targets:
                found = run_loop(self._round(target))
                told(Step(target.name, number, rounds, found))
                if number:
                    self.rounds.setdefault(target.name, []).append(found)

    def cases(self) -> tuple[Case, ...]:
        """What was measured whole."""
        return tuple(
            Case(
                name=target.name,
                facts=target.facts,
                rounds=tuple(self.rounds[target.name]),
                rate=self.loop.rate,
                in_flight=self.loop.connections if self.loop.rate else self.loop.in_flight,
                unit=target.unit,
            )
            for target in self.targets
            if self.rounds.get(target.name)
        )

    def told(self) -> tuple[str, ...]:
        """What is to be said beside the figures."""
        reasons = ((name, reason) for name, found in self.reasons.items() for reason, _ in found.most_common(1))
        return (*self.notes, *(f"{name}: answers were wrong: {reason}" for name, reason in reasons))

    async def _round(self, target: Target) -> Round:
        opening = (_line(target) for _ in range(self.loop.connections))
        lines = await asyncio.gather(*opening)
        before: list[Used] = []

        def began() -> None:
            used = used_by(target.pids)
            before[:] = [] if used is None else [used]

        try:
            with _changing(target):
                outcome = await self._asked(lines, began)
        finally:
            for line in lines:
                line.close()
        after = used_by(target.pids)
        self._note(target, outcome)
        return _round_of(outcome, after.since(before[0]) if after and before else None)

    async def _asked(self, lines: Sequence[Line], began: Callable[[], None]) -> Outcome:
        loop = self.loop
        if loop.rate:
            return await open_loop(lines, loop.rate, loop.span, seed=loop.seed, began=began)
        return await closed_loop(lines, loop.in_flight, loop.span, began=began)

    def _note(self, target: Target, outcome: Outcome) -> None:
        self.reasons.setdefault(target.name, Counter()).update(outcome.reasons)
        late = sorted(outcome.lateness)
        if late and late[len(late) * 99 // 100] > _LATE:
            self.notes[f"{target.name}: the client asked late; its own limit is in the latencies."] = None
        elif outcome.client_cpu * outcome.answers > _FULL * 1e6 * outcome.seconds and not self.loop.rate:
            self.notes[
                f"{target.name}: the client was the limit, not the server: throughput and latencies are its own."
            ] = None

    def _note_load(self) -> None:
        cores = os.cpu_count() or 1
        if load() and load()[0] > _BUSY * cores:
            self.notes["The machine was busy with other things: figures say little."] = None


async def _line(target: Target) -> Line:
    if isinstance(target.exchange, Post):
        return await open_http(target.address, target.exchange, tls=target.tls)
    return await open_grpc(target.address, target.exchange, tls=target.tls, tls_name=target.tls_name)


@contextmanager
def _changing(target: Target) -> Iterator[None]:
    """Change what is measured, again and again, from a thread of its own."""
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.wait(target.every):
            number += 1
            assert target.change is not None
            target.change(number)

    thread = threading.Thread(target=change, daemon=True) if target.change is not None else None
    if thread is not None:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread is not None:
            thread.join()


def _round_of(outcome: Outcome, used: Used | None) -> Round:
    answers = max(outcome.answers, 1)
    return Round(
        seconds=outcome.seconds,
        answers=outcome.answers,
        wrong=outcome.wrong,
        latency=latency_of(outcome.latencies),
        server_cpu=None if used is None else used.cpu / answers,
        client_cpu=outcome.client_cpu,
        memory=None if used is None else used.memory,
        parts={} if used is None else {name: spent / answers for name, spent in used.parts.items()},
    )


# ---- services of our own --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """One case to measure: a host, a workload, and every how many seconds policies change meanwhile (0: never)."""

    host: str
    shape: Shape
    reload: float = 0.0

    @property
    def name(self) -> str:
        """The same in every run, so that runs can be compared."""
        shape = self.shape
        size = f"of {shape.entries:,}" if shape.interface == "filter" else f"of {shape.payload:,} bytes"
        denied = ", denied" if shape.denied else ""
        reloading = ", reloading" if self.reload else ""
        return f"{self.host} {shape.interface} {size}, {shape.rules:,} rules, conditions {shape.conditions}{denied}{reloading}"

    @property
    def facts(self) -> dict[str, str | int | float]:
        """For tables and plots."""
        shape = self.shape
        size = {"entries": shape.entries} if shape.interface == "filter" else {"payload": shape.payload}
        return {
            "host": self.host,
            "interface": shape.interface,
            "rules": shape.rules,
            "conditions": shape.conditions,
            **size,
            "denied": int(shape.denied),
            "reload": self.reload,
        }


@contextmanager
def served(wanted: Sequence[Wanted], seed: int, python: str = sys.executable) -> Iterator[tuple[Target, ...]]:
    """Run what is wanted. Raises ServerError."""
    with ExitStack() as ending:
        services: dict[object, Running] = {}
        targets = []
        for one in wanted:
            work = workload(one.shape, seed)
            key = (one.host, work.policies, one.reload)
            if key not in services:
                services[key] = ending.enter_context(running(one.host, work.policies, python, changes=one.reload > 0))
            targets.append(_target(one, work, services[key]))
        yield tuple(targets)


def _target(one: Wanted, work: Workload, service: Running) -> Target:
    def change(number: int) -> None:
        service.put(work.changed if number % 2 else work.policies)

    changes = change if one.reload else None
    return Target(one.name, one.facts, service.address, work.call, (service.pid,), work.unit, one.reload, changes)


# ---- where it was ---------------------------------------------------------------------------------------------------


def results_of(run: Run, command: Sequence[str], before: tuple[float, ...], versions: Mapping[str, str]) -> Results:
    """The run as it is kept; `before` is the load before it, `versions` those of what was measured."""
    return Results(
        made=datetime.now(UTC),
        command=tuple(command),
        seed=run.loop.seed,
        machine=Machine(
            system=platform.platform(),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            load=(*before, *load()),
        ),
        versions=dict(versions),
        cases=run.cases(),
        notes=run.told(),
    )


def load() -> tuple[float, ...]:
    """Runnable processes, the average of the last minute, where the system says."""
    try:
        return (os.getloadavg()[0],)
    except OSError:
        return ()


def _processor() -> str:
    """Linux knows it by name; elsewhere its kind."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
        )
    return platform.machine()


def versions_in(python: str) -> dict[str, str]:
    """Of that Python, and of what of ours is installed beside it; nothing where it cannot be run."""
    try:
        asked = subprocess.run(  # noqa: S603 - the caller's own Python
            [python, "-P", "-c", _ASK_VERSIONS, *_PACKAGES], capture_output=True, check=True, timeout=_ASK_SECONDS
        )
        found: dict[str, str] = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return found
