"""A run as a table for a terminal. Does no measuring."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mcp_acl.bench import figures as fig
from mcp_acl.bench.results import Case, Results

_EACH: Final = "each"
_SPREAD: Final = "spread"
_HEADS: Final = {
    "cpu": "CPU µs",
    _EACH: "each",
    _SPREAD: "spread",
    "client": "client",
    "p50": "p50 µs",
    "p90": "p90",
    "p99": "p99",
    "p99.9": "p99.9",
    "max": "max",
    "rate": "answers/s",
    "memory": "MiB",
}
_MEANS: Final = {
    "cpu": "CPU: of the service, for each answer",
    _EACH: "each: the same for each entry of a list",
    "client": "client: CPU of what asks, for each answer",
}
_OF: Final = "cpu", "p50"
"""Figures whose spread is shown: the first of them that there is."""
_LONG: Final = 99_999.5
_BAD: Final = "bold red"


def table(results: Results) -> RenderableType:
    """A line for each case, those of the same kind together: medians of its rounds, and how far the rounds are apart."""
    cases = results.cases
    parts: list[RenderableType] = [Text(fig.printable(fig.place(results)), "bold"), Text(_how(results))]
    if cases:
        names = _columns(cases)
        parts += [_table(cases, names), Text(_legend(names), "dim")]
    parts += [*_wrong(cases), *(Text(f"note: {fig.printable(note)}", "yellow") for note in results.notes)]
    return Group(*parts)


def _how(results: Results) -> str:
    """What all cases share is said once."""
    words = [fig.rounds_in_words(results.cases), f"seed {results.seed}", *fig.shared_in_words(results.cases)]
    return fig.printable(", ".join(words))


def _columns(cases: Sequence[Case]) -> Sequence[str]:
    found = {*fig.told(cases), _SPREAD}
    if "cpu" in found and any(case.unit > 1 for case in cases):
        found.add(_EACH)
    return [name for name in _HEADS if name in found]


def _table(cases: Sequence[Case], names: Sequence[str]) -> Table:
    found = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    found.add_column("case", overflow="fold", min_width=16)
    for name in names:
        found.add_column(_HEADS[name], justify="right", no_wrap=True)
    for heading, label, case in _grouped(cases):
        if heading:
            found.add_row(Text(fig.printable(heading), "bold"))
        is_wrong = fig.answers([case])[1] > 0
        said = Text(fig.printable(f"{label}  WRONG" if is_wrong else label), _BAD if is_wrong else "")
        found.add_row(said, *(_cell(case, name) for name in names))
    return found


def _grouped(cases: Sequence[Case]) -> Iterator[tuple[str, str, Case]]:
    """Each case with its label; before the first of a group, what the group shares."""
    leading = fig.leading_fact(cases)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(str(fig.facts_of(case)[leading]) if leading else "", []).append(case)
    if max(map(len, groups.values())) == 1:
        groups = {"": list(cases)}
    for heading, members in groups.items():
        indent = "  " if heading else ""
        for at, (label, case) in enumerate(zip(fig.labels(members), members, strict=True)):
            yield "" if at else heading and fig.fact_in_words(leading, heading), f"{indent}{label}", case


def _cell(case: Case, name: str) -> str:
    if name == _SPREAD:
        return _apart(case)
    found = fig.spread(case, fig.FIGURES["cpu" if name == _EACH else name])
    if found is None or (name == _EACH and case.unit == 1):
        return ""
    return _short(name, found.median / case.unit if name == _EACH else found.median)


def _short(name: str, value: float) -> str:
    """What is µs and has many digits is written with its unit."""
    is_long = value >= _LONG and fig.FIGURES["cpu" if name == _EACH else name].unit == "µs"
    return fig.duration(value) if is_long else fig.number(value)


def _apart(case: Case) -> str:
    """How far the rounds are apart, in parts of their median."""
    found = next((one for name in _OF if (one := fig.spread(case, fig.FIGURES[name]))), None)
    return "" if found is None or not found.median else f"{(found.most - found.least) / found.median:.0%}"


def _legend(names: Sequence[str]) -> str:
    """What the heads leave unsaid."""
    spread = [
        f"spread: from the least to the most {_HEADS[name].removesuffix(' µs')} of a round"
        for name in _OF
        if name in names
    ]
    return "; ".join([*(said for name, said in _MEANS.items() if name in names), *spread[:1], "all: medians of rounds"])


def _wrong(cases: Sequence[Case]) -> Iterator[Text]:
    for case in cases:
        total, wrong = fig.answers([case])
        if wrong:
            yield Text(f"WRONG: {wrong:,} of {total:,} answers of {fig.printable(case.name)}", _BAD)
