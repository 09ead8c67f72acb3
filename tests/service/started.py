"""The service as it is run: in processes of its own, on either host."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.hosts.running import python_of
from tests.installed import ROOT

T = TypeVar("T")
SECONDS = 60.0


@contextmanager
def serving(
    policies: Path, *flags: str, host: str = "grpcio", log: Path = Path(os.devnull)
) -> "Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]":
    """The service, and what it said when it was ready; what it says later is in `log`. Skips the test where the host is not installed."""
    command = [python_of(host), "-m", "mcp_acl", "serve", "--policies", str(policies), "--json", "--host", host, *flags]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "service")}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as process,
    ):
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def until(fact: Callable[[], T | None]) -> T:
    """Wait for a fact of another process, and return it."""
    end = time.monotonic() + SECONDS
    while not (found := fact()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found
