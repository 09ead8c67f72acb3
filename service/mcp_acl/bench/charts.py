"""Cases as plots: which there are for these cases, what is beside what, and what each mark says. Draws nothing itself."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from mcp_acl.bench import figures as fig
from mcp_acl.bench import plots
from mcp_acl.bench.histogram import merged, percentiles
from mcp_acl.bench.markup import Child, tag
from mcp_acl.bench.results import Case, Latency, ResultsError

_NAMED: Final = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
"""Percentages that are marked on a curve."""
_BEYOND: Final = 10
"""Answers that must be slower than the last percentage that is drawn: of fewer it says nothing."""
_WRONG: Final = ", WRONG"
_LARGEST: Final = 1e15
"""Facts that are more are not drawn: nothing that is measured is."""
_RANGES: Final = (0.02, 0.05, 0.1, 0.25)
"""How far from the median the ends of the dots' scale may be."""


@dataclass(frozen=True, slots=True)
class View:
    """Cases, and what tells them apart: a colour for each value of one fact, a plot for each value of the others."""

    cases: Sequence[Case]
    differing: fig.Differences
    leading: str
    numbers: Mapping[str, int]

    def series(self, case: Case) -> str:
        """What has this case's colour, in words."""
        if not self.leading:
            return self.differing.label(case)
        return fig.fact_in_words(self.leading, fig.facts_of(case).get(self.leading, ""))

    def number(self, case: Case) -> int:
        """The colour; all have the first one where there are too many."""
        return self.numbers.get(self.series(case), 0)

    def rest(self, case: Case, *without: str) -> str:
        """What this case shares with those of other colours in the same plot."""
        if not self.leading and self.numbers:
            return ""
        return self.differing.label(case, without=(self.leading, *without))

    def grouped(self, cases: Iterable[Case], *without: str) -> Mapping[str, Sequence[Case]]:
        """Cases by what they share. One message and a whole list are never of one plot."""
        kinds: dict[str, set[bool]] = {}
        for case in self.cases:
            kinds.setdefault(self.rest(case, *without), set()).add(case.unit == 1)
        found: dict[str, list[Case]] = {}
        for case in cases:
            shared = self.rest(case, *without)
            kind = ("one message" if case.unit == 1 else "a whole list") if len(kinds[shared]) > 1 else ""
            found.setdefault(", ".join(filter(None, (shared, kind))), []).append(case)
        return found


def view(cases: Sequence[Case]) -> View:
    """The view of these cases."""
    differing = fig.differences(cases)
    leading = fig.leading_fact(cases, plots.SERIES)
    all_of_them = View(cases, differing, leading, {})
    names = list(dict.fromkeys(map(all_of_them.series, cases)))
    numbers = {name: at for at, name in enumerate(names)} if len(names) <= plots.SERIES else {}
    return View(cases, differing, leading, numbers)


def sections(seen: View) -> Iterator[Element]:
    """Everything that can be drawn of these cases."""
    if any(fig.values(case, fig.FIGURES["cpu"]) for case in seen.cases):
        yield _costs(seen)
    yield _curves(seen)
    yield from _over_numbers(seen)
    yield _noise(seen)


def _section(title: str, says: str, *parts: Element, legend: Element | None = None) -> Element:
    return tag("section", tag("h2", title), tag("p", says), *([legend] if legend is not None else []), *parts)


def _legend(seen: View, *others: str) -> Element | None:
    if len(seen.numbers) < 2 and not others:
        return None
    items = [tag("li", plots.key(number), name) for name, number in seen.numbers.items() if len(seen.numbers) > 1]
    return tag("ul", *items, *(tag("li", text) for text in others), class_="legend")


def _plots(panels: Iterable[tuple[str, Element]]) -> Element:
    figures = [tag("figure", *([tag("figcaption", title)] if title else []), plot) for title, plot in panels]
    return tag("div", *figures, class_="plots")


# ---- what it costs --------------------------------------------------------------------------------------------------


