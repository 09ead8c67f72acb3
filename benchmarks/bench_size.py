"""Measure what the number of rules costs: `python benchmarks/bench_size.py [--quick] [--json FILE]`.

Lists of 100 entries, each matched by the same rules, among 10 to 10,000; and loading as many rules, each with a condition: time and memory.
README.md beside this file says what is measured.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, product
from pathlib import Path
from statistics import median
from typing import Final

import timing
import workloads as work
from rich.console import Console
from rich.table import Table

from mcp_acl.engine.response import filter_response
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.collector import uncollected

SIZES: Final = (10, 100, 1_000, 10_000)
LIMIT: Final = 1.2
LISTS: Final = 82
"""Lists without a name in common: twice the names that the engine remembers."""
STARTS: Final = 3
KINDS: Final = {"texts": work.text_list_policies, "numbers": work.argument_list_policies}
"""What conditions differ in: code is made once for all that differ in texts, and anew for each number."""
_MIB: Final = 1024.0
_LOAD: Final = "--load"
_PARTS: Final = ("CPU, s", "MiB in force", "MiB at most")


def lists(plan: timing.Plan) -> dict[str, list[float]]:
    """What an entry of a list costs, by the names in it and the number of rules: nanoseconds, round by round."""
    bodies = work.flat_lists(LISTS)
    variants = {}
    for size in SIZES:
        policies = compile_policies(work.flat_policies(size))
        variants[f"names seen before, {size:,} rules"] = timing.Variant(
            filters(policies, bodies[:1]), work.FLAT_ENTRIES
        )
        variants[f"new names, {size:,} rules"] = timing.Variant(filters(policies, bodies), work.FLAT_ENTRIES)
    return {name: found.wall for name, found in timing.run(variants, plan).items() if name != timing.EMPTY}


def filters(policies: PolicySet, bodies: Sequence[bytes]) -> Callable[[], object]:
    """Filter one list after the other, each of which was looked at before: half of it is shown, by the same number of rules in every set."""
    view = policies.view(work.SERVER)
    assert view is not None
    request = work.list_request("tools/list", work.CLAIMS)
    for body in bodies:
        names = [tool["name"] for tool in json.loads(body)["result"]["tools"]]
        matching = [sum(map(len, view.candidates("tools/list", name))) for name in names]
        assert matching == [work.MATCHING, 1] * (work.FLAT_ENTRIES // 2), matching
        filtered = filter_response(policies, request, "application/json", body)
        assert (work.FLAT_ENTRIES // 2, names[1::2]) == (filtered.shown, list(filtered.hidden)), filtered
    run, following = partial(filter_response, policies, request, "application/json"), cycle(bodies).__next__
    return lambda: run(following())


def loaded(kind: str, size: int) -> tuple[float, ...]:
    """In this process, which does nothing else, as a service does it: seconds of CPU that compiling takes, and MiB: what is in force then, and the most there was."""
    files = KINDS[kind](size)
    gc.collect()
    before = _resident("VmRSS")
    started = time.process_time()
    with uncollected():
        policies = compile_policies(files)
    seconds = time.process_time() - started
    gc.collect()
    assert size == sum(info.rules for info in policies.policies)
    return seconds, _resident("VmRSS") - before, _resident("VmHWM") - before


def _resident(name: str) -> float:
    """MiB (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / _MIB


def loading(starts: int) -> dict[str, list[tuple[float, ...]]]:
    """The same, each time in a process of its own."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for _ in range(starts):
        for kind, size in product(KINDS, SIZES):
            command = [sys.executable, __file__, _LOAD, kind, str(size)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            found.setdefault(f"{size:,} rules that differ in {kind}", []).append(tuple(json.loads(output)))
    return found


def _lists_table(found: dict[str, list[float]]) -> Table:
    table = Table("a list of 100, an entry", "µs", f"of {SIZES[0]} rules", "goal", title_justify="left")
    for name, values in found.items():
        names, _, size = name.partition(", ")
        ratio = median(timing.ratios(values, found[f"{names}, {SIZES[0]} rules"]))
        is_goal = size == f"{SIZES[-1]:,} rules"
        word = ("yes" if ratio <= LIMIT else "no") if is_goal else ""
        table.add_row(name, f"{median(values) / 1e3:.2f}", f"{ratio:.3f}", f"≤ {LIMIT}: {word}" if is_goal else "")
    return table


def _loading_table(found: dict[str, list[tuple[float, ...]]]) -> Table:
    table = Table("loading, each rule with a condition", *_PARTS)
    for name, values in found.items():
        table.add_row(name, *(f"{median(one):.3g}" for one in zip(*values, strict=True)))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    parser.add_argument(_LOAD, nargs=2, metavar=("KIND", "RULES"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.load:
        kind, size = chosen.load
        print(json.dumps(loaded(kind, int(size))))
        return 0
    listed = lists(timing.QUICK if chosen.quick else timing.FULL)
    taken = loading(1 if chosen.quick else STARTS)
    console = Console(width=120)
    console.print(_lists_table(listed), _loading_table(taken))
    if chosen.json:
        document = {"lists, ns an entry": listed, f"loading ({'; '.join(_PARTS)})": taken}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
