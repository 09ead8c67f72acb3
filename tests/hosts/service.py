"""What the tests of hosts serve: the real service on test policies, and handlers that go wrong.

Run as a module it is one host, which is told as JSON where to listen. What it answers by can be changed from outside.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Handler, Table
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_gateways, for_people
from mcp_acl.domain import Learned, TaskFact
from mcp_acl.hosts import envoy, grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.certificates import Certificates
from mcp_acl.runtime.memory import Given
from mcp_acl.runtime.observed import Decided, ObservedGate, Observer, Replied
from tests.hosts.faults import FAULTS
from tests.hosts.streams import STREAMS
from tests.runtime.weather import POLICIES, gate

UNREADABLE = "größe: 100 % \n second line \x00"


def _raising(error: Callable[[], BaseException]) -> Handler:
    def handler(_: bytes) -> bytes:
        raise error()

    return handler


def _slow(body: bytes) -> bytes:
    time.sleep(0.4)
    return body


TASKS: dict[str, TaskFact] = {}


class Kept(Given):
    """What was said of tasks, and what responses brought."""

    def learn(self, _: str, learned: Learned, /) -> Sequence[str]:
        TASKS.update({task_id: fact for task_id, (fact, _) in learned.tasks.items()})
        return ()


GATE = gate(memory=Kept(TASKS))
SPANS: list[str | None] = []


class Watching(Observer):
    """Keeps under which span each answer belongs."""

    def decided(self, every: Sequence[Decided]) -> None:
        SPANS.extend(decided.trace.span_id if decided.trace is not None else None for decided in every)

    def replied(self, replied: Replied) -> None:
        SPANS.append(replied.trace.span_id if replied.trace is not None else None)


def _spans(_: bytes) -> bytes:
    """What was kept since it was last asked for."""
    found = json.dumps(SPANS).encode()
    SPANS.clear()
    return found


def _watched() -> Table:
    """The native interface under another name, of a gate that is watched."""
    native = for_gateways(ObservedGate([Watching()], POLICIES))
    return {
        path.replace(SERVICE, "test.Watched"): handler for path, handler in native.items() if f"/{SERVICE}/" in path
    }


def _load(body: bytes) -> bytes:
    """Put policies in force: file names and their bytes as Latin-1."""
    files: dict[str, str] = json.loads(body)
    GATE.policies = compile_policies([SourceFile(name, text.encode("latin-1")) for name, text in files.items()])
    return b""


def _remember(body: bytes) -> bytes:
    """What is known of tasks from here on."""
    TASKS.clear()
    TASKS.update({name: TaskFact(*fact) for name, fact in json.loads(body).items()})
    return b""


def table() -> Table:
    return {
        **for_gateways(GATE),
        **for_people(GATE),
        **{f"/test.Fault/{name}": _raising(error) for name, error in FAULTS.items()},
        "/test.Fault/Misuse": _raising(lambda: ApiError(UNREADABLE)),
        **STREAMS,
        "/test.Echo/Slow": _slow,
        "/test.Echo/Echo": lambda body: body,
        "/test.Control/Load": _load,
        "/test.Control/Remember": _remember,
        "/test.Control/Spans": _spans,
        **_watched(),
    }


def listener(told: Mapping[str, Any]) -> Listener:
    served = table()
    certificates = None
    if "cert" in told:
        client_ca = Path(told["client_ca"]) if "client_ca" in told else None
        certificates = Certificates(Path(told["cert"]), Path(told["key"]), client_ca)
    names = dict.fromkeys(served, frozenset(told["names"])) if "names" in told else {}
    address = parse_address(told.get("listen", "127.0.0.1:0"), encrypted=certificates is not None)
    return Listener(address, served, certificates, names)


def limits(told: Mapping[str, Any]) -> Limits:
    return Limits(calls=told.get("calls", 1000))


def inside() -> envoy.Served:
    """What Envoy serves, when it is the host."""
    return envoy.Served([table()], Health())


def ready(bound: Sequence[str]) -> None:
    sys.stdout.write(f"listening on {bound[0]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    host, told = sys.argv[1:]
    match host:
        case "grpcio":
            asyncio.run(grpcio.run([listener(json.loads(told))], limits(json.loads(told)), Health(), 0.0, ready))
        case "envoy":
            engine = envoy.Engine("tests.hosts.service:inside")
            asyncio.run(envoy.run([listener(json.loads(told))], limits(json.loads(told)), engine, 0.0, ready))
