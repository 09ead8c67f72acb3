"""What a condition saw, missed, and left to the call, as people read it."""

from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.account import Account, account_of
from mcp_acl.expr.el.roots import (
    PlainScope,
    claims_value,
    context_root,
    json_map,
    mcp_root,
    principal_makers,
    request_root,
)
from mcp_acl.expr.el.values import Headers
from mcp_acl.policy.conditions import read_cel, read_el, read_variable
from mcp_acl.problems import EvalError

CLAIMS = {
    "role": "admin",
    "limit": 500,
    "ratio": float("inf"),
    "odd": "it's",
    "iss": "i",
    "huge": InexactNumber("9007199254740993"),
}
PATH = "#jsonPath(#context.attributes['oauth.payload'], '$.role.nope')"
ARGUMENTS = frozenset({"arguments", "el_arguments"})


def cel(text: str, unknown: frozenset[str] = ARGUMENTS, variables: Mapping[str, str] | None = None) -> Account:
    trees = {f"variables.{name}": read_variable(one, {}).node for name, one in (variables or {}).items()}
    node = read_cel(text, {name: tree for name, tree in trees.items() if tree is not None}).node
    assert node is not None
    scope = SimpleNamespace(claims=CLAIMS, name="transfer", arguments={"amount": 7}, headers={})
    return account_of(node, text, scope, unknown)


def el(text: str, unknown: frozenset[str] = ARGUMENTS) -> Account:
    node = read_el(text).node
    assert node is not None
    scope = PlainScope(
        el_context=context_root({}, principal_makers(CLAIMS)),
        el_request=request_root(Headers({}), method="POST"),
        el_token=claims_value(CLAIMS),
        el_mcp=mcp_root({"name": "transfer"}),
        el_arguments=json_map({"amount": 7}),
    )
    return account_of(node, text, scope, unknown)


@pytest.mark.parametrize(
    ("text", "remains"),
    [
        ('claims.role == "admin" && mcp.arguments.amount <= 1000', "mcp.arguments.amount <= 1000"),
        ('claims.role == "admin" && mcp.arguments.amount <= claims.limit', "mcp.arguments.amount <= 500"),
        ('claims.role == "admin" || mcp.arguments.amount <= 1000', ""),
        ('claims.role == "x" || mcp.arguments.amount <= 1000', "mcp.arguments.amount <= 1000"),
        ('(claims.role == "x" || mcp.arguments.a) && !(mcp.arguments.b > 2)', "mcp.arguments.a && !(mcp.arguments.b > 2)"),
        ("(mcp.arguments.a || mcp.arguments.b) && mcp.arguments.c", "(mcp.arguments.a || mcp.arguments.b) && mcp.arguments.c"),
        ("claims.none && mcp.arguments.a", "claims.none && mcp.arguments.a"),
        ("(claims.none || claims.nil) && mcp.arguments.a", "(claims.none || claims.nil) && mcp.arguments.a"),
        ('claims.role == "admin" ? mcp.arguments.x == claims.role : true', "mcp.arguments.x == 'admin'"),
        ('claims.role == "x" ? true : mcp.arguments.y', "mcp.arguments.y"),
        ("(mcp.arguments.x ? mcp.arguments.y : false) && mcp.arguments.z", "(mcp.arguments.x ? mcp.arguments.y : false) && mcp.arguments.z"),
        ("mcp.arguments.r.all(i, i < claims.limit)", "mcp.arguments.r.all(i, i < claims.limit)"),
        ("mcp.arguments.x == claims.odd", "mcp.arguments.x == claims.odd"),
        ("mcp.arguments.x < claims.ratio", "mcp.arguments.x < claims.ratio"),
        ("mcp.arguments.x == has(claims.role)", "mcp.arguments.x == true"),
        ("mcp.arguments[claims.role] == 1", "mcp.arguments['admin'] == 1"),
        ("mcp.arguments.x in [claims.limit, claims.role]", "mcp.arguments.x in [500, 'admin']"),
    ],
)  # fmt: skip
def test_what_is_open_remains_with_what_is_known_put_in(text: str, remains: str) -> None:
    assert remains == cel(text).remains


