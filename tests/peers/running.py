"""Servers of the MCP SDKs, as processes on loopback that write down every handler that runs. Nothing here knows our service."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.installed import by_go

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SECONDS: Final = 20.0

_PEERS: Final = ROOT / ".venv-peers" / "bin"

COMMANDS: Final[Mapping[str, Sequence[Path]]] = {
    "python": (_PEERS / "python", HERE / "python_server.py"),
    "typescript-1": (ROOT / ".venv" / "bin" / "node", HERE / "typescript_1.mjs"),
    "typescript-2": (ROOT / ".venv" / "bin" / "node", HERE / "typescript_2.mjs"),
    "go": (_PEERS / "go-server",),
}
"""How each peer is started; `make setup` makes what is named here. The flags of each are at the head of its file."""


CLIENTS: Final[Mapping[str, Sequence[Path]]] = {
    "python": (_PEERS / "python", HERE / "python_client.py"),
    "typescript-1": (ROOT / ".venv" / "bin" / "node", HERE / "typescript_1_client.mjs"),
    "typescript-2": (ROOT / ".venv" / "bin" / "node", HERE / "typescript_2_client.mjs"),
}
"""How each client is started."""


class Ran(NamedTuple):
    """A handler that ran: what, with which arguments, and the header `X-Message` of the request that made it run.

    `kind` is `tool`, `prompt`, `resource`, `template` or `completion`; `name` its name, URI or template.
    """

    kind: str
    name: str
    arguments: Mapping[str, Any]
    message: str


class Peer:
    """A server that runs: its address, and what it has run."""

    def __init__(self, url: str, record: Path) -> None:
        self.url = url
        self.host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        self.port = int(port)
        self._record = record
        self._read = 0

    def ran(self) -> list[Ran]:
        """What has run since this was asked before."""
        with self._record.open("rb") as file:
            file.seek(self._read)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._read += sum(map(len, whole))
        return [Ran(**json.loads(line)) for line in whole]


class Talker:
    """A client that runs, and has the conversations that it is told to have."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def talk(
        self, url: str, token: str, steps: Sequence[tuple[str, Mapping[str, Any]]], mode: str = "auto", **more: Any
    ) -> list[Mapping[str, Any]]:
        """What the client sees of each step: a `result`, or an `error` with code and message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"url": url, "token": token, "steps": steps, "mode": mode, **more}) + "\n")
        self._process.stdin.flush()
        found: list[Mapping[str, Any]] = json.loads(self._process.stdout.readline())
        return found


def _end(process: subprocess.Popen[str]) -> None:
    """Close what it reads, which ends it; one that does not end is an error."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


@contextmanager
def running(name: str, directory: Path, *flags: str) -> Iterator[Peer]:
    """Run a peer with its files in `directory`."""
    if name == "go":
        by_go(COMMANDS[name][0])
    stem = "".join((name, *flags))
    record = directory / f"{stem}.jsonl"
    record.touch()
    command: list[str | Path] = [*COMMANDS[name], record, *flags]
    with (
        (directory / f"{stem}.log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready, _, url = process.stdout.readline().strip().partition(" ")
            assert "ready" == ready, Path(log.name).read_text()
            yield Peer(url, record)
        finally:
            _end(process)


@contextmanager
def talking(name: str, directory: Path) -> Iterator[Talker]:
    """Run a client with its log in `directory`."""
    with (
        (directory / f"{name}-client.log").open("wb") as log,
        subprocess.Popen(
            CLIENTS[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdin is not None
        try:
            yield Talker(process)
        finally:
            _end(process)
