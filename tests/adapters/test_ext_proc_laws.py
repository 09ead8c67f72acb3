"""Envoy's external processing: what holds of any sequence of messages, whoever sends them in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.adapters.status import ApiError
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from tests.adapters.ext_proc import (
    BUFFERED,
    DUPLEX,
    REQUEST_TRAILERS,
    RESPONSE_TRAILERS,
    STREAMED,
    Conversation,
    request_body,
    request_headers,
    response_body,
    response_headers,
    told,
)
from tests.runtime.weather import TOOLS, body, call, listed

_MODES = st.sampled_from(pb.BodyMode.values())
_CONFIGS = st.none() | st.builds(
    pb.ProtocolConfiguration,
    request_body_mode=_MODES,
    response_body_mode=_MODES,
    send_body_without_waiting_for_header_response=st.booleans(),
)
_REQUESTS = st.sampled_from([call("delete"), call("delete")[:30], b"", b"\xff", body("tools/list"), call("forecast")])
_DETAILS = st.sampled_from([None, "", "via_upstream"])
_TYPES = st.sampled_from(["application/json", "text/event-stream", "text/plain", ""])
_PIECES = st.sampled_from([b"", b"x", listed(*TOOLS), b"data: " + listed(*TOOLS) + b"\n\n"])


def _response(content_type: str, status: int, end: bool, details: str | None) -> pb.ProcessingRequest:
    message = response_headers(content_type, status, end=end)
    return message if details is None else told(message, {"response.code_details": details})


_MESSAGES = st.one_of(
    st.builds(request_headers, _CONFIGS, end=st.booleans()),
    st.builds(request_body, _REQUESTS, end=st.booleans()),
    st.just(REQUEST_TRAILERS),
    st.builds(_response, _TYPES, st.sampled_from([200, 202, 404]), st.booleans(), _DETAILS),
    st.builds(response_body, _PIECES, end=st.booleans()),
    st.just(RESPONSE_TRAILERS),
    st.just(pb.ProcessingRequest()),
)


def _wants(message: pb.ProcessingRequest, answers: list[pb.ProcessingResponse], *, duplex: bool) -> bool:
    """Whether the message has the answer that a gateway waits for."""
    if any(one.HasField("immediate_response") for one in answers):
        return True
    kinds = {one.WhichOneof("response") for one in answers}
    return duplex or message.WhichOneof("request") in kinds


@given(st.lists(_MESSAGES, max_size=8), st.booleans())
def test_every_message_is_answered_or_ends_the_call_with_an_error(
    messages: list[pb.ProcessingRequest], early_close: bool
) -> None:
    found = Conversation(early_close=early_close)
    duplex = any(
        pb.FULL_DUPLEX_STREAMED in (one.protocol_config.request_body_mode, one.protocol_config.response_body_mode)
        for one in messages
    )
    try:
        for message in messages:
            assert _wants(message, found.say(message), duplex=duplex)
            if found.session.is_over:
                return
        found.session.close()
    except ApiError:
        return


@given(st.lists(_MESSAGES, max_size=8), st.booleans())
def test_what_is_denied_never_ends_well_without_its_denial(
    messages: list[pb.ProcessingRequest], early_close: bool
) -> None:
    """Whatever comes first: a denied call never gets the answer that lets it on, nor an end that does."""
    denied = [request_body(call("delete")) if one.HasField("request_body") else one for one in messages]
    found = Conversation(early_close=early_close)
    answers: list[pb.ProcessingResponse] = []
    seen = False
    try:
        for message in denied:
            seen = seen or message.HasField("request_body")
            answers += found.say(message)
            if found.session.is_over:
                break
        else:
            found.session.close()
    except ApiError:
        return
    finally:
        assert not any(one.HasField("request_body") for one in answers)
    assert not seen or any(one.HasField("immediate_response") for one in answers)


@given(st.sampled_from([STREAMED, BUFFERED, DUPLEX]), st.lists(_MESSAGES, max_size=8))
def test_what_nobody_may_see_never_passes(
    config: pb.ProtocolConfiguration, messages: list[pb.ProcessingRequest]
) -> None:
    """Nor is the call over before the gateway has done with the response, or may do without us."""
    found = Conversation()
    try:
        for message in (request_headers(config), request_body(body("tools/list")), *messages):
            for answer in found.say(message):
                assert b"delete" not in answer.SerializeToString()
                if b"delete" in message.response_body.body and answer.HasField("response_body"):
                    assert answer.response_body.response.HasField("body_mutation")
            if found.session.is_over:
                assert _is_last(message) or answer.HasField("immediate_response")
                break
    except ApiError:
        return


def _is_last(message: pb.ProcessingRequest) -> bool:
    ends = message.response_headers.end_of_stream or message.response_body.end_of_stream
    return ends or message.HasField("response_trailers")
