"""What a soak asks, and what is right: a table. Knows no service.

The policies are a constant file and one that turns: at ebb it grants one tool, at flow another, and each turn is a revision of its own. So an
answer says by its revision which turn it is of, and is wrong if that was no longer in force when it was asked.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from mcp_acl.client import Question
from mcp_acl.client.wire import check_request
from mcp_acl.domain import Json, Reason, TokenState
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile

SERVER: Final = "harbour"
TOOLS: Final = ("read_log", "read_tides", "steer", "scuttle", "muster", "ebb", "flow", "moor", "anchor", "salvage")
"""Of the lists that are filtered."""
_TURNING: Final = "tide.yaml"
_CONSTANT: Final = SourceFile(
    "harbour.yaml",
    b"""
version: 1
policy: harbour
servers: [harbour]
rules:
  - {id: everybody-reads, methods: [tools/list, tools/call], name: {glob: "read_*"}}
  - {id: pilots-steer, methods: [tools/list, tools/call], name: steer, cel: 'claims.role == "pilot" && mcp.arguments.knots <= 12'}
  - {id: crew-musters, methods: [tools/list, tools/call], name: muster, cel: '"crew" in claims.groups'}
  - {id: nobody-scuttles, effect: deny, methods: [tools/list, tools/call], name: scuttle}
  - {id: charts, methods: [resources/list, resources/read], name: {template: "chart://{sea}/{sheet}"}}
""",
)
_BROKEN: Final = (
    b"rules",
    b"version: 1\npolicy: tide\nservers: [harbour]\nrules:\n  - {id: t, methods: [tools/call], name: '*', cel: 'claims.'}\n",
    b"version: 1\npolicy: harbour\nservers: [harbour]\nrules:\n  - {id: t, methods: [tools/call], name: scuttle}\n",
)
"""In the turning file's place: no policy, a condition that ends too soon, the id of another policy. All would grant what must not be."""


# ---- what is in force ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Turn:
    """One set of policies. `until`: ns from which on no question may be answered by it."""

    number: int
    files: Sequence[SourceFile]
    revision: str
    until: float = math.inf

    @property
    def at_flow(self) -> bool:
        return self.number % 2 == 1


class Turns:
    """The sets that were in force, by revision, and the one that is."""

    def __init__(self) -> None:
        self.known: dict[str, Turn] = {}
        self.current = self.next()

    def next(self) -> Turn:
        """Another set, which may be in force from here on."""
        number = len(self.known)
        tool = ("ebb", "flow")[number % 2]
        text = f"""
version: 1
policy: tide
servers: [harbour]
rules:
  - {{id: tide, methods: [tools/list, tools/call], name: {tool}}}
  - {{id: n{number}, methods: [tools/call], name: n{number}}}
"""
        files = (_CONSTANT, SourceFile(_TURNING, text.encode()))
        self.current = Turn(number, files, compile_policies(files).revision)
        self.known[self.current.revision] = self.current
        return self.current

    def broken(self, number: int) -> SourceFile:
        """What must never be in force."""
        return SourceFile(_TURNING, _BROKEN[number % len(_BROKEN)])


# ---- what is asked ---------------------------------------------------------------------------------------------------


