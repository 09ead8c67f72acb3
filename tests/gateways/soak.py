"""Sessions through a real Envoy while the service is killed and started again: `python -m tests.gateways.soak --sessions 1000`.

Envoy is configured as `mcp-acl gateway` does it, beside a service of its own, so that the service alone can be killed. Prints what clients saw
in each second, and the memory of both. The test beside it runs fewer sessions for a shorter time.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import yaml

from mcp_acl.gateway.config import bootstrap
from mcp_acl.gateway.planning import Given, plan_of, public_url_of, settings_of, site_of
from mcp_acl.hosts.envoy.config import tcp
from tests.gateways.sessions import POLICY, TEAMS, Seen, serving, sessions
from tests.gateways.signing import AUDIENCE, ISSUER, Issuer
from tests.installed import envoy

_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 4.0
"""How long sessions go on when the service is back."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Soak(NamedTuple):
    """How much: `pause` is between two questions of a session, in seconds on average; `kills` are spread evenly."""

    sessions: int
    seconds: float
    pause: float
    kills: int


class Memory(NamedTuple):
    """Resident bytes at one time: of the service and of Envoy."""

    second: float
    service: int
    envoy: int


class Report(NamedTuple):
    """What came of it: `kills` are the seconds at which the service was killed, `back` when it was ready again."""

    seen: Seen
    memory: Sequence[Memory]
    kills: Sequence[float]
    back: Sequence[float]


class _Service:
    """`mcp-acl serve` at one address, again and again."""

    def __init__(self, flags: Sequence[str], log: Path) -> None:
        self._command = [sys.executable, "-m", "mcp_acl", "serve", *flags]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), self._log.read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def _standing(directory: Path, upstream: int) -> Iterator[tuple[int, Mapping[str, str], _Service, int]]:
    """A gateway before the server: its port, the tokens of the teams, the service, Envoy's process."""
    issuer = Issuer()
    policies, keys, config = directory / "policies", directory / "jwks.json", directory / "envoy.yaml"
    policies.mkdir()
    (policies / "teams.yaml").write_text(POLICY)
    keys.write_text(json.dumps(issuer.keys))
    port, own = _free_ports(2)
    plan = plan_of(
        Given(
            [f"teams=http://127.0.0.1:{upstream}/mcp"],
            policies,
            f"127.0.0.1:{port}",
            jwks=str(keys),
            issuer=ISSUER,
            audiences=[AUDIENCE],
        )
    )
    settings = settings_of(plan, public_url_of(plan, port), f"127.0.0.1:{own}")
    endpoint = {"address": tcp("127.0.0.1", own)["socket_address"]["address"], "port_value": own}
    site = site_of(plan, "127.0.0.1", port, {"socket_address": endpoint})
    config.write_text(yaml.safe_dump(bootstrap(site)))
    flags = [f"--policies={policies}", f"--listen={settings.listen}", f"--max-calls={settings.max_calls}"]
    flags += ["--no-anonymous", f"--resource-metadata={settings.resource_metadata}"]
    service = _Service(flags, directory / "service.log")
    service.start()
    command = [str(envoy()), "--config-path", str(config), "--use-dynamic-base-id", "--log-level", "error"]
    with (directory / "envoy.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            _wait_for(port)
            tokens = {team: issuer.token(sub=team, team=team) for team in TEAMS}
            yield port, tokens, service, running.pid
        finally:
            running.kill()
            service.kill()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in made:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in made]


def _wait_for(port: int) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("Envoy does not listen")


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


async def _soak(soak: Soak, directory: Path) -> Report:
    seen = Seen()
    async with serving(seen) as upstream:
        with _standing(directory, upstream) as (port, tokens, service, envoy):
            started = time.monotonic()
            memory: list[Memory] = []

            async def watch() -> None:
                while True:
                    memory.append(Memory(time.monotonic() - started, _resident(service.pid), _resident(envoy)))
                    await asyncio.sleep(1)

            watching = asyncio.create_task(watch())
            kills: list[float] = []
            back: list[float] = []
            killing = asyncio.create_task(_kill(soak, service, started, kills, back))

            def goes_on() -> bool:
                """For so long, and until the service has been back for a while."""
                now = time.monotonic() - started
                return now < soak.seconds or len(back) < soak.kills or now < back[-1] + _SETTLE_SECONDS

            await sessions(seen, port, soak.sessions, goes_on=goes_on, pause=soak.pause, tokens=tokens)
            watching.cancel()
            await killing
    return Report(seen, memory, kills, back)


async def _kill(soak: Soak, service: _Service, started: float, kills: list[float], back: list[float]) -> None:
    """Kill the service and start it again, so many times; when, is put in the lists."""
    for _ in range(soak.kills):
        await asyncio.sleep(soak.seconds / (soak.kills + 1))
        kills.append(time.monotonic() - started)
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)
        back.append(time.monotonic() - started)


def run(soak: Soak, directory: Path) -> Report:
    """All of it, in a directory that is empty."""
    return asyncio.run(_soak(soak, directory))


def _print(report: Report) -> None:
    seen = report.seen
    say = sys.stdout.write
    say(
        f"good: {dict(seen.good)}   calls that reached the server: {seen.reached['call']}   events heard: {seen.events}\n"
    )
    say(f"wrong: {len(seen.wrong)} {seen.wrong[:3]}\nfailed: {seen.failed.most_common(12)}\n")
    say(
        f"killed at {[f'{one:.1f}' for one in report.kills]} s, ready again at {[f'{one:.1f}' for one in report.back]} s\n"
    )
    for second, number in sorted(seen.by_second.items()):
        at = next((one for one in report.memory if one.second >= second), report.memory[-1])
        failed = seen.failed_by_second[second]
        say(
            f"{second:4} s  {number:5} answers  {failed:4} failed   service {at.service / 1e6:6.1f} MB  Envoy {at.envoy / 1e6:6.1f} MB\n"
        )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sessions", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--pause", type=float, default=4.0)
    arguments.add_argument("--kills", type=int, default=3)
    chosen = arguments.parse_args()
    with TemporaryDirectory() as name:
        report = run(Soak(chosen.sessions, chosen.seconds, chosen.pause, chosen.kills), Path(name))
    _print(report)
    return 1 if report.seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
