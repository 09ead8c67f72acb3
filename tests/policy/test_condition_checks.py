"""Findings about conditions are made where they are certain: what is found is held to what happens."""

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Final

import pytest

from mcp_acl.expr.cel.values import Timestamp
from mcp_acl.expr.el import roots
from mcp_acl.expr.el.values import Headers
from mcp_acl.expr.kinds import ANYTHING, Findings, Kind, in_words
from mcp_acl.expr.walk import Outcomes, outcomes, walk
from mcp_acl.policy.condition_checks import CEL, EL
from mcp_acl.policy.conditions import Reading, read_cel, read_el, read_variable
from mcp_acl.policy.null_checks import null_orderings
from mcp_acl.policy.source import SourceFile
from mcp_acl.policy.spec import load_policies

SAID: Final = {
    "always-true": Outcomes.TRUE,
    "always-false": Outcomes.FALSE,
    "always-error": Outcomes.ERROR,
    "never-true": Outcomes.FALSE | Outcomes.ERROR,
}
VALUES: Final = [None, True, False, 0, 5, 1.5, "a", "5", "true", "", [], ["a"], [5], {}, {"a": 1}]
CEL_OPERANDS: Final = (
    'claims.x mcp.arguments.x request.headers["x-a"] claims.x.a mcp.name mcp.feature request.time request.headers request.headers["X-A"] 5 1.5 5u "a" '
    'true null [5] ["a",5] [] {"a":1} size(mcp.name) mcp.name.startsWith("a") b"a" claims.x.size()'
).split()
CEL_FORMS: Final = (
    *(f"{{0}} {operator} {{1}}" for operator in "== != < >= in + / && ||".split()),
    "{0}[{1}]",
    "!{0} || {1}",
    "{0}.a == {1}",
    "has({0}.a) || {1} == 1",
    "{0}.exists(i, i == {1})",
    "{0}.startsWith({1})",
    "{0} ? {1} : false",
    "{0}.matches('a')",
)
EL_OPERANDS: Final = (
    "#context.attributes['user'] #context.attributes['jwt.claims'] #context.attributes['jwt.claims']['x'] #token.aud "
    "#token.exp #token['nbf'] #context.attributes['user.roles'] #context.attributes['oauth.payload'] #context.attributes['x'] "
    "#context.attributes['oauth.client_id'] #context.attributes['jwt'].claims['aud'] #request.headers['x'] #request.headers "
    "#request.params['p'] #request.method #request.timestamp #request.paths #mcp.name #mcp.arguments['x'] #mcp.annotations "
    "null true 5 1.5 'a' {'a'} {5} #request.method.length() #request.headers['x'][0] #request.headers['x'].size()"
).split()
EL_FORMS: Final = (
    *(f"{{0}} {operator} {{1}}" for operator in "== != < >= + / && ||".split()),
    "{0}.equals({1})",
    "{0}.contains({1})",
    "{0}['a'] == {1}",
    "{0}[0] == {1}",
    "{0}[' 0'] == {1}",
    "{0}['0x0'] == {1}",
    "{0}.startsWith({1})",
    "{0}?.startsWith({1})",
    "!{0} || {1}",
    "{0} ? {1} : false",
    "({0} ?: {1}) == {1}",
    "{0}.length() == {1}",
)


def cel_scopes() -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            claims={"x": value},
            arguments={"x": value},
            name="a",
            feature="tools",
            time=Timestamp(0),
            headers={"x-a": "b"},
        )
        for value in VALUES
    ]


def el_scopes() -> list[roots.PlainScope]:
    made = []
    for value in VALUES:
        claims = {"iss": "i", "aud": value, "exp": value, "nbf": value, "x": value, "sub": value, "scope": value}
        request = roots.request_root(Headers({"x": ["a"]}), {"p": ["a"]}, method="a", path="/a", timestamp=5)
        made.append(
            roots.PlainScope(
                el_context=roots.context_root({"x": value}, roots.principal_makers(claims)),
                el_request=request,
                el_token=roots.claims_value(claims),
                el_mcp=roots.mcp_root({"name": "a", "annotations": {"a": 1}}),
                el_arguments=roots.json_map({"x": value}),
            )
        )
    bare = roots.request_root(Headers({}), {}, method=None, path=None, timestamp=5)
    nobody = roots.context_root({}, roots.principal_makers({}))
    return [*made, roots.PlainScope(el_context=nobody, el_request=bare, el_token={}, el_mcp=roots.mcp_root({}))]


def hold(reading: Reading, findings: Findings, scopes: Sequence[object]) -> None:
    """The tree with every fault made what it comes to is the tree, whatever the facts; and so is what is said of the whole."""
    node = reading.node
    assert node is not None
    _, judged = findings.judge(node)
    codes = {problem.code for problem in reading.problems} & SAID.keys()
    for scope in scopes if findings.faults or codes else ():
        happened = outcomes(walk(node, scope))
        assert happened == outcomes(walk(judged, scope)), (reading.text, findings.faults)
        assert all(happened & SAID[code] for code in codes), (reading.text, codes)


