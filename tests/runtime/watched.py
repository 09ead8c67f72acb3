"""A directory of policy files, a gate and what reloads it, with clocks that a test moves."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.reload import Reloader
from mcp_acl.runtime.store import compile_sources, read_sources
from tests.runtime.weather import NOON

INTERVAL = 0.5


def policy(name: str, version: int) -> str:
    """A policy that says which version it is; no two versions are of one size."""
    rule = f"{{id: v{version}, methods: [tools/call], name: t{version}, cel: 'claims.a == \"{'x' * version}\"'}}"
    return f"version: 1\npolicy: {name}\nrules:\n  - {rule}\n"


def fill(directory: Path, versions: Mapping[str, int]) -> Path:
    """A directory with one file for each policy."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, version in versions.items():
        (directory / f"{name}.yaml").write_text(policy(name, version))
    return directory


class Watched:
    """What is in force for a directory. `look` takes steps of an interval."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1000.0
        sources = read_sources(directory)
        self.gate = Gate(compile_sources(sources), clock=lambda: NOON)
        self.reloader = Reloader(
            self.gate,
            directory,
            sources,
            clock=lambda: NOON + timedelta(seconds=self.now),
            monotonic=lambda: self.now,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += INTERVAL
            self.reloader.look()

    def settle(self) -> None:
        """Look until a change has been taken, and its files are too old to hide another."""
        self.look(7)

    def versions(self) -> dict[str, int]:
        """The version of each policy in force."""
        grants = (grant for _, group in self.gate.policies.groups for grant in group.grants)
        return {grant.rule.ref.policy: int(grant.rule.ref.rule.removeprefix("v")) for grant in grants}

    def refusals(self) -> list[str]:
        """The codes of what is wrong with the directory."""
        refused = self.gate.standing.refused
        return [] if refused is None else [problem.code for problem in refused.problems]


def replaced(file: Path, text: str) -> None:
    """Write a file as editors and git do: beside it, then in its place."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.rename(file)


def relinked(link: Path, target: Path) -> None:
    """Set a link to something else, without a moment in which there is none."""
    beside = link.with_name(f".{link.name}.new")
    beside.symlink_to(target)
    beside.rename(link)


def config_map(volume: Path, data: str, names: Iterable[str]) -> None:
    """Links as the kubelet makes them for a ConfigMap: each name by way of `..data` to a directory of its own."""
    (volume / "..data").symlink_to(data)
    for name in names:
        (volume / f"{name}.yaml").symlink_to(Path("..data", f"{name}.yaml"))
