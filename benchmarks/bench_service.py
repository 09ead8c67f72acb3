"""Measure what the service costs beside what carries it.

`python benchmarks/bench_service.py [--host grpcio|envoy] [--quick] [--json FILE]`; for Envoy, the Python that has the extra `envoy`.

Each kind of server of `served.py` runs in a process of its own and is asked in turn, round after round, with 32 calls in flight on one
connection; what counts is the CPU of the server's process. README.md beside this file says what is measured.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

import grpc
from served import CHECK, PLAIN, check_request
from timing import ratios

HERE: Final = Path(__file__).parent
KINDS: Final = ("decides", "parses", "echoes")
"""On our host, whichever; beside them on grpcio alone `served.PLAIN`."""

IN_FLIGHT: Final = 32
THIN_LIMIT: Final = 1.15
_TICK: Final = os.sysconf("SC_CLK_TCK")


class Server(NamedTuple):
    """A server that runs: where, and its process."""

    address: str
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU it has used, user and system, and its children."""
        stats = [_stat(path) for path in Path("/proc").glob("[0-9]*/stat")]
        own = [stat for pid, stat in stats if self.pid in {pid, int(stat[1])}]
        return sum(int(stat[11]) + int(stat[12]) for stat in own) / _TICK


def _stat(path: Path) -> tuple[int, list[str]]:
    """The pid and the fields after the name (proc(5)); nothing of a process that is gone."""
    try:
        pid, _, rest = path.read_text().partition(" ")
        return int(pid), rest.rpartition(")")[2].split()
    except OSError:
        return 0, ["", "-1"]


class Cost(NamedTuple):
    """What a call cost, in µs: the server's CPU, and on the clock at the client."""

    cpu: float
    p50: float
    p99: float


@contextlib.contextmanager
def served(kind: str, host: str) -> Iterator[Server]:
    """Run a server, and end it."""
    with subprocess.Popen(
        [sys.executable, HERE / "served.py", kind, host], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().split()[-1], process.pid)
        finally:
            process.terminate()


async def load(server: Server, calls: int) -> Cost:
    """Ask that many times, `IN_FLIGHT` at once."""
    request, times, left = check_request(), [], iter(range(calls))
    async with grpc.aio.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(CHECK)
        await ask(request)
        before = server.cpu()

        async def one() -> None:
            for _ in left:
                start = time.perf_counter_ns()
                await ask(request)
                times.append((time.perf_counter_ns() - start) / 1000)

        await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
        cpu = (server.cpu() - before) * 1e6 / calls
    cuts = quantiles(times, n=100)
    return Cost(cpu, cuts[49], cuts[98])


def measure(host: str, rounds: int, calls: int) -> dict[str, list[Cost]]:
    """Every kind once in each round, after one round that does not count."""
    kinds = (*KINDS, PLAIN)
    found: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as running:
        servers = {kind: running.enter_context(served(kind, host)) for kind in kinds}
        for number in range(rounds + 1):
            for kind, server in servers.items():
                cost = asyncio.run(load(server, calls if number else calls // 4))
                if number:
                    found[kind].append(cost)
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", choices=("grpcio", "envoy"), default="grpcio")
    arguments.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    chosen = arguments.parse_args()
    found = measure(chosen.host, *((3, 4_000) if chosen.quick else (7, 20_000)))
    for kind, costs in found.items():
        cpu, p50, p99 = (median(values) for values in zip(*costs, strict=True))
        print(f"{kind:8} {cpu:7.1f} µs of CPU a call   p50 {p50:7.1f} µs   p99 {p99:7.1f} µs")
    thin = median(ratios([one.cpu for one in found["decides"]], [one.cpu for one in found["parses"]]))
    print(f"thin: {thin:.3f} of the empty handler; goal {THIN_LIMIT}: {'met' if thin <= THIN_LIMIT else 'not met'}")
    plain = median(ratios([one.cpu for one in found["decides"]], [one.cpu for one in found[PLAIN]]))
    print(f"      {plain:.3f} of the empty handler on grpcio alone")
    if chosen.json:
        chosen.json.write_text(json.dumps({"thin": thin, "plain": plain, "rounds": found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
