"""Event streams, whole and in pieces."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.mcp.sse import SseEvent, SseReader, render
from mcp_acl.problems import MessageError
from tests.mcp.wire import cases

CASES = cases("sse")


def read(*chunks: bytes, limit: int = 1000) -> list[SseEvent]:
    reader = SseReader(limit)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


def code_of(chunks: list[bytes]) -> str:
    try:
        read(*chunks, limit=40)
    except MessageError as error:
        return error.code
    return ""


def single(stream: bytes) -> SseEvent:
    (event,) = read(stream)
    return event


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_stream_is_read(case: dict[str, Any]) -> None:
    stream = case["stream"].encode()
    blank = {"name": "", "id": None, "retry": None, "complete": True}
    expected = [{**blank, **event} for event in case["events"]]
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        found = [{key: getattr(event, key) for key in (*blank, "data")} for event in read(*chunks)]
        assert expected == found


def test_an_event_keeps_all_its_lines() -> None:
    assert ("id: 1", ": note", "data:a", "x") == single(b"id: 1\r\n: note\rdata:a\nx\n\n").lines


def test_a_comment_and_unknown_fields_are_written_back() -> None:
    stream = b": note\nfoo:1\ndata: a\n\n"
    assert stream == render(single(stream))


@pytest.mark.parametrize("field", ["DATA: a", " data: a", "x: y", "x", '{"a": 1}', "data\0: a", ": a\u2028data: b"])
def test_what_is_no_field_of_an_event_is_left_out(field: str) -> None:
    event = SseEvent(("id: 1", field, ": note", "data: b"))
    assert ("id: 1", ": note", "data: b") == event.without_odd_lines().lines


def test_event_with_its_own_fields_alone_is_left_as_it_is() -> None:
    event = SseEvent((":", "event: message", "id: 1", "retry: 5", "data: a\u2028b", "data"))
    assert event is event.without_odd_lines()


@pytest.mark.parametrize(
    ("stream", "data", "expected"),
    [
        (b"id: 1\ndata: a\n: note\ndata: b\nx: y\n\n", "c", b"id: 1\ndata: c\n: note\nx: y\n\n"),
        (b"data: a\n\n", "b\nc", b"data: b\ndata: c\n\n"),
        (b"data: a\n\n", "b\r\nc\rd", b"data: b\ndata: c\ndata: d\n\n"),
        (b"data: a\n\n", "", b"data: \n\n"),
        (b"data: a\n\n", " x", b"data:  x\n\n"),
        (b": note\n\n", "a", b": note\ndata: a\n\n"),
        (b"data: a\n\n", "b\u2028c", "data: b\u2028c\n\n".encode()),
    ],
)
def test_only_the_data_is_replaced(stream: bytes, data: str, expected: bytes) -> None:
    assert expected == render(single(stream), data)


def test_a_byte_order_mark_inside_a_stream_is_never_moved_to_its_start() -> None:
    hidden = read(b": note\n\n\xef\xbb\xbfdata: a\n\n")[1]
    assert hidden.data is None
    assert [hidden] == read(render(hidden))


def test_events_come_with_the_chunk_that_ends_them() -> None:
    reader = SseReader()
    assert [] == reader.feed(b"data: a\r")
    assert ["a"] == [event.data for event in reader.feed(b"\n\r")]
    assert [] == reader.feed(b"\n")
    assert [] == reader.feed(b"")
    assert ["b"] == [event.data for event in reader.feed(b"data: b\n\n")]
    assert [] == reader.close()


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"a" * 100],
        [b"data: ", b"a" * 50, b"a" * 50],
        [b"data: a\n", b"data: a\n", b"data: a\n"],
        [b":\n" * 4],
        [b"data: " + b"a" * 100 + b"\n\n"],
    ],
)
def test_an_event_is_bounded(chunks: list[bytes]) -> None:
    with pytest.raises(MessageError, match="larger than 100 bytes"):
        read(*chunks, limit=100)


def test_a_long_stream_of_small_events_is_not() -> None:
    assert 1000 == len(read(b"data: a\n\n" * 1000, limit=100))


@pytest.mark.parametrize(("broken", "code"), [(b"data: \xff\n\n", "encoding"), (b"data: " + b"a" * 100, "event")])
def test_a_refused_stream_stays_refused(broken: bytes, code: str) -> None:
    reader = SseReader(100)
    assert ["a"] == [event.data for event in reader.feed(b"data: a\n\n" + broken + b"data: b\n\n")]
    with pytest.raises(MessageError) as error:
        reader.feed(b"data: c\n\n")
    assert code == error.value.code
    with pytest.raises(MessageError) as error:
        reader.close()
    assert code == error.value.code


def test_invalid_utf8_at_the_end_is_refused() -> None:
    reader = SseReader()
    assert [] == reader.feed(b"\xef\xbb")
    with pytest.raises(MessageError, match="not UTF-8"):
        reader.close()


STREAMS = st.lists(
    st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\r\n",
            b"\n\n",
            b"data",
            b"data: ",
            b":",
            b" ",
            b"id: 1",
            b"event: x",
            b"{}",
            "é".encode(),
            b"\xef\xbb\xbf",
        ]
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 60), max_size=6))
def test_chunks_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert read(stream) == read(*chunks)
    assert read(stream) == read(*(stream[at : at + 1] for at in range(len(stream))))


@settings(max_examples=500, derandomize=True, deadline=None)
@given(STREAMS)
def test_what_is_written_reads_the_same(stream: bytes) -> None:
    events = [event for event in read(stream) if event.complete]
    assert events == read(b"".join(map(render, events)))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(STREAMS, st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])))
def test_replaced_data_is_what_is_read(stream: bytes, data: str) -> None:
    for event in read(stream):
        again = single(render(event, data))
        assert data == again.data
        assert (event.name, event.id, event.retry) == (again.name, again.id, again.retry)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=5))
def test_no_input_raises_anything_else(chunks: list[bytes]) -> None:
    assert code_of(chunks) in {"", "event", "encoding"}
