"""What the benchmarks run on: policy files, requests and response bodies, the same in every run.

Knows nothing of timing or of peers' programs.
"""

import json
import random
from collections.abc import Iterable, Sequence
from typing import Final

from mcp_acl.domain import Message, MessageKind, Request, TokenState
from mcp_acl.policy.source import SourceFile

SERVER: Final = "bench"

CLAIMS: Final = {
    "iss": "https://issuer.example",
    "sub": "6f1f2b6e-3c1f-4a52-9f5e-0d8a3c1b7e11",
    "aud": ["https://gateway.example"],
    "exp": 1_800_000_000,
    "iat": 1_799_996_400,
    "jti": "b0d6c0de",
    "azp": "agent",
    "scope": "openid mcp:tools mcp:resources",
    "email": "ann@example.com",
    "role": "admin",
    "groups": ["staff", "ops", "eng"],
    "suspended": False,
}
"""A token of ordinary size."""


def message(method: str, params: dict[str, object]) -> bytes:
    """One JSON-RPC request as a client writes it."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, separators=(",", ":")).encode()


def request(method: str, params: dict[str, object], claims: dict[str, object] | None = None) -> Request:
    """One request by a principal with a valid token, from a gateway that filters responses."""
    return Request(
        SERVER,
        Message(MessageKind.REQUEST, method, 7, params),
        claims=CLAIMS if claims is None else claims,
        token=TokenState.VALID,
        filters_responses=True,
    )


def policy(name: str, servers: Sequence[str], rules: Iterable[str], *, trusted: bool = False) -> SourceFile:
    """One policy file. Each rule is one line of YAML flow style."""
    head = f"version: 1\npolicy: {name}\n" + (f"servers: {json.dumps(servers)}\n" if servers else "")
    head += "settings: {trust_annotations: true}\n" if trusted else ""
    body = "".join(f"  - {rule}\n" for rule in rules)
    return SourceFile(f"{name}.yaml", f"{head}rules:\n{body or '    []'}".encode())


def _rule(name: str, targets: Sequence[tuple[str, str]], cel: str = "", effect: str = "allow") -> str:
    """A rule with targets of methods and names; no names means any."""
    pairs = ", ".join(f"{{methods: [{methods}]{f', name: {names}' if names else ''}}}" for methods, names in targets)
    condition = f", cel: {json.dumps(cel)}" if cel else ""
    return f"{{id: {name}, effect: {effect}, targets: [{pairs}]{condition}}}"


# ---- flat: N rules, eight of which match ----------------------------------------------------------------------------

TOOL: Final = "transfer_funds"
URI: Final = "report://2026/funds"
_TOOLS: Final = "tools/list, tools/call"
_RESOURCES: Final = "resources/list, resources/read"

_EIGHT: Final = (
    ("deny", "m1-suspended", '{glob: "transfer_*"}', '{glob: "report://*"}', "claims.suspended"),
    ("deny", "m2-guests", '{regex: "transfer_[a-z0-9]+"}', "", '"guests" in claims.groups'),
    ("allow", "m3-auditors", "", '{regex: "report://20[0-9]{2}/.*"}', 'claims.role == "auditor"'),
    (
        "allow",
        "m4-treasury",
        f"[{TOOL}, {{glob: 'transfer_f*'}}]",
        '{glob: "*://2026/*"}',
        '"treasury" in claims.groups',
    ),
    (
        "allow",
        "m5-partner",
        '{glob: "*_f*"}',
        f"['{URI}', {{template: '{{a}}://2026/{{b}}'}}]",
        'claims.azp == "partner"',
    ),
    (
        "allow",
        "m6-night",
        '{regex: "(transfer|refund)_.*"}',
        '{template: "report://{y}/{n}"}',
        'claims.role == "night"',
    ),
    (
        "allow",
        "m7-robots",
        '{glob: "trans???_f*"}',
        '{template: "report://2026/{n}"}',
        'claims.sub.startsWith("robot-")',
    ),
    ("allow", "m8-admins", '{regex: "trans.*f[a-z0-9]*"}', '{regex: "report://.*"}', 'claims.role == "admin"'),
)
"""Effect, id, tool names, URIs, condition: all match, the last one tried grants. Order is by policy, then rule."""


MATCHING: Final = len(_EIGHT)


def _other(index: int) -> str:
    """A rule that does not match: literals mostly, one pattern in four; every second one has a condition of its own."""
    tools, uris = f"tool_{index}", f'"file:///docs/{index}.md"'
    match index % 8:
        case 3:
            tools, uris = f'{{glob: "team{index}_*"}}', f'{{glob: "doc://team{index}/*"}}'
        case 7:
            tools, uris = f'{{regex: "(get|put)_item{index}_[0-9]+"}}', f'{{template: "item{index}://{{a}}/{{b}}"}}'
    condition = f'claims.role == "role{index}" && "group{index % 50}" in claims.groups' if index % 2 else ""
    return _rule(f"r{index:05}", ((_TOOLS, tools), (_RESOURCES, uris)), condition)


def flat_policies(count: int) -> tuple[SourceFile, ...]:
    """`count` rules in ten files; eight match TOOL and URI, and every name that `cold_names` gives.

    One file in ten governs another server; the eight are spread over files that govern this one in three ways.
    """
    servers = (*[[SERVER]] * 3, ["bench*"], ["bench*", "other"], [], *[[SERVER]] * 3, ["other"])
    rules: list[list[str]] = [[] for _ in servers]
    for index in range(count - MATCHING):
        rules[index % 10].append(_other(index))
    for position, (effect, name, tools, uris, cel) in enumerate(_EIGHT):
        rules[position if position < 7 else 8].append(_rule(name, ((_TOOLS, tools), (_RESOURCES, uris)), cel, effect))
    return tuple(policy(f"p{at}", servers[at], found) for at, found in enumerate(rules))


def flat_call(name: str = TOOL) -> Request:
    return request("tools/call", {"name": name, "arguments": {"amount": 50}})


def flat_read(uri: str = URI) -> Request:
    return request("resources/read", {"uri": uri})


def cold_names(count: int) -> tuple[str, ...]:
    """Names that eight rules match, none twice."""
    return tuple(f"f{index:x}" for index in random.Random(8).sample(range(1 << 32), count))


FLAT_ENTRIES: Final = 100


def flat_lists(count: int) -> tuple[bytes, ...]:
    """Lists of tools without a name in common: by turns one that all eight rules match, and one that only a rule for any matches."""
    names = iter(cold_names(count * FLAT_ENTRIES))
    kinds = ("transfer_", "other-") * (FLAT_ENTRIES // 2)
    return tuple(
        _list_body("tools", [_tool(7, "label") | {"name": kind + next(names)} for kind in kinds]) for _ in range(count)
    )


# ---- fast: one rule with a condition of four clauses ----------------------------------------------------------------

FAST_CEL: Final = (
    'claims.role == "admin" && "eng" in claims.groups && mcp.arguments.amount <= 1000'
    ' && mcp.arguments.path.startsWith("/public/")'
)
FAST_EL: Final = (
    "{#token['role'] == 'admin' && #token['groups'].contains('eng') && #mcp.arguments['amount'] <= 1000"
    " && #mcp.arguments['path'].startsWith('/public/')}"
)
FAST_PARAMS: Final[dict[str, object]] = {"name": "publish", "arguments": {"amount": 250, "path": "/public/q3.pdf"}}
FAST_REQUEST: Final = request("tools/call", FAST_PARAMS)
FAST_BODY: Final = message("tools/call", FAST_PARAMS)
FAST_FACTS: Final = {"claims": CLAIMS, "mcp": {"arguments": FAST_PARAMS["arguments"]}}
FAST_FEWEST_FACTS: Final = {
    "claims": {"role": CLAIMS["role"], "groups": CLAIMS["groups"]},
    "mcp": {"arguments": FAST_PARAMS["arguments"]},
}


def fast_policies(key: str) -> tuple[SourceFile, ...]:
    """One rule with the condition under `cel` or, in EL, under `condition`."""
    text = FAST_CEL if key == "cel" else FAST_EL
    rule = f"{{id: publishers, methods: [tools/call], name: publish, {key}: {json.dumps(text)}}}"
    return (policy("fast", [SERVER], [rule]),)


# ---- lists: 1,000 entries, 1,000 rules ------------------------------------------------------------------------------

ENTRIES: Final = 1_000
TEAMS: Final = (
    *("billing", "support", "search", "catalog", "orders", "fraud", "ledger", "payroll", "travel", "legal"),
    *("media", "mobile", "maps", "ads", "mail", "chat", "video", "storage", "identity", "network"),
)
LIST_CLAIMS: Final = {**CLAIMS, "groups": list(TEAMS[::2])}
"""A member of every second team sees half of the entries."""

_VERBS: Final = ("get", "list", "create", "update", "export", "search")
_THINGS: Final = ("invoice", "ticket", "report", "customer", "shipment", "contract", "session", "budget")


def team_of(index: int) -> str:
    return TEAMS[index % len(TEAMS)]


def tool_name(index: int) -> str:
    verb, thing = _VERBS[index % len(_VERBS)], _THINGS[index % len(_THINGS)]
    return f"{team_of(index)}_{verb}_{thing}_{index}"


def resource_uri(index: int) -> str:
    return f"docs://{team_of(index)}/{_THINGS[index % len(_THINGS)]}/{index}.md"


def list_policies() -> tuple[SourceFile, ...]:
    """One rule for each tool and resource, open to its team; in ten files."""
    return _in_ten_files("lists", (_entry_rule(index) for index in range(ENTRIES)))


def argument_list_policies(count: int = ENTRIES) -> tuple[SourceFile, ...]:
    """The same, but others may call the tool with small amounts, each with its own limit: so everybody sees it."""
    return _in_ten_files(
        "arguments", (_entry_rule(index, f" || mcp.arguments.amount <= {index}") for index in range(count))
    )


def text_list_policies(count: int) -> tuple[SourceFile, ...]:
    """As many rules, whose conditions differ in texts alone, as those of people mostly do."""
    return _in_ten_files("texts", (_entry_rule(index, f' || claims.sub == "user-{index}"') for index in range(count)))


def mixed_list_policies() -> tuple[SourceFile, ...]:
    """The same number of rules, one in five a pattern, one in fifty a deny rule that reads the entry's annotations."""
    return _in_ten_files("mixed", (_mixed_rule(index) for index in range(ENTRIES)), trusted=True)


