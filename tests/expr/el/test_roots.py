"""What the roots hold: claims by Gravitee's names, attributes under the names Gravitee keeps, headers in any case."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from mcp_acl.domain import InexactNumber
from mcp_acl.expr.el.parser import parse_el_value
from mcp_acl.expr.el.roots import (
    PlainScope,
    context_root,
    json_map,
    object_root,
    principal_makers,
    request_root,
    scope_from_fixture,
)
from mcp_acl.expr.el.values import Headers
from mcp_acl.expr.walk import UnknownFact, walk
from mcp_acl.problems import EvalError
from tests.expr.el.plain import ENVIRONMENT, only


def _value(text: str, scope: PlainScope) -> object:
    return only(parse_el_value("{(" + text + ")}", ENVIRONMENT).node, scope)


def _from_claims(name: str, claims: Mapping[str, object]) -> object:
    scope = PlainScope(el_context=context_root({}, principal_makers(claims)))
    return _value(f"#context.attributes['{name}']", scope)


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"scope": "read  write"}, ["read", "write"]),
        ({"scp": ("read", "write")}, ["read", "write"]),
        ({"scope": ["read"]}, ["read"]),
        ({"scope": 7}, None),
        ({"sub": "ann"}, None),
    ],
)
def test_the_roles_are_the_scopes(claims: Mapping[str, object], roles: object) -> None:
    assert roles == _from_claims("user.roles", claims)


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({"client_id": "a", "azp": "b", "aud": "c"}, "a"),
        ({"azp": "b", "aud": "c"}, "b"),
        ({"aud": "c"}, "c"),
        ({"aud": ["c", "d"]}, "c"),
        ({"client_id": 7, "aud": []}, None),
    ],
)
def test_the_client_is_the_first_claim_that_names_one(claims: Mapping[str, object], client: object) -> None:
    assert client == _from_claims("oauth.client_id", claims)


@pytest.mark.parametrize("name", ["jwt.claims", "jwt", "user", "user.roles", "oauth.payload", "oauth.client_id"])
def test_nobody_has_no_claims(name: str) -> None:
    assert _from_claims(name, {}) is None


def test_an_attribute_of_the_gateway_never_stands_in_for_a_claim() -> None:
    scope = PlainScope(el_context=context_root({"user": "root", "team": "a"}, principal_makers({"sub": "ann"})))
    assert "ann" == _value("#context.attributes['user']", scope)
    assert "ann" == _value("#context.attributes['gravitee.attribute.user']", scope)
    assert _value("#context.attributes['gravitee.attribute.gravitee.attribute.user']", scope) is None


@pytest.mark.parametrize(
    ("given", "asked", "found"),
    [
        ("team", "team", True),
        ("team", "gravitee.attribute.team", False),
        ("gravitee.attribute.team", "team", True),
        ("gravitee.attribute.team", "gravitee.attribute.team", True),
        ("plan", "plan", True),
        ("plan", "gravitee.attribute.plan", True),
        ("gravitee.attribute.plan", "plan", True),
        ("gravitee.attribute.plan", "gravitee.attribute.plan", True),
        ("gravitee.attribute.plan", "gravitee.attribute.gravitee.attribute.plan", False),
    ],
)
def test_an_attribute_is_found_under_its_name_and_without_the_prefix_it_has(
    given: str, asked: str, found: bool
) -> None:
    scope = PlainScope(el_context=context_root({given: "a"}, principal_makers({"sub": "ann"})))
    for text in (
        f"#context.attributes['{asked}'] == 'a'",
        f"#context.attributes.get('{asked}') == 'a'",
        f"#context.attributes[{{'{asked}'}}[0]] == 'a'",
        f"#context.attributes.containsKey('{asked}')",
        f"#context.attributes.keySet().contains('{asked}')",
    ):
        assert _value(text, scope) is found


@pytest.mark.parametrize("name", ["user", "gravitee.attribute.user", "jwt.claims", "gravitee.attribute.jwt.claims"])
def test_no_attribute_of_the_gateway_says_who_nobody_is(name: str) -> None:
    scope = PlainScope(el_context=context_root({name: "root"}, principal_makers({})))
    for asked in ("user", "gravitee.attribute.user", "jwt.claims", "gravitee.attribute.jwt.claims"):
        assert _value(f"#context.attributes['{asked}']", scope) is None


def test_all_attributes_together_are_those_of_the_gateway_and_of_the_claims() -> None:
    scope = PlainScope(el_context=context_root({"team": "a"}, principal_makers({"sub": "ann"})))
    assert _value("#context.attributes.keySet().contains('gravitee.attribute.user')", scope) is True
    assert _value("#context.attributes.values().contains('ann')", scope) is True


def test_a_time_of_a_token_is_a_date_and_a_number_out_of_range_an_error() -> None:
    claims = {"exp": 1_700_000_000, "iat": 1.5, "nbf": True, "n": InexactNumber("1e999")}
    scope = PlainScope(el_context=context_root({}, principal_makers(claims)))
    assert _value("#context.attributes['jwt.claims']['exp'].time == 1700000000000L", scope) is True
    assert _value("#context.attributes['jwt.claims']['nbf']", scope) is True
    assert isinstance(_value("#context.attributes['jwt.claims']['n'] instanceof T(String)", scope), EvalError)
    assert isinstance(_value("#context.attributes['jwt.claims']['n'].toString()", scope), EvalError)
    assert _value("#context.attributes['oauth.payload'].contains('1e999')", scope) is True


def test_the_segments_of_a_path_are_java_s() -> None:
    scope = PlainScope(el_request=request_root(Headers({}), path="/a/b//"))
    assert _value("#request.paths.length == 3 && #request.paths[0] == '' && #request.paths[2] == 'b'", scope) is True


def test_what_is_no_object_is_null() -> None:
    assert object_root("api", "text") is None
    assert {} == json_map(["a"])


def test_a_fixture_may_hold_only_part_of_what_there_is() -> None:
    environment, scope = scope_from_fixture({"attributes": {"a": "b"}, "request": {"headers": {"X-A": ["1"]}}})
    node = parse_el_value(
        "{#request.content == null && #context.attributes['a'] == 'b' && #api == null}", environment
    ).node
    assert (True,) == walk(node, scope)


def test_headers_not_known_yet_are_unknown_one_by_one_and_together() -> None:
    headers = Headers({"X-A": ["1"], "Mcp-Param-B": ["2"]}, unknown_prefix="mcp-param-")
    assert "1" == headers.first("x-a")
    with pytest.raises(UnknownFact):
        headers.first("Mcp-Param-B")
    with pytest.raises(UnknownFact):
        headers.as_map()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#properties.a == 1 && #properties['a'] == 1 && #properties[a] == 1", True),
        ("#properties.b == null", True),
        ("#properties.size() == 1 && #properties.containsKey('a')", True),
    ],
)
def test_any_mapping_is_a_map(text: str, expected: bool) -> None:
    assert _value(text, PlainScope(el_properties=MappingProxyType({"a": 1}))) is expected


def test_text_and_lists_of_other_makes_are_what_they_look_like() -> None:
    class Text(str):
        __slots__ = ()

    scope = PlainScope(el_properties={"text": Text("abc"), "list": range(3), "object": object()})
    assert _value("#properties.text instanceof T(String)", scope) is True
    assert _value("#properties.list instanceof T(java.util.List)", scope) is True
    assert _value("#properties.object instanceof T(String)", scope) is False


def test_a_path_looks_into_no_attributes_but_those_named() -> None:
    scope = PlainScope(el_context=context_root({"plan": "gold"}))
    assert isinstance(_value("#jsonPath({#context.attributes}, '$[0].plan') == null", scope), EvalError)
