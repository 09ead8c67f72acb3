"""Counters and histograms of one process. Knows no metric; whoever uses them takes care that one thread at a time counts."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Labels: TypeAlias = tuple[str, ...]


class Exemplar(NamedTuple):
    """One thing that was counted: where it belongs, its value, when, in seconds since 1970."""

    trace_id: str
    span_id: str
    value: float
    time: float


class Counter:
    """Whole numbers that grow, by labels."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0) + amount


class Distribution:
    """How often a value fell into each bucket, the last one without bound; their sum; and the last that had a trace."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def add(self, value: float, exemplar: Exemplar | None = None) -> None:
        """Count a value. A bucket's bound is in it."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        if exemplar is not None:
            self.exemplars[bucket] = exemplar


class Histogram:
    """Values by bucket, by labels."""

    __slots__ = ("_bounds", "values")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.values: dict[Labels, Distribution] = {}

    def of(self, labels: Labels) -> Distribution:
        """The values of these labels."""
        found = self.values.get(labels)
        if found is None:
            found = self.values[labels] = Distribution(self._bounds)
        return found


class Counted(NamedTuple):
    """What was counted until now, by the name of the metric: values that change no more."""

    counters: Mapping[str, Mapping[Labels, float]]
    histograms: Mapping[str, Mapping[Labels, Distribution]]
