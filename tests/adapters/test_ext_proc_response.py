"""Envoy's external processing, the response: what is filtered in each mode, what is let go, what is withheld."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import Request
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.observed import Decided, ObservedGate, Observer, Replied
from tests.adapters.ext_proc import (
    BUFFERED,
    DUPLEX,
    RESPONSE_TRAILERS,
    STREAMED,
    WEATHER,
    Conversation,
    request_body,
    request_headers,
    response_body,
    response_headers,
    set_headers,
)
from tests.runtime.weather import POLICIES, TOOLS, body, call, listed

LIST = body("tools/list")
CALL = call("forecast", city="Oslo")
SHOWN = listed("forecast")
LISTED = listed(*TOOLS)
EVENTS = b": hello\n\n" + b"".join(b"data: " + one + b"\n\n" for one in (listed(*TOOLS), listed("history"), LISTED))
MODES = {"STREAMED": STREAMED, "BUFFERED": BUFFERED, "DUPLEX": DUPLEX}
JSON, SSE = "application/json", "text/event-stream"


def answering(config: pb.ProtocolConfiguration, message: bytes = LIST, **gateways: Any) -> Conversation:
    """A session that has let a request pass."""
    found = Conversation(**gateways)
    *_, last = found.say(request_headers(config), request_body(message))
    assert last.HasField("request_body")
    return found


def opened(config: pb.ProtocolConfiguration = STREAMED) -> Conversation:
    """A session that has let a GET pass."""
    found = Conversation()
    headers = {":method": "GET", ":path": "/mcp", "accept": SSE}
    assert found.one(request_headers(config, headers=headers, end=True)).HasField("request_headers")
    return found


def sent(config: pb.ProtocolConfiguration, answers: Sequence[pb.ProcessingResponse], pieces: Sequence[bytes]) -> bytes:
    """What the gateway sends to its client, having had these answers to these pieces of a body."""
    changes = [one.response_body.response.body_mutation for one in answers if one.HasField("response_body")]
    if config is DUPLEX:
        return b"".join(one.streamed_response.body for one in changes)
    assert len(changes) == len(pieces)
    out = []
    for change, piece in zip(changes, pieces, strict=True):
        kind = change.WhichOneof("mutation")
        out.append({"body": change.body, "clear_body": b"", None: piece}[kind])
    return b"".join(out)


def through(
    config: pb.ProtocolConfiguration, content_type: str, pieces: Sequence[bytes], message: bytes = LIST
) -> bytes:
    found = answering(config, message)
    assert found.one(response_headers(content_type)).HasField("response_headers")
    answers = [
        answer
        for number, piece in enumerate(pieces, 1)
        for answer in found.say(response_body(piece, end=number == len(pieces)))
    ]
    assert found.session.is_over
    return sent(config, answers, pieces)


# ---- filtered ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_list_is_filtered_in_every_mode(mode: str) -> None:
    assert SHOWN == through(MODES[mode], JSON, [LISTED])


class Watching(Observer):
    """Keeps the span that each answer belongs under."""

    def __init__(self) -> None:
        self.spans: list[str] = []

    def decided(self, every: Sequence[Decided]) -> None:
        self.spans += [decided.trace.span_id if decided.trace is not None else "" for decided in every]

    def replied(self, replied: Replied) -> None:
        self.spans.append(replied.trace.span_id if replied.trace is not None else "")


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("mode", MODES)
def test_response_is_told_under_the_span_of_the_gateways_call(mode: str, encoding: str) -> None:
    watching = Watching()
    metadata = (*WEATHER, ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"))
    found = Conversation(ObservedGate([watching], POLICIES), metadata)
    client = f"00-{'3' * 32}-{'4' * 16}-01"
    found.say(request_headers(MODES[mode], traceparent=client), request_body(LIST))
    found.say(response_headers(content_encoding=encoding) if encoding else response_headers())
    if not encoding:
        found.say(response_body(LISTED, end=True))
    assert ["2" * 16] * 2 == watching.spans


@pytest.mark.parametrize("mode", ["STREAMED", "DUPLEX"])
def test_json_is_kept_until_it_is_whole(mode: str) -> None:
    assert SHOWN == through(MODES[mode], JSON, [LISTED[:20], LISTED[20:], b""])


@pytest.mark.parametrize("mode", MODES)
def test_events_are_filtered_in_every_mode(mode: str) -> None:
    assert b"history" not in through(MODES[mode], SSE, [EVENTS])


@given(
    st.lists(st.integers(0, len(EVENTS)), max_size=8),
    st.sampled_from([JSON, SSE]),
    st.sampled_from(["STREAMED", "DUPLEX"]),
)
def test_cuts_change_nothing_of_what_is_sent(cuts: list[int], content_type: str, mode: str) -> None:
    text = EVENTS if content_type == SSE else LISTED
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert through(MODES[mode], content_type, [text]) == through(MODES[mode], content_type, pieces)


def test_streamed_answers_every_piece_with_one_answer() -> None:
    found = answering(STREAMED)
    found.say(response_headers(SSE))
    event = b"data: " + LISTED + b"\n\n"
    kept = found.one(response_body(event[:10]))
    assert kept.response_body.response.body_mutation.clear_body
    assert not found.session.is_over
    passed = found.one(response_body(event[10:]))
    assert b"data: " + SHOWN + b"\n\n" == passed.response_body.response.body_mutation.body
    unchanged = found.one(response_body(b": here\n\n"))
    assert not unchanged.response_body.response.HasField("body_mutation")


def test_headers_that_are_not_true_any_more_are_removed() -> None:
    found = answering(STREAMED)
    answer = found.one(response_headers(content_length="7", etag="x", mcp_session_id="s"))
    assert ["content-length", "etag"] == list(answer.response_headers.response.header_mutation.remove_headers)
    assert not answer.HasField("mode_override")


def test_buffered_body_has_its_new_length() -> None:
    found = answering(BUFFERED)
    headers = found.one(response_headers(content_length=str(len(LISTED)), etag="x"))
    assert not headers.response_headers.response.HasField("header_mutation")
    mutation = found.one(response_body(LISTED, end=True)).response_body.response.header_mutation
    assert {"content-length": str(len(SHOWN))} == set_headers(mutation)
    assert ["etag"] == list(mutation.remove_headers)


def test_buffered_body_that_needs_no_change_keeps_its_headers() -> None:
    found = answering(BUFFERED)
    found.say(response_headers(content_length=str(len(SHOWN)), etag="x"))
    assert pb.ProcessingResponse(response_body=pb.BodyResponse()) == found.one(response_body(SHOWN, end=True))


def test_buffered_body_that_is_withheld_has_status_and_type_of_an_error() -> None:
    found = answering(BUFFERED)
    found.say(response_headers("text/plain", 203))
    answer = found.one(response_body(b"hello", end=True)).response_body.response
    assert {"content-type": JSON, ":status": "200"}.items() <= set_headers(answer.header_mutation).items()
    assert "error" in json.loads(answer.body_mutation.body)


def test_buffered_gateway_is_asked_for_an_event_stream_piece_by_piece() -> None:
    found = opened(BUFFERED)
    answer = found.one(response_headers(SSE))
    assert pb.STREAMED == answer.mode_override.response_body_mode
    assert b"history" not in found.one(response_body(EVENTS)).response_body.response.body_mutation.body


def test_body_that_is_buffered_is_one_piece() -> None:
    found = answering(BUFFERED)
    found.say(response_headers(), response_body(LISTED))
    with pytest.raises(ApiError, match="pieces"):
        found.say(response_body(LISTED, end=True))


def test_long_body_is_sent_in_pieces_that_a_gateway_takes() -> None:
    long = b": " + b"x" * 200_000 + b"\n\n"
    found = opened(DUPLEX)
    found.say(response_headers(SSE))
    pieces = [one.response_body.response.body_mutation.streamed_response for one in found.say(response_body(long))]
    assert long == b"".join(one.body for one in pieces)
    assert max(len(one.body) for one in pieces) <= 64 * 1024
    assert not any(one.end_of_stream for one in pieces)


def test_what_is_refused_on_the_way_stays_refused() -> None:
    found = answering(STREAMED)
    found.say(response_headers(SSE))
    refused = found.one(response_body(b"\xff\n\n")).response_body.response.body_mutation.body
    assert b"withheld" in refused
    for end in (False, True):
        answer = found.one(response_body(b"data: " + SHOWN + b"\n\n", end=end))
        assert answer.response_body.response.body_mutation.clear_body


def test_type_that_cannot_be_filtered_is_said_to_be_json() -> None:
    found = answering(STREAMED)
    mutation = found.one(response_headers("text/html")).response_headers.response.header_mutation
    assert {"content-type": JSON} == set_headers(mutation)
    answer = found.one(response_body(LISTED, end=True))
    assert "error" in json.loads(answer.response_body.response.body_mutation.body)


class Forgetful(Gate):
    """Cannot read what it wrote itself."""

    def request_of(self, context: bytes) -> Request:
        raise OSError(context)


@pytest.mark.parametrize("mode", MODES)
def test_response_whose_request_is_not_known_any_more_is_withheld(mode: str) -> None:
    found = Conversation(Forgetful(POLICIES))
    found.say(request_headers(MODES[mode]), request_body(LIST))
    answers = found.say(response_headers(SSE))
    assert ["immediate_response"] == [one.WhichOneof("response") for one in answers]
    assert found.session.is_over


# ---- trailers ----------------------------------------------------------------------------------------------------------


def test_trailers_after_what_was_kept_break_a_streamed_response_off() -> None:
    found = answering(STREAMED)
    found.say(response_headers(), response_body(LISTED))
    with pytest.raises(ApiError, match="trailers"):
        found.say(RESPONSE_TRAILERS)


@pytest.mark.parametrize("mode", MODES)
def test_trailers_after_whole_events_pass(mode: str) -> None:
    found = answering(MODES[mode])
    found.say(response_headers(SSE), response_body(EVENTS))
    *_, last = found.say(RESPONSE_TRAILERS)
    assert last.HasField("response_trailers")
    assert found.session.is_over


@pytest.mark.parametrize("mode", ["BUFFERED", "DUPLEX"])
def test_json_before_trailers_is_sent(mode: str) -> None:
    found = answering(MODES[mode])
    answers = found.say(response_headers(), response_body(LISTED), RESPONSE_TRAILERS)
    assert "response_trailers" == answers[-1].WhichOneof("response")
    assert SHOWN == sent(MODES[mode], answers, [LISTED])


# ---- let go ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["STREAMED", "BUFFERED"])
@pytest.mark.parametrize(
    ("message", "head"),
    [
        (body("notifications/initialized", None), response_headers("", 202, end=True)),
        (body("notifications/initialized", None), response_headers("text/html", 500)),
        (LIST, response_headers("", 202, end=True)),
    ],
)
def test_response_that_nothing_would_change_is_let_go(mode: str, message: bytes, head: pb.ProcessingRequest) -> None:
    found = answering(MODES[mode], message)
    answer = found.one(head)
    assert answer.HasField("mode_override")
    assert pb.NONE == answer.mode_override.response_body_mode
    assert found.session.is_over
    assert () == found.session.close()


def test_call_stays_open_where_its_end_would_be_an_error() -> None:
    found = answering(STREAMED, body("notifications/initialized", None), early_close=False)
    found.say(response_headers("text/html", 500))
    assert not found.session.is_over
    # Where `allow_mode_override` is off, the body comes all the same.
    untouched = pb.ProcessingResponse(response_body=pb.BodyResponse())
    assert [untouched] * 2 == found.say(response_body(b"a"), response_body(b"b", end=True))


def test_call_stays_open_where_the_body_does_not_wait_for_the_headers() -> None:
    config = pb.ProtocolConfiguration()
    config.CopyFrom(STREAMED)
    config.send_body_without_waiting_for_header_response = True
    found = answering(config, body("notifications/initialized", None))
    found.say(response_headers("text/html", 500))
    assert not found.session.is_over


def test_duplex_sends_back_what_it_lets_go() -> None:
    found = answering(DUPLEX, body("notifications/initialized", None))
    found.say(response_headers("text/html", 500))
    assert not found.session.is_over
    answers = found.say(response_body(b"a"), response_body(b"", end=True))
    assert b"a" == sent(DUPLEX, answers, [])
    assert found.session.is_over


@pytest.mark.parametrize(
    ("content_type", "passes"),
    [
        (JSON, True),
        ("Application/JSON; charset=utf-8", True),
        (SSE, False),
        ("application/json, text/event-stream", False),
        ("application/json;x=text/event-stream", False),
        ("application/json; charset=utf-16", False),
        ("", False),
    ],
)
def test_only_json_passes_where_streams_are_filtered(content_type: str, passes: bool) -> None:
    found = Conversation()
    headers = {":method": "GET", ":path": "/.well-known/oauth-protected-resource"}
    found.say(request_headers(headers=headers, end=True))
    assert passes == found.one(response_headers(content_type)).HasField("mode_override")


SHADOWED = compile_policies(
    [
        SourceFile("a.yaml", b"version: 1\npolicy: a\nrules: [{id: all, feature: '*', methods: ['*']}]\n"),
        SourceFile(
            "b.yaml",
            b"version: 1\npolicy: b\nmode: shadow\nrules: [{id: n, effect: deny, methods: [elicitation/create]}]\n",
        ),
    ]
)


@pytest.mark.parametrize("mode", MODES)
def test_response_that_is_asked_for_what_is_in_shadow_alone_passes_piece_by_piece(mode: str) -> None:
    config = MODES[mode]
    found = answering(config, CALL, of=Gate(SHADOWED))
    head = found.one(response_headers(JSON))
    assert not head.response_headers.response.header_mutation.ListFields()
    assert (mode == "BUFFERED") == head.HasField("mode_override")
    pieces = [b'{"id":1,"id":', b"1}"]
    answers = [found.say(response_body(pieces[0])), found.say(response_body(pieces[1], end=True))]
    assert pieces == [sent(config, said, [piece]) for said, piece in zip(answers, pieces, strict=True)]


def test_encoded_body_that_only_what_is_in_shadow_would_look_into_passes() -> None:
    found = answering(STREAMED, CALL, of=Gate(SHADOWED))
    assert found.one(response_headers(JSON, content_encoding="gzip")).HasField("mode_override")


# ---- withheld ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("encoding", ["gzip", "br", "Identity, gzip"])
def test_encoded_body_that_must_be_filtered_is_withheld(mode: str, encoding: str) -> None:
    found = answering(MODES[mode])
    immediate = found.one(response_headers(content_encoding=encoding)).immediate_response
    assert (200, "mcp_acl_withheld") == (immediate.status.code, immediate.details)
    assert "accept-encoding" in json.loads(immediate.body)["error"]["message"]
    assert 1 == json.loads(immediate.body)["id"]


def test_body_encoded_as_itself_is_filtered() -> None:
    assert answering(STREAMED).one(response_headers(content_encoding="identity")).HasField("response_headers")


def test_encoded_body_that_nothing_would_change_passes() -> None:
    found = answering(STREAMED, body("notifications/initialized", None))
    assert found.one(response_headers("text/html", content_encoding="gzip")).HasField("mode_override")


@pytest.mark.parametrize("content_type", [JSON, SSE, "Text/Event-Stream; x", f"{JSON}, {SSE}"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("message", [body("notifications/initialized", None), b'{"jsonrpc":"2.0","id":1,"result":{}}'])
def test_what_is_not_answered_brings_no_messages(message: bytes, mode: str, content_type: str) -> None:
    """Clients are known that read them (the Python SDK until 1.9), and do what they ask for."""
    immediate = answering(MODES[mode], message).one(response_headers(content_type)).immediate_response
    assert (202, b"") == (immediate.status.code, immediate.body)


def test_encoded_event_stream_is_withheld_as_one() -> None:
    immediate = opened().one(response_headers(SSE, content_encoding="gzip")).immediate_response
    assert {"content-type": SSE} == set_headers(immediate.headers)
    assert immediate.body.startswith(b"data: ")


def test_response_without_its_headers_is_broken_off() -> None:
    with pytest.raises(ApiError, match="response_header_mode"):
        answering(STREAMED).say(response_body(LISTED, end=True))


def test_answer_without_its_headers_passes_only_if_it_is_empty_where_nobody_was_to_answer() -> None:
    found = answering(STREAMED, body("notifications/initialized", None))
    assert found.one(response_body(b"", end=True)).HasField("response_body")
    with pytest.raises(ApiError, match="response_header_mode"):
        answering(STREAMED, body("notifications/initialized", None)).say(response_body(LISTED, end=True))
