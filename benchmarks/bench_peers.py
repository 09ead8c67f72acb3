"""Measure a decision by both hosts, by handlers that decide nothing, by Cerbos and, if it is there, by OPA, in one run.

`python benchmarks/bench_peers.py [--quick] [--json FILE] [--html FILE]`, with a Python that has what requirements/bench.txt names. README.md
beside this file says what is measured.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import peers
from rich.console import Console
from rivals import RivalMissingError, opa
from served import CHECK, PLAIN, SHAPE
from timing import ratios

from mcp_acl.bench.exchange import Call
from mcp_acl.bench.measuring import Loop, Run, Target, load, results_of, versions_in
from mcp_acl.bench.report import html
from mcp_acl.bench.results import Results, Round, write_results
from mcp_acl.bench.running import running
from mcp_acl.bench.table import table
from mcp_acl.bench.workloads import Shape, workload

HERE: Final = Path(__file__).parent
PYTHONS: Final = {
    "grpcio": os.environ.get("SERVICE_PYTHON", str(HERE.parent / ".venv/bin/python")),
    "envoy": os.environ.get("ENVOY_PYTHON", str(HERE.parent / ".venv-envoy/bin/python")),
}
"""The Python of each host."""
STREAM: Final = replace(SHAPE, interface="stream")
LIST: Final = Shape("filter", entries=100, matching=0)
EMPTY: Final = ("parses", "echoes")


class Goal(NamedTuple):
    """CPU of the server for one answer: `of` at most `limit` times `against`."""

    of: str
    against: str
    limit: float


GOALS: Final = (
    Goal("grpcio, Check", "grpcio, parses", 1.15),
    Goal("grpcio, Check", PLAIN, 1.15),
    Goal("envoy, Check", "envoy, parses", 1.3),
    Goal("envoy, Check", "Cerbos, CheckResources", 0.5),
    Goal("envoy, CheckStream", "Cerbos, CheckResources", 0.4),
    Goal("grpcio, list of 100", "Cerbos, batch of 100", 0.1),
    Goal("envoy, list of 100", "Cerbos, batch of 100", 0.1),
)


@contextmanager
def empty(kind: str, host: str) -> Iterator[tuple[str, int]]:
    """A server of `served.py`: its address and its process."""
    command = [PYTHONS[host], HERE / "served.py", kind, host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process.pid
        finally:
            process.terminate()


def targets(ending: ExitStack) -> Iterator[Target]:
    """Ours and theirs."""
    check, stream, listed = (workload(shape, 1) for shape in (SHAPE, STREAM, LIST))
    (body,) = check.call.messages
    for host, python in PYTHONS.items():
        service = ending.enter_context(running(host, check.policies, python))
        of_lists = ending.enter_context(running(host, listed.policies, python))
        for name, call, one, unit in (
            ("Check", check.call, service, 1),
            ("CheckStream", stream.call, service, 1),
            ("list of 100", listed.call, of_lists, listed.unit),
        ):
            yield Target(f"{host}, {name}", {"server": host, "what": name}, one.address, call, (one.pid,), unit)
        for kind in EMPTY:
            address, pid = ending.enter_context(empty(kind, host))
            call = Call(CHECK, [body], [bool])
            yield Target(f"{host}, {kind}", {"server": host, "what": kind}, address, call, (pid,))
    address, pid = ending.enter_context(empty(PLAIN, "grpcio"))
    yield Target(PLAIN, {"server": "grpcio alone", "what": "parses"}, address, Call(CHECK, [body], [bool]), (pid,))
    yield from peers.cerbos_targets(ending, SHAPE.rules, LIST.entries)
    for host, python in PYTHONS.items():
        yield from ending.enter_context(opa.our_service(host, python=python))
    for rival in (opa.opa, opa.opa_envoy):
        with suppress(RivalMissingError):
            yield from ending.enter_context(rival())


def shown(results: Results, console: Console) -> bool:
    """Print the goals, and return whether all are met."""
    rounds = {case.name: case.rounds for case in results.cases}
    met = True
    for goal in GOALS:
        if goal.of in rounds and goal.against in rounds:
            found = median(ratios(cpu(rounds[goal.of]), cpu(rounds[goal.against])))
            met = met and found <= goal.limit
            word = "met" if found <= goal.limit else "not met"
            console.print(f"{goal.of}: {found:.3f} of {goal.against}; goal {goal.limit}: {word}", highlight=False)
    return met


def cpu(rounds: Sequence[Round]) -> list[float]:
    return [one.server_cpu or 0.0 for one in rounds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report for people")
    chosen = parser.parse_args()
    rounds, seconds = (3, 1.0) if chosen.quick else (7, 3.0)
    before = load()
    with ExitStack() as ending:
        run = Run(tuple(targets(ending)), Loop(seconds=seconds))
        run.measure(rounds, lambda step: print(f"round {step.number}: {step.name}", file=sys.stderr))
    results = results_of(run, sys.argv, before, versions_in(PYTHONS["envoy"]))
    console = Console(width=120)
    console.print(table(results))
    shown(results, console)
    if chosen.json:
        write_results(results, chosen.json)
    if chosen.html:
        chosen.html.write_text(html(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
