"""A run as a table for a terminal. Does no measuring."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mcp_acl.bench import figures as fig
from mcp_acl.bench.results import Case, Results

_HEADS: Final = {
    "cpu": "CPU µs",
    "p50": "p50 µs",
    "p90": "p90",
    "p99": "p99",
    "p99.9": "p99.9",
    "max": "max",
    "rate": "answers/s",
    "client": "client",
    "memory": "MiB",
}
_SPREAD: Final = "cpu", "p50"
"""Figures whose spread is shown: the first of them that there is."""
_BAD: Final = "bold red"


def table(results: Results) -> RenderableType:
    """A line for each case, those of the same kind together: medians of its rounds, and how far the rounds are apart."""
    cases = results.cases
    parts: list[RenderableType] = [Text(fig.printable(fig.place(results)), "bold"), Text(_how(results))]
    if cases:
        parts += [_table(cases), Text(_legend(fig.told(cases)), "dim")]
    parts += [*_wrong(cases), *(Text(f"note: {fig.printable(note)}", "yellow") for note in results.notes)]
    return Group(*parts)


def _how(results: Results) -> str:
    """What all cases share is said once."""
    words = [fig.rounds_in_words(results.cases), f"seed {results.seed}", *fig.shared_in_words(results.cases)]
    return fig.printable(", ".join(words))


def _table(cases: Sequence[Case]) -> Table:
    names = fig.told(cases)
    shown = next((name for name in _SPREAD if name in names), "")
    is_wrong = fig.answers(cases)[1] > 0
    found = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    found.add_column("case", overflow="fold", min_width=16)
    for name in names:
        found.add_column(_HEADS[name], justify="right", no_wrap=True)
        if name == shown:
            found.add_column("min–max", justify="right", no_wrap=True, style="dim")
    if is_wrong:
        found.add_column("wrong", justify="right", no_wrap=True)
    for heading, label, case in _grouped(cases):
        if heading:
            found.add_row(Text(fig.printable(heading), "bold"))
        wrong = fig.answers([case])[1]
        counted = [_count(wrong)] if is_wrong else []
        found.add_row(Text(fig.printable(label), _BAD if wrong else ""), *_cells(case, names, shown), *counted)
    return found


def _grouped(cases: Sequence[Case]) -> Iterator[tuple[str, str, Case]]:
    """Each case with its label; before the first of a group, what the group shares."""
    leading = fig.leading_fact(cases)
    if not leading:
        yield from (("", label, case) for label, case in zip(fig.labels(cases), cases, strict=True))
        return
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(str(fig.facts_of(case)[leading]), []).append(case)
    for value, members in groups.items():
        heading = fig.fact_in_words(leading, value)
        if len(members) == 1:
            yield "", fig.differences(cases).label(members[0]), members[0]
        for at, label in enumerate(fig.labels(members) if len(members) > 1 else ()):
            yield "" if at else heading, f"  {label}", members[at]


def _cells(case: Case, names: Sequence[str], shown: str) -> Iterator[str]:
    for name in names:
        found = fig.spread(case, fig.FIGURES[name])
        yield "" if found is None else fig.number(found.median)
        if name == shown:
            yield "" if found is None else f"{fig.number(found.least)}–{fig.number(found.most)}"


def _count(wrong: int) -> Text:
    return Text(f"{wrong:,}", _BAD) if wrong else Text("0")


def _legend(names: Sequence[str]) -> str:
    """What the heads leave unsaid."""
    cpu = "CPU: of the server, for each answer; " if "cpu" in names else ""
    return f"{cpu}medians of rounds; min–max: of the rounds, of the figure before it"


def _wrong(cases: Sequence[Case]) -> Iterator[Text]:
    for case in cases:
        total, wrong = fig.answers([case])
        if wrong:
            yield Text(f"WRONG: {wrong:,} of {total:,} answers of {fig.printable(case.name)}", _BAD)
