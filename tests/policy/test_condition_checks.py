"""Findings about conditions are made where they are certain: what is found is held to what happens."""

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Final

import pytest

from mcp_acl.expr.cel.values import Timestamp
from mcp_acl.expr.el import roots
from mcp_acl.expr.el.values import Headers
from mcp_acl.expr.kinds import Findings
from mcp_acl.expr.walk import Outcomes, outcomes, walk
from mcp_acl.policy.condition_checks import CEL, EL
from mcp_acl.policy.conditions import Reading, read_cel, read_el

SAID: Final = {
    "always-true": Outcomes.TRUE,
    "always-false": Outcomes.FALSE,
    "always-error": Outcomes.ERROR,
    "never-true": Outcomes.FALSE | Outcomes.ERROR,
}
VALUES: Final = [None, True, False, 0, 5, 1.5, "a", "5", "true", "", [], ["a"], [5], {}, {"a": 1}]
CEL_OPERANDS: Final = (
    'claims.x mcp.arguments.x mcp.name mcp.feature request.time request.headers request.headers["X-A"] 5 1.5 5u "a" '
    'true null [5] ["a",5] [] {"a":1} size(mcp.name) mcp.name.startsWith("a") b"a" claims.x.size()'
).split()
CEL_FORMS: Final = (
    *(f"{{0}} {operator} {{1}}" for operator in "== != < <= > >= in + - * / % && ||".split()),
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
    *(f"{{0}} {operator} {{1}}" for operator in "== != < <= > >= + - * / % && ||".split()),
    "{0}.equals({1})",
    "{0}.contains({1})",
    "{0}['a'] == {1}",
    "{0}[0] == {1}",
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
    for left, right in product(CEL_OPERANDS, CEL_OPERANDS):
        reading = read_cel(form.format(left, right), {})
        if reading.node is not None:
            hold(reading, Findings(CEL), scopes)


@pytest.mark.parametrize("form", EL_FORMS)
def test_what_is_found_in_el_is_certain(form: str) -> None:
    scopes = el_scopes()
    for left, right in product(EL_OPERANDS, EL_OPERANDS):
        reading = read_el("{(" + form.format(left, right) + ")}")
        if reading.node is not None:
            hold(reading, Findings(EL), scopes)