def _in_ten_files(name: str, rules: Iterable[str], *, trusted: bool = False) -> tuple[SourceFile, ...]:
    every = tuple(rules)
    return tuple(policy(f"{name}-{at}", [SERVER], every[at::10], trusted=trusted) for at in range(10))


def _entry_rule(index: int, more: str = "") -> str:
    targets = ((_TOOLS, tool_name(index)), (_RESOURCES, json.dumps(resource_uri(index))))
    return _rule(f"t{index:04}", targets, f'"{team_of(index)}" in claims.groups{more}')


def _mixed_rule(index: int) -> str:
    effect, cel = "allow", f'"{team_of(index)}" in claims.groups'
    tools, uris = tool_name(index), json.dumps(resource_uri(index))
    match index % 50:
        case 0:
            effect, cel = "deny", 'mcp.annotations.destructiveHint && claims.role != "admin"'
        case 3 | 13 | 23 | 33 | 43:
            tools, uris = f'{{glob: "*_{index}"}}', f'{{glob: "docs://*/{index}.md"}}'
        case 7 | 17 | 27 | 37 | 47:
            thing = _THINGS[index % len(_THINGS)]
            tools = f'{{regex: "[a-z]+_[a-z]+_{thing}_{index}"}}'
            uris = f'{{template: "docs://{{team}}/{thing}/{index}.md"}}'
    return _rule(f"t{index:04}", ((_TOOLS, tools), (_RESOURCES, uris)), cel, effect)


