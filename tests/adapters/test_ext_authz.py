"""Envoy's external authorization: what a question is made of, and the answer as bytes."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.ext_authz import check, question_from
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import Http, TokenState
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_authz_pb2 as pb
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Question
from tests.runtime.weather import call, gate

ROME = call("forecast", city="Rome")
SOURCES = Sources(server="weather", jwt=(("jwt", "claims"),))


def spaces(**namespaces: Mapping[str, Any]) -> base.Metadata:
    return base.Metadata(filter_metadata={name: ParseDict(dict(value), Struct()) for name, value in namespaces.items()})


def asked(
    message: bytes = ROME, headers: Mapping[str, str] | None = None, *, method: str = "POST", **attributes: Any
) -> bytes:
    given = {":authority": "mcp.test", ":method": method} if headers is None else headers
    http = pb.HttpRequest(method=method, path="/mcp?x", raw_body=message, headers=given)
    return pb.AuthorizationRequest(
        attributes=pb.Attributes(request=pb.Received(http=http), **attributes)
    ).SerializeToString()


def question(body: bytes, *, filtered: bool = False, **sources: Any) -> Question:
    usual = {"server": "weather", "jwt": SOURCES.jwt}
    return question_from(Sources(**{**usual, **sources}), filtered, (), body)[0]


def reply(body: bytes) -> pb.AuthorizationResponse:
    return pb.AuthorizationResponse.FromString(check(gate(), SOURCES, False, (), body))


def test_question_holds_what_envoy_told() -> None:
    source = pb.Peer(
        address=pb.Address(socket_address=pb.SocketAddress(address="10.0.0.1")), principal="spiffe://x/agent"
    )
    headers = {":authority": "mcp.test", "X-Odd": "1,2", "mcp-session-id": "s"}
    found = question(asked(headers=headers, source=source), mtls_principals=True)
    assert (ROME, "weather", TokenState.VALID, {"sub": "spiffe://x/agent"}, "s") == (
        found.message,
        found.server,
        found.token,
        found.claims,
        found.session_id,
    )
    expected = {"x-odd": ["1,2"], "mcp-session-id": ["s"], "host": ["mcp.test"]}
    assert Http("POST", "/mcp?x", expected, "10.0.0.1") == found.http
    assert {"principal": "spiffe://x/agent"} == found.attributes


def test_certificate_counts_only_if_a_setting_says_so() -> None:
    assert TokenState.NONE is question(asked(source=pb.Peer(principal="x"))).token


def test_route_counts_before_what_filters_have_found_out() -> None:
    found_out = spaces(mcp_acl={"server": "dynamic", "other": 1}, jwt={"claims": {"sub": "ann"}})
    of_route = spaces(mcp_acl={"server": "route"})
    found = question(asked(metadata_context=found_out, route_metadata_context=of_route))
    assert ("route", {"sub": "ann"}) == (found.server, found.claims)
    assert "dynamic" == question(asked(metadata_context=found_out)).server


@pytest.mark.parametrize(("said", "setting", "filtered"), [("true", False, True), ("false", True, False)])
def test_route_says_whether_responses_are_filtered_behind(said: str, setting: bool, filtered: bool) -> None:
    extensions = {"mcp_acl_filtered_behind": said}
    assert filtered is question(asked(context_extensions=extensions), filtered=setting).filters_responses
    assert setting is question(asked(), filtered=setting).filters_responses
    with pytest.raises(ApiError, match="mcp_acl_filtered_behind"):
        question(asked(context_extensions={"mcp_acl_filtered_behind": "True"}))


@pytest.mark.parametrize(
    ("method", "headers", "is_missing"),
    [
        ("POST", {}, True),
        ("POST", {"content-length": "0"}, False),
        ("POST", {"content-length": "7"}, True),
        ("POST", {"content-length": "0,7"}, True),
        ("GET", {}, False),
        ("GET", {"content-length": "0"}, False),
        ("GET", {"content-length": "7"}, True),
        ("GET", {"transfer-encoding": "chunked"}, True),
        ("DELETE", {"transfer-encoding": "chunked"}, True),
    ],
)
def test_body_that_must_be_there_and_is_not_is_missed(
    method: str, headers: Mapping[str, str], is_missing: bool
) -> None:
    message = question(asked(b"", headers, method=method)).message
    assert is_missing == (isinstance(message, MessageError) and "with_request_body" in message.message)


@pytest.mark.parametrize("value", ["true", "True", "", "false,true", "1"])
def test_body_that_may_be_cut_is_refused(value: str) -> None:
    message = question(asked(headers={"x-envoy-auth-partial-body": value})).message
    assert isinstance(message, MessageError)
    assert ROME == question(asked(headers={"x-envoy-auth-partial-body": "false"})).message


@pytest.mark.parametrize("off", [-1, 1])
def test_body_that_is_not_as_long_as_its_header_says_is_refused(off: int) -> None:
    message = question(asked(headers={"content-length": str(len(ROME) + off)})).message
    assert isinstance(message, MessageError)
    assert ROME == question(asked(headers={"content-length": str(len(ROME))})).message


def test_headers_have_a_bound() -> None:
    question(asked(headers={str(number): "x" for number in range(MAX_HEADERS)}))
    with pytest.raises(ApiError, match="headers"):
        question(asked(headers={str(number): "x" for number in range(MAX_HEADERS + 1)}))


def test_denial_has_each_header_in_both_forms() -> None:
    denied = reply(asked(call("forecast", city="Atlantis")))
    (header,) = denied.denied.headers
    assert ("content-type", "application/json", b"application/json") == (
        header.header.key,
        header.header.value,
        header.header.raw_value,
    )
    assert (7, 200) == (denied.status.code, denied.denied.status.code)


def test_permission_is_told_whole_though_half_of_it_is_remembered() -> None:
    for _ in range(2):
        permitted = reply(asked())
        assert ("permitted", 0) == (permitted.WhichOneof("answer"), permitted.status.code)
        told = MessageToDict(permitted.dynamic_metadata)
        assert {"decision", "reason", "rules", "revision", "decision_id"} == told.keys()
    assert told["decision_id"] != MessageToDict(reply(asked()).dynamic_metadata)["decision_id"]


def test_text_that_is_not_utf8_is_misuse_and_no_permission() -> None:
    with pytest.raises(ApiError):
        reply(asked(headers={"x": "??"}).replace(b"??", b"\xff\xff"))
