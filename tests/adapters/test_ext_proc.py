"""Envoy's external processing, the request: what is asked, what is denied, and what may come when."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mcp_acl.adapters import ext_proc
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import TokenState
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.runtime.gate import Answer, Gate, Question
from tests.adapters.ext_proc import (
    BUFFERED,
    DUPLEX,
    REQUEST_TRAILERS,
    RESPONSE_TRAILERS,
    STREAMED,
    Conversation,
    is_denied,
    request_body,
    request_headers,
    response_body,
    response_headers,
    set_headers,
    told,
    told_metadata,
)
from tests.runtime.weather import POLICIES, body, call

GRANTED = call("forecast", city="Oslo")
NO_BODY = {":method": "GET", ":path": "/mcp"}


class Listening(Gate):
    """Remembers the questions."""

    def __init__(self) -> None:
        super().__init__(POLICIES)
        self.questions: list[Question] = []

    def check(self, question: Question) -> Answer:
        self.questions.append(question)
        return super().check(question)


def error_of(answer: pb.ProcessingResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.immediate_response.body)["error"]
    return found


# ---- decisions -------------------------------------------------------------------------------------------------------


def test_headers_are_taken_without_what_would_have_a_response_encoded() -> None:
    answer = Conversation().one(request_headers(accept_encoding="gzip"))
    assert ["accept-encoding"] == list(answer.request_headers.response.header_mutation.remove_headers)
    assert not answer.HasField("dynamic_metadata")


@pytest.mark.parametrize(("config", "mode"), [(STREAMED, pb.STREAMED), (BUFFERED, pb.BUFFERED)])
def test_trailers_are_asked_for_because_they_may_come_without_a_body(
    config: pb.ProtocolConfiguration, mode: Any
) -> None:
    override = Conversation().one(request_headers(config)).mode_override
    expected = pb.ProcessingMode(request_body_mode=pb.BUFFERED, response_body_mode=mode, request_trailer_mode=pb.SEND)
    assert expected == override


def test_call_that_is_granted_goes_on_with_its_decision_as_metadata() -> None:
    found = Conversation()
    answer = found.one(request_headers(), request_body(call("forecast", city="Oslo")))
    assert answer.HasField("request_body")
    said = told_metadata(answer)
    assert ("allow", "granted", ["weather/forecasts"]) == (said["decision"], said["reason"], said["rules"])
    assert POLICIES.revision == said["revision"]
    assert said["decision_id"]
    assert not found.session.is_over


def test_call_that_is_denied_is_answered_in_both_forms_of_header() -> None:
    found = Conversation()
    answer = found.one(request_headers(), request_body(call("delete")))
    immediate = answer.immediate_response
    assert (200, "mcp_acl_denied{no_matching_rule}") == (immediate.status.code, immediate.details)
    assert {"content-type": "application/json"} == set_headers(immediate.headers)
    assert 1 == json.loads(immediate.body)["id"]
    assert "deny" == told_metadata(answer)["decision"]
    assert found.session.is_over


def test_notification_that_is_denied_has_no_body_and_no_type() -> None:
    answer = Conversation().one(request_headers(), request_body(body("tools/call", None, name="delete")))
    immediate = answer.immediate_response
    assert (202, b"", ["content-type"]) == (
        immediate.status.code,
        immediate.body,
        list(immediate.headers.remove_headers),
    )


def test_request_without_a_body_is_decided_by_its_headers() -> None:
    answer = Conversation().one(request_headers(headers=NO_BODY, end=True))
    assert "always_permitted" == told_metadata(answer)["reason"]
    assert answer.HasField("request_headers")
    assert (
        Conversation()
        .one(request_headers(headers={**NO_BODY, ":method": "PUT"}, end=True))
        .HasField("immediate_response")
    )


def test_post_without_a_body_is_denied() -> None:
    assert 400 == Conversation().one(request_headers(end=True)).immediate_response.status.code


@pytest.mark.parametrize("end", [True, False])
def test_buffered_body_is_whole_whether_trailers_follow_or_not(end: bool) -> None:
    found = Conversation()
    assert found.one(request_headers(), request_body(GRANTED, end=end)).HasField("request_body")
    assert found.one(REQUEST_TRAILERS).HasField("request_trailers")


def test_trailers_without_a_body_are_decided_as_no_body() -> None:
    assert Conversation().one(request_headers(), REQUEST_TRAILERS).HasField("immediate_response")
    found = Conversation()
    assert found.one(request_headers(headers=NO_BODY), REQUEST_TRAILERS).HasField("request_trailers")


# ---- FULL_DUPLEX_STREAMED ------------------------------------------------------------------------------------------------


def test_body_in_pieces_is_gathered_and_nothing_goes_on_before_its_end() -> None:
    found = Conversation()
    text = call("forecast", city="Oslo" * 20_000)
    assert [] == found.say(request_headers(DUPLEX), request_body(text[:10], end=False))
    headers, *pieces = found.say(request_body(text[10:]))
    assert "allow" == told_metadata(headers)["decision"]
    assert headers.HasField("request_headers")
    streamed = [one.request_body.response.body_mutation.streamed_response for one in pieces]
    assert text == b"".join(one.body for one in streamed)
    assert [False, True] == [one.end_of_stream for one in streamed]


def test_body_in_pieces_that_is_denied_sends_nothing_on() -> None:
    found = Conversation()
    text = call("delete")
    assert [] == found.say(request_headers(DUPLEX), request_body(text[:10], end=False))
    assert found.one(request_body(text[10:])).HasField("immediate_response")


def test_body_in_pieces_may_end_with_trailers() -> None:
    found = Conversation()
    headers, piece, trailers = found.say(request_headers(DUPLEX), request_body(GRANTED, end=False), REQUEST_TRAILERS)
    assert headers.HasField("request_headers")
    assert not piece.request_body.response.body_mutation.streamed_response.end_of_stream
    assert trailers.HasField("request_trailers")
    denied = Conversation().say(request_headers(DUPLEX), request_body(call("delete"), end=False), REQUEST_TRAILERS)
    assert ["immediate_response"] == [one.WhichOneof("response") for one in denied]


def test_body_in_pieces_has_an_end() -> None:
    found = Conversation()
    half = b" " * (DEFAULT_LIMITS.size // 2)
    assert [] == found.say(request_headers(DUPLEX), request_body(half, end=False), request_body(half, end=False))
    assert "larger than" in error_of(found.one(request_body(b" ", end=False)))["message"]


# ---- what is asked -----------------------------------------------------------------------------------------------------


def test_question_holds_what_the_gateway_told() -> None:
    of = Listening()
    sources = Sources(jwt=(("jwt", "claims"),), attribute_metadata=("tenant",))
    found = Conversation(of, sources=sources)
    headers = {":method": "POST", ":path": "/mcp?x", ":authority": "mcp.test", "X-Odd": ["a", b"\xff"]}
    attributes = {"source.address": "[::1]:4711", "xds.route_name": "all"}
    namespaces = {"jwt": {"claims": {"sub": "ann"}}, "tenant": {"id": "acme"}}
    found.say(
        request_headers(headers=headers, attributes=attributes, namespaces=namespaces, mcp_session_id="s1"),
        request_body(GRANTED),
    )
    (question,) = of.questions
    assert ("weather", GRANTED, {"sub": "ann"}) == (question.server, question.message, question.claims)
    assert (TokenState.VALID, "s1", True) == (question.token, question.session_id, question.filters_responses)
    http = question.http
    assert ("POST", "/mcp?x", "::1") == (http.method, http.path, http.remote_address)
    assert {"x-odd": ["a", "\ufffd"], "host": ["mcp.test"], "mcp-session-id": ["s1"]} == http.headers
    assert {**attributes, "tenant": {"id": "acme"}} == question.attributes


def test_header_that_has_only_a_text_counts() -> None:
    of = Listening()
    message = request_headers(headers=NO_BODY, end=True)
    message.request_headers.headers.headers.append(base.HeaderValue(key="x-text", value="größe"))
    Conversation(of).say(message)
    assert ["größe"] == of.questions[0].http.headers["x-text"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:80", "127.0.0.1"), ("[::1]:80", "::1"), ("/run/a.sock", "/run/a.sock"), ("", ""), (7, "")],
)
def test_address_has_no_port(address: object, expected: str) -> None:
    of = Listening()
    Conversation(of).say(request_headers(headers=NO_BODY, end=True, attributes={"source.address": address}))
    assert expected == of.questions[0].http.remote_address


def test_name_in_a_certificate_is_a_uri_before_a_dns_name() -> None:
    of = Listening()
    names = {
        "connection.uri_san_peer_certificate": "spiffe://a",
        "connection.dns_san_peer_certificate": "a.test",
    }
    for attributes in (names, {"connection.dns_san_peer_certificate": "a.test"}, {}):
        found = Conversation(of, sources=Sources(mtls_principals=True))
        found.say(request_headers(headers=NO_BODY, end=True, attributes=attributes))
    assert [{"sub": "spiffe://a"}, {"sub": "a.test"}, {}] == [one.claims for one in of.questions]


def test_server_that_nobody_names_is_denied() -> None:
    answer = Conversation(metadata=()).one(request_headers(headers=NO_BODY, end=True))
    assert "no_policy" in answer.immediate_response.details


# ---- set-ups in which something would pass unseen ------------------------------------------------------------------------

_UNSAFE: set[Any] = {pb.NONE, pb.BUFFERED_PARTIAL, pb.GRPC, 17}


@pytest.mark.parametrize(
    ("config", "told_to_set"),
    [
        (None, "protocol_config"),
        (pb.ProtocolConfiguration(), "request_body_mode: BUFFERED"),
        *[
            (pb.ProtocolConfiguration(request_body_mode=mode, response_body_mode=pb.STREAMED), "request_body_mode")
            for mode in sorted(_UNSAFE | {pb.STREAMED})
        ],
        *[
            (pb.ProtocolConfiguration(request_body_mode=pb.BUFFERED, response_body_mode=mode), "response_body_mode")
            for mode in sorted(_UNSAFE)
        ],
    ],
)
@pytest.mark.parametrize("end", [True, False])
def test_unsafe_mode_denies_what_would_be_allowed(
    config: pb.ProtocolConfiguration | None, told_to_set: str, end: bool
) -> None:
    answer = Conversation().one(request_headers(config, headers=NO_BODY, end=end))
    assert told_to_set in error_of(answer)["message"]


@pytest.mark.parametrize("kept_back", [":method", ":path"])
def test_request_without_method_or_path_names_the_rules_that_keep_them_back(kept_back: str) -> None:
    headers = {name: value for name, value in NO_BODY.items() if name != kept_back}
    assert "forward_rules" in error_of(Conversation().one(request_headers(headers=headers, end=True)))["message"]


@pytest.mark.parametrize("first", [request_body(GRANTED), REQUEST_TRAILERS])
def test_request_whose_headers_were_skipped_is_denied(first: pb.ProcessingRequest) -> None:
    first.protocol_config.CopyFrom(STREAMED)
    assert "request_header_mode: SEND" in error_of(Conversation().one(first))["message"]


def test_response_of_a_server_that_was_not_asked_through_us_is_denied() -> None:
    found = Conversation()
    first = told(response_headers(), {"response.code_details": "via_upstream"})
    assert "request_header_mode: SEND" in error_of(found.one(first))["message"]


def test_observability_mode_is_told_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    ext_proc.warn.cache_clear()
    for _ in range(2):
        message = request_headers(headers=NO_BODY, end=True)
        message.observability_mode = True
        with caplog.at_level(logging.WARNING):
            assert Conversation().one(message).HasField("request_headers")
    assert 1 == caplog.text.count("observability_mode")


# ---- a gateway's own answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "passes"),
    [
        (told(response_headers("text/plain", 401), {"response.code_details": "jwt_authn_access_denied{x}"}), True),
        (told(response_headers(), {"response.code_details": "ext_authz_denied"}), True),
        (told(response_headers(), {"response.code_details": ""}), False),
        (told(response_headers(), {"response.code_details": 7}), False),
        (response_headers("text/plain", 401), True),
        (response_headers("text/plain", 200), False),
        (response_headers("application/json", 401), False),
        (response_headers("text/event-stream", 401), False),
        (response_headers("", 401), False),
        (response_headers("", 204, end=True), True),
        (response_headers("application/json", 200, end=True), True),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_answer_before_a_decision_passes_if_it_is_the_gateways(
    first: pb.ProcessingRequest, passes: bool, asked: bool
) -> None:
    found = Conversation()
    if asked:
        found.say(request_headers())
    answer = found.one(first)
    assert passes == answer.HasField("response_headers")
    assert passes != answer.HasField("immediate_response")
    assert found.session.is_over


# ---- what may come when ------------------------------------------------------------------------------------------------

ASKED = [request_headers()]
ALLOWED = [request_headers(headers=NO_BODY, end=True)]
DENIED = [request_headers(), request_body(call("delete"))]


@pytest.mark.parametrize(
    "messages",
    [
        [response_body(b"{}")],
        [RESPONSE_TRAILERS],
        [pb.ProcessingRequest()],
        [*ASKED, request_headers()],
        [*ASKED, response_body(b"{}")],
        [*ALLOWED, request_headers()],
        [*ALLOWED, request_body(b"{}")],
        [*ALLOWED, RESPONSE_TRAILERS],
        [*ALLOWED, response_body(b"{}")],
        [*ALLOWED, response_headers(), response_headers()],
        [*ALLOWED, pb.ProcessingRequest()],
        [*DENIED, request_body(GRANTED)],
        [*DENIED, response_headers()],
        [*ALLOWED, response_headers("application/json", 0)],
    ],
)
def test_message_that_does_not_belong_ends_the_call_with_an_error(messages: list[pb.ProcessingRequest]) -> None:
    found = Conversation(early_close=False)
    found.say(*messages[:-1])
    with pytest.raises(ApiError):
        found.say(messages[-1])


def test_bytes_that_are_no_message_end_the_call_with_an_error() -> None:
    with pytest.raises(ApiError, match="ProcessingRequest"):
        Conversation().session.feed(b"\xff")


@pytest.mark.parametrize("messages", [[], ASKED, [request_headers(DUPLEX), request_body(b"{", end=False)]])
def test_call_that_ends_before_a_decision_ends_with_an_error(messages: list[pb.ProcessingRequest]) -> None:
    found = Conversation()
    found.say(*messages)
    with pytest.raises(ApiError, match="before"):
        found.session.close()


@pytest.mark.parametrize("messages", [ALLOWED, DENIED])
def test_call_that_ends_after_a_decision_has_nothing_due(messages: list[pb.ProcessingRequest]) -> None:
    found = Conversation()
    found.say(*messages)
    assert () == found.session.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda message: message.attributes["envoy.filters.http.ext_proc"].fields["a"].Clear(),
        lambda message: message.request_headers.headers.headers.extend([base.HeaderValue(key="a")] * 1001),
    ],
)
def test_facts_that_cannot_be_read_end_the_call_with_an_error(spoil: Callable[[pb.ProcessingRequest], None]) -> None:
    message = request_headers(headers=NO_BODY, end=True)
    spoil(message)
    with pytest.raises(ApiError):
        Conversation().say(message)


def test_nothing_is_over_before_it_is_decided() -> None:
    for config in (STREAMED, BUFFERED, DUPLEX):
        found = Conversation()
        assert not is_denied(found.say(request_headers(config)))
        assert not found.session.is_over
