"""A run as a page for people: one file that asks for nothing else, with its data in it. Does no measuring and draws no plot.

Whoever opens it may not trust whoever wrote the file that was measured: every text is escaped, and the page's own policy lets nothing
run but our script, and nothing be loaded at all.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from string import ascii_uppercase
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from mcp_acl.bench import figures as fig
from mcp_acl.bench.charts import parts_of, sections, view
from mcp_acl.bench.markup import Child, data, page, raw, tag
from mcp_acl.bench.results import Case, Results

_TITLE: Final = "What decisions cost"
_TILES: Final = {
    "cpu": "Server CPU for each answer",
    "p50": "Half of all within",
    "p99": "99 of 100 within",
    "rate": "Answers a second",
}


def html(results: Results, *others: Results) -> str:
    """The page of a run; of several, each case says which run it is of."""
    runs = (results, *others)
    cases = [case for at, run in enumerate(runs) for case in _named(run, at if others else None)]
    style, script = _own("report.css"), _own("report.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{_TITLE}: {results.made:%Y-%m-%d %H:%M}"),
        raw("style", style),
    )
    main = tag("main", *_opening(runs, cases), *(sections(view(cases)) if cases else ()), *_closing(runs, cases))
    kept = data(msgspec.json.encode(runs if others else results), "data")
    return page(tag("html", head, tag("body", main, kept, raw("script", script)), lang="en"))


def _named(run: Results, at: int | None) -> Iterator[Case]:
    for case in run.cases:
        yield case if at is None else msgspec.structs.replace(case, facts={"run": _letter(at), **case.facts})


def _letter(at: int) -> str:
    return ascii_uppercase[at] if at < len(ascii_uppercase) else str(at + 1)


def _own(name: str) -> str:
    return files("mcp_acl.bench").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# ---- what comes first -----------------------------------------------------------------------------------------------


def _opening(runs: Sequence[Results], cases: Sequence[Case]) -> Iterator[Element]:
    yield tag("h1", _TITLE)
    yield tag("p", _summary(cases), class_="lead")
    for at, run in enumerate(runs):
        which = f"Run {_letter(at)}: " if len(runs) > 1 else ""
        yield tag(
            "p", f"{which}{run.made:%d %B %Y, %H:%M} {run.made.tzname() or ''}, {_versions(run)}. {fig.place(run)}."
        )
    if cases:
        yield tag("div", *_tiles(cases), class_="tiles")
    if len({case.unit == 1 for case in cases}) > 1:
        yield tag("p", "Answers about whole lists are not in these figures, but below.")
    if wrong := [tag("li", _wrong(case)) for case in cases if fig.answers([case])[1]]:
        yield tag(
            "div",
            tag("strong", "Answers were wrong. The figures of these cases count for nothing."),
            tag("ul", *wrong),
            class_="bad",
            role="alert",
        )
    if notes := [tag("li", note) for run in runs for note in run.notes]:
        yield tag("div", tag("strong", "Said of the run"), tag("ul", *notes), class_="notes")


def _summary(cases: Sequence[Case]) -> str:
    if not cases:
        return "Nothing was measured whole."
    what = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    shared = fig.shared_in_words(cases)
    same = f" All: {', '.join(shared)}." if shared else ""
    return f"{what}, {fig.rounds_in_words(cases)} of each, one after the other.{same}"


def _versions(run: Results) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.versions.items()) or "versions unknown"


def _wrong(case: Case) -> str:
    total, wrong = fig.answers([case])
    return f"{case.name}: {wrong:,} of {total:,}"


def _tiles(cases: Sequence[Case]) -> Iterator[Element]:
    """From where to where each figure goes, and where that is; not of lists, if there is anything else."""
    names = dict(zip(map(id, cases), fig.labels(cases), strict=True))
    shown = [case for case in cases if case.unit == 1] or cases
    for name, title in _TILES.items():
        found = [(spread.median, names[id(case)]) for case in shown if (spread := fig.spread(case, fig.FIGURES[name]))]
        if found:
            (least, where), (most, elsewhere) = min(found), max(found)
            said = (f"least: {where}", f"most: {elsewhere}") if len(found) > 1 else ()
            yield _tile(title, _range(name, least, most), *said)
    total, wrong = fig.answers(cases)
    yield _tile("Wrong answers", f"{wrong:,}", f"of {total:,}", kind="tile bad" if wrong else "tile")


def _range(name: str, least: float, most: float) -> str:
    if name == "rate":
        return fig.number(least) if least == most else f"{fig.number(least)}–{fig.number(most)}"
    return fig.duration(least) if least == most else fig.durations(least, most)


def _tile(title: str, value: str, *lines: str, kind: str = "tile") -> Element:
    return tag("div", tag("h3", title), tag("b", value), *(tag("span", line) for line in lines), class_=kind)


# ---- what comes last ------------------------------------------------------------------------------------------------


def _closing(runs: Sequence[Results], cases: Sequence[Case]) -> Iterator[Element]:
    if cases:
        yield _figures(cases, names_runs=len(runs) > 1)
    for at, run in enumerate(runs):
        yield _how(run, f" run {_letter(at)}" if len(runs) > 1 else "")


def _figures(cases: Sequence[Case], *, names_runs: bool) -> Element:
    told = fig.told(cases)
    is_each, has_parts = any(case.unit > 1 for case in cases), any(map(parts_of, cases))
    heads = [*(["run"] if names_runs else []), *(_head(name) for name in told)]
    heads += [*(["CPU an entry, µs"] if is_each else []), *(["CPU by process, µs"] if has_parts else [])]
    rows = [tag("tr", *_cells(case, told, names_runs, is_each, has_parts)) for case in cases]
    table = tag(
        "table",
        tag("caption", "Medians of the rounds; below them the least and the most."),
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in ("case", *heads, "wrong")))),
        tag("tbody", *rows),
    )
    scrolled = tag("div", table, class_="scrolled", role="region", aria_label="All figures", tabindex="0")
    save = tag("button", "Save the data as JSON", type="button", id="save", hidden="")
    return tag("section", tag("h2", "All figures"), scrolled, tag("p", save))


def _head(name: str) -> str:
    figure = fig.FIGURES[name]
    return f"{figure.title}, {figure.unit}" if figure.unit != "/s" else "answers a second"


def _cells(case: Case, told: Sequence[str], names_runs: bool, is_each: bool, has_parts: bool) -> Iterator[Element]:
    yield tag("th", case.name, scope="row")
    if names_runs:
        yield tag("td", str(case.facts["run"]))
    for name in told:
        yield _cell(fig.spread(case, fig.FIGURES[name]))
    if is_each:
        cpu = case.median(fig.FIGURES["cpu"].of)
        yield tag("td", fig.number(cpu / case.unit) if cpu is not None and case.unit > 1 else "")
    if has_parts:
        yield tag("td", *(tag("small", f"{name} {fig.number(spent)}") for name, spent in parts_of(case).items()))
    total, wrong = fig.answers([case])
    yield tag("td", f"{wrong:,} of {total:,}", class_="bad" if wrong else "")


def _cell(found: fig.Spread | None) -> Element:
    if found is None:
        return tag("td", "–")
    range_: Child = tag("small", f"{fig.number(found.least)}–{fig.number(found.most)}")
    return tag("td", fig.number(found.median), range_)


def _how(run: Results, which: str) -> Element:
    loads = ", ".join(f"{load:.1f}" for load in run.machine.load)
    facts = {
        "Command": " ".join(run.command),
        "Seed": f"{run.seed}",
        "Versions": _versions(run),
        "Machine": fig.place(run),
        "Load before and after": loads or "unknown",
    }
    items = [tag(name, text) for fact, value in facts.items() for name, text in (("dt", fact), ("dd", value))]
    return tag("section", tag("h2", f"How{which} was measured" if which else "How it was measured"), tag("dl", *items))
