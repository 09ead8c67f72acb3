"""The programs compared with: Google's C++ CEL from Python, a CEL in Rust, cel-python, and a Cerbos server over gRPC.

Each is optional: where it is not installed, `PeerMissingError` says so. Cerbos listens on loopback and is stopped by its
process id.
"""

import contextlib
import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from workloads import ENTRIES, LIST_CLAIMS, team_of, tool_name

from mcp_acl.bench.exchange import Call, Judge
from mcp_acl.bench.measuring import Target

HERE: Final = Path(__file__).parent
BATCH: Final = 50
"""Resources in one CheckResources call, and actions on one: the server's default limits."""

ALLOW: Final = 1
"""EFFECT_ALLOW in the server's answers."""

_START_SECONDS: Final = 60


class PeerMissingError(Exception):
    """A program to compare with is not installed."""


# ---- CEL ------------------------------------------------------------------------------------------------------------


Evaluate = Callable[[Mapping[str, object]], object]
"""A compiled condition, on a plain dict of `claims` and `mcp`."""


def cpp_cel(text: str) -> Evaluate:
    """A condition compiled by C++ CEL."""
    expression = _cpp(text)[1]
    return lambda data: expression.eval(data=data)


def cpp_cel_converted(text: str, data: Mapping[str, object]) -> Callable[[], object]:
    """The same, the data converted beforehand."""
    environment, expression = _cpp(text)
    return partial(expression.eval, environment.Activation(data))


def _cpp(text: str) -> tuple[Any, Any]:
    try:
        from cel_expr_python import cel  # noqa: PLC0415 - a peer may be missing
    except ImportError as error:
        raise PeerMissingError("cel-expr-python") from error
    facts = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    environment = cel.NewEnv(variables={"claims": facts, "mcp": facts})
    return environment, environment.compile(text)


def rust_cel(text: str) -> tuple[Evaluate, Callable[[Mapping[str, object]], object]]:
    """A condition compiled by the CEL in Rust, and what converts data for it beforehand."""
    try:
        import cel  # noqa: PLC0415 - a peer may be missing
    except ImportError as error:
        raise PeerMissingError("common-expression-language") from error
    return cel.compile(text).execute, lambda data: cel.Context(variables=dict(data))


def cel_python(text: str, data: Mapping[str, Any], *, compiled: bool = False) -> Callable[[], object]:
    """A condition as cel-python runs it, the data converted beforehand."""
    import celpy  # noqa: PLC0415 - slow to import
    from celpy.celparser import CELParser  # noqa: PLC0415

    CELParser.CEL_PARSER = None  # made once, for the first runner: its trees are none for the other
    environment = celpy.Environment(runner_class=celpy.CompiledRunner if compiled else celpy.InterpretedRunner)
    program = environment.program(environment.compile(text))
    activation = {name: celpy.json_to_cel(value) for name, value in data.items()}
    return lambda: program.evaluate(activation)


# ---- Cerbos ---------------------------------------------------------------------------------------------------------


class Modelling(NamedTuple):
    """One way to write the list's policy for Cerbos: its policies, and what to ask about a tool: kind, attributes, action."""

    policies: Sequence[Mapping[str, object]]
    question: Callable[[int], tuple[str, Mapping[str, str], str]]
    questions_each: int = 1