def _costs(seen: View) -> Element:
    one = [case for case in seen.cases if case.unit == 1]
    lists = [case for case in seen.cases if case.unit != 1]
    parts = [_bars(seen, cases) for cases in (one, lists) if cases]
    if len(parts) > 1:
        parts = [tag("h3", "Of one message"), parts[0], tag("h3", "Of a whole list"), parts[1]]
    says = (
        "User and system time of the server's processes for each answer, as the operating system counts it: median of the"
        " rounds, and a line from the least to the most of them."
    )
    return _section("Server CPU for each answer", says, *parts, legend=_legend(seen))


def _bars(seen: View, cases: Sequence[Case]) -> Element:
    figure = fig.FIGURES["cpu"]
    spreads = {id(case): found for case in cases if (found := fig.spread(case, figure))}
    longest = max((found.most for found in spreads.values()), default=0.0) or 1.0
    rows: list[Element] = []
    for shared, members in seen.grouped(cases).items():
        if shared and seen.leading:
            rows.append(tag("div", shared, class_="group"))
        rows += [
            _cost(seen, case, spreads[id(case)], longest)
            if id(case) in spreads
            else _beside(_name(seen, case), tag("div"), "not counted")
            for case in members
        ]
    return tag("div", *rows, class_="rows")


def _cost(seen: View, case: Case, found: fig.Spread, longest: float) -> Element:
    says = [
        f"{case.name}: {_spread_in_words(found)}",
        *([f"{fig.duration(found.median / case.unit)} for each of {case.unit:,}"] if case.unit > 1 else []),
        *(f"{name}: {fig.duration(spent)}" for name, spent in parts_of(case).items()),
    ]
    drawn = plots.Bar(
        "\n".join(says), seen.number(case), found.median / longest, found.least / longest, found.most / longest
    )
    spread = fig.durations(found.least, found.most)
    return _beside(
        _name(seen, case), plots.bar(drawn), tag("b", fig.duration(found.median)), tag("small", f" {spread}")
    )


def parts_of(case: Case) -> Mapping[str, float]:
    """CPU by process, if there are several: µs for each answer, medians of rounds."""
    names = dict.fromkeys(name for one in case.rounds for name in one.parts)
    if len(names) < 2:
        return {}
    return {name: median([one.parts.get(name, 0.0) for one in case.rounds]) for name in names}


def _name(seen: View, case: Case) -> str:
    return f"{seen.series(case) or case.name}{_WRONG if fig.answers([case])[1] else ''}"


def _beside(label: str, plot: Element, *value: Child) -> Element:
    kind = "label wrong" if label.endswith(_WRONG) else "label"
    return tag("div", tag("div", label, class_=kind), plot, tag("div", *value, class_="value"), class_="beside")


def _spread_in_words(found: fig.Spread) -> str:
    return f"{fig.duration(found.median)}, rounds from {fig.duration(found.least)} to {fig.duration(found.most)}"


# ---- latency by percentile ------------------------------------------------------------------------------------------


class _Curve(NamedTuple):
    case: Case
    points: Sequence[tuple[float, float]]


def _curves(seen: View) -> Element:
    kinds = [[case for case in seen.cases if (case.unit == 1) is one] for one in (True, False)]
    panels = [panel for cases in kinds for panel in _curves_of(seen, cases)]
    closed = " A closed loop asks again when it is answered: what it sees is the time of all its questions at once, not of a lone one."
    open_ = " An open loop counts from the moment a question was planned."
    says = _LATENCY + closed * any(not case.rate for case in seen.cases) + open_ * any(case.rate for case in seen.cases)
    return _section("Latency by percentile", says, _plots(panels), legend=_legend(seen))


def _curves_of(seen: View, cases: Sequence[Case]) -> Iterator[tuple[str, Element]]:
    """Plots of one scale."""
    curves = [curve for case in cases if (curve := _curve(case)).points]
    if not curves:
        return
    found = [value for curve in curves for _, value in curve.points]
    x = plots.percentiles("percent of answers", max(curve.points[-1][0] for curve in curves))
    y = plots.logarithmic("latency", min(found), max(found), fig.round_duration)
    by_case = {id(curve.case): curve for curve in curves}
    for shared, members in seen.grouped(curve.case for curve in curves).items():
        series = [_series(seen, by_case[id(case)]) for case in members]
        yield shared, plots.lines(f"Latency by percentile, {shared}".rstrip(", "), _LATENCY, x, y, series)


