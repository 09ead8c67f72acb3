"""Plots as SVG: bars, dots and lines of which each says its number. Knows axes and series, and nothing of what was measured.

Bars and dots are as wide as their place is, in percent of it; lines are drawn to scale. Colours are classes `s0`, `s1`, …, and each
series has a sign of its own beside its colour.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from mcp_acl.bench.markup import tag

WIDTH: Final = 380
HEIGHT: Final = 236
_POWERS: Final = 300
"""Powers of ten at which there may be a tick."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 38
_SIGNS: Final = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z",
    "M-3.5-3.5H3.5V3.5H-3.5Z",
    "M0-5L5 0L0 5L-5 0Z",
    "M0-5L4.5 3.5H-4.5Z",
    "M0 5L4.5-3.5H-4.5Z",
    "M-5-1.5H-1.5V-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5Z",
)
SERIES: Final = len(_SIGNS)
"""How many series can be told apart."""

_ROW: Final = 24


# ---- axes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a value is, from 0 to 1, and which of them are written."""

    title: str
    at: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


def linear(title: str, most: float, words: Callable[[float], str]) -> Axis:
    """From nothing to at least the most."""
    step = _step(most / 4)
    end = step * max(1, math.ceil(most / step - 1e-9))
    count = round(end / step)
    return Axis(
        title, lambda value: value / end, [(number * step, words(number * step)) for number in range(count + 1)]
    )


def _step(least: float) -> float:
    """The next of 1, 2, 2.5 and 5 times a power of ten."""
    if least <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(least))
    return next((size * one for one in (1.0, 2.0, 2.5, 5.0) if size * one >= least * (1 - 1e-9)), size * 10)


def logarithmic(title: str, least: float, most: float, words: Callable[[float], str]) -> Axis:
    """From the least to the most, both more than nothing, with ticks at powers of ten, and between them where there are few."""
    low, high = math.log10(least), math.log10(most)
    room = max(0.05 * (high - low), 0.15 - 0.5 * (high - low))
    low, high = low - room, high + room
    parts = (1, 2, 5) if high - low < 2.2 else (1, 3) if high - low < 3.2 else (1,)
    ticks = [
        part * 10.0**power
        for power in range(max(math.floor(low), -_POWERS), min(math.ceil(high), _POWERS) + 1)
        for part in parts
        if low - 1e-9 <= math.log10(part) + power <= high + 1e-9
    ]
    return Axis(
        title, lambda value: (math.log10(max(value, 1e-12)) - low) / (high - low), [(one, words(one)) for one in ticks]
    )


def at_values(title: str, values: Sequence[float], words: Callable[[float], str]) -> Axis:
    """Logarithmic, with ticks at these values, as far as there is room."""
    scale = logarithmic(title, min(values), max(values), words)
    ticks: list[float] = []
    for value in sorted(set(values)):
        if not ticks or scale.at(value) - scale.at(ticks[-1]) > 0.12:
            ticks.append(value)
    return Axis(title, scale.at, [(one, words(one)) for one in ticks])


def percentiles(title: str, most: float) -> Axis:
    """Percentages, each nine as wide as the one before: logarithmic in 1/(1 − p)."""
    end = _nines(most)
    known = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999)
    ticks = [(one, f"{one:.6g}") for one in known if _nines(one) <= end + 1e-9]
    return Axis(title, lambda value: min(1.0, _nines(value) / end), ticks)


def _nines(percent: float) -> float:
    return -math.log10(max(1e-9, 1.0 - percent / 100.0))


# ---- lines ----------------------------------------------------------------------------------------------------------


class Point(NamedTuple):
    """A value with its spread. `says`: what is told of it; without, it is part of the line alone."""

    x: float
    y: float
    says: str = ""
    spread: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line. `number` is its colour and sign."""

    name: str
    number: int
    points: Sequence[Point]
    is_dashed: bool = False


def lines(title: str, says: str, x: Axis, y: Axis, series: Sequence[Series]) -> Element:
    """Lines over two axes."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", says),
        *_grid(x, y),
        *(_line(one, x, y) for one in series),
        class_="plot",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
    )


def _grid(x: Axis, y: Axis) -> Iterator[Element]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for value, words in y.ticks:
        at = _down(y, value)
        yield tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="grid")
        yield tag("text", words, x=_LEFT - 6, y=at + 3.5, text_anchor="end")
    for value, words in x.ticks:
        at = _across(x, value)
        yield tag("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis")
        yield tag("text", words, x=at, y=bottom + 15, text_anchor="middle")
    yield tag("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis")
    yield tag("text", x.title, x=(_LEFT + right) / 2, y=HEIGHT - 6, text_anchor="middle", class_="name")


