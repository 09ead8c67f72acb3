"""Measure what mcp-acl promises of its speed, against the programs it is compared with, in one run.

`python benchmarks/bench_goals.py [--quick] [--json FILE] [--require-peers]`; README.md beside this file says what is measured.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Final

import peers
import timing
import workloads as work
from rich.console import Console
from rich.table import Table

from mcp_acl.domain import Request
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import filter_response
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.condition import Condition
from mcp_acl.expr.nodes import Variable
from mcp_acl.mcp.message import parse_message
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.conditions import Reading, joined, read_cel, read_el
from mcp_acl.policy.index import PolicySet

MEMO: Final = 8192
"""Names in the cold workload: twice what the engine remembers, so that each is forgotten before it comes again."""

FLAT_LIMIT: Final = 1.2
FAST_LIMIT: Final = 1.0
FASTEST_LIMIT: Final = 1.0
LISTS_LIMIT: Final = 1 / 20


@dataclass(frozen=True)
class Row:
    """One figure: a value for each round. `against` are those of the variant it is held against, `limit` the goal."""

    name: str
    values: list[float]
    unit: str = "µs"
    against: list[float] = field(default_factory=list)
    limit: float = 0.0

    @property
    def ratio(self) -> float | None:
        return median(timing.ratios(self.values, self.against)) if self.against else None

    @property
    def met(self) -> bool | None:
        return self.ratio <= self.limit if self.ratio is not None and self.limit else None


@dataclass
class Report:
    """What the run has found."""

    sections: dict[str, list[Row]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def peer(self) -> Iterator[None]:
        """Run what needs a peer; note it if there is none."""
        try:
            yield
        except peers.PeerMissingError as error:
            self.missing.append(str(error))


def micro(nanoseconds: list[float]) -> list[float]:
    return [value / 1000 for value in nanoseconds]


def _checked(policies: PolicySet, request: Request, rules: tuple[str, ...]) -> Callable[[], object]:
    """The decision to time, after making sure that it is the one meant."""
    decision = decide(policies, request)
    assert decision.allowed, decision
    assert rules == tuple(rule.rule for rule in decision.rules), decision
    return partial(decide, policies, request)


# ---- flat -----------------------------------------------------------------------------------------------------------

SIZES: Final = (10, 100, 1_000, 10_000)


def flat(report: Report, plan: timing.Plan) -> None:
    """A decision among 10 to 10,000 rules, eight of which match: names seen before, and names never seen."""
    variants: dict[str, timing.Variant] = {}
    loading: list[Row] = []
    names = work.cold_names(MEMO)
    calls = [work.flat_call(f"transfer_{name}") for name in names]
    reads = [work.flat_read(f"report://2026/{name}") for name in names]
    granted = ("m8-admins",)
    for size in SIZES:
        files = work.flat_policies(size)
        start = time.perf_counter()
        policies = compile_policies(files)
        loading.append(Row(f"loading {size:,} rules", [(time.perf_counter() - start) * 1e3], "ms"))
        assert sum(info.rules for info in policies.policies) == size
        view = policies.view(work.SERVER)
        assert view is not None
        for method, name in (("tools/call", work.TOOL), ("resources/read", work.URI)):
            assert sum(map(len, view.candidates(method, name))) == work.MATCHING
        variants |= {
            f"tools/call, {size:,} rules": timing.Variant(_checked(policies, work.flat_call(), granted)),
            f"resources/read, {size:,} rules": timing.Variant(_checked(policies, work.flat_read(), granted)),
            f"tools/call, new name, {size:,} rules": timing.Variant(_cold(policies, calls)),
            f"resources/read, new name, {size:,} rules": timing.Variant(_cold(policies, reads)),
        }
    found = timing.run(variants, plan)
    rows = [Row("empty call (subtracted)", micro(found[timing.EMPTY].wall))]
    for kind in ("tools/call", "resources/read", "tools/call, new name", "resources/read, new name"):
        smallest = micro(found[f"{kind}, {SIZES[0]} rules"].wall)
        rows.append(Row(f"{kind}, {SIZES[0]} rules", smallest))
        for size in SIZES[1:]:
            name = f"{kind}, {size:,} rules"
            rows.append(Row(name, micro(found[name].wall), against=smallest, limit=FLAT_LIMIT))
    report.sections["flat: 10,000 rules cost at most 1.2 × what 10 cost"] = rows + loading


def _cold(policies: PolicySet, requests: list[Request]) -> Callable[[], object]:
    """Decide about a name that the engine does not remember."""
    assert all(decide(policies, request).allowed for request in requests)
    following = cycle(requests).__next__
    return lambda: decide(policies, following())


# ---- fast -----------------------------------------------------------------------------------------------------------

_DECIDE: Final = "decide, CEL"
_CPP: Final = "C++ CEL, one evaluation"


def fast(report: Report, plan: timing.Plan) -> None:
    """A whole decision with a condition of four clauses, against one evaluation of that condition."""
    cel, el = (compile_policies(work.fast_policies(key)) for key in ("cel", "condition"))
    rules = ("publishers",)

    def from_bytes() -> object:
        message = parse_message(work.FAST_BODY)
        return decide(cel, Request(work.SERVER, message, work.CLAIMS, work.FAST_REQUEST.token))

    variants = {
        _DECIDE: timing.Variant(_checked(cel, work.FAST_REQUEST, rules)),
        "decide, EL": timing.Variant(_checked(el, work.FAST_REQUEST, rules)),
        "parse and decide, CEL, from bytes": timing.Variant(from_bytes),
        "cel-python, interpreted": timing.Variant(peers.cel_python(work.FAST_CEL, work.FAST_FACTS)),
    }
    with report.peer():
        evaluate = peers.cpp_cel(work.FAST_CEL)
        variants[_CPP] = timing.Variant(partial(evaluate, work.FAST_FEWEST_FACTS))
        variants[f"{_CPP}, whole token"] = timing.Variant(partial(evaluate, work.FAST_FACTS))
    found = timing.run(variants, plan)
    goal = micro(found[_CPP].wall) if _CPP in found else []
    rows = [
        Row(name, micro(found[name].wall), against=goal, limit=FAST_LIMIT if name == _DECIDE else 0.0)
        for name in variants
    ]
    report.sections["fast: a decision costs less than one evaluation by C++ CEL"] = rows


# ---- condition ------------------------------------------------------------------------------------------------------

_OURS: Final = "CEL, compiled, from a plain dict"


def condition(report: Report, plan: timing.Plan) -> None:
    """One evaluation of that condition, as ours and as others'; data from a plain dict, and in the form that each likes best."""
    run = compile_node(parse_cel(work.FAST_CEL, {name: Variable(name, name) for name in work.FAST_FACTS}).node)
    fewest, facts = work.FAST_FEWEST_FACTS, work.FAST_FACTS
    read = {key: joined([reading]) for key, reading in _readings().items()}
    calls: dict[str, Callable[[], object]] = {
        _OURS: lambda: run(SimpleNamespace(**facts)),
        "CEL, from a request": partial(_from_request, read["cel"]),
        "EL, from a request": partial(_from_request, read["condition"]),
        "CEL, on a request's facts read before": partial(read["cel"].run, _scope()),
        "cel-python, interpreted, converted before": peers.cel_python(work.FAST_CEL, facts),
        "cel-python, compiled, converted before": peers.cel_python(work.FAST_CEL, facts, compiled=True),
    }
    with report.peer():
        calls[_CPP] = partial(peers.cpp_cel(work.FAST_CEL), fewest)
        calls[f"{_CPP}, whole token"] = partial(peers.cpp_cel(work.FAST_CEL), facts)
        calls[f"{_CPP}, converted before"] = peers.cpp_cel_converted(work.FAST_CEL, fewest)
    with report.peer():
        evaluate, converted = peers.rust_cel(work.FAST_CEL)
        calls["CEL in Rust"] = partial(evaluate, fewest)
        calls["CEL in Rust, whole token"] = partial(evaluate, facts)
        calls["CEL in Rust, converted before"] = partial(evaluate, converted(fewest))
    for name, call in calls.items():
        assert _is_true(call()), name
    found = {name: micro(series.wall) for name, series in timing.run(_variants(calls), plan).items()}
    goal = found.get(_CPP, [])
    limits = {_OURS: FASTEST_LIMIT, "CEL, from a request": FASTEST_LIMIT}
    rows = [Row(name, found[name], against=goal, limit=limits.get(name, 0.0)) for name in calls]
    report.sections["condition: one evaluation costs less than anybody else's"] = rows