def _policy(kind: str, rules: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    policy = {"version": "default", "resource": kind, "rules": rules}
    return {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}


def _rule(actions: Sequence[str], expression: str) -> Mapping[str, object]:
    condition = {"match": {"expr": expression}}
    return {"actions": actions, "effect": "EFFECT_ALLOW", "roles": ["*"], "condition": condition}


def by_attribute() -> Modelling:
    """One rule over an attribute that the caller knows of every tool: the least that Cerbos can have to do."""
    policy = _policy("tool", [_rule(["list", "call"], "R.attr.team in P.attr.groups")])
    return Modelling([policy], lambda index: ("tool", {"team": team_of(index)}, "list"))


def by_kind() -> Modelling:
    """A policy for every tool: what each may is in its own file."""
    policies = [
        _policy(f"tool:{tool_name(index)}", [_rule(["list", "call"], f'"{team_of(index)}" in P.attr.groups')])
        for index in range(ENTRIES)
    ]
    return Modelling(policies, lambda index: (f"tool:{tool_name(index)}", {}, "list"))


def by_action() -> Modelling:
    """Tools are actions on their server, one rule for each: fifty are asked of one resource."""
    rules = [
        _rule([f"list:{tool_name(index)}", f"call:{tool_name(index)}"], f'"{team_of(index)}" in P.attr.groups')
        for index in range(ENTRIES)
    ]
    return Modelling([_policy("server", rules)], lambda index: ("server", {}, f"list:{tool_name(index)}"), BATCH)


class Cerbos:
    """A running server, asked about the thousand tools of the list workload."""

    def __init__(self, process: Any, channel: Any, modelling: Modelling, address: str) -> None:
        from cerbos.svc.v1.svc_pb2_grpc import CerbosServiceStub  # noqa: PLC0415

        self.address = address
        self.pid: int = process.pid
        self._process = process
        self.check = CerbosServiceStub(channel).CheckResources
        self._modelling = modelling
        self.requests = self.build()

    def build(self) -> Sequence[Any]:
        """The messages that ask about all tools."""
        from cerbos.engine.v1.engine_pb2 import Principal  # noqa: PLC0415
        from cerbos.request.v1.request_pb2 import CheckResourcesRequest  # noqa: PLC0415

        principal = Principal(id="ann", roles=["user"])
        principal.attr["groups"].list_value.extend(LIST_CLAIMS["groups"])
        requests = []
        each = self._modelling.questions_each
        for first in range(0, ENTRIES, each):
            if first % (BATCH * each) == 0:
                requests.append(CheckResourcesRequest(request_id="list", principal=principal))
            entry = requests[-1].resources.add()
            for index in range(first, first + each):
                kind, attributes, action = self._modelling.question(index)
                entry.actions.append(action)
            entry.resource.kind = kind
            entry.resource.id = tool_name(first)
            for name, value in attributes.items():
                entry.resource.attr[name].string_value = value
        return requests

    def ask(self) -> None:
        """One call after the other, answers not read."""
        for request in self.requests:
            self.check(request)

    def ask_at_once(self) -> None:
        """All calls in flight together."""
        for future in [self.check.future(request) for request in self.requests]:
            future.result()

    def shown(self) -> tuple[str, ...]:
        """The tools that may be listed."""
        allowed = [
            answer.actions[action] == ALLOW
            for request in self.requests
            for entry, answer in zip(request.resources, self.check(request).results, strict=True)
            for action in entry.actions
        ]
        return tuple(tool_name(index) for index, one in enumerate(allowed) if one)

    def cpu(self) -> float:
        """CPU seconds the server has used."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def cerbos(modelling: Modelling, most: int = BATCH) -> Iterator[Cerbos]:
    """Start a server with these policies, and stop it. Raises PeerMissingError."""
    policies = {f"{number}.json": json.dumps(policy) for number, policy in enumerate(modelling.policies)}
    with cerbos_server(policies, most) as (address, pid):
        import grpc  # noqa: PLC0415
        import psutil  # noqa: PLC0415

        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(_START_SECONDS)
            yield Cerbos(psutil.Process(pid), channel, modelling, address)


@contextlib.contextmanager
def cerbos_server(policies: Mapping[str, str], most: int = BATCH) -> Iterator[tuple[str, int]]:
    """Run a server with the texts of these files, for so many resources in a message: its address and its process. Raises PeerMissingError."""
    try:
        from cerbos.svc.v1 import svc_pb2_grpc  # noqa: F401, PLC0415
    except ImportError as error:
        raise PeerMissingError("cerbos (Python package)") from error
    binary = next(HERE.glob("node_modules/@cerbos/cerbos-*/cerbos-*"), None)
    if binary is None:
        raise PeerMissingError("cerbos (npm package)")
    with tempfile.TemporaryDirectory() as made:
        port = _configure(Path(made), policies, most)
        command = [binary, "server", "--config", f"{made}/cerbos.yaml", "--log-level", "error"]
        with (Path(made) / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
            try:
                yield f"127.0.0.1:{port}", server.pid
            finally:
                server.terminate()


def cerbos_targets(ending: contextlib.ExitStack, rules: int, entries: int) -> Iterator[Target]:
    """Cerbos asked as `mcp_acl.bench.workloads` asks us: one call of a tool, and one list whose entries are asked about together.

    A policy for each tool, the one that is called with the same condition. Of the list one policy for all of its entries, which is the least
    that there can be to do; all are in one message, for which its limit is raised. Then as actions, 50 on a resource: a fraction of the work,
    for a policy that asks for no attribute of an entry. Claims are attributes of the principal, as its documentation has them.
    """
    from cerbos.request.v1.request_pb2 import CheckResourcesRequest  # noqa: PLC0415

    calls = [_policy(f"tool:t{number}", [_rule(["call"], _CALLED)]) for number in range(rules - 1)]
    policies = [
        *calls,
        _policy("tool:publish", [_rule(["call"], _CALLED)]),
        _policy("entry", [_rule(["list"], _LISTED)]),
        _policy("server", [_rule(["list:shown_*"], _MEMBER)]),
    ]
    server = ending.enter_context(cerbos(Modelling(policies, lambda _: ("entry", {}, "list")), most=entries))
    call, batch, actions = (CheckResourcesRequest(request_id=name) for name in ("call", "list", "actions"))
    for request in (call, batch, actions):
        request.principal.id = "user-4711"
        request.principal.roles.append("user")
        request.principal.attr["role"].string_value = "analyst"
        request.principal.attr["groups"].list_value.extend(["eng", "reporting", "on-call"])
    entry = call.resources.add(actions=["call"])
    entry.resource.kind, entry.resource.id = "tool:publish", "publish"
    entry.resource.attr["arguments"].struct_value.update({"amount": 250, "text": ""})
    for number in range(entries):
        entry = batch.resources.add(actions=["list"])
        entry.resource.kind, entry.resource.id = "entry", f"{'hidden' if number % 2 else 'shown'}_{number}"
    for first in range(0, entries, BATCH):
        entry = actions.resources.add(
            actions=[f"list:{one.resource.id}" for one in batch.resources[first : first + BATCH]]
        )
        entry.resource.kind, entry.resource.id = "server", f"page-{first}"
    for name, request, shown, unit in (
        ("CheckResources", call, 1, 1),
        (f"batch of {entries}", batch, entries // 2, entries),
        (f"{entries} actions", actions, entries // 2, entries),
    ):
        answer = server.check(request)
        assert shown == sum(effect == ALLOW for one in answer.results for effect in one.actions.values()), answer
        facts: dict[str, str | int | float] = {"server": "Cerbos", "what": name}
        exchange = Call(CERBOS_CHECK, [request.SerializeToString()], [_allows(shown, answer.SerializeToString())])
        yield Target(f"Cerbos, {name}", facts, server.address, exchange, (server.pid,), unit)


_ALLOWED: Final = b"\x10\x01"
"""An action's effect, on the wire."""
CERBOS_CHECK: Final = "/cerbos.svc.v1.CerbosService/CheckResources"
_CALLED: Final = 'P.attr.role == "analyst" && R.attr.arguments.amount <= 1000'
_MEMBER: Final = 'P.attr.role == "analyst" && "eng" in P.attr.groups'
_LISTED: Final = f'{_MEMBER} && R.id.startsWith("shown_")'


def _allows(count: int, right: bytes) -> Judge:
    """As many permissions in an answer of that length: actions are a map, which is written in any order."""
    return lambda answer: len(answer) == len(right) and answer.count(_ALLOWED) == count


def _configure(directory: Path, policies: Mapping[str, str], most: int) -> int:
    """Write policies and settings: two free ports on loopback, nothing watched, counted or reported."""
    place = directory / "policies"
    place.mkdir()
    for name, text in policies.items():
        (place / name).write_text(text)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        grpc_port, http_port = one.getsockname()[1], two.getsockname()[1]
    settings = {
        "server": {
            "grpcListenAddr": f"127.0.0.1:{grpc_port}",
            "httpListenAddr": f"127.0.0.1:{http_port}",
            "metricsEnabled": False,
            "requestLimits": {"maxActionsPerResource": BATCH, "maxResourcesPerRequest": most},
        },
        "storage": {"driver": "disk", "disk": {"directory": str(place), "watchForChanges": False}},
        "telemetry": {"disabled": True},
    }
    (directory / "cerbos.yaml").write_text(json.dumps(settings))
    return grpc_port
