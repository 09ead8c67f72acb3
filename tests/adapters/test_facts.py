"""What is believed of what a gateway says around a message: every row of the order, and what a client can write of it."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value

from mcp_acl.adapters.facts import (
    FAILURE,
    FILTERED_EXTENSION,
    NAMESPACE,
    SERVER_EXTENSION,
    SERVER_METADATA,
    Facts,
    Sources,
    Told,
    facts_from,
)
from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import InexactNumber, TokenState

AUTHN = "envoy.filters.http.jwt_authn"
PAYLOAD = "jwt_payload"
CLAIMS = {"sub": "ann", "exp": 1_795_507_328.0, "aud": ["a", "b"], "weight": 1.5, "email_verified": True}
MISSING = {"code": 1, "message": "Jwt is missing"}
BAD = {"code": 26, "message": "Jwt verification fails"}
HEADER = Sources(claims_header="X-Claims")


def struct(value: Mapping[str, Any]) -> Struct:
    return ParseDict(dict(value), Struct())


def spaces(**fields: Any) -> Mapping[str, Struct]:
    """Dynamic metadata as jwt_authn writes it."""
    return {AUTHN: struct(fields)}


def believed(told: Told, **sources: Any) -> Facts:
    return facts_from(Sources(**sources), told)


# ---- the server -----------------------------------------------------------------------------------------------------

WAYS: Mapping[str, Mapping[str, Any]] = {
    f"context extension `{SERVER_EXTENSION}`": {"extensions": {SERVER_EXTENSION: "extension"}},
    f"gRPC metadata `{SERVER_METADATA}`": {"metadata": [(SERVER_METADATA, "metadata")]},
    f"metadata `{NAMESPACE}/server`": {"namespaces": {NAMESPACE: struct({"server": "namespace"})}},
    "attribute `xds.route_name`": {"attributes": {"xds.route_name": "attribute"}},
    "setting `server`": {},
}
NAMES = ["extension", "metadata", "namespace", "attribute", "setting"]


@pytest.mark.parametrize("first", range(len(WAYS)))
def test_server_is_the_first_that_is_named(first: int) -> None:
    origin = [*WAYS][first]
    told = Told(**{name: value for way in [*WAYS.values()][first:] for name, value in way.items()})
    facts = believed(told, server="setting", server_attribute="xds.route_name")
    assert (NAMES[first], origin) == (facts.server, facts.origins["server"])


def test_two_servers_in_one_place_are_a_contradiction() -> None:
    told = Told(metadata=[(SERVER_METADATA, "a"), (SERVER_METADATA, "b")])
    with pytest.raises(ApiError, match=SERVER_METADATA):
        believed(told)
    assert "a" == believed(Told(metadata=[(SERVER_METADATA, "a"), (SERVER_METADATA, "a")])).server


@pytest.mark.parametrize("value", [7, None, ["a"], {"a": "b"}, ""])
def test_server_that_is_no_text_is_none_and_not_another(value: Any) -> None:
    told = Told(namespaces={NAMESPACE: struct({"server": value})})
    assert "" == believed(told, server="setting").server
    given = Told(attributes={"xds.route_name": value})
    assert "" == believed(given, server="setting", server_attribute="xds.route_name").server
    assert "setting" == believed(given, server="setting").server


def test_empty_name_is_a_name() -> None:
    assert "" == believed(Told(extensions={SERVER_EXTENSION: ""}), server="setting").server


# ---- the principal --------------------------------------------------------------------------------------------------


def test_verified_token_counts_first() -> None:
    told = Told(namespaces=spaces(jwt_payload=CLAIMS), principal="spiffe://x", headers={"x-claims": ['{"sub":"eve"}']})
    facts = believed(told, mtls_principals=True, claims_header="X-Claims")
    assert (TokenState.VALID, CLAIMS) == (facts.token, facts.claims)
    assert f"metadata `{AUTHN}/{PAYLOAD}`" == facts.origins["token"]


def test_numbers_of_claims_are_whole_again_if_they_were() -> None:
    claims = believed(Told(namespaces=spaces(jwt_payload={**CLAIMS, "big": 1e17}))).claims
    assert (int, float) == (type(claims["exp"]), type(claims["weight"]))
    assert (1_795_507_328, ["a", "b"], True) == (claims["exp"], claims["aud"], claims["email_verified"])
    assert isinstance(claims["big"], InexactNumber)


def test_certificate_counts_after_a_token_and_only_if_a_setting_says_so() -> None:
    told = Told(principal="spiffe://x", headers={"x-claims": ['{"sub":"eve"}']})
    facts = believed(told, mtls_principals=True, claims_header="x-claims")
    assert (TokenState.VALID, {"sub": "spiffe://x"}, "client certificate") == (
        facts.token,
        facts.claims,
        facts.origins["token"],
    )
    assert TokenState.NONE is believed(told).token


def test_header_counts_last_and_only_if_a_setting_names_it() -> None:
    told = Told(headers={"x-claims": ['{"sub":"ann"}']})
    facts = facts_from(HEADER, told)
    assert (TokenState.VALID, {"sub": "ann"}, "header `X-Claims`") == (
        facts.token,
        facts.claims,
        facts.origins["token"],
    )
    assert (TokenState.NONE, {}) == believed(told)[2:0:-1]


@pytest.mark.parametrize("padding", ["", "=", "=="])
@pytest.mark.parametrize("claims", [{"sub": "ann"}, {"sub": "än>?"}, {}])
def test_header_may_hold_json_or_what_a_token_holds(claims: Mapping[str, str], padding: str) -> None:
    text = json.dumps(claims)
    for value in (text, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") + padding):
        facts = facts_from(HEADER, Told(headers={"x-claims": [value]}))
        assert (TokenState.VALID, claims) == (facts.token, facts.claims)


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ["{"],
        ["[]"],
        ["W10"],
        ['{"sub":"a","sub":"b"}'],
        ['{"sub":"a"},{"sub":"b"}'],
        ["not base64!"],
        ["ann"],
        ["é"],
        ['{"sub":"a"}', '{"sub":"a"}'],
    ],
)
def test_header_that_cannot_be_read_is_a_token_that_is_no_good(values: list[str]) -> None:
    facts = facts_from(HEADER, Told(headers={"x-claims": values}))
    assert (TokenState.INVALID, {}) == (facts.token, facts.claims)


@pytest.mark.parametrize(("anonymous", "token"), [(True, TokenState.NONE), (False, TokenState.MISSING)])
def test_nobody_is_anonymous_or_has_to_say_who_it_is(anonymous: bool, token: TokenState) -> None:
    for told in (Told(), Told(namespaces=spaces()), Told(namespaces=spaces(jwt_failure=MISSING))):
        assert (token, {}) == believed(told, anonymous=anonymous)[2:0:-1]


@pytest.mark.parametrize(
    "failure",
    [BAD, {"code": 3, "message": "Jwt is expired"}, {"code": 1}, {}, {"message": "jwt is missing"}, "x", None],
)
def test_failure_that_is_not_a_missing_token_is_a_token_that_is_no_good(failure: Any) -> None:
    told = Told(namespaces=spaces(jwt_failure=failure), principal="x", headers={"x-claims": ["{}"]})
    facts = believed(told, mtls_principals=True, claims_header="x-claims")
    assert (TokenState.INVALID, {}, f"metadata `{AUTHN}/{FAILURE}`") == (
        facts.token,
        facts.claims,
        facts.origins["token"],
    )


def test_good_token_of_one_provider_counts_though_another_says_it_is_not_its_own() -> None:
    told = Told(namespaces=spaces(second={"sub": "ann"}, jwt_failure={"code": 24}))
    facts = believed(told, jwt=((AUTHN, PAYLOAD), (AUTHN, "second")))
    assert (TokenState.VALID, {"sub": "ann"}) == (facts.token, facts.claims)


@pytest.mark.parametrize("payload", ["text", 7, None, ["a"], True])
def test_claims_that_are_no_object_are_misuse(payload: Any) -> None:
    with pytest.raises(ApiError, match=PAYLOAD):
        believed(Told(namespaces=spaces(jwt_payload=payload)))


def test_claims_that_cannot_be_read_are_misuse() -> None:
    for value in (Value(), Value(number_value=float("nan"))):
        space = Struct(fields={PAYLOAD: Value(struct_value=Struct(fields={"x": value}))})
        with pytest.raises(ApiError, match=PAYLOAD):
            believed(Told(namespaces={AUTHN: space}))


@pytest.mark.parametrize("size", [1, 10_000])
def test_claims_are_those_that_came_whoever_came_before(size: int) -> None:
    for name in ("ann", "bob", "ann"):
        claims = {"sub": name, "text": "x" * size}
        assert claims == believed(Told(namespaces=spaces(**{PAYLOAD: claims}))).claims


def test_payload_elsewhere_does_not_count() -> None:
    told = Told(namespaces={"client.written": struct({PAYLOAD: CLAIMS}), AUTHN: struct({"another": CLAIMS})})
    assert TokenState.NONE is believed(told).token


def test_nothing_that_a_client_writes_is_believed_unless_it_is_named() -> None:
    names = [
        SERVER_METADATA,
        SERVER_EXTENSION,
        PAYLOAD,
        AUTHN,
        NAMESPACE,
        "authorization",
        "x-claims",
        "claims",
        "server",
    ]
    told = Told(headers={name: ['{"sub":"eve"}'] for name in names})
    assert ("", {}, TokenState.NONE, {}) == believed(told)[:4]


# ---- attributes -----------------------------------------------------------------------------------------------------


def test_attributes_are_what_the_gateway_says_each_with_where_it_is_from() -> None:
    told = Told(
        extensions={SERVER_EXTENSION: "s", FILTERED_EXTENSION: "true", "tenant": "a"},
        attributes={"route": "r"},
        namespaces={"com.example": struct({"plan": "gold", "n": 3.0}), "unnamed": struct({"x": 1})},
        principal="spiffe://x",
    )
    facts = believed(told, attribute_metadata=("com.example", "absent"))
    assert {
        "tenant": "a",
        "route": "r",
        "com.example": {"plan": "gold", "n": 3},
        "principal": "spiffe://x",
    } == facts.attributes
    assert {
        "attributes.tenant": "context extension",
        "attributes.route": "attribute",
        "attributes.com.example": "metadata",
        "attributes.principal": "client certificate",
    }.items() <= facts.origins.items()


def test_certificate_is_what_it_is_whatever_the_route_says() -> None:
    told = Told(extensions={"principal": "admin"}, attributes={"principal": "admin"}, principal="spiffe://x")
    assert "spiffe://x" == believed(told).attributes["principal"]


def test_namespace_that_cannot_be_read_is_misuse() -> None:
    with pytest.raises(ApiError, match=r"com\.example"):
        believed(Told(namespaces={"com.example": Struct(fields={"x": Value()})}), attribute_metadata=("com.example",))
