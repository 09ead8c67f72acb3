"""Measure what a reload costs those who ask meanwhile: `python benchmarks/bench_reload.py [--rules N] [--reloads N] [--host HOST]`.

The real service is asked at a steady rate, first at rest and then while its policies are changed, every third time to something that
is refused. README.md beside this file says what is measured.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Final

import workloads as work

from mcp_acl.client import Client, Question

RATE: Final = 200
"""Questions a second."""


class Asked(threading.Thread):
    """Asks at a steady rate from the moment it is started, and keeps how long each answer took, in ms."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self.failed = 0
        self.running = True
        self._client = Client(address, timeout=30.0)
        self._question = Question(work.SERVER, work.FAST_BODY, work.CLAIMS)

    def run(self) -> None:
        start = time.perf_counter()
        for number in count():
            time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            if not self.running:
                return
            before = time.perf_counter()
            verdict = self._client.check(self._question)
            self.times.append((time.perf_counter() - before) * 1e3)
            self.failed += not verdict

    def take(self) -> list[float]:
        """What was kept since it was last taken."""
        taken, self.times = self.times, []
        return taken


def fill(directory: Path, rules: int, number: int) -> None:
    """A set that differs from the one before, or for every third number one that is refused."""
    files = [*work.flat_policies(rules), *work.fast_policies("cel")]
    for file in files:
        content = (
            file.content + f'\n  - {{id: x{number}, methods: [tools/call], name: x{number}, cel: "false"}}\n'.encode()
        )
        (directory / file.name).write_bytes(b"rules" if number % 3 == 2 else content)


def refused_or_new(client: Client, revision: str, number: int) -> str:
    """Wait for what the directory holds to be seen, and return what is in force."""
    while True:
        told = client.policy_set()
        if told.HasField("refused") if number % 3 == 2 else told.revision != revision:
            return told.revision
        time.sleep(0.01)


def show(name: str, times: list[float]) -> None:
    cuts = quantiles(times, n=100)
    print(
        f"{name:12} {len(times):7,} answers   p50 {cuts[49]:7.2f} ms   p99 {cuts[98]:7.2f} ms   max {max(times):7.1f} ms"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rules", type=int, default=100)
    arguments.add_argument("--reloads", type=int, default=200)
    arguments.add_argument("--host", default="grpcio")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        fill(directory, chosen.rules, 0)
        flags = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--reload", "0.05", "--host", chosen.host]
        command = [sys.executable, "-m", "mcp_acl", "serve", "--policies", made, "--json", *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            try:
                main_address, admin = json.loads(process.stdout.readline())["listening"]
                measure(directory, main_address, Client(admin, timeout=60.0), chosen)
            finally:
                process.terminate()
    return 0


def measure(directory: Path, address: str, admin: Client, chosen: argparse.Namespace) -> None:
    asked = Asked(address)
    asked.start()
    time.sleep(10)
    show("at rest", asked.take()[RATE:])
    revision = admin.policy_set().revision
    started = time.perf_counter()
    for number in range(1, chosen.reloads + 1):
        fill(directory, chosen.rules, number)
        revision = refused_or_new(admin, revision, number)
    seconds = time.perf_counter() - started
    show("reloading", asked.take())
    asked.running = False
    print(
        f"{chosen.reloads} reloads of {chosen.rules:,} rules in {seconds:.0f} s; {asked.failed} questions not granted"
    )


if __name__ == "__main__":
    sys.exit(main())
