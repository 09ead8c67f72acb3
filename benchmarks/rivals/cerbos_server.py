"""Cerbos as a server, beside ours: one call of a tool, and a list of 100. Each is a target of `mcp_acl.bench`.

* The policy is `acme.cerbos.yaml`. Kind, actions and attributes are those of `cerbos-fastmcp`, the middleware for MCP servers by Cerbos' own
  makers. Whoever has a token has the role `user` beside the one that the token names: by roles Cerbos finds its rules.
* The program is the npm package of `../package.json`. Policies are on disk and not watched, metrics and telemetry are off, logs are at `error`;
  audit is off unless it is asked for. Messages are built beforehand.
* More than ours: derived roles, scopes, schemas, plans for queries. Less: it reads no message and no list. Who asks reads both, writes what is
  asked and applies what is answered, and none of that is in a figure; ours reads the message, and writes the list.
* A list is asked for in one call, in two forms: *resources*, one for each tool as its API is documented, for which its limit of 50 is
  raised; *actions*, 50 on each of two resources, which is within its limits. `cerbos-fastmcp` makes a call for each tool, which is 100 × the
  figure of a call.

* Tried, all at once on a busy machine: one thread (`GOMAXPROCS=1`) takes up to a third off a call with four connections and nothing with one;
  `GOGC=400` a fifth off lists; one connection is better for it than four or sixteen. Variables reach it through whoever starts it. By actions a list
  costs it a sixth of what it costs by resources.

Servers listen on loopback and are stopped by their process.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import peers

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.bench import requests
from mcp_acl.bench.exchange import Call, Judge
from mcp_acl.bench.measuring import Target
from mcp_acl.bench.running import running
from mcp_acl.domain import TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.runtime import gate
from rivals import RivalMissingError, ours
from rivals.scenario import LISTED, PUBLISH, REPORTER, SEEN, SERVER, Question, wrong

POLICY: Final = Path(__file__).with_name("acme.cerbos.yaml")
CHECK: Final = "/cerbos.svc.v1.CerbosService/CheckResources"
KIND: Final = "mcp_server"
EACH: Final = 50
"""Actions that may be asked for one resource, by its limits."""

_ALLOW: Final = 1
_ALLOWED: Final = b"\x10\x01"
"""An action's effect, on the wire."""
_START_SECONDS: Final = 60.0


# ---- what is asked --------------------------------------------------------------------------------------------------


@contextmanager
def cerbos(question: Question = PUBLISH) -> Iterator[tuple[Target, ...]]:
    """Cerbos, held to all answers. Raises RivalMissingError."""
    with _started() as (address, pid), grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(_START_SECONDS)
        found = wrong(partial(_over_grpc, channel))
        assert not found, f"Cerbos: wrong answers: {', '.join(found)}"
        asked = {
            "CheckResources": (_one(question), 1),
            "list of 100 by resources": (_by_resources(), len(LISTED)),
            "list of 100 by actions": (_by_actions(), len(LISTED)),
        }
        yield tuple(
            Target(
                f"Cerbos, {name}",
                {"server": "cerbos", "interface": name},
                address,
                Call(CHECK, [request.SerializeToString()], [_judge(channel, name, request)]),
                (pid,),
                unit,
            )
            for name, (request, unit) in asked.items()
        )


@contextmanager
def our_list(host: str = "grpcio", python: str = sys.executable) -> Iterator[Target]:
    """Our service, asked for the list, whose bytes it reads and writes."""
    message = b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}'
    asked = gate.Question(SERVER, message, REPORTER, TokenState.VALID, filters_responses=True)
    ours_here = gate.Gate(compile_policies(ours.FILES))
    context = ours_here.check(asked).context
    body = ours_here.filter(context, "application/json", _list()).filtered.body
    assert [tool["name"] for tool in json.loads(body)["result"]["tools"]] == list(SEEN)
    call = Call(f"/{SERVICE}/FilterResponse", [requests.filter_request(context, _list())], [lambda one: body in one])
    with running(host, ours.FILES, python) as service:
        facts: dict[str, str | int | float] = {"server": host, "interface": "list of 100"}
        yield Target(f"mcp-acl on {host}, list of 100", facts, service.address, call, (service.pid,), len(LISTED))


