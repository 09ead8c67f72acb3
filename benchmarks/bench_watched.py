"""Measure what watching costs: `python benchmarks/bench_watched.py [--quick] [--json FILE]`.

Each host twice in one run: as it is, and with the decision log, metrics and one message of a hundred as a span, sent to a collector that takes
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
    rounds, seconds = (3, 1.0) if chosen.quick else (7, 3.0)
    before = load()
    with ExitStack() as ending:
        run = Run(tuple(targets(ending)), Loop(seconds=seconds))
        run.measure(rounds, lambda step: print(f"round {step.number}: {step.name}", file=sys.stderr))
    results = results_of(run, sys.argv, before, versions_in(PYTHONS["envoy"]))
    console = Console(width=120)
    console.print(table(results))
    found = {case.name: case.rounds for case in results.cases}
    for host in PYTHONS:
        ratio = median(ratios(cpu(found[f"{host}, on"]), cpu(found[f"{host}, off"])))
        word = "met" if ratio <= GOAL else "not met"
        console.print(f"{host}: watched takes {ratio:.3f} of not watched; goal {GOAL}: {word}", highlight=False)
    if chosen.json:
        write_results(results, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