_LATENCY: Final = "How long answers took, as the client saw it, all rounds together; to the right the slowest, each nine as wide as the one before. Both scales are logarithmic."


def _curve(case: Case) -> _Curve:
    """Where histograms are missing or cannot be read, the medians of what each round says."""
    answers = fig.answers([case])[0]
    end = max(1.0, min(5.0, math.log10(max(answers, 1) / _BEYOND)))
    wanted = sorted({100.0 * (1.0 - 10.0 ** (-step / 10)) for step in range(round(end * 10) + 1)} | set(_NAMED[:2]))
    wanted = _without_doubles([*wanted, *(one for one in _NAMED if _nines_of(one) <= end + 1e-9)])
    try:
        encoded = [one.latency.histogram for one in case.rounds]
        found = percentiles(merged(encoded).histogram, wanted) if all(encoded) else []
    except ResultsError:
        found = []
    points = list(zip(wanted, found, strict=True)) if found else _kept(case)
    return _Curve(case, [(at, value) for at, value in points if value > 0])


def _kept(case: Case) -> Sequence[tuple[float, float]]:
    if not case.rounds:
        return ()
    return [(at, median([of(one.latency) for one in case.rounds])) for at, of in _KEPT.items()]


_KEPT: Final[Mapping[float, Callable[[Latency], float]]] = {
    50.0: lambda one: one.p50,
    90.0: lambda one: one.p90,
    99.0: lambda one: one.p99,
    99.9: lambda one: one.p999,
}


def _nines_of(percent: float) -> float:
    return -math.log10(1.0 - percent / 100.0)


def _without_doubles(wanted: Iterable[float]) -> list[float]:
    """In order; of what is nearly the same percentage, the one with a name."""
    found: dict[float, float] = {}
    for one in wanted:
        key = round(one, 6)
        found[key] = key
    return sorted(found)


def _series(seen: View, curve: _Curve) -> plots.Series:
    points = [
        plots.Point(at, value, f"{curve.case.name}\n{at:.6g} %: {fig.duration(value)}" if at in _NAMED else "")
        for at, value in curve.points
    ]
    return plots.Series(_name(seen, curve.case), seen.number(curve.case), points)


# ---- against a number -----------------------------------------------------------------------------------------------


class _Over(NamedTuple):
    """What is drawn against a number."""

    title: str
    figures: Sequence[str]
    is_logarithmic: bool = False


_OVER: Final[Mapping[str, _Over]] = {
    fig.RATE: _Over("Latency against the rate that is asked at", ("p50", "p99"), is_logarithmic=True),
    fig.IN_FLIGHT: _Over("Answers a second against questions in flight", ("rate",)),
}


def _over_numbers(seen: View) -> Iterator[Element]:
    for fact in seen.differing.names:
        known = [case for case in seen.cases if _is_drawn(fig.facts_of(case).get(fact))]
        groups = [
            (shared, members)
            for shared, members in seen.grouped(known, fact).items()
            if len({fig.facts_of(case)[fact] for case in members}) > 1
        ]
        if groups and fact not in seen.differing.flags:
            yield _against(seen, fact, groups)


def _is_drawn(value: fig.Fact | None) -> bool:
    return isinstance(value, (int, float)) and 0 < value < _LARGEST


def _against(seen: View, fact: str, groups: Sequence[tuple[str, Sequence[Case]]]) -> Element:
    cases = [case for _, members in groups for case in members]
    cpu = "cpu" if any(fig.values(case, fig.FIGURES["cpu"]) for case in cases) else "p50"
    over = _OVER.get(fact) or _Over(f"{_TITLES[cpu]} against {fact}", (cpu,))
    is_each = over.figures[0] == cpu and any(len({case.unit for case in members}) > 1 for _, members in groups)
    says = "Medians of the rounds, with a line from the least to the most of them."
    if is_each:
        says += " For each entry of a list, not for the whole of it."
    panels = [(shared, _panel(seen, fact, over, members, is_each=is_each)) for shared, members in groups]
    others = [f"dashed: {over.figures[0]}, drawn through: {over.figures[1]}"] if len(over.figures) > 1 else []
    legend = _legend(seen, *others) if seen.leading or others else None
    return _section(over.title, says, _plots(panels), legend=legend)


