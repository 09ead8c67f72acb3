"""What must hold of any condition whatever: one function for each target of the fuzzer, from bytes to nothing or a failure.

A condition goes the way that those of policies go: read, checked, compiled, run on requests before the call and in it.
Nothing may come of it but `SourceError` and outcomes; the compiled form equals the walk; a walk before the call holds what the
call comes to; loops stay within their meter; and generated code has no name that is not its own and does nothing that Python
audits: no file (zones of the tz database aside, each of which is read once), no import, no code.

Knows nothing of atheris: the corpus is replayed without it.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from types import CodeType, FunctionType
from typing import Final, cast

from mcp_acl.domain import Http, Json, Message, MessageKind, Request, TokenState, ToolFact
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.compiler import INLINE_NAMES, compile_node
from mcp_acl.expr.el.parser import parse_el_value
from mcp_acl.expr.meter import MAX_STEPS, Meter
from mcp_acl.expr.nodes import Node, Value
from mcp_acl.expr.walk import Outcomes, outcomes, walk
from mcp_acl.policy.conditions import Reading, read_cel, read_el, read_variable
from mcp_acl.policy.facts import CEL_FACTS, EL_ENVIRONMENT, EL_FACTS
from mcp_acl.problems import EvalError, SourceError

# ---- requests --------------------------------------------------------------------------------------------------------

_CLAIMS: Final[Mapping[str, Json]] = {
    "iss": "https://idp",
    "sub": "alice",
    "role": "admin",
    "aud": ["mcp"],
    "exp": 1_893_456_000,
    "groups": ["eng", "ops"],
    "scope": "openid tools:read",
    "level": 5,
    "share": 0.5,
    "admin": True,
    "nul": None,
    "realm_access": {"roles": ["r1", "r2"]},
    "numbers": [3, 1, 2, -(2**53), 1.5],
    "größe": "é\U0001f431",
}
_ARGUMENTS: Final[Mapping[str, Json]] = {
    "amount": 10,
    "path": "/public/q3.pdf",
    "tags": ["a", "b", "a"],
    "rows": [{"id": 1, "ok": True}, {"id": 2}],
    "many": list(range(300)),
    "text": "x" * 3_000,
    "at": "2024-02-29T23:59:59Z",
    "net": "10.0.0.0/8",
}
_ATTRIBUTES: Final[Mapping[str, Json]] = {
    "plan": "p1",
    "gravitee.attribute.application": "app-1",
    "subscription": {"id": "s", "metadata": {"tier": "gold"}},
    "api": {"id": "api-1", "properties": {"allowed": "alice,bob"}},
    "properties": {"allowed": "alice,bob"},
    "dictionaries": {"d1": {"k": "v"}},
}
_HTTP: Final = Http(
    "POST",
    "/mcp?order=100&order=7",
    {"x-role": ("admin",), "x-multi": ("a", "b"), "mcp-param-amount": ("10",)},
    "10.0.0.7",
)
_NOW: Final = datetime(2025, 6, 15, 12, tzinfo=UTC)


def _request(claims: Mapping[str, Json], arguments: Mapping[str, Json]) -> Request:
    message = Message(
        MessageKind.REQUEST, "tools/call", 1, {"name": "get_weather", "arguments": arguments, "_meta": {"m": 1}}
    )
    tools = {"get_weather": ToolFact({"readOnlyHint": True})}
    return Request(
        "weather", message, claims, TokenState.VALID, http=_HTTP, attributes=_ATTRIBUTES, time=_NOW, tools=tools
    )


REQUESTS: Final = (_request(_CLAIMS, _ARGUMENTS), _request({}, {}))


def _scopes(request: Request) -> tuple[Scope, Scope]:
    """The request before the call, and in it; the method is the call's in both, so that nothing differs but what is known."""
    return Scope(request, "tools/call", "get_weather", before_call=True), Scope(request, "tools/call", "get_weather")


# ---- what generated code may be ----------------------------------------------------------------------------------------

_OWN: Final = re.compile(r"s|n|e|run|[ctk][0-9]+|ft[0-9]+")
_KNOWN: Final = frozenset(
    {
        *INLINE_NAMES,
        *("Error", "as_error", "Meter", "reversed", "spend", "visit", "append"),
        *("__class__", "get", "attributes", "values", "startswith", "endswith"),
        *(row.variable.attribute for row in (*CEL_FACTS, *EL_FACTS)),
    }
)
"""The names that generated code has beside those it makes up: of helpers, of their methods, of a scope's attributes."""


def foreign_names(code: CodeType) -> set[str]:
    """The names in generated code that are none of its own."""
    names = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars, code.co_name}
    found = {name for name in names if not _OWN.fullmatch(name) and name not in _KNOWN}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= foreign_names(constant)
    return found


class _Watch:
    """What Python audits while a condition runs. A hook stays for good, so there is one, which looks only then."""

    def __init__(self) -> None:
        self._seen: list[str] | None = None
        self._thread = get_ident()
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[object, ...]) -> None:
        mine = self._seen is not None and self._thread == get_ident()
        if mine and not (event == "open" and "/zoneinfo/" in str(args[0])):
            cast("list[str]", self._seen).append(event)

    @contextmanager
    def nothing_happens(self) -> Iterator[None]:
        seen: list[str] = []
        self._seen, self._thread = seen, get_ident()
        try:
            yield
        finally:
            self._seen = None
        assert not seen, seen


_WATCH: Final = _Watch()
compile_node(cast("Node", read_variable("request.time.getHours('UTC')", {}).node))(_scopes(REQUESTS[0])[1])