def list_request(method: str, claims: dict[str, object] = LIST_CLAIMS) -> Request:
    return request(method, {}, claims)


def tools_body(*, member: str = "label") -> bytes:
    """A `tools/list` response of about 300 bytes an entry. `member` is a property that every schema has."""
    return _list_body("tools", [_tool(index, member) for index in range(ENTRIES)])


def resources_body() -> bytes:
    """A `resources/list` response."""
    return _list_body("resources", [_resource(index) for index in range(ENTRIES)])


def _tool(index: int, member: str) -> dict[str, object]:
    verb, thing = _VERBS[index % len(_VERBS)], _THINGS[index % len(_THINGS)]
    return {
        "name": tool_name(index),
        "title": f"{verb.capitalize()} {thing}",
        "description": f"{verb.capitalize()} one {thing} of the {team_of(index)} system.",
        "inputSchema": {
            "type": "object",
            "properties": {member: {"type": "string"}, "limit": {"type": "integer", "minimum": 1}},
            "required": [member],
        },
        "annotations": {"readOnlyHint": index % 3 == 0, "destructiveHint": index % 7 == 0},
    }


def _resource(index: int) -> dict[str, object]:
    thing = _THINGS[index % len(_THINGS)]
    return {
        "uri": resource_uri(index),
        "name": f"{thing}-{index}",
        "title": f"The {thing} of {team_of(index)}",
        "description": f"What the {team_of(index)} team has written down about its {thing}, kept up to date every week.",
        "mimeType": "text/markdown",
        "annotations": {"audience": ["user", "assistant"], "priority": 0.5},
        "size": 4_096 + index,
    }


def _list_body(key: str, entries: Sequence[dict[str, object]]) -> bytes:
    result = {key: entries, "nextCursor": "page-2"}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": result}, separators=(",", ":")).encode()