@pytest.mark.parametrize("form", CEL_FORMS)
def test_what_is_found_in_cel_is_certain(form: str) -> None:
    scopes = cel_scopes()
    for left, right in product(CEL_OPERANDS, CEL_OPERANDS[::2]):
        reading = read_cel(form.format(left, right), {})
        if reading.node is not None:
            hold(reading, Findings(CEL), scopes)


@pytest.mark.parametrize("form", EL_FORMS)
def test_what_is_found_in_el_is_certain(form: str) -> None:
    scopes = el_scopes()
    for left, right in product(EL_OPERANDS, EL_OPERANDS[::3]):
        reading = read_el("{(" + form.format(left, right) + ")}")
        if reading.node is not None:
            hold(reading, Findings(EL), scopes)


def told(language: str, text: str) -> list[tuple[str, str]]:
    """The code of each finding, and the part of the text that it is about."""
    reading = read_cel(text, {}) if language == "cel" else read_el(text)
    return [(one.code, one.place.text[one.place.column - 1 :][: one.place.width]) for one in reading.problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mcp.name == 5", [("never-equal", "mcp.name == 5")]),
        ("claims.a || mcp.name != 5", [("never-equal", "mcp.name != 5")]),
        ("claims.a || mcp.name in [1, 2]", [("never-equal", "mcp.name in [1, 2]")]),
        ("claims.a || mcp.name in [1, claims.b]", []),
        ("claims.a || mcp.name in claims.b", []),
        ("claims.a || mcp.name in ['a', 1]", []),
        ("claims.a || mcp.name < 5", [("wrong-operand", "mcp.name < 5")]),
        ("claims.a || mcp.name.startsWith(5)", [("wrong-operand", "mcp.name.startsWith(5)")]),
        ("claims.a || mcp.name", [("wrong-operand", "mcp.name")]),
        ("claims.a || 5.matches('a')", [("wrong-operand", "5.matches('a')")]),
        ("claims.a || mcp.name.exists(i, i == 'a')", [("wrong-operand", "mcp.name")]),
        ("claims.a || [1, 2].map(i, i + 1) == 'a'", [("never-equal", "[1, 2].map(i, i + 1) == 'a'")]),
        ("claims.a || cel.bind(x, mcp.name, x == 5)", [("never-equal", "x == 5")]),
        ("claims.a || (claims.b ? 1 : 2) == 'a'", [("never-equal", "(claims.b ? 1 : 2) == 'a'")]),
        ("claims.a || 1 + 1 == 'a'", [("never-equal", "1 + 1 == 'a'")]),
        ("claims.a || mcp.feature == 'tool'", [("never-equal", "mcp.feature == 'tool'")]),
        ("claims.a || 'tool' != mcp.feature", [("never-equal", "'tool' != mcp.feature")]),
        ("mcp.feature == 'tools'", []),
        ("claims.a || claims.exp < request.time", [("wrong-operand", "claims.exp < request.time")]),
        ("claims.a || timestamp(claims.exp) > request.time", []),
        ("claims.a || mcp.arguments.a.b == request.time", [("never-equal", "mcp.arguments.a.b == request.time")]),
        ('claims.a || request.headers["x"] == 5', [("never-equal", 'request.headers["x"] == 5')]),
        ("claims.a || request.headers[claims.b] > 5", [("wrong-operand", "request.headers[claims.b] > 5")]),
        ("mcp.?protocol_version.orValue('') == 'x'", []),
        ("mcp.method == 'vendor/method'", []),
        ('claims.a || request.headers["X-Role"] == "a"', [("header-case", 'request.headers["X-Role"]')]),
        ("claims.a || has(request.headers.Accept)", [("header-case", "has(request.headers.Accept)")]),
        ('claims.a || "Accept" in request.headers', [("header-case", '"Accept" in request.headers')]),
        ("claims.a || request.headers.?Accept.hasValue()", [("header-case", "request.headers.?Accept")]),
        ('"accept" in request.headers || claims.x in request.headers', []),
        ("claims.a || (mcp.name == 'x' && false)", [("constant-part", "mcp.name == 'x' && false")]),
        ("claims.a && (claims.b || true)", [("constant-part", "claims.b || true")]),
        ("(claims.b || true) ? claims.a : claims.c", [("constant-part", "claims.b || true")]),
        ("claims.a || false", []),
        ("[1, 2].exists(i, i == claims.a && true)", []),
        ("mcp.annotations.readonlyHint", [("unknown-member", "mcp.annotations.readonlyHint")]),
        ("has(mcp.annotations.destructiveHints)", [("unknown-member", "has(mcp.annotations.destructiveHints)")]),
        ("mcp.annotations.readOnlyHint", []),
        ("mcp.annotations.vendor", []),
        ("mcp.annotations[claims.x]", []),
        (f"mcp.annotations.{'a' * 200}", []),
    ],
)  # fmt: skip
def test_what_is_odd_in_cel_is_told_at_its_place(text: str, found: list[tuple[str, str]]) -> None:
    assert found == told("cel", text)