class _Watched(Meter):
    """A meter that says what is left."""

    made: Final[list[Meter]] = []

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)


def _run(node: Node, scope: Scope) -> Value:
    """The compiled form on a scope, all that is said above held against it."""
    run = cast(FunctionType, compile_node(node))
    assert {} == run.__globals__["__builtins__"]
    assert not foreign_names(run.__code__), foreign_names(run.__code__)
    run.__globals__["Meter"] = _Watched
    _Watched.made.clear()
    with _WATCH.nothing_happens():
        value = run(scope)
    for meter in _Watched.made:
        assert meter.spent == (meter._work < 0)
        assert MAX_STEPS >= meter._steps
        assert meter._steps >= 0 or isinstance(value, EvalError | bool | None)
    return cast("Value", value)


def _shown(value: Value) -> object:
    """As far as two evaluations of a tree can be compared: objects have no equality, and a faster form may word an error shorter."""
    if isinstance(value, EvalError):
        return EvalError
    plain = isinstance(value, str | bytes | int | float | None)
    return type(value), repr(value) if plain else None


def _check_tree(node: Node, *, is_condition: bool) -> None:
    for request in REQUESTS:
        before, during = _scopes(request)
        known = walk(node, during)
        assert isinstance(known, tuple)
        (expected,) = known
        found = _run(node, _scopes(request)[1])
        assert _shown(expected) == _shown(found), (expected, found)
        if is_condition:
            assert found is None or isinstance(found, bool | EvalError), found
            possible = outcomes(walk(node, before, before.unknown))
            assert outcomes((found,)) & possible, (found, Outcomes(possible))


def _check_reading(reading: Reading) -> None:
    for problem in reading.problems:
        assert problem.code
        assert problem.message
        assert problem.place.line > 0 < problem.place.column
    if reading.node is not None:
        _check_tree(reading.node, is_condition=True)


# ---- targets ---------------------------------------------------------------------------------------------------------


def _text(data: bytes) -> str:
    """Any text, halves of characters included: YAML can write those."""
    return data.decode("utf-8", "surrogateescape")


def cel(data: bytes) -> None:
    """Bytes as CEL."""
    text = _text(data)
    _check_reading(read_cel(text, {}))
    value = read_variable(text, {}).node
    if value is not None:
        _check_tree(value, is_condition=False)


def el(data: bytes) -> None:
    """Bytes as EL."""
    text = _text(data)
    _check_reading(read_el(text))
    try:
        node = parse_el_value(text, EL_ENVIRONMENT).node
    except SourceError:
        return
    _check_tree(node, is_condition=False)


_CEL_HOLES: Final = (
    "claims.{}",
    "claims.`{}`",
    "mcp.{} == 1",
    "{}",
    "{}(1)",
    "'a'.{}()",
    "[1].exists({0}, {0} == 1)",
    "[[1]].map({0}, [{0}].map({0}, {0}))",
    "cel.bind({0}, 1, {0} + {0})",
    "{{'{0}': 1}}.exists(k, v, k == '{0}')",
    "claims['{}'] == '{}'",
    '"{}" in ["{}", "b"]',
    "r'{}' == '''{}'''",
    "b'{}' == b\"{}\"",
    "'x'.matches('{}')",
    "'{}'.format(['{}'])",
    "{} == {}",
    "[{}, -{}].size() > 0",
    "timestamp('{}') == duration('{}')",
    "optional.of({}).optMap({}, 1)",
    "claims.?{}[?'{}'].orValue('{}')",
    "{}.{}{{}}",
)
_EL_HOLES: Final = (
    "{{#{}}}",
    "{{#{}.{} == 1}}",
    "{{#context.attributes.{} == '{}'}}",
    "{{#context.attributes['{}']['{}'] == \"{}\"}}",
    "{{#request.{}}}",
    "{{#mcp.arguments[{}] == 1}}",
    "{{({})}}",
    "{{({} == {})}}",
    "{{(T({}).{}({}))}}",
    "{{(new {}('{}') == null)}}",
    "{{({{{}: 1, '{}': 2}}.{} == 1)}}",
    "{{({{1,2}}.?[#this == {}].size() == {})}}",
    "{{('{}'.{}('{}'))}}",
    "{{('a' matches '{}')}}",
    "{{#jsonPath(#request.content, '{}') == 1}}",
    "{{#{}(1)}}",
    "{{(@{} == 1)}}",
    "{}{{(1)}}{}",
    "{{('' + {} + '{}')}}",
)


def _filled(holes: tuple[str, ...], data: bytes) -> str:
    """A template by the first byte; what goes into it, once or by parts that a line break separates, by the others."""
    template = holes[data[0] % len(holes)] if data else holes[0]
    parts = _text(data[1:]).split("\n")
    return template.format(*(parts[position % len(parts)] for position in range(4)))


def names(data: bytes) -> None:
    """Bytes as the names, texts and numbers of conditions: what code is generated for, and must not get out of."""
    _check_reading(read_cel(_filled(_CEL_HOLES, data), {}))
    _check_reading(read_el(_filled(_EL_HOLES, data)))


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"cel": cel, "el": el, "names": names}

# ---- the corpus ------------------------------------------------------------------------------------------------------

CORPUS: Final = Path(__file__).parent / "corpus"


def corpus(target: str) -> list[bytes]:
    """The inputs kept for a target: one a line, each byte a character, escaped as in Python."""
    lines = (CORPUS / f"{target}.txt").read_text(encoding="ascii").split("\n")
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines if line]
