"""Measure what watching costs: `python benchmarks/bench_watched.py [--quick] [--json FILE]`.

Each host twice at once, started anew several times: as it is, and with the decision log, metrics and one message of a hundred as a span, sent to a collector that takes
everything. README.md beside this file says what is measured.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench_peers import PYTHONS, SHAPE, cpu
from rich.console import Console
from timing import ratios

from mcp_acl.bench.exchange import Call
from mcp_acl.bench.measuring import Loop, Run, Target, load, results_of, versions_in
from mcp_acl.bench.results import write_results
from mcp_acl.bench.running import running
from mcp_acl.bench.table import table
from mcp_acl.bench.workloads import workload
from mcp_acl.gen import acl_pb2 as pb

GOAL: Final = 1.1
ROUNDS: Final = 3
"""Of each start. Processes differ more from one another than rounds of one do, by where things lie in memory."""
COLLECTOR: Final = """
import http.server
class Taking(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
print(server.server_port, flush=True)
server.serve_forever()
"""


def batched(values: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    """Parts of `size`."""
    return (values[at : at + size] for at in range(0, len(values), size))


@contextmanager
def collecting() -> Iterator[str]:
    """A collector: its URL."""
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def without_trace(message: bytes) -> bytes:
    """As from a client that knows of no trace, so that the share is the service's to draw."""
    request = pb.CheckRequest.FromString(message)
    headers = [one for one in request.http.headers if one.name != "traceparent"]
    request.http.ClearField("headers")
    request.http.headers.extend(headers)
    return request.SerializeToString()


def targets(ending: ExitStack) -> Iterator[Target]:
    """Each host as it is, and watched."""
    asked = workload(SHAPE, 1)
    call = Call(asked.call.path, [without_trace(one) for one in asked.call.messages], asked.call.judges)
    directory = Path(ending.enter_context(tempfile.TemporaryDirectory()))
    collector = ending.enter_context(collecting())
    for host, python in PYTHONS.items():
        watched = (
            *("--decision-log", str(directory / f"{host}.jsonl"), "--metrics-listen", "127.0.0.1:0"),
            *("--otlp-endpoint", collector, "--trace-share", "0.01"),
        )
        for name, flags in (("off", ()), ("on", watched)):
            one = ending.enter_context(running(host, asked.policies, python, flags=flags))
            yield Target(f"{host}, {name}", {"server": host, "watched": name}, one.address, call, (one.pid,))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    chosen = parser.parse_args(arguments)
    starts, seconds = (2, 1.0) if chosen.quick else (9, 1.5)
    before = load()
    run = Run((), Loop(seconds=seconds))
    for _ in range(starts):
        with ExitStack() as ending:
            run.targets = tuple(targets(ending))
            run.measure(ROUNDS, lambda step: print(f"round {step.number}: {step.name}", file=sys.stderr))
    results = results_of(run, sys.argv, before, versions_in(PYTHONS["envoy"]))
    console = Console(width=120)
    console.print(table(results))
    found = {case.name: [median(one) for one in batched(cpu(case.rounds), ROUNDS)] for case in results.cases}
    for host in PYTHONS:
        pairs = sorted(ratios(found[f"{host}, on"], found[f"{host}, off"]))
        word = "met" if median(pairs) <= GOAL else "not met"
        told = f"{median(pairs):.3f} of not watched ({pairs[0]:.2f} to {pairs[-1]:.2f} by start); goal {GOAL}: {word}"
        console.print(f"{host}: watched takes {told}", highlight=False)
    if chosen.json:
        write_results(results, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
