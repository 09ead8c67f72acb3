"""The trace of a message: its form, whose word counts, and who may say that it is sampled."""

from typing import Any

import pytest

from mcp_acl.domain import Http, Message, MessageKind
from mcp_acl.runtime.trace import Trace, read_trace, trace_of, traceparent_in

SPAN = "00f067aa0ba902b7"


def told(digit: str, flags: str = "01") -> str:
    return f"00-{digit * 32}-{SPAN}-{flags}"


def http(*values: str) -> Http:
    return Http(headers={"traceparent": values})


def message(**meta: Any) -> Message:
    return Message(MessageKind.REQUEST, "ping", params={"_meta": meta})


@pytest.mark.parametrize(("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_it_is_read(flags: str, is_sampled: bool) -> None:
    assert Trace("1" * 32, SPAN, is_sampled) == read_trace(told("1", flags))


@pytest.mark.parametrize(
    "text",
    [
        "",
        told("0"),
        told("A"),
        told("1")[:-1],
        f"{told('1')}-more",
        f"ff{told('1')[2:]}",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"{told('1')},{told('1')}",
    ],
)
def test_what_is_not_in_its_form_is_none(text: str) -> None:
    assert read_trace(text) is None


def test_version_that_is_to_come_may_say_more() -> None:
    assert read_trace(f"01{told('1')[2:]}-more") is not None


def test_the_nearest_counts() -> None:
    asked = message(traceparent=told("3"))
    for given, headers, digit in [
        (told("1"), http(told("2")), "1"),
        ("", http(told("2")), "2"),
        ("", http(), "3"),
    ]:
        found = trace_of(given, headers, asked)
        assert (digit * 32, SPAN) == (found.trace_id, found.span_id) if found else None
    assert trace_of("", http(), message()) is None
    assert trace_of("", http(told("2"), told("2")), None) is None
    assert trace_of("nonsense", http(told("2")), asked) is None


@pytest.mark.parametrize("flags", ["00", "01"])
def test_client_says_whether_it_is_sampled_only_where_it_is_obeyed(flags: str) -> None:
    said = flags == "01"
    for given, headers, asked, as_ever in [
        (told("1", flags), Http(), None, said),
        ("", http(told("1", flags)), None, None),
        ("", Http(), message(traceparent=told("1", flags)), None),
    ]:
        found = [trace_of(given, headers, asked, obeys_clients=obeys) for obeys in (False, True)]
        assert [as_ever, said] == [one.is_sampled for one in found if one is not None]


def test_metadata_says_it_once() -> None:
    other = ("user-agent", "x")
    assert "" == traceparent_in([other])
    assert told("1") == traceparent_in([other, ("traceparent", told("1"))])
    assert read_trace(traceparent_in([("traceparent", told("1")), ("traceparent", told("2"))])) is None
