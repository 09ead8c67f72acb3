"""A run as a table for a terminal. Does no measuring."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mcp_acl.bench.results import Case, Results, Round

_FIGURES: Final[Sequence[tuple[str, Callable[[Round], float | None]]]] = (
    ("CPU µs", lambda one: one.server_cpu),
    ("p50 µs", lambda one: one.latency.p50),
    ("p90", lambda one: one.latency.p90),
    ("p99", lambda one: one.latency.p99),
    ("p99.9", lambda one: one.latency.p999),
    ("max", lambda one: one.latency.max),
    ("a second", lambda one: one.rate),
    ("MiB", lambda one: one.memory),
)


def table(results: Results) -> RenderableType:
    """A line for each case: medians of its rounds, and from where to where the service's CPU went."""
    machine = results.machine
    found = Table(title=f"{machine.processor}, {machine.cores} cores, Python {machine.python}", title_justify="left")
    found.add_column("case", ratio=1)
    for name, _ in _FIGURES:
        found.add_column(name, justify="right", no_wrap=True)
    for case in results.cases:
        found.add_row(Text(case.name), *[_cell(case, figure) for _, figure in _FIGURES])
    notes = [Text(f"note: {note}") for note in results.notes]
    wrong = [
        Text(f"wrong answers: {count:,} of {case.name}", style="bold red")
        for case in results.cases
        if (count := sum(one.wrong for one in case.rounds))
    ]
    return Group(found, *wrong, *notes)


def _cell(case: Case, figure: Callable[[Round], float | None]) -> str:
    value = case.median(figure)
    return "" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