TOKEN = "#context.attributes['jwt.claims']"
OPEN = "#mcp.name == 'x' || "


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#request.headers['x'] == 'a'", [("never-equal", "#request.headers['x'] == 'a'")]),
        (f"{OPEN}#request.params['x'] == 'a'", [("never-equal", "#request.params['x'] == 'a'")]),
        (f"{OPEN}{TOKEN}['aud'] == 'a'", [("never-equal", f"{TOKEN}['aud'] == 'a'")]),
        (f"{OPEN}#context.attributes['jwt'].claims.aud == 'a'", [("never-equal", "#context.attributes['jwt'].claims.aud == 'a'")]),
        (f"{OPEN}#token.exp > 5", [("wrong-operand", "#token.exp > 5")]),
        (f"{OPEN}#context.attributes['user.roles'] == 'a'", [("never-equal", "#context.attributes['user.roles'] == 'a'")]),
        (f"{OPEN}#request.method == 5", [("never-equal", "#request.method == 5")]),
        (f"{OPEN}#request.timestamp > 'a'", [("wrong-operand", "#request.timestamp > 'a'")]),
        (f"{OPEN}#request.timestamp / 'a' == 1", [("wrong-operand", "#request.timestamp / 'a'")]),
        (f"{OPEN}#request.headers['x'].startsWith('a')", [("wrong-operand", "#request.headers['x'].startsWith('a')")]),
        (f"{OPEN}#request.headers['x']['a'] == 'a'", [("wrong-operand", "#request.headers['x']['a']")]),
        (f"{OPEN}#request.headers['x']['0'] == 'a'", []),
        (f"{OPEN}#request.method.equals({{1}})", [("never-equal", "#request.method.equals({1})")]),
        (f"{OPEN}(!#request.timestamp)", [("wrong-operand", "!#request.timestamp")]),
        (f"{OPEN}#request.timestamp", [("wrong-operand", "#request.timestamp")]),
        (TOKEN, [("wrong-operand", f"{{({TOKEN})}}")]),
        (f"{OPEN}#context.attributes['jwt.claim']['a'] == 'a'", [("unknown-member", "#context.attributes['jwt.claim']")]),
        (f"{OPEN}#mcp.annotations['readonlyHint']", [("unknown-member", "#mcp.annotations['readonlyHint']")]),
        (f"{OPEN}#request.method.size() == 1", [("wrong-operand", "#request.method.size()")]),
        (f"{OPEN}{{1, 2}}.contains(#request.method)", []),
        (f"{OPEN}#context.attributes['plan'] == 'gold'", []),
        (f"{OPEN}#context.attributes['users'] == 'gold'", []),
        (f"{OPEN}#jsonPath(#request.content, '$.a') == 5", []),
        (f"{OPEN}#context.attributes['a'][0] == 5", []),
        (f"{OPEN}#request.method < null", []),
        (f"{OPEN}{{#mcp.name, 'a'}} == 'a'", [("never-equal", "{#mcp.name, 'a'} == 'a'")]),
        ("null", [("always-false", "{(null)}")]),
    ],
)  # fmt: skip
def test_what_is_odd_in_el_is_told_at_its_place(text: str, found: list[tuple[str, str]]) -> None:
    assert found == told("el", "{(" + text + ")}")


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        (f"{{{TOKEN}['level'] < 5}}", [f"{TOKEN}['level']"]),
        (f"{{5 > {TOKEN}['level']}}".replace("{5", "{(5").replace("}", ")}"), [f"{TOKEN}['level']"]),
        (f"{{{TOKEN}['level'] > 5}}", []),
        (f"{{{TOKEN}['level'] != null && {TOKEN}['level'] < 5}}", []),
        (f"{{{TOKEN}['level'] < 5 && {TOKEN}['sub'] != null}}", []),
        ("{(#request.timestamp < 5)}", []),
        ("{(null < 5) && #mcp.name == 'a'}".replace("{(null", "{((null").replace("'a'}", "'a')}"), []),
        ("{(#nothing", []),
    ],
)
def test_null_below_everything_is_told_of_allow_rules(condition: str, facts: list[str]) -> None:
    for effect, expected in (("allow", facts), ("deny", [])):
        quoted = condition.replace("'", "''")
        rules = "".join(
            f"  - {{id: {name}, effect: {effect}, methods: [tools/call], condition: '{quoted}'}}\n" for name in "ab"
        )
        loaded, _ = load_policies([SourceFile("a.yaml", f"version: 1\npolicy: p\nrules:\n{rules}".encode())])
        found = [one.message for one in null_orderings(loaded[0])]
        assert [f"this is true where `{fact}` is missing: null is below everything" for fact in expected * 2] == found


def test_a_variable_is_told_once() -> None:
    tree = read_variable("mcp.name == 5 || mcp.name == 6", {}).node
    assert tree is not None
    reading = read_cel("claims.a || variables.b", {"variables.b": tree})
    assert [("never-equal", 13)] == [(one.code, one.place.column) for one in reading.problems]


def test_kinds_are_told_in_words() -> None:
    assert "a text or null" == in_words(Kind.NULL | Kind.TEXT)
    assert "a number or a list" == in_words(Kind.NUMBER | Kind.LIST)
    assert "an int" == in_words(Kind.INT)
    assert "this value" == in_words(ANYTHING)
