"""A soak as a table for a terminal, and as a page: one file that asks for nothing else, with its data in it. Does no measuring."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Final
from xml.etree.ElementTree import Element

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from soak_results import Claim, Soak, lives

from mcp_acl.bench import plots
from mcp_acl.bench.figures import duration, number
from mcp_acl.bench.markup import data, page, raw, tag

_LANES: Final[Mapping[str, str]] = {
    "reloaded": "policies reloaded",
    "refused": "broken policies refused",
    "certified": "certificates changed",
    "renamed": "log file renamed",
    "turned": "log file turned by size",
    "killed": "worker 1 killed",
    "back": "worker 1 back",
}
_MARKED: Final = "killed"
"""What is drawn through every plot."""
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 1180, 150, 16, 10, 34
_HEIGHT: Final = 240
_LANE: Final = 22
_STYLE: Final = "td:last-child { text-align: left; white-space: normal; } td.bad { font-weight: 650; }\n"
_WORDS: Final = {True: "holds", False: "does not hold", None: "cannot be said"}
_COLOURS: Final = {True: "green", False: "bold red", None: "yellow"}


# ---- for a terminal --------------------------------------------------------------------------------------------------


def table(run: Soak, claims: Sequence[Claim]) -> RenderableType:
    """What was done, and each claim."""
    found = Table("", "claim", "", box=SIMPLE_HEAD)
    for claim in claims:
        found.add_row(Text(_WORDS[claim.holds], _COLOURS[claim.holds]), claim.name, Text(claim.says))
    return Group(Text(_summary(run), "bold"), found)


def _summary(run: Soak) -> str:
    return (
        f"{_time_in_words(run.length)} at {run.rate:,.0f} questions a second, of {run.capacity:,.0f} that are the capacity: "
        f"p50 {duration(run.latency.p50)}, p99 {duration(run.latency.p99)}, longest {duration(run.latency.max)}"
    )


def _time_in_words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


# ---- as a page -------------------------------------------------------------------------------------------------------


def html(run: Soak, claims: Sequence[Claim]) -> str:
    """The whole page."""
    style = files("mcp_acl.bench").joinpath("report.css").read_text(encoding="utf-8") + _STYLE
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = f"A soak of {_time_in_words(run.length)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"default-src 'none'; style-src 'sha256-{digest}'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        raw("style", style),
    )
    parts = (tag("h1", title), *_opening(run, claims), *_plots(run), _how(run))
    kept = data(msgspec.json.encode(run), "data")
    return page(tag("html", head, tag("body", tag("main", *parts), kept), lang="en"))


def _opening(run: Soak, claims: Sequence[Claim]) -> Iterator[Element]:
    yield tag("p", f"{_summary(run)}.", class_="lead")
    yield tag("p", f"{run.made:%d %B %Y, %H:%M} {run.made.tzname() or ''}.")
    tiles = {
        "Wrong answers": (f"{run.wrong:,}", f"of {run.answers:,}"),
        "Denials without a record": (f"{run.log.lost:,}", f"of {run.denials:,}"),
        "Asked again": (f"{sum(run.again.values()):,}", f"{run.unanswered:,} never answered"),
        **{kind.capitalize(): (f"{count:,}", _LANES[kind]) for kind, count in run.happened.items()},
    }
    drawn = [
        tag("div", tag("h3", name), tag("b", value), tag("span", says), class_="tile")
        for name, (value, says) in tiles.items()
    ]
    yield tag("div", *drawn, class_="tiles")
    rows = [
        tag(
            "tr",
            tag("th", claim.name, scope="row"),
            tag("td", _WORDS[claim.holds], class_="bad" if claim.holds is False else ""),
            tag("td", claim.says),
        )
        for claim in claims
    ]
    yield tag("section", tag("h2", "Claims"), tag("div", tag("table", tag("tbody", *rows)), class_="scrolled"))


def _how(run: Soak) -> Element:
    facts = {
        "Command": " ".join(run.command),
        "Seed": f"{run.seed}",
        "Versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "Machine": f"{run.machine.processor}, {run.machine.cores} cores, {run.machine.system}, Python {run.machine.python}",
        "Load before and after": ", ".join(f"{load:.1f}" for load in run.machine.load),
    }
    items = [tag(name, text) for fact, value in facts.items() for name, text in (("dt", fact), ("dd", value))]
    return tag("section", tag("h2", "How it was measured"), tag("dl", *items))


# ---- plots -----------------------------------------------------------------------------------------------------------

_Line = Sequence[tuple[float, float]]
_Series = tuple[str, int, Sequence[_Line]]
"""Its name, its colour, and its pieces."""


def _plots(run: Soak) -> Iterator[Element]:
    seconds = run.seconds
    if not seconds:
        return
    x = plots.linear("minutes", seconds[-1].at / 60, lambda value: f"{value:g}")
    yield _section("What happened", "Each mark says what it was.", (), _lanes(run, x))
    names = [name for name in ("supervisor", "worker 0", "worker 1") if any(name in one.memory for one in seconds)]
    memory: list[_Series] = [(name, at, list(lives(run, name))) for at, name in enumerate(names)]
    says = "Resident, by process. Worker 1 is killed again and again; the lines through the plot are when."
    y = plots.linear("MiB", max(max(one.memory.values(), default=0.0) for one in seconds), number)
    yield _section("Memory", says, memory, _plot(run, x, y, memory))
    half = [(one.at, one.p50) for one in seconds if one.answered]
    most = [(one.at, one.p99) for one in seconds if one.answered]
    latency: list[_Series] = [("p50", 0, [half]), ("p99", 1, [most])]
    values = [max(value, 1e-3) for _, value in (*half, *most)] or [1.0]
    says = "Of the answers of each second, from the planned moment, whatever hindered the asking or made a question be asked again."
    y = plots.logarithmic("ms", min(values), max(values), lambda value: f"{value:g} ms")
    yield _section("Latency", says, latency, _plot(run, x, y, latency))
    rates: list[_Series] = [
        ("answered", 0, [[(one.at, float(one.answered)) for one in seconds]]),
        ("asked again", 1, [[(one.at, float(one.again)) for one in seconds]]),
        ("waiting", 2, [[(one.at, float(one.waiting)) for one in seconds]]),
    ]
    y = plots.linear("a second", max(max(one.answered, one.again, one.waiting) for one in seconds), number)
    yield _section(
        "Questions", "In each second; waiting are those without an answer at its end.", rates, _plot(run, x, y, rates)
    )


def _section(title: str, says: str, series: Sequence[_Series], plot: Element) -> Element:
    legend = [tag("li", plots.key(colour), name) for name, colour, _ in series]
    shown = [tag("ul", *legend, class_="legend")] if legend else []
    return tag("section", tag("h2", title), tag("p", says), *shown, tag("div", plot, class_="rows"))


def _across(x: plots.Axis, seconds: float) -> float:
    return _LEFT + x.at(seconds / 60) * (_WIDTH - _LEFT - _RIGHT)


def _plot(run: Soak, x: plots.Axis, y: plots.Axis, series: Sequence[_Series]) -> Element:
    bottom = _HEIGHT - _BOTTOM

    def down(value: float) -> float:
        return bottom - max(0.0, min(1.0, y.at(value))) * (bottom - _TOP)

    parts = []
    for value, words in y.ticks:
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=down(value), y2=down(value), class_="grid"))
        parts.append(tag("text", words, x=_LEFT - 8, y=down(value) + 4, text_anchor="end"))
    kills = [_across(x, event.at) for event in run.events if event.kind == _MARKED]
    parts += [tag("line", x1=at, x2=at, y1=_TOP, y2=bottom, class_="axis", stroke_dasharray="2 3") for at in kills]
    for _, colour, pieces in series:
        path = "".join(
            "M" + "L".join(f"{_across(x, at):.1f} {down(value):.1f}" for at, value in piece)
            for piece in pieces
            if piece
        )
        parts.append(tag("g", tag("path", d=path, class_="line"), class_=f"s{colour}"))
    return _svg(_HEIGHT, *parts, *_time(x, bottom))


def _lanes(run: Soak, x: plots.Axis) -> Element:
    parts = []
    for lane, (kind, title) in enumerate(_LANES.items()):
        middle = _TOP + _LANE * (lane + 0.5)
        parts.append(tag("text", title, x=_LEFT - 8, y=middle + 4, text_anchor="end"))
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=middle, y2=middle, class_="grid"))
        marks = [
            tag(
                "g",
                tag("title", f"{event.at:,.1f} s: {event.says}"),
                tag("rect", x=_across(x, event.at) - 1.5, y=middle - 7, width=3, height=14, class_="bar"),
                class_="mark",
            )
            for event in run.events
            if event.kind == kind
        ]
        parts.append(tag("g", *marks, class_=f"s{lane % plots.SERIES}"))
    bottom = _TOP + _LANE * len(_LANES)
    return _svg(bottom + _BOTTOM, *parts, *_time(x, bottom))


def _time(x: plots.Axis, bottom: float) -> Iterator[Element]:
    for value, words in x.ticks:
        at = _across(x, value * 60)
        yield tag("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis")
        yield tag("text", words, x=at, y=bottom + 16, text_anchor="middle")
    yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis")
    yield tag("text", x.title, x=(_LEFT + _WIDTH) / 2, y=bottom + 31, text_anchor="middle", class_="name")


def _svg(height: float, *parts: Element) -> Element:
    return tag("svg", *parts, class_="plot", viewBox=f"0 0 {_WIDTH} {height:g}", role="img")
