"""A response that comes in pieces: whatever the cuts, what is sent is what would be sent of the whole."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.engine.response import MAX_BODY, Filtered, ResponseStream, filter_response
from mcp_acl.engine.streaming import MAX_EVENTS
from mcp_acl.policy.index import PolicySet
from tests.engine.weather import policies, request

POLICIES = policies()
NOTHING = policies("version: 1\npolicy: weather\nservers: [weather]\nrules: []\n")
ELSEWHERE = policies("version: 1\npolicy: other\nservers: [other]\nrules: []\n")
JSON = "application/json"
STREAM = "text/event-stream"


def listed(*names: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"tools": [{"name": name} for name in names]}})


def in_pieces(pieces: Sequence[bytes], content_type: str = STREAM, of: PolicySet = POLICIES) -> list[Filtered]:
    stream = ResponseStream(request("tools/list"), content_type)
    answers = []
    for piece in pieces:
        answers.append(stream.feed(of, piece))
        if answers[-1].refused:
            return answers
    return [*answers, stream.close(of)]


def sent(answers: Sequence[Filtered]) -> bytes:
    return b"".join(one.body for one in answers)


def cut(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(one, len(body)) for one in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


EVENTS = st.sampled_from(
    [
        f"data: {listed('shared_a', 'other')}",
        f"id: 3\ndata: {listed('other')}",
        f"event: message\ndata: {listed('shared_b')}\nretry: 7",
        "data: " + listed("shared_a", "other").replace(", ", ",\ndata: "),
        'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"größe"}}',
        'data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}',
        "data: {broken",
        "event: other\ndata: {}",
        ": a comment",
        "id: 5",
        "data",
        "",
    ]
)
BODIES = st.builds(
    lambda events, end, last: end.join([*"\n\n".join([*events, last]).split("\n")]).encode(),
    st.lists(EVENTS, max_size=6),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.sampled_from(["", "data: {}", "data: "]),
)
CUTS = st.lists(st.integers(0, 600), max_size=8)


@given(BODIES, CUTS)
def test_stream_in_pieces_is_the_stream_whole(body: bytes, cuts: list[int]) -> None:
    whole = filter_response(POLICIES, request("tools/list"), STREAM, body)
    answers = in_pieces(cut(body, cuts))
    assert (whole.body.strip(b"\r\n"), whole.shown) == (sent(answers).strip(b"\r\n"), sum(one.shown for one in answers))
    assert list(whole.hidden) == [name for one in answers for name in one.hidden]
    assert list(whole.dropped) == [why for one in answers for why in one.dropped]


@given(st.sampled_from([listed("shared_a", "other"), listed("x"), "{broken", "", "  ", "[]", "\udcff"]), CUTS)
def test_document_in_pieces_is_the_document_whole(text: str, cuts: list[int]) -> None:
    body = text.encode(errors="surrogateescape")
    whole = filter_response(POLICIES, request("tools/list"), JSON, body)
    answers = in_pieces(cut(body, cuts), JSON)
    assert {b""} >= {one.body for one in answers[:-1]}
    assert whole == answers[-1]


def test_event_is_sent_as_soon_as_it_is_whole_and_not_before() -> None:
    event = f"data: {listed('shared_a', 'other')}\n\n".encode()
    first, second, last = in_pieces([event[:-1], event[-1:]])
    assert (b"", b"") == (first.body, last.body)
    assert (1, ("other",)) == (second.shown, second.hidden)


def test_each_event_is_decided_by_the_policies_of_its_moment() -> None:
    event = f"data: {listed('shared_a')}\n\n".encode()
    stream = ResponseStream(request("tools/list"), STREAM)
    assert [1, 0, 1] == [stream.feed(of, event).shown for of in (POLICIES, NOTHING, POLICIES)]


def test_server_that_no_policy_governs_any_more_sends_nothing() -> None:
    stream = ResponseStream(request("tools/list"), STREAM)
    assert stream.feed(ELSEWHERE, f"data: {listed('shared_a')}\n\n".encode()).refused == "no policy governs this server"


@pytest.mark.parametrize("bad", [b"\xff\n\n", b"data: \xed\xa0\x80\n\n", b"data: " + bytes(5_000_000)])
def test_stream_that_breaks_is_sent_up_to_there_and_then_an_error(bad: bytes) -> None:
    good = f"data: {listed('shared_a')}\n\n".encode()
    (answer,) = in_pieces([good + bad])
    before, _, after = answer.body.partition(b"\n\n")
    assert good.startswith(before)
    assert "withheld" in json.loads(after.removeprefix(b"data: "))["error"]["message"]
    assert (1, True) == (answer.shown, bool(answer.refused))


@pytest.mark.parametrize("end", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_line_that_some_clients_take_for_several_is_left_out(end: str) -> None:
    secret = listed("other")
    body = (
        f": {end}data: {secret}\nid: 1{end}\n\n:{end}data: {secret}\ndata: {listed('shared_a')}\nretry: 2\n\n".encode()
    )
    answers = in_pieces([body])
    assert b"other" not in sent(answers)
    assert {"a line that some clients may take for data"} == {why for one in answers for why in one.dropped}
    assert f"data: {listed('shared_a')}\nretry: 2\n\n".encode() in sent(answers)


def test_too_many_events_at_once_are_refused() -> None:
    answer = in_pieces([b":\n\n" * (MAX_EVENTS + 1)])[0]
    assert "hand over fewer" in answer.refused
    assert not in_pieces([b":\n\n" * MAX_EVENTS] * 2)[-1].refused


def test_document_that_is_kept_is_bounded() -> None:
    piece = b" " * (MAX_BODY // 2)
    assert not in_pieces([piece, piece], JSON)[-2].refused
    assert "larger than" in in_pieces([piece, piece, b" "], JSON)[-1].refused


@pytest.mark.parametrize(
    ("given_type", "sent_type"),
    [
        (JSON, JSON),
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ("Text/Event-Stream", "Text/Event-Stream"),
        ("text/html", JSON),
        ("application/json; charset=utf-16", JSON),
        ("", JSON),
    ],
)
def test_type_of_what_is_sent_is_known_beforehand(given_type: str, sent_type: str) -> None:
    assert sent_type == ResponseStream(request("tools/list"), given_type).content_type
    refused = in_pieces([b"{"], given_type)[-1]
    assert sent_type.partition(";")[0] == refused.content_type.partition(";")[0]


def test_what_is_kept_of_a_response_is_told_so_that_a_host_knows_what_comes() -> None:
    document, stream = (ResponseStream(request("tools/list"), kind) for kind in (JSON, STREAM))
    for one in (document, stream):
        assert 0 == one.held
        one.feed(POLICIES, b"data: " + b"x" * 100)
        assert one.held >= 100
    stream.feed(POLICIES, b"\n\n")
    assert 0 == stream.held