_AXES: Final = {fig.RATE: "questions a second"}
_TITLES: Final = {"cpu": "Server CPU", "p50": "Latency (p50)"}


def _panel(seen: View, fact: str, over: _Over, cases: Sequence[Case], *, is_each: bool) -> Element:
    series = [
        plots.Series(name, number, points, is_dashed=name != over.figures[-1])
        for name in over.figures
        for number, points in _points(seen, fact, name, cases, is_each=is_each)
    ]
    found = [value for one in series for point in one.points for value in (point.y, *(point.spread or ()))]
    numbers = [point.x for one in series for point in one.points]
    words = fig.plain if over.figures == ("rate",) else fig.round_duration
    x = plots.at_values(_AXES.get(fact, fact), numbers or [1.0], fig.plain)
    low, high = min((value for value in found if value > 0), default=1.0), max(found, default=0.0) or 1.0
    y = plots.logarithmic("", low, high, words) if over.is_logarithmic else plots.linear("", high, words)
    return plots.lines(f"{over.title}, {seen.rest(cases[0], fact)}".rstrip(", "), over.title, x, y, series)


def _points(
    seen: View, fact: str, name: str, cases: Sequence[Case], *, is_each: bool
) -> Iterator[tuple[int, Sequence[plots.Point]]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(seen.series(case) if seen.leading else "", []).append(case)
    for members in groups.values():
        ordered = sorted(members, key=lambda case: float(fig.facts_of(case)[fact]))
        points = [point for case in ordered if (point := _point(fact, name, case, case.unit if is_each else 1))]
        yield seen.number(members[0]) if seen.leading else 0, points


def _point(fact: str, name: str, case: Case, each: int) -> plots.Point | None:
    figure = fig.FIGURES[name]
    found = fig.spread(case, figure)
    if found is None:
        return None
    middle, least, most = (value / each for value in found)
    words = fig.number if figure.unit == "/s" else fig.duration
    says = f"{case.name}\n{figure.title}: {words(middle)}, rounds from {words(least)} to {words(most)}"
    return plots.Point(float(fig.facts_of(case)[fact]), middle, says, (least, most))


# ---- noise ----------------------------------------------------------------------------------------------------------


def _noise(seen: View) -> Element:
    names = [name for name in ("cpu", "p50") if any(fig.values(case, fig.FIGURES[name]) for case in seen.cases)]
    away = {name: [_away(case, name) for case in seen.cases] for name in names}
    most = max((abs(one) for found in away.values() for case in found for one in case), default=0.0)
    end = next((one for one in _RANGES if most <= one), _RANGES[-1])
    heads = [tag("div", f"{fig.FIGURES[name].title}, −{end:.0%} to +{end:.0%}", class_="head") for name in names]
    rows = [tag("div", tag("div", class_="label"), *heads, class_="beside")] if seen.cases else []
    for at, (label, case) in enumerate(zip(fig.labels(seen.cases), seen.cases, strict=True)):
        drawn = [_dots(seen, case, name, away[name][at], end) for name in names]
        rows.append(tag("div", tag("div", label, class_="label"), *drawn, class_="beside"))
    says = (
        "Each dot is one round, as far from the median of its case as it was, the first round above the others. Dots that stand apart"
        " are noise of the machine; dots that lean are drift; hollow ones are beyond the scale. Cases that differ by less than their dots are apart cannot be told from each other here."
    )
    return _section("Round by round", says, tag("div", *rows, class_=f"rows dots of{len(names)}"))


def _away(case: Case, name: str) -> Sequence[float]:
    found = fig.values(case, fig.FIGURES[name])
    middle = case.median(fig.FIGURES[name].of)
    return [value / middle - 1.0 for value in found] if middle else []


def _dots(seen: View, case: Case, name: str, away: Sequence[float], end: float) -> Element:
    found = fig.values(case, fig.FIGURES[name])
    values = [
        plots.Dot(f"{case.name}\nround {at + 1}: {fig.duration(found[at])} ({one:+.1%})", one / end)
        for at, one in enumerate(away)
    ]
    return plots.dots(f"{case.name}: {fig.FIGURES[name].title} of {len(values)} rounds", seen.number(case), values)
