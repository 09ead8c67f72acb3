"""What is measured, from a seed: policies, a question, and what is the right answer. Knows no server and no clock.

What is right is found out here, by the handlers themselves: an answer is right if it begins as theirs does, up to what differs from answer
to answer and from one policy set to the next, and names the rule that granted, or the reason of the denial. A service that has other policies,
or none, never answers so.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from mcp_acl.adapters import ext_authz, ext_proc_session
from mcp_acl.adapters.facts import SERVER_METADATA
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Handler, Informed, Metadata, Streaming, Traced
from mcp_acl.adapters.table import for_gateways
from mcp_acl.bench import requests
from mcp_acl.bench.exchange import Call, Judge
from mcp_acl.domain import Http, Json, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate, Question

INTERFACES: Final = ("unary", "stream", "filter", "ext_authz", "ext_proc")
ASKABLE: Final = ("unary", "stream", "ext_authz")
"""Those by which one message is decided, and nothing else is needed."""
CONDITIONS: Final[Mapping[str, str]] = {
    "none": "",
    "claims": 'claims.role == "analyst" && "eng" in claims.groups',
    "arguments": 'claims.role == "analyst" && mcp.arguments.amount <= 1000',
}
"""Conditions of every rule, by what they read."""
MOST_RULES: Final = 10_000
MOST_ENTRIES: Final = 1_000
SMALLEST_PAYLOAD: Final = 200
LARGEST_PAYLOAD: Final = 1024 * 1024

_SERVER: Final = "bench"
_TOOL: Final = "publish"
_GRANTS: Final = "grants-what-is-asked"
"""The one rule that does; a name that is in no answer for another reason."""
_FILES: Final = 10
_MATCHING: Final = (
    '{glob: "*"}',
    f'[{_TOOL}, {{glob: "shown_*"}}]',
    '{glob: "*s*"}',
    '{regex: "(publish|shown_.*)"}',
    '{glob: "?*"}',
    '{regex: ".*h.*"}',
    '{glob: "*h*"}',
    '{regex: "[a-z0-9_]+"}',
)
"""Names of rules that match and do not hold."""
_VERBS: Final = ("get", "list", "create", "update", "export", "search")
_THINGS: Final = ("invoice", "ticket", "report", "customer", "shipment", "contract", "session", "budget")
_HEADERS: Final = {
    "accept": ("application/json, text/event-stream",),
    "content-type": ("application/json",),
    "mcp-protocol-version": ("2025-11-25",),
    "mcp-session-id": ("5c2f2a4e-2b1c-4a0d-9a55-3f7f0a6c1d11",),
    "traceparent": ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",),
    "user-agent": ("agent/1.0",),
    "x-request-id": ("7d444840-9dc0-11d1-b245-5ffdce74fad2",),
}
_CLAIMS: Final[Mapping[str, Json]] = {
    "iss": "https://issuer.example",
    "sub": "user-4711",
    "aud": ["mcp"],
    "exp": 1_893_456_000,
    "role": "analyst",
    "groups": ["eng", "reporting", "on-call"],
    "scope": "mcp:tools mcp:resources",
    "tenant": {"id": "t-17", "plan": "gold"},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a workload is made of.

    `entries`: of the list that `filter` filters; half of them may be seen. `denied`: the question is. `matching`: rules that match what is
    asked and do not hold, as far as there are rules with conditions to spare; eight at most.
    """

    interface: str = "unary"
    rules: int = 100
    conditions: str = "claims"
    payload: int = SMALLEST_PAYLOAD
    entries: int = 100
    denied: bool = False
    matching: int = len(_MATCHING)


@dataclass(frozen=True, slots=True)
class Workload:
    """Policies to serve, and what to ask. `changed`: the same policies and one rule more, which changes no answer."""

    policies: tuple[SourceFile, ...]
    changed: tuple[SourceFile, ...]
    call: Call
    unit: int = 1


def workload(shape: Shape, seed: int) -> Workload:
    """The workload of a shape, the same for the same seed."""
    policies = _policies(shape, Random(seed))  # noqa: S311 - the same again is what is wanted
    changed = (*policies, _file("changed", [_rule("more", "more", shape)]))
    return Workload(policies, changed, _CALLS[shape.interface](shape, Gate(_compiled(policies))), _units(shape))


@lru_cache(maxsize=4)
def _compiled(files: tuple[SourceFile, ...]) -> PolicySet:
    """Interfaces share their policies, and large ones take seconds."""
    return compile_policies(files)