def _line(series: Series, x: Axis, y: Axis) -> Element:
    places = [(_across(x, point.x), _down(y, point.y), point) for point in series.points]
    path = "M" + "L".join(f"{left:.1f} {top:.1f}" for left, top, _ in places)
    dashes = {"stroke_dasharray": "5 4"} if series.is_dashed else {}
    marks = [
        _mark(series.number, left, top, point.says, _whisker(point, left, y))
        for left, top, point in places
        if point.says
    ]
    return tag("g", tag("path", d=path, class_="line", **dashes), *marks, class_=f"s{series.number}")


def _whisker(point: Point, left: float, y: Axis) -> Sequence[Element]:
    if point.spread is None:
        return ()
    low, high = (_down(y, value) for value in point.spread)
    return (tag("line", x1=left, x2=left, y1=low, y2=high, class_="whisker"),)


def _mark(number: int, left: float, top: float, says: str, others: Sequence[Element]) -> Element:
    place = f"translate({left:.1f} {top:.1f})"
    return tag(
        "g",
        tag("title", says),
        *others,
        tag("circle", cx=left, cy=top, r=11, class_="reach"),
        tag("path", d=_SIGNS[number % SERIES], transform=place, class_="sign"),
        class_="mark",
    )


def _across(x: Axis, value: float) -> float:
    return _LEFT + max(0.0, min(1.0, x.at(value))) * (WIDTH - _LEFT - _RIGHT)


def _down(y: Axis, value: float) -> float:
    return HEIGHT - _BOTTOM - max(0.0, min(1.0, y.at(value))) * (HEIGHT - _TOP - _BOTTOM)


# ---- bars and dots --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its spread, in parts of the longest bar."""

    says: str
    number: int
    value: float
    least: float
    most: float


def bar(one: Bar) -> Element:
    """One bar; its whisker goes from the least to the most."""
    middle = _ROW / 2
    ends = [
        tag("line", x1=_part(at), x2=_part(at), y1=middle - 4, y2=middle + 4, class_="whisker")
        for at in (one.least, one.most)
    ]
    return _row(
        tag("title", one.says),
        tag("rect", x=0, y=4, width=_part(one.value), height=_ROW - 8, rx=2, class_="bar"),
        tag("line", x1=_part(one.least), x2=_part(one.most), y1=middle, y2=middle, class_="whisker"),
        *ends,
        class_=f"row mark s{one.number}",
    )


class Dot(NamedTuple):
    """A value between −1 and 1; what is beyond them is drawn at the end, and hollow."""

    says: str
    value: float


def dots(says: str, number: int, values: Sequence[Dot]) -> Element:
    """Dots about a middle, the first one above the others."""
    height = max(_ROW, 6 * len(values))
    apart = (height - 8) / max(1, len(values) - 1)
    found = [_dot(one, 4 + apart * at) for at, one in enumerate(values)]
    middle = tag("line", x1="50%", x2="50%", y1=0, y2=height, class_="axis")
    sides = [tag("line", x1=at, x2=at, y1=0, y2=height, class_="grid") for at in ("2%", "26%", "74%", "98%")]
    return _row(tag("title", says), *sides, middle, *found, class_=f"row s{number}", height=height)


def _dot(one: Dot, top: float) -> Element:
    at = _part(0.5 + 0.48 * max(-1.0, min(1.0, one.value)))
    is_beyond = abs(one.value) > 1.0
    return tag(
        "g",
        tag("title", one.says),
        tag("circle", cx=at, cy=top, r=8, class_="reach"),
        tag("circle", cx=at, cy=top, r=3.5, class_="hollow" if is_beyond else "dot"),
        class_="mark",
    )


def _row(*children: Element, class_: str, height: float = _ROW) -> Element:
    return tag("svg", *children, class_=class_, width="100%", height=height, role="img")


def _part(value: float) -> str:
    return f"{max(0.0, min(1.0, value)) * 100:.2f}%"


def key(number: int) -> Element:
    """A series' colour and sign, for a legend."""
    sign = tag("path", d=_SIGNS[number % SERIES], transform="translate(12 8)", class_="sign")
    line = tag("line", x1=0, x2=24, y1=8, y2=8, class_="line")
    return tag("svg", line, sign, class_=f"key s{number}", width=24, height=16, aria_hidden="true")
