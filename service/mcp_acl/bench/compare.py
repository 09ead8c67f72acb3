"""Two runs, held against each other: which cases became slower, and whether that is more than noise. Does no measuring.

What is compared is the median over rounds of a figure; the interval about the ratio of two medians is a bootstrap over rounds, from a
seed: 95 of 100 such intervals hold the true ratio. Rounds of two runs are no pairs. It is assumed that the rounds of a run differ as
the rounds of any run on that machine do. What differs between runs as a whole, another neighbour or another clock rate, no number of
rounds can tell: for that there is the limit, and both runs belong on one machine, one after the other.

Five rounds of each are the fewest that tell anything: with fewer, rounds that lie wholly apart are still a common accident. With seven,
a fifth more is found where rounds differ by a few percent. Of figures that did not change, about one in fifty is called slower. Beyond the
limit is none where rounds differ by a few percent, one in 400 where they differ by a tenth, one in 150 by a fifth: each figure is judged by
itself, so a gate of many figures on a machine that is not quiet fails now and then without a reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from random import Random
from statistics import median
from typing import Final

from mcp_acl.bench import figures as fig
from mcp_acl.bench.results import Case, Results

FIGURES: Final[Mapping[str, fig.Figure]] = {name: fig.FIGURES[name] for name in ("cpu", "p50", "p90", "p99")}
"""Figures that can be compared: of each, less is better."""
USUAL: Final = ("cpu", "p50")
LIMIT: Final = 0.05
FEWEST_ROUNDS: Final = 5

_CONFIDENCE: Final = 0.95
_SAMPLES: Final = 2_000
_SEED: Final = 1
_NOTHING: Final = 0.001
"""µs below which nothing has been measured."""


class Verdict(StrEnum):
    """What became of a figure."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference shown"
    FEW = "too few rounds to tell"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of a case in both runs. `interval` is that of the ratio; None of too few rounds. `is_beyond`: of the limit, all of it."""

    case: str
    figure: str
    before: float
    after: float
    ratio: float
    interval: tuple[float, float] | None
    verdict: Verdict
    is_beyond: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """A case with answers that were not right."""

    run: str
    case: str
    wrong: int
    answers: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be said of two runs. `remarks`: in what else they differ, and what could not be compared."""

    changes: Sequence[Change]
    only_before: Sequence[str]
    only_after: Sequence[str]
    wrong: Sequence[Wrong]
    remarks: Sequence[str]
    runs: Sequence[str]
    limit: float

    @property
    def told(self) -> Sequence[Change]:
        """Those of enough rounds."""
        return [change for change in self.changes if change.verdict is not Verdict.FEW]

    @property
    def is_worse(self) -> bool:
        """Whether a case is slower beyond the limit, an answer was wrong, or nothing at all could be told: a gate must not pass then."""
        return bool(self.wrong) or not self.told or any(change.is_beyond for change in self.changes)

    @property
    def verdict(self) -> str:
        """Everything in a sentence."""
        if self.wrong:
            return "answers were wrong: figures count for nothing"
        if not self.changes:
            return "nothing could be compared"
        few = len(self.changes) - len(self.told)
        more = f"too few rounds to tell of {few}: measure {FEWEST_ROUNDS} or more" if few else ""
        if not self.told:
            return more
        beyond = sum(change.is_beyond for change in self.told) or "none"
        said = f"{beyond} of {len(self.told)} figures slower by more than {self.limit * 100:.6g} %"
        return f"{said}; {more}" if more else said

    def lines(self) -> Sequence[str]:
        """For people; each is one line, whatever names hold."""
        lines = [*self.runs, *self.remarks, *self._tables(), *self._missing(), *self._wrong(), "", self.verdict]
        return [fig.printable(line) for line in lines]

    def record(self) -> Mapping[str, object]:
        """For programs."""
        return {"is_worse": self.is_worse, "verdict": self.verdict, "confidence": _CONFIDENCE, **asdict(self)}

    def _tables(self) -> Iterator[str]:
        width = max((len(change.case) for change in self.changes), default=0)
        for figure in dict.fromkeys(change.figure for change in self.changes):
            title = f"{FIGURES[figure].title}, {FIGURES[figure].unit}"
            yield ""
            yield f"{title:<{width}}  {'before':>8}  {'after':>8}  {'change':>7}  {_CONFIDENCE:.0%} within"
            yield from (_line(change, width) for change in self.changes if change.figure == figure)

    def _missing(self) -> Iterator[str]:
        if self.only_before or self.only_after:
            yield ""
        yield from (f"only before: {name}" for name in self.only_before)
        yield from (f"only after: {name}" for name in self.only_after)

    def _wrong(self) -> Iterator[str]:
        if self.wrong:
            yield ""
        yield from (f"WRONG {one.run}: {one.wrong:,} of {one.answers:,} answers of {one.case}" for one in self.wrong)