def _is_true(answer: object) -> bool:
    """Each has a form of its own for it."""
    return bool(answer.value() if hasattr(answer, "value") else answer)


def _variants(calls: Mapping[str, Callable[[], object]]) -> dict[str, timing.Variant]:
    return {name: timing.Variant(call) for name, call in calls.items()}


def _readings() -> dict[str, Reading]:
    return {"cel": read_cel(work.FAST_CEL, {}), "condition": read_el(work.FAST_EL)}


def _scope() -> Scope:
    return Scope(work.FAST_REQUEST, "tools/call", "publish")


def _from_request(condition: Condition) -> object:
    return condition.run(_scope())


# ---- lists ----------------------------------------------------------------------------------------------------------

_CHEAPEST: Final = "one rule over attributes"


def lists(report: Report, plan: timing.Plan) -> None:
    """A list of 1,000 entries under 1,000 rules, from bytes to bytes, against asking Cerbos about each entry."""
    policies = compile_policies(work.list_policies())
    held = {
        "tools": _filter(policies, "tools/list", work.tools_body()),
        "tools, `name` in their schemas": _filter(policies, "tools/list", work.tools_body(member="name")),
        "resources": _filter(policies, "resources/list", work.resources_body()),
    }
    shown = {
        name: _filter(compile_policies(files), "tools/list", work.tools_body())
        for name, files in {
            "tools, patterns and deny rules": work.mixed_list_policies(),
            "tools, conditions on arguments": work.argument_list_policies(),
        }.items()
    }
    ours = {name: timing.Variant(call, work.ENTRIES) for name, call in (held | shown).items()}
    rows: list[Row] = []
    with contextlib.ExitStack() as servers:
        theirs: dict[str, timing.Variant] = {}
        with report.peer():
            theirs = _cerbos(servers, _shown(policies))
        found = timing.run(ours | theirs, plan)
    for clock, costs in {"clock": "wall", "CPU": "cpu"}.items():
        series = {name: micro(getattr(one, costs)) for name, one in found.items()}
        goal = series.get(f"Cerbos, {_CHEAPEST}", [])
        for name in (*ours, *theirs):
            limit = LISTS_LIMIT if name in held else 0.0
            rows.append(Row(f"{name}, {clock}", series[name], against=goal if name in ours else [], limit=limit))
    report.sections["lists: an entry costs at most 1/20 of what Cerbos takes for it"] = rows