def _list() -> bytes:
    """What the server has answered, some 300 bytes a tool."""
    schema = {"type": "object", "properties": {"year": {"type": "integer", "minimum": 2000}}, "required": ["year"]}
    about = "What it does, in a sentence or two of the length that such sentences have in servers of this kind."
    tools = [{"name": name, "title": name.title(), "description": about, "inputSchema": schema} for name in LISTED]
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools}}, separators=(",", ":")).encode()


# ---- its messages ---------------------------------------------------------------------------------------------------


def _request(claims: Any) -> Any:
    from cerbos.request.v1.request_pb2 import CheckResourcesRequest  # noqa: PLC0415 - may be missing

    request = CheckResourcesRequest(request_id="9d1ee9ed-6a3f-4a2e-9c0f-4be0f0a8c6c9")
    request.principal.id = claims.get("sub", "anonymous")
    request.principal.roles.extend(["user", claims["role"]] if claims else ["anonymous"])
    if claims:
        request.principal.attr["groups"].list_value.extend(claims["groups"])
        request.principal.attr["contractor"].bool_value = claims["contractor"]
    return request


def _ask(request: Any, actions: Sequence[str], name: str, **attributes: Any) -> None:
    entry = request.resources.add(actions=actions)
    entry.resource.kind, entry.resource.id = KIND, name
    for key, value in attributes.items():
        if isinstance(value, str):
            entry.resource.attr[key].string_value = value
        else:
            entry.resource.attr[key].struct_value.update(value)


def _one(question: Question) -> Any:
    request = _request(question.claims)
    call = [f"tools/call::{question.tool}"]
    _ask(request, call, question.tool, tool_name=question.tool, arguments=question.arguments)
    return request


def _by_resources() -> Any:
    request = _request(REPORTER)
    for name in LISTED:
        _ask(request, [f"tools/list::{name}"], name, tool_name=name)
    return request


def _by_actions() -> Any:
    request = _request(REPORTER)
    for first in range(0, len(LISTED), EACH):
        _ask(request, [f"tools/list::{name}" for name in LISTED[first : first + EACH]], f"tools-{first}")
    return request


# ---- whether it is answered rightly ---------------------------------------------------------------------------------


def _answered(channel: Any, request: Any) -> Any:
    from cerbos.svc.v1.svc_pb2_grpc import CerbosServiceStub  # noqa: PLC0415 - may be missing

    return CerbosServiceStub(channel).CheckResources(request)


def _over_grpc(channel: Any, question: Question) -> bool:
    (entry,) = _answered(channel, _one(question)).results
    return list(entry.actions.values()) == [_ALLOW]


def _judge(channel: Any, name: str, request: Any) -> Judge:
    """As many permissions in an answer of the same length: actions are a map, which is written in any order."""
    answer = _answered(channel, request)
    effects = {action: effect for entry in answer.results for action, effect in entry.actions.items()}
    if "list" in name:
        shown = [tool for tool in LISTED if effects[f"tools/list::{tool}"] == _ALLOW]
        assert shown == list(SEEN), f"Cerbos, {name}: shown: {', '.join(shown)}"
    count, length = list(effects.values()).count(_ALLOW), len(answer.SerializeToString())
    return lambda one: len(one) == length and one.count(_ALLOWED) == count


# ---- the server -----------------------------------------------------------------------------------------------------


@contextmanager
def _started() -> Iterator[tuple[str, int]]:
    try:
        with peers.cerbos_server({"acme.yaml": POLICY.read_text()}, len(LISTED)) as found:
            yield found
    except peers.PeerMissingError as error:
        raise RivalMissingError(f"Cerbos: {error}") from error