@pytest.mark.parametrize(
    ("text", "remains"),
    [
        ("{#token.role == 'admin' && #mcp.arguments['amount'] <= #token['limit']}", "#mcp.arguments['amount'] <= 500"),
        ("{(#mcp.arguments['a'] ?: 'x') == #mcp.name}", "(#mcp.arguments['a'] ?: 'x') == 'transfer'"),
        ("{(#mcp.arguments['a'] ?: false) && #token.role == 'admin'}", "#mcp.arguments['a'] ?: false"),
        (
            "{(false or (#mcp.arguments['a'] || #mcp.arguments['b'])) && #mcp.arguments['c']}",
            "(#mcp.arguments['a'] || #mcp.arguments['b']) && #mcp.arguments['c']",
        ),
        ("{#token.nope == 'a' && #mcp.arguments['amount'] == 1}", ""),
    ],
)
def test_what_is_open_in_el_remains(text: str, remains: str) -> None:
    assert remains == el(text).remains


def test_a_variable_stands_for_what_it_holds() -> None:
    account = cel(
        "variables.small && claims.limit > 1", variables={"small": "mcp.arguments.a < 1 && mcp.arguments.b < 1"}
    )
    assert "variables.small" == account.remains


def test_number_that_is_not_exact_is_accounted_for_though_nothing_can_be_compared_with_it() -> None:
    assert "claims.huge.a" == cel("claims.huge.a == 1").missing
    assert "claims.huge && mcp.arguments.a" == cel("claims.huge && mcp.arguments.a").remains
    assert "claims.huge > 1 || mcp.arguments.a" == cel("claims.huge > 1 || mcp.arguments.a").remains


def test_nothing_remains_in_a_call() -> None:
    assert "" == cel("mcp.arguments.amount <= claims.limit", frozenset()).remains


@pytest.mark.parametrize(
    ("account", "missing"),
    [
        (cel("claims.nope == 1"), "claims.nope"),
        (cel("claims.limit == 500 && claims.nope == 1 && claims.nil == 1"), "claims.nope"),
        (cel("claims.limit == 500"), ""),
        (cel("has(claims.nope)"), ""),
        (cel("claims.role > 3"), ""),
        (cel("claims.huge > 3"), ""),
        (cel("claims.role > 3 || claims.nope == 1"), "claims.nope"),
        (cel('mcp.arguments["nope"] == 1', frozenset()), 'mcp.arguments["nope"]'),
        (cel("[1][claims.limit] == 1"), "[1][claims.limit]"),
        (el("{#token['limit'].startsWith('a')}"), ""),
        (el("{#token['nope'].startsWith('a')}"), "#token['nope']"),
        (el("{({1}[#token['limit']] == 1)}"), "{1}[#token['limit']]"),
        (el("{#jsonPath(#context.attributes['oauth.payload'], '$.role.nope') == 1}"), PATH),
        (cel("claims.nope == 1 || claims.limit == 500"), ""),
        (cel("variables.who == 1", variables={"who": "claims.nope.sub"}), "claims.nope"),
        (el("{#token['nope'] == 'a'}"), "#token['nope']"),
        (el("{#request.headers['x'][0] == 'a'}"), "#request.headers['x']"),
        (el("{#context.attributes['plan'] == 'gold'}"), "#context.attributes['plan']"),
    ],
)
def test_the_fact_that_was_missing_is_named(account: Account, missing: str) -> None:
    assert missing == account.missing


def test_fact_that_is_an_error_itself_is_the_one_that_was_missing() -> None:
    class Untrusted(SimpleNamespace):
        @property
        def annotations(self) -> object:
            raise EvalError("what the server says of its tools is not trusted")

    text = "mcp.annotations.readOnlyHint == true"
    node = read_cel(text, {}).node
    assert node is not None
    assert "mcp.annotations" == account_of(node, text, Untrusted(claims=CLAIMS), ARGUMENTS).missing


def test_every_part_has_its_value() -> None:
    saw = {seen.text: seen.value for seen in el("{#request.method == 'POST' && #mcp.arguments['amount'] > 5}").saw}
    assert "an object" == saw["#request"]
    assert "'POST'" == saw["#request.method"]
    assert "unknown" == saw["#mcp.arguments['amount']"]
    assert "request" not in saw