class Right(NamedTuple):
    """What a right answer says: yes or no, why, and by which rule."""

    allowed: bool
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One question. `weight`: how often of all. `ebb` and `flow` are right, each at its turn; so are `shown`, the tools that are left of a list."""

    name: str
    weight: int
    request: bytes
    ebb: Right
    flow: Right
    shown: tuple[frozenset[str], frozenset[str]] | None = None


_PILOT: Final[Mapping[str, Json]] = {
    "iss": "https://issuer.example",
    "sub": "ann",
    "role": "pilot",
    "groups": ["harbour"],
}
_DECKHAND: Final[Mapping[str, Json]] = {"iss": "https://issuer.example", "sub": "ben", "role": "deckhand"}
_ALWAYS: Final = frozenset({"read_log", "read_tides", "steer"})


def rows() -> tuple[Row, ...]:
    """Every question: seven of ten are granted."""
    granted, refused = Reason.GRANTED, Reason.NO_MATCHING_RULE
    denied = Right(False, refused)
    tide = Right(True, granted, "tide/tide")
    listed = Right(True, Reason.LIST_FILTERED)
    shown = (_ALWAYS | {"ebb"}, _ALWAYS | {"flow"})
    steers = Right(True, granted, "harbour/pilots-steer")
    return (
        _row("a pattern grants", 30, _call("read_log"), Right(True, granted, "harbour/everybody-reads")),
        _row("a condition grants", 30, _call("steer", knots=8), steers),
        _row("too fast", 6, _call("steer", knots=30), denied),
        _row("not a pilot", 4, _call("steer", knots=8), denied, claims=_DECKHAND),
        _row("a rule denies", 5, _call("scuttle"), Right(False, Reason.DENIED_BY_RULE, "harbour/nobody-scuttles")),
        _row("a condition breaks", 3, _call("muster"), denied, claims=_DECKHAND),
        _row("granted at ebb", 8, _call("ebb"), tide, denied),
        _row("granted at flow", 8, _call("flow"), denied, tide),
        _row("a chart", 8, _read("chart://north/7"), Right(True, granted, "harbour/charts")),
        _row("a way around", 2, _read("chart://north/../7"), Right(False, Reason.URI_NOT_CANONICAL)),
        _row("two of one key", 2, _TWICE, Right(False, Reason.MESSAGE_REFUSED)),
        _row("another server", 2, _call("read_log"), Right(False, Reason.NO_POLICY), server="elsewhere"),
        _row("no good token", 2, _call("read_log"), Right(False, Reason.TOKEN_INVALID), token=TokenState.INVALID),
        _row("a beginning", 4, _message("initialize", {}), Right(True, Reason.ALWAYS_PERMITTED)),
        _row("a list", 10, _message("tools/list", {}), listed, filters=True, shown=shown),
        _row("a list as it is", 2, _message("tools/list", {}), Right(False, Reason.LIST_NOT_FILTERED)),
    )


def drawn(given: Sequence[Row], seed: int) -> Iterator[Row]:
    """Questions without end, the same for the same seed."""
    draw, weights = Random(seed), [row.weight for row in given]
    while True:
        yield from draw.choices(given, weights, k=1024)


def list_body() -> bytes:
    """What a server answers to `tools/list`."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    tools = [{"name": name, "description": f"What {name} is for.", "inputSchema": schema} for name in TOOLS]
    return _json({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools}})


def names_in(body: bytes) -> frozenset[str]:
    """The tools of a list; nothing if it is none."""
    found = json.loads(body).get("result", {}).get("tools", ())
    return frozenset(tool["name"] for tool in found)


def _row(  # noqa: PLR0913 - what a question is made of
    name: str,
    weight: int,
    message: bytes,
    ebb: Right,
    flow: Right | None = None,
    *,
    server: str = SERVER,
    claims: Mapping[str, Json] = _PILOT,
    token: TokenState | None = None,
    filters: bool = False,
    shown: tuple[frozenset[str], frozenset[str]] | None = None,
) -> Row:
    asked = Question(server, message, claims, token, filters_responses=filters)
    return Row(name, weight, check_request(asked), ebb, flow or ebb, shown)


def _call(tool: str, **arguments: Json) -> bytes:
    return _message("tools/call", {"name": tool, "arguments": arguments})


def _read(uri: str) -> bytes:
    return _message("resources/read", {"uri": uri})


def _message(method: str, params: Mapping[str, Json]) -> bytes:
    return _json({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_TWICE: Final = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_log","name":"scuttle"}}'


# ---- what is right ---------------------------------------------------------------------------------------------------


def fault_of(row: Row, turns: Mapping[str, Turn], answer: pb.CheckResponse, asked: int) -> str:
    """What is wrong with an answer to a question that was asked at `asked` ns; empty if nothing is."""
    turn = turns.get(answer.revision)
    if turn is None or turn.until < asked:
        return _stale(answer.revision, turn)
    allowed = answer.decision == pb.DECISION_ALLOW
    rules = [f"{rule.policy}/{rule.rule}" for rule in answer.rules]
    found = Right(allowed, answer.reason, ", ".join(rules))
    right = row.flow if turn.at_flow else row.ebb
    if found != right:
        return f"{found} is not {right}"
    if answer.HasField("denial") == allowed or not (allowed or answer.decision == pb.DECISION_DENY):
        return "a denial without what to answer, or a grant with it"
    return "" if answer.decision_id else "no decision id"


def list_fault_of(row: Row, turns: Mapping[str, Turn], answer: pb.FilterResponseResponse, asked: int) -> str:
    """As `fault_of`, of a list that was filtered."""
    assert row.shown is not None
    turn = turns.get(answer.revision)
    if turn is None or turn.until < asked:
        return _stale(answer.revision, turn)
    found, right = names_in(answer.body), row.shown[turn.at_flow]
    return "" if found == right else f"the list shows {sorted(found)}, not {sorted(right)}"


def _stale(revision: str, turn: Turn | None) -> str:
    return f"revision `{revision}` was never in force" if turn is None else f"turn {turn.number} was over"
