"""What is said of cases, for people: figures by name, what cases differ in, numbers as they are read. Knows no terminal and no page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.bench.results import Case, Results, Round

Fact: TypeAlias = str | int | float

RATE: Final = "rate"
IN_FLIGHT: Final = "in flight"
CONNECTIONS: Final = "connections"
_ASKED: Final = (RATE, IN_FLIGHT, CONNECTIONS)
_SPEAKING: Final = frozenset({"host", "interface", "peer", "gateway", "address"})
"""Facts whose values are understood without their names."""


# ---- figures --------------------------------------------------------------------------------------------------------


class Figure(NamedTuple):
    """Something that each round tells. `of` is None where it does not."""

    title: str
    unit: str
    of: Callable[[Round], float | None]


class Spread(NamedTuple):
    """A figure of a case: the median of its rounds, and from where to where they go."""

    median: float
    least: float
    most: float


FIGURES: Final[Mapping[str, Figure]] = {
    "cpu": Figure("server CPU", "µs", lambda one: one.server_cpu),
    "p50": Figure("p50", "µs", lambda one: one.latency.p50),
    "p90": Figure("p90", "µs", lambda one: one.latency.p90),
    "p99": Figure("p99", "µs", lambda one: one.latency.p99),
    "p99.9": Figure("p99.9", "µs", lambda one: one.latency.p999),
    "max": Figure("max", "µs", lambda one: one.latency.max),
    "rate": Figure("answers", "/s", lambda one: one.rate if one.seconds > 0 else None),
    "client": Figure("client CPU", "µs", lambda one: one.client_cpu),
    "memory": Figure("memory", "MiB", lambda one: one.memory),
}


def values(case: Case, figure: Figure) -> Sequence[float]:
    """A figure of each round; nothing if a round lacks it."""
    found = [value for value in map(figure.of, case.rounds) if value is not None]
    return found if len(found) == len(case.rounds) else ()


def spread(case: Case, figure: Figure) -> Spread | None:
    """A figure of a case; None if a round lacks it."""
    found = values(case, figure)
    return Spread(median(found), min(found), max(found)) if found else None


def told(cases: Sequence[Case]) -> Sequence[str]:
    """The figures that at least one case has."""
    return [name for name, figure in FIGURES.items() if any(values(case, figure) for case in cases)]


def answers(cases: Iterable[Case]) -> tuple[int, int]:
    """How many there were, and how many of them were wrong."""
    rounds = [one for case in cases for one in case.rounds]
    return sum(one.answers for one in rounds), sum(one.wrong for one in rounds)


# ---- facts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Differences:
    """What cases differ in, in the order of their facts, how they were asked last; and what is the same for all that have it."""

    names: Sequence[str]
    flags: frozenset[str]
    shared: Mapping[str, Fact]

    def label(self, case: Case, without: Sequence[str] = ()) -> str:
        """What makes this case different, in words; empty if nothing does."""
        facts = facts_of(case)
        said = [self._said(name, facts[name]) for name in self.names if name in facts and name not in without]
        return ", ".join(text for text in said if text)

    def _said(self, name: str, value: Fact) -> str:
        if name in self.flags:
            return name if value else ""
        return fact_in_words(name, value)


def differences(cases: Sequence[Case]) -> Differences:
    """A fact that some cases lack makes no difference, unless it differs among the others."""
    found: dict[str, dict[Fact, None]] = {}
    for case in cases:
        for name, value in facts_of(case).items():
            found.setdefault(name, {})[value] = None
    names = sorted((name for name, seen in found.items() if len(seen) > 1), key=_ASKED.__contains__)
    flags = frozenset(name for name in names if set(found[name]) == {0, 1})
    return Differences(names, flags, {name: next(iter(seen)) for name, seen in found.items() if len(seen) == 1})


def facts_of(case: Case) -> Mapping[str, Fact]:
    """Its own, and how it was asked."""
    return {**case.facts, RATE: case.rate, CONNECTIONS if case.rate else IN_FLIGHT: case.in_flight}


def shared_in_words(cases: Sequence[Case]) -> Sequence[str]:
    """What is the same for all that have it, but for what is zero."""
    return [fact_in_words(name, value) for name, value in differences(cases).shared.items() if value != 0]


def labels(cases: Sequence[Case]) -> Sequence[str]:
    """Each case by what makes it different; by its name where that does not tell it from another."""
    differing = differences(cases)
    found = [differing.label(case) for case in cases]
    return [label if label and found.count(label) == 1 else case.name for label, case in zip(found, cases, strict=True)]


def leading_fact(cases: Sequence[Case], most: int = 6) -> str:
    """The first fact in words that has several values, and not too many; empty if there is none."""
    facts = [facts_of(case) for case in cases]
    for name in differences(cases).names:
        found = {one.get(name) for one in facts}
        if len(found) <= most and all(isinstance(value, str) for value in found):
            return name
    return ""


def fact_in_words(name: str, value: Fact) -> str:
    """A fact on its own."""
    if name == RATE:
        return f"{value:,.15g}/s" if value else "closed loop"
    if isinstance(value, str):
        return value if name in _SPEAKING else f"{name} {value}"
    return f"{name} {plain(value)}"


# ---- words and numbers ----------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """To about three digits."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.1f}" if abs(value) >= 0.95 else f"{value:.2g}"


def plain(value: float) -> str:
    """As it was given."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"


def duration(microseconds: float) -> str:
    """In the unit in which it is read."""
    size, unit = _unit(microseconds)
    return f"{_digits(microseconds / size)} {unit}"


def durations(least: float, most: float) -> str:
    """From where to where, in one unit."""
    size, unit = _unit(most)
    return f"{_digits(least / size)}–{_digits(most / size)} {unit}"


def round_duration(microseconds: float) -> str:
    """One that has few digits, for an axis."""
    size, unit = _unit(microseconds)
    return f"{microseconds / size:.6g} {unit}"


def _unit(microseconds: float) -> tuple[float, str]:
    return (1e6, "s") if microseconds >= 999_500 else (1e3, "ms") if microseconds >= 999.5 else (1.0, "µs")


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def place(results: Results) -> str:
    """Where it was measured."""
    machine = results.machine
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return f"{machine.processor}, {cores}, {machine.system}, Python {machine.python}"


def rounds_in_words(cases: Sequence[Case]) -> str:
    """How often each case was measured."""
    found = sorted({len(case.rounds) for case in cases}) or [0]
    often = f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"
    return f"{often} round" if often == "1" else f"{often} rounds"


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal or a browser would obey."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
