"""The matrix of clients.yaml: servers that run, clients that talk, and what was seen, made comparable. Knows no policy."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from mcp_acl.cli.demo.everything import everything
from tests.gateways.tokens import Signers
from tests.peers.running import CLIENTS, ROOT, Talker, running, talking

HERE: Final = Path(__file__).parent
DATA: Final[Mapping[str, Any]] = yaml.safe_load((HERE / "clients.yaml").read_text())
PRINCIPALS: Final = tuple(DATA["principals"])
SERVERS: Final[Mapping[str, Mapping[str, Any]]] = DATA["servers"]
OTHER: Final = {"analyst": "admin", "admin": "analyst", "reader": "analyst"}
"""Who asks for a principal's task when that principal is somebody else."""

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
_SPEAKS: Final = {
    "python": (HANDSHAKE, STATELESS),
    "typescript-1": (HANDSHAKE,),
    "typescript-2": (HANDSHAKE, STATELESS),
}
_MODE: Final[Mapping[tuple[str, str], Any]] = {
    ("python", STATELESS): "auto",
    ("typescript-2", STATELESS): {"pin": STATELESS},
}
_KNOWS_TASKS: Final = {"typescript-1", "typescript-2"}
_HAS_TASKS: Final = {"typescript-1", "everything"}
_VOLATILE: Final = re.compile(
    r'(?<="blob": ")[^"]+|'
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{1,2}:\d\d:\d\d [AP]M|\b[0-9a-f]{32}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


class Line(NamedTuple):
    """A client of an SDK that speaks one revision with a server."""

    server: str
    client: str
    revision: str

    def __str__(self) -> str:
        return f"{self.server}, {self.client} {self.revision}"

    @property
    def mode(self) -> Any:
        """What the client is told to speak."""
        return _MODE.get((self.client, self.revision), "legacy")

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """What is done on this line."""
        given = {
            "subscriptions": (self.server, self.revision) != ("typescript-2", HANDSHAKE),
            "tasks": self.client in _KNOWS_TASKS and SERVERS[self.server]["peer"] in _HAS_TASKS,
        }
        return [one for one in DATA["steps"][SERVERS[self.server]["steps"]] if given.get(one.get("needs", ""), True)]


LINES: Final = [
    Line(server, client, revision)
    for server, settings in SERVERS.items()
    for client in CLIENTS
    for revision in _SPEAKS[client]
    if revision == HANDSHAKE or settings["stateless"]
]


class Tokens:
    """A token for each principal, and the file of the keys that they are signed with."""

    def __init__(self, directory: Path) -> None:
        signers = Signers()
        self.jwks = directory / "jwks.json"
        self.jwks.write_text(signers.key_set())
        self.of = {name: signers.token(one["algorithm"], one["claims"]) for name, one in DATA["principals"].items()}
        admin = DATA["principals"]["admin"]
        self.bad = {
            "signed by somebody else": Signers().token(admin["algorithm"], admin["claims"]),
            "no longer good": signers.token(admin["algorithm"], {**admin["claims"], "exp": 1_700_000_000}),
            "no token": "",
        }


@contextmanager
def servers(directory: Path) -> Iterator[Mapping[str, str]]:
    """Run every server, and yield the URLs."""
    with ExitStack() as stack:
        urls = {}
        for name, one in SERVERS.items():
            if one["peer"] == "everything":
                port = stack.enter_context(everything(ROOT / "tests" / "node" / "node_modules"))
                urls[name] = f"http://127.0.0.1:{port}/mcp"
            else:
                urls[name] = stack.enter_context(running(one["peer"], directory, *one["flags"])).url
        yield urls


@contextmanager
def clients(directory: Path) -> Iterator[Mapping[str, Talker]]:
    """Run every client."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(talking(name, directory)) for name in CLIENTS}


def talk(talker: Talker, url: str, line: Line, principal: str, tokens: Tokens) -> list[Any]:
    """What a principal sees of the line's steps, made comparable."""
    other = {"token": tokens.of[OTHER[principal]]}
    asked = [(one["do"], other if one["do"] == "become" else one.get("with", {})) for one in line.steps]
    return [comparable(one) for one in talker.talk(url, tokens.of[principal], asked, line.mode)]


def comparable(seen: Mapping[str, Any]) -> Any:
    """Without what differs from one time to the next: times, ids of tasks; and how long it may be kept, which the gateway says."""
    value = json.loads(_VOLATILE.sub("~", json.dumps(seen)))
    if isinstance(value.get("result"), dict):
        for name in ("ttlMs", "cacheScope"):
            value["result"].pop(name, None)
    return value


def names_in(seen: Mapping[str, Any]) -> list[str] | None:
    """The names of a list's entries in their order, or the updates that came; None if it is another answer."""
    found = entries_of(seen)
    return None if found is None else [one if isinstance(one, str) else name_of(one) for one in found]


def entries_of(seen: Mapping[str, Any]) -> list[Any] | None:
    """The entries of a list."""
    result = seen.get("result")
    if isinstance(result, list):
        return result
    lists = [one for one in (result or {}).values() if isinstance(one, list)]
    return lists[0] if len(lists) == 1 else None


def name_of(entry: Mapping[str, Any]) -> str:
    """What a rule names it by."""
    found: str = entry.get("uriTemplate") or entry.get("uri") or entry["name"]
    return found