def _units(shape: Shape) -> int:
    return shape.entries if shape.interface == "filter" else 1


# ---- policies -------------------------------------------------------------------------------------------------------


def _policies(shape: Shape, draw: Random) -> tuple[SourceFile, ...]:
    """Rules of all kinds, shared out to ten files; the last one grants the tool that is called, or what may be seen."""
    shown = range(min(shape.rules - 1, shape.entries // 2) if shape.interface == "filter" else 0)
    rules = [_rule(f"s{number}", f'"{_entry(number, shown=True)}"', shape) for number in shown]
    if shape.conditions != "none" and shape.rules - len(rules) > 2 * len(_MATCHING):
        rules += [_matching_rule(number, shape) for number in range(shape.matching)]
    rules += [_some_rule(number, shape, draw) for number in range(shape.rules - len(rules) - 1)]
    last = f'[{_TOOL}, {{glob: "shown_*"}}]' if shape.interface == "filter" else _TOOL
    rules.append(_rule(_GRANTS, last, shape))
    return tuple(_file(f"p{at}", rules[at::_FILES]) for at in range(_FILES) if rules[at::_FILES])


def _file(name: str, rules: Iterable[str]) -> SourceFile:
    lines = "\n".join(f"  - {rule}" for rule in rules)
    return SourceFile(f"{name}.yaml", f"version: 1\npolicy: {name}\nservers: [{_SERVER}]\nrules:\n{lines}\n".encode())


def _rule(name: str, tool: str, shape: Shape, effect: str = "allow", more: str = "") -> str:
    condition = " && ".join(filter(None, (CONDITIONS[shape.conditions], more)))
    given = f", cel: {json.dumps(condition)}" if condition else ""
    return f"{{id: {name}, effect: {effect}, methods: [tools/list, tools/call], name: {tool}{given}}}"


def _matching_rule(number: int, shape: Shape) -> str:
    """A rule that names what is asked, for others than the one who asks; one in four denies."""
    others = f'"others-{number}" in claims.groups'
    return _rule(f"m{number}", _MATCHING[number], shape, "deny" if number % 4 == 0 else "allow", others)


def _some_rule(number: int, shape: Shape, draw: Random) -> str:
    """A literal; one in four a pattern, some of them for resources; one in twenty denies. None names what is called or listed."""
    stem = f"{draw.choice(_VERBS)}_{draw.choice(_THINGS)}_{number}"
    kind = draw.random()
    effect = "deny" if draw.random() < 0.05 else "allow"
    if kind >= 0.95:
        name = f'{{template: "{draw.choice(_THINGS)}://{number}/{{part}}"}}'
        return f"{{id: r{number}, effect: {effect}, methods: [resources/list, resources/read], name: {name}}}"
    tool = f'"{stem}"' if kind < 0.75 else f'{{glob: "{stem}_*"}}' if kind < 0.87 else f'{{regex: "{stem}_[a-z]+"}}'
    return _rule(f"r{number}", tool, shape, effect)


# ---- questions ------------------------------------------------------------------------------------------------------


def question(shape: Shape) -> Question:
    """A call of a tool that one rule grants, or none; its message is as long as the shape says."""
    name = "unheard-of" if shape.denied else _TOOL
    params = {"name": name, "arguments": {"amount": 250, "text": ""}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    missing = shape.payload - len(_json(message))
    params["arguments"] = {"amount": 250, "text": "x" * max(0, missing)}
    return _asked(_json(message))


def _asked(message: bytes) -> Question:
    http = Http("POST", "/mcp", _HEADERS, "10.0.0.7")
    return Question(_SERVER, message, _CLAIMS, TokenState.VALID, http=http, filters_responses=True)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _entry(number: int, *, shown: bool) -> str:
    return f"{'shown' if shown else 'hidden'}_{_VERBS[number % 6]}_{_THINGS[number % 8]}_{number}"


def _listed(entries: int) -> bytes:
    """A `tools/list` response of about 300 bytes an entry, every other one to be seen."""
    tools = [_tool(_entry(number // 2, shown=number % 2 == 0)) for number in range(entries)]
    return _json({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})


def _tool(name: str) -> dict[str, object]:
    properties = {"label": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}}
    return {
        "name": name,
        "title": name.replace("_", " "),
        "description": f"What {name} does, in a sentence of the length that such sentences have.",
        "inputSchema": {"type": "object", "properties": properties, "required": ["label"]},
        "annotations": {"readOnlyHint": True},
    }


# ---- calls ----------------------------------------------------------------------------------------------------------


def _checked(shape: Shape, gate: Gate) -> Call:
    return _call(f"/{SERVICE}/Check", [requests.check_request(question(shape))], gate, [_Right(_grounds(shape, gate))])


def _streamed(shape: Shape, gate: Gate) -> Call:
    call = _checked(shape, gate)
    # What it answers is what `Check` does.
    return replace(call, path=f"/{SERVICE}/CheckStream", many=True)


def _filtered(shape: Shape, gate: Gate) -> Call:
    context = gate.check(_asked(_json({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))).context
    request = requests.filter_request(context, _listed(shape.entries))
    return _call(f"/{SERVICE}/FilterResponse", [request], gate, [_AS_IT_IS])


def _authorized(shape: Shape, gate: Gate) -> Call:
    body = requests.authorization_request(question(shape))
    decided = _Right(_grounds(shape, gate), _STATUS_AND_KIND)
    return _call(f"/{ext_authz.SERVICE}/Check", [body], gate, [decided], _GATEWAY)


def _processed(shape: Shape, gate: Gate) -> Call:
    messages = requests.exchange_messages(question(shape))[: 2 if shape.denied else 3]
    decided = _Right(_grounds(shape, gate), _KIND)
    return _call(ext_proc_session.PATH, messages, gate, [_AS_IT_IS, decided, _AS_IT_IS][: len(messages)], _GATEWAY)


_CALLS: Final[Mapping[str, Callable[[Shape, Gate], Call]]] = {
    "unary": _checked,
    "stream": _streamed,
    "filter": _filtered,
    "ext_authz": _authorized,
    "ext_proc": _processed,
}


_GATEWAY: Final[Metadata] = ((SERVER_METADATA, _SERVER),)
_STATUS_AND_KIND: Final = 5
_KIND: Final = 1
"""Bytes at the beginning of an answer to ext_authz and to ext_proc: a permission differs in them from a denial. Lengths follow, which
grow with the ids of decisions, and maps, which have no order."""
_TAG_AND_LENGTH: Final = 2


class _Right(NamedTuple):
    """What every right answer holds, and how many bytes of it are the same each time; None: those before the revision, or all."""

    grounds: bytes = b""
    most: int | None = None


_AS_IT_IS: Final = _Right()


def _grounds(shape: Shape, gate: Gate) -> bytes:
    """The rule that grants, as all interfaces name it, or the reason of the denial."""
    decision = gate.check(question(shape)).decision
    assert decision.allowed is not shape.denied, decision
    if shape.denied:
        return decision.reason.encode()
    (rule,) = decision.rules
    assert rule.rule == _GRANTS, rule
    return _GRANTS.encode()


def _call(path: str, messages: Sequence[bytes], gate: Gate, rights: Sequence[_Right], metadata: Metadata = ()) -> Call:
    answers = _answers(for_gateways(gate)[path], metadata, messages)
    revision = gate.policies.revision.encode()
    judges = [_judge(answer, revision, right) for answer, right in zip(answers, rights, strict=True)]
    return Call(path, messages, judges, metadata)


def _answers(handler: Handler, metadata: Metadata, messages: Sequence[bytes]) -> list[bytes]:
    """The answer to each message."""
    if isinstance(handler, Streaming):
        session = handler.open(metadata)
        return [answer for message in messages for answer in session.feed(message)]
    (message,) = messages
    if isinstance(handler, Traced):
        return [handler.answer("", message)]
    return [handler.answer(metadata, message) if isinstance(handler, Informed) else handler(message)]


def any_answer(interface: str, question: Question) -> tuple[Call, requests.Decisions]:
    """One question to a service whose policies nobody here knows, by one of `ASKABLE`: any decision will do, and is counted."""
    if interface == "ext_authz":
        told = requests.authorizations()
        metadata = ((SERVER_METADATA, question.server),)
        return Call(f"/{ext_authz.SERVICE}/Check", [requests.authorization_request(question)], [told], metadata), told
    told, is_stream = requests.decisions(), interface == "stream"
    path = f"/{SERVICE}/{'CheckStream' if is_stream else 'Check'}"
    return Call(path, [requests.check_request(question)], [told], many=is_stream), told


def _judge(answer: bytes, revision: bytes, right: _Right) -> Judge:
    before, found, _ = answer.partition(revision)
    beginning = (before[:-_TAG_AND_LENGTH] if found else answer)[: right.most]
    grounds = right.grounds
    assert beginning, "every answer would be right"
    return lambda answer: answer.startswith(beginning) and grounds in answer
