"""Interleaved timing: every variant once in each round, so that whatever else the machine does falls on all of them.

A round's value is the median of its samples, less that of an empty call; a figure is the median of the rounds. Ratios are
taken within a round. Garbage collection stays on; what was there before the first round is frozen.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median
from typing import Final

EMPTY: Final = "empty call"


@dataclass(frozen=True)
class Plan:
    """How long to measure. `sample` is in seconds."""

    rounds: int = 7
    samples: int = 5
    sample: float = 0.04


FULL: Final = Plan()
QUICK: Final = Plan(rounds=3, samples=3, sample=0.02)


@dataclass(frozen=True)
class Variant:
    """Something to time. Its cost is divided by `units`. `other_cpu` gives the CPU seconds of a helping process."""

    call: Callable[[], object]
    units: int = 1
    other_cpu: Callable[[], float] = lambda: 0.0


@dataclass
class Series:
    """What one variant cost in each round, in nanoseconds a unit: on the clock, and of CPU of all processes."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def ratios(values: Sequence[float], against: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(values, against, strict=True)]


def run(variants: Mapping[str, Variant], plan: Plan) -> dict[str, Series]:
    """Time all variants and the empty call, in turn, round after round, after one round that does not count."""
    everything = {EMPTY: Variant(lambda: None), **variants}
    loops = {name: _loops(variant, plan.sample) for name, variant in everything.items()}
    found = {name: Series() for name in everything}
    gc.collect()
    gc.freeze()
    for number in range(plan.rounds + 1):
        empty = 0.0
        for name, variant in everything.items():
            wall, cpu = _round(variant, loops[name], plan.samples)
            if number == 0:
                continue
            empty = wall if name == EMPTY else empty
            overhead = 0.0 if name == EMPTY else empty
            found[name].wall.append((wall - overhead) / variant.units)
            found[name].cpu.append((cpu - overhead) / variant.units)
    gc.unfreeze()
    return found


def _loops(variant: Variant, seconds: float) -> int:
    """How many calls fill a sample."""
    count = 1
    while (took := _sample(variant.call, count)) < seconds * 1e9 / 4:
        count *= 2
    return max(1, round(count * seconds * 1e9 / took))


def _sample(call: Callable[[], object], count: int) -> int:
    start = time.perf_counter_ns()
    for _ in repeat(None, count):
        call()
    return time.perf_counter_ns() - start


def _round(variant: Variant, loops: int, samples: int) -> tuple[float, float]:
    """Nanoseconds a call: the samples' median on the clock, and the CPU of all of them."""
    cpu = time.process_time() + variant.other_cpu()
    walls = [_sample(variant.call, loops) / loops for _ in range(samples)]
    cpu = time.process_time() + variant.other_cpu() - cpu
    return median(walls), cpu * 1e9 / (samples * loops)