def _filter(policies: PolicySet, method: str, body: bytes) -> Callable[[], object]:
    request = work.list_request(method)
    filtered = filter_response(policies, request, "application/json", body)
    assert not filtered.refused, filtered.refused
    assert filtered.shown + len(filtered.hidden) == work.ENTRIES, filtered
    return partial(filter_response, policies, request, "application/json", body)


def _shown(policies: PolicySet) -> tuple[str, ...]:
    """The tools that stay in the list."""
    request = work.list_request("tools/list")
    filtered = filter_response(policies, request, "application/json", work.tools_body())
    return tuple(tool["name"] for tool in json.loads(filtered.body)["result"]["tools"])


def _cerbos(servers: contextlib.ExitStack, shown: tuple[str, ...]) -> Mapping[str, timing.Variant]:
    """Three ways to write the policy for Cerbos, each of which must show the same tools."""
    variants: dict[str, timing.Variant] = {}
    modellings = {
        _CHEAPEST: peers.by_attribute(),
        "a policy for each tool": peers.by_kind(),
        "a rule for each tool as action": peers.by_action(),
    }
    for name, modelling in modellings.items():
        server = servers.enter_context(peers.cerbos(modelling))
        assert shown == server.shown(), name
        variants[f"Cerbos, {name}"] = timing.Variant(server.ask, work.ENTRIES, server.cpu)
        if name == _CHEAPEST:
            variants["Cerbos, all calls at once"] = timing.Variant(server.ask_at_once, work.ENTRIES, server.cpu)
            variants["writing its requests"] = timing.Variant(server.build, work.ENTRIES)
    return variants


