"""Where the time of a service goes: a flame graph of each host while it answers `Check`, and what each layer costs an answer.

`python benchmarks/flames.py [--host grpcio|envoy] [--seconds N] [--output DIRECTORY]`. README.md beside this file says how to read them. Threads that
run Python are seen by py-spy, with what is native below; the others by Linux's `perf`, or, where that is not installed, as one block each.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from bench_peers import PYTHONS, SHAPE
from flame_graph import Node, shares, svg
from stacks import LAYERS, MEANS, TRANSPORT, Seen, layer_of, of_perf, of_pyspy, of_python, total_of

from mcp_acl.bench.exchange import Call
from mcp_acl.bench.line_grpc import open_grpc
from mcp_acl.bench.loops import Outcome, Span, closed_loop
from mcp_acl.bench.running import running
from mcp_acl.bench.workloads import workload
from mcp_acl.runtime.event_loop import run_loop

FIGURES: Final = Path(__file__).parent / "figures"
IN_FLIGHT: Final = 32
PATIENCE: Final = 15.0
"""Seconds that a sampler may take beside those in which it looks: Envoy's symbols are many."""
RATE: Final = 199
"""Looks a second: no divisor of what clocks of others tick in."""


class MissingError(Exception):
    """A program that is needed and not there."""


# ---- measuring ------------------------------------------------------------------------------------------------------


class Thread(NamedTuple):
    """What the operating system says of one."""

    name: str
    user: float
    system: float

    def since(self, before: "Thread") -> "Thread":
        return Thread(self.name, self.user - before.user, self.system - before.system)

    @property
    def seconds(self) -> float:
        return self.user + self.system


def threads_of(process: psutil.Process) -> dict[int, Thread]:
    found = {}
    for one in process.threads():
        name = Path(f"/proc/{process.pid}/task/{one.id}/comm").read_text().strip()
        found[one.id] = Thread(name, one.user_time, one.system_time)
    return found


def busiest(pid: int) -> psutil.Process:
    """Of a process and all below it, the one that does the work."""
    first = psutil.Process(pid)
    return max((first, *first.children(recursive=True)), key=lambda one: sum(one.cpu_times()[:2]))


async def ask(address: str, call: Call, span: Span, began: Callable[[], None]) -> Outcome:
    line = await open_grpc(address, call)
    try:
        return await closed_loop([line], IN_FLIGHT, span, began=began)
    finally:
        line.close()


def under_load(address: str, call: Call, seconds: float, began: Callable[[], None] = lambda: None) -> Outcome:
    """Ask for so long; `began` is called when the warm-up is over."""
    outcome = run_loop(ask(address, call, Span(seconds, warm_up=1.0), began))
    assert outcome.wrong == 0, outcome.reasons
    return outcome


def sampled(address: str, call: Call, seconds: float, command: Sequence[str]) -> None:
    """Ask while the command looks. Raises MissingError."""
    started: list[subprocess.Popen[bytes]] = []

    def began() -> None:
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))

    under_load(address, call, seconds, began)
    _, said = started[0].communicate(timeout=600)
    if started[0].returncode:
        raise MissingError(f"`{command[0]}` failed: {said.decode(errors='replace').strip()}")


def look(host: str, seconds: float) -> Seen:
    """Ask a service three times: untouched, for what its threads cost; then with each sampler."""
    asked = workload(SHAPE, 1)
    with running(host, asked.policies, PYTHONS[host]) as service, tempfile.TemporaryDirectory() as directory:
        under_load(service.address, asked.call, 1.0)
        process = busiest(service.pid)
        before: dict[int, Thread] = {}
        answers = under_load(service.address, asked.call, seconds, lambda: before.update(threads_of(process))).answers
        after = threads_of(process)
        spent = {one: thread.since(before[one]) for one, thread in after.items() if one in before}
        spent = {one: thread for one, thread in spent.items() if thread.seconds > 0}
        look_at = _pyspy(process.pid, seconds, Path(directory) / "stacks")
        sampled(service.address, asked.call, seconds + PATIENCE, look_at)
        seen = of_python(list(of_pyspy((Path(directory) / "stacks").read_text())), spent)
        if perf := shutil.which("perf"):
            file = str(Path(directory) / "perf")
            sampled(service.address, asked.call, seconds + 1.0, _perf(perf, process.pid, seconds, file))
            python_threads = {one.thread for one in seen}
            seen += [one for one in of_perf(_script(perf, file)) if one.thread not in python_threads]
    return Seen(
        host,
        names={one: thread.name for one, thread in spent.items()},
        costs={one: thread.seconds * 1e6 / answers for one, thread in spent.items()},
        calls={one: thread.system / thread.seconds for one, thread in spent.items()},
        samples=seen,
    )


def _pyspy(pid: int, seconds: float, file: Path) -> list[str]:
    program = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        raise MissingError("py-spy is not installed; `pip install py-spy`")
    options = ["--native", "--threads", "--nolineno", "--format", "raw", "--rate", str(RATE)]
    return [program, "record", "--pid", str(pid), "--duration", f"{seconds:.0f}", "--output", str(file), *options]


def _perf(perf: str, pid: int, seconds: float, file: str) -> list[str]:
    look = ["-q", "-e", "cpu-clock", "-F", str(RATE), "-g", "-p", str(pid), "-o", file]
    return [perf, "record", *look, "--", "sleep", str(seconds)]


def _script(perf: str, file: str) -> str:
    command = [perf, "script", "-i", file, "--no-inline", "-F", "tid,ip,sym,dso"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")


# ---- what was found -------------------------------------------------------------------------------------------------


def drawn(seen: Seen) -> tuple[str, dict[str, float]]:
    """The graph, and what part of all each layer is."""
    root = Node(f"{seen.host}: {seen.cost:.0f} µs of CPU an answer", TRANSPORT)
    costs: list[tuple[str, float]] = []
    for name, sample, cost in seen.stacks():
        frames = () if sample is None else sample.stack
        layers = [layer_of(frames[: at + 1]) for at in range(len(frames))]
        root.add([(f"thread {name}", TRANSPORT), *zip(frames, layers, strict=True)], cost)
        costs.append((layers[-1] if layers else TRANSPORT, cost))
    found = shares(costs, LAYERS)
    title = f"`Check` on the host {seen.host}, {IN_FLIGHT} in flight"
    looks = total_of(seen.samples)
    says = f"{seen.cost:.0f} µs of CPU an answer, by {looks:,} samples; width is CPU, what called stands above what it called"
    return svg(title, says, root, found, "µs"), found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", choices=tuple(PYTHONS), action="append", help="may be repeated")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of three loads")
    parser.add_argument("--output", type=Path, default=FIGURES, metavar="DIRECTORY")
    chosen = parser.parse_args()
    try:
        for host in chosen.host or PYTHONS:
            seen = look(host, chosen.seconds)
            text, layers = drawn(seen)
            (chosen.output / f"flame-{host}.svg").write_text(text, encoding="utf-8")
            print(f"{host}: {seen.cost:.0f} µs an answer")
            for name, share in layers.items():
                print(f"  {name:<10} {share:6.1%} {share * seen.cost:6.1f} µs   {MEANS[name]}")
            for thread, cost in sorted(seen.costs.items(), key=lambda one: -one[1]):
                print(f"  thread {seen.names[thread]:<18} {cost:6.1f} µs")
    except MissingError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