def _line(change: Change, width: int) -> str:
    low, high = change.interval or (0.0, 0.0)
    within = f"{low - 1:+.1%} to {high - 1:+.1%}" if change.interval else ""
    verdict = f"{change.verdict.upper()} beyond the limit" if change.is_beyond else change.verdict
    figures = f"{fig.number(change.before):>8}  {fig.number(change.after):>8}  {change.ratio - 1:>+7.1%}"
    return f"{change.case:<{width}}  {figures}  {within:<18}  {verdict}".rstrip()


# ---- comparing ------------------------------------------------------------------------------------------------------


def compare(
    before: Results, after: Results, *, figures: Sequence[str] = USUAL, limit: float = LIMIT, samples: int = _SAMPLES
) -> Comparison:
    """Hold a run against an earlier one. `limit`: what part slower is too slow."""
    old, new = ({case.name: case for case in run.cases} for run in (before, after))
    common = [name for name in old if name in new]
    alike = [name for name in common if fig.facts_of(old[name]) == fig.facts_of(new[name])]
    found = {
        (figure, name): _change(figure, old[name], new[name], limit, samples) for figure in figures for name in alike
    }
    unlike = [f"asked otherwise, and not compared: {name}" for name in common if name not in alike]
    unknown = [
        f"{FIGURES[figure].title} is not known of {name}" for (figure, name), one in found.items() if one is None
    ]
    return Comparison(
        changes=[change for change in found.values() if change is not None],
        only_before=[name for name in old if name not in new],
        only_after=[name for name in new if name not in old],
        wrong=[*_wrong("before", before), *_wrong("after", after)],
        remarks=[
            *_differences(before, after),
            *_doubles("before", before),
            *_doubles("after", after),
            *unlike,
            *unknown,
        ],
        runs=[_run("before", before), _run("after", after)],
        limit=limit,
    )


def _change(figure: str, before: Case, after: Case, limit: float, samples: int) -> Change | None:
    """None if a figure is missing, or was nothing at all, as CPU is in a round that is shorter than a tick of the system's clock."""
    old, new = fig.values(before, FIGURES[figure]), fig.values(after, FIGURES[figure])
    if not old or not new or min(*old, *new) < _NOTHING:
        return None
    interval = _interval(old, new, samples) if min(len(old), len(new)) >= FEWEST_ROUNDS else None
    return Change(
        case=before.name,
        figure=figure,
        before=median(old),
        after=median(new),
        ratio=median(new) / median(old),
        interval=interval,
        verdict=_verdict(interval),
        is_beyond=interval is not None and interval[0] > 1.0 + limit,
    )


def _verdict(interval: tuple[float, float] | None) -> Verdict:
    if interval is None:
        return Verdict.FEW
    low, high = interval
    return Verdict.SLOWER if low > 1.0 else Verdict.FASTER if high < 1.0 else Verdict.SAME


def _interval(old: Sequence[float], new: Sequence[float], samples: int) -> tuple[float, float]:
    """Of the ratio of medians, were the rounds drawn again and again from those that there are."""
    draw = Random(_SEED)  # noqa: S311 - the same again is what is wanted
    ratios = sorted(
        median(draw.choices(new, k=len(new))) / median(draw.choices(old, k=len(old))) for _ in range(samples)
    )
    outside = int((1.0 - _CONFIDENCE) / 2 * samples)
    return ratios[outside], ratios[-1 - outside]


# ---- what is said beside it -----------------------------------------------------------------------------------------


def _run(which: str, run: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return f"{which + ':':<7} {run.made:%Y-%m-%d %H:%M}, {fig.rounds_in_words(run.cases)}, {versions}, {fig.place(run)}"


def _wrong(which: str, run: Results) -> Iterator[Wrong]:
    for case in run.cases:
        total, wrong = fig.answers([case])
        if wrong:
            yield Wrong(which, case.name, wrong, total)


def _doubles(which: str, run: Results) -> Iterator[str]:
    names = [case.name for case in run.cases]
    yield from (
        f"stands twice {which}, the last one counts: {name}" for name in dict.fromkeys(names) if names.count(name) > 1
    )


def _differences(before: Results, after: Results) -> Iterator[str]:
    """What makes two runs of less use to each other."""
    old, new = _circumstances(before), _circumstances(after)
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield f"differs: {name}: {old.get(name, 'none')} before, {new.get(name, 'none')} after"
    for which, run in (("before", before), ("after", after)):
        yield from (f"note {which}: {note}" for note in run.notes)


def _circumstances(run: Results) -> Mapping[str, object]:
    machine = run.machine
    return {
        "processor": machine.processor,
        "cores": machine.cores,
        "system": machine.system,
        "Python": machine.python,
        "seed": run.seed,
        **{f"version of {name}": version for name, version in run.versions.items()},
    }