# ---- what was found -------------------------------------------------------------------------------------------------


def show(report: Report) -> None:
    """Print a table for each goal."""
    console = Console(width=max(110, Console().width))
    for title, rows in report.sections.items():
        table = Table(title=title, title_justify="left", title_style="bold", min_width=108)
        table.add_column("figure")
        for heading in ("median", "min", "max", "", "ratio", "goal", "met"):
            table.add_column(heading, justify="right")
        for row in rows:
            table.add_row(*_cells(row))
        console.print(table)
    for name in report.missing:
        console.print(f"not installed: {name}; see benchmarks/README.md")


def _cells(row: Row) -> list[str]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    goal = f"≤ {row.limit:.3g}" if row.limit and row.against else ""
    met = {None: "", True: "yes", False: "[bold]no[/]"}[row.met]
    figures = [f"{figure(row.values):.3f}" for figure in (median, min, max)]
    return [row.name, *figures, row.unit, ratio, goal, met]


def write(report: Report, file: Path, plan: timing.Plan, load: tuple[float, ...]) -> None:
    """Write everything as JSON."""
    rows = {
        title: [
            {"name": row.name, "unit": row.unit, "rounds": row.values, "median": median(row.values)}
            | ({"ratio": row.ratio, "goal": row.limit or None, "met": row.met} if row.against else {})
            for row in found
        ]
        for title, found in report.sections.items()
    }
    document = {"about": about(load), "plan": vars(plan), "missing": report.missing, "figures": rows}
    file.write_text(json.dumps(document, indent=2) + "\n")


def about(load: tuple[float, ...]) -> dict[str, object]:
    """Where the figures come from. Load is that of the last minute, before and after."""
    packages = (
        "msgspec",
        "google-re2",
        "cel-python",
        "cel-expr-python",
        "common-expression-language",
        "cerbos",
        "grpcio",
    )
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {_processor()}",
        "load": [round(value, 2) for value in (load[0], os.getloadavg()[0])],
        "packages": {name: _version(name) for name in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    arguments.add_argument("--require-peers", action="store_true", help="fail if one to compare with is not installed")
    arguments.add_argument(
        "--only", choices=("flat", "fast", "condition", "lists"), action="append", help="may be repeated"
    )
    chosen = arguments.parse_args()
    plan = timing.QUICK if chosen.quick else timing.FULL
    load = os.getloadavg()
    report = Report()
    for measure in (flat, fast, condition, lists):
        if not chosen.only or measure.__name__ in chosen.only:
            measure(report, plan)
    show(report)
    for key, value in about(load).items():
        print(f"{key}: {value}")
    if load[0] > (os.cpu_count() or 1) / 4:
        print("the machine was busy before this run: take these figures again when it is not")
    if chosen.json:
        write(report, chosen.json, plan, load)
    return 2 if report.missing and chosen.require_peers else 0


if __name__ == "__main__":
    sys.exit(main())
