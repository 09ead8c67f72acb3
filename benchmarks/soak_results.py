"""What a soak has found, as it is kept, and what is claimed of it. Does no measuring.

Each claim holds, does not, or cannot be said of this run. Times are seconds and ms, memory is MiB.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from statistics import median
from typing import Final

import msgspec
from soak_events import Event
from soak_service import Found

from mcp_acl.bench.results import Latency, Machine

STEADY: Final = ("supervisor", "worker 0")
"""Processes that live from the beginning to the end."""
_LONG_ENOUGH: Final = 300.0
"""Seconds from which a run says something of memory."""
_WARM: Final = 1 / 6
"""The share of a run in which memory may grow: caches, and the ring of the decision log, which is 8 MiB once it has gone round."""
_FLAT: Final = 0.05
"""By how much the median of the last sixth may be more than that of the second."""
_KINDS: Final = ("reloaded", "refused", "renamed", "turned", "killed", "certified")


class Second(msgspec.Struct, frozen=True):
    """One second. `late` is how late the client itself asked at the most; `again`, what it asked again."""

    at: float
    asked: int
    answered: int
    waiting: int
    again: int
    p50: float
    p99: float
    late: float
    memory: dict[str, float]


class Claim(msgspec.Struct, frozen=True):
    """`holds` is None where the run does not say."""

    name: str
    holds: bool | None
    says: str


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    made: datetime
    command: tuple[str, ...]
    seed: int
    machine: Machine
    versions: dict[str, str]
    capacity: float
    rate: float
    length: float
    questions: int
    answers: int
    wrong: int
    unanswered: int
    again: dict[str, int]
    faults: dict[str, int]
    denials: int
    latency: Latency
    log: Found
    dropped: int
    failures: tuple[str, ...]
    seconds: tuple[Second, ...]
    events: tuple[Event, ...]

    @property
    def happened(self) -> Mapping[str, int]:
        """How often what has happened."""
        return {kind: sum(event.kind == kind for event in self.events) for kind in _KINDS}


def claims(run: Soak) -> tuple[Claim, ...]:
    """What must be so of any run."""
    return (*_answers(run), *_records(run), _happened(run), *(_flat(run, name) for name in STEADY))


def _answers(run: Soak) -> Iterator[Claim]:
    most = ", ".join(f"{count:,} × {what}" for what, count in run.faults.items())
    said = f"{run.wrong:,} of {run.answers:,} answers" + (f": {most}" if most else "")
    yield Claim("No answer is wrong", run.wrong == 0 and run.answers > 0, said)
    again = ", ".join(f"{count:,} × {what}" for what, count in run.again.items()) or "none"
    said = f"{run.unanswered:,} of {run.questions:,} questions are not; asked again: {again}"
    yield Claim("Every question is answered", run.unanswered == 0, said)


def _records(run: Soak) -> Iterator[Claim]:
    log = run.log
    where = f"{log.lines:,} lines in {log.files:,} files, {log.bytes / 1e6:,.0f} MB"
    said = f"{log.lost:,} of {run.denials:,} that clients were told, {run.dropped:,} dropped; {where}"
    yield Claim("No record of a denial is lost", log.lost == run.dropped == 0 and run.denials > 0, said)
    said = f"{log.other:,} say something else; {log.twice:,} are there twice, as they may; {log.torn:,} halves of lines that killed workers left"
    holds = log.other == 0 and log.torn <= run.happened["killed"]
    yield Claim("Every record says what the client was told", holds, said)


def _happened(run: Soak) -> Claim:
    counts = ", ".join(f"{count:,} × {kind}" for kind, count in run.happened.items())
    missing = [f"nothing was {kind}" for kind, count in run.happened.items() if not count]
    faults = [*run.failures, *missing]
    return Claim("Whatever happens takes hold", not faults, "; ".join([counts, *faults]))


def _flat(run: Soak, name: str) -> Claim:
    title = f"Memory is flat: {name}"
    found = [second.memory[name] for second in run.seconds if name in second.memory]
    size = round(len(found) * _WARM)
    if not size:
        return Claim(title, None, "it was not measured")
    early, late = median(found[size : 2 * size] or found), median(found[-size:])
    growth = late / early - 1.0
    said = f"{early:.1f} to {late:.1f} MiB ({growth:+.1%}; at most {_FLAT:+.0%}), least {min(found):.1f}, most {max(found):.1f}"
    if run.length < _LONG_ENOUGH:
        return Claim(title, None, f"{said}; a run of less than {_LONG_ENOUGH:g} s does not say")
    return Claim(title, growth <= _FLAT, said)


def lives(run: Soak, name: str) -> Iterator[list[tuple[float, float]]]:
    """Moments and memory of a process by its name, a piece for each that had it."""
    ends = iter([*(event.at for event in run.events if event.kind == "killed" and name not in STEADY), math.inf])
    end = next(ends)
    piece: list[tuple[float, float]] = []
    for second in run.seconds:
        if second.at > end:
            yield piece
            piece, end = [], next(ends)
        if name in second.memory:
            piece.append((second.at, second.memory[name]))
    yield piece
