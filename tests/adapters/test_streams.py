"""Streams as sessions of bytes: order, the start of a filtered response, and what is misuse."""

import json

import pytest

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Session, Streaming
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_gateways
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate
from tests.runtime.weather import TOOLS, admin, body, call, gate, listed


def session(name: str, of: Gate | None = None) -> Session:
    streaming = for_gateways(of or gate())[f"/{SERVICE}/{name}"]
    assert isinstance(streaming, Streaming)
    return streaming.open(())


def asked(message: bytes) -> bytes:
    fields = {"server": "weather", "direction": pb.DIRECTION_CLIENT_TO_SERVER, "raw": message}
    return pb.CheckRequest(**fields).SerializeToString()  # type: ignore[arg-type]


def context(of: Gate) -> bytes:
    return of.check(admin(body("tools/list"), filters_responses=True)).context


def start(**fields: object) -> bytes:
    return pb.FilterStreamRequest(start=pb.FilterStreamStart(**fields)).SerializeToString()  # type: ignore[arg-type]


def piece(content: bytes) -> bytes:
    return pb.FilterStreamRequest(piece=content).SerializeToString()


def answers(found: Session, *messages: bytes) -> list[pb.FilterStreamResponse]:
    fed = [answer for message in messages for answer in found.feed(message)]
    return [pb.FilterStreamResponse.FromString(answer) for answer in (*fed, *found.close())]


# ---- CheckStream -----------------------------------------------------------------------------------------------------


def test_each_request_has_its_answer_in_its_place() -> None:
    found = session("CheckStream")
    messages = [call("forecast", city="Oslo"), b"\xff", call("forecast", city="Atlantis"), body("ping")]
    replies = [pb.CheckResponse.FromString(answer) for one in messages for answer in found.feed(asked(one))]
    assert ["granted", "message_refused", "denied_by_rule", "always_permitted"] == [one.reason for one in replies]
    assert () == found.close()


def test_request_that_misuses_the_interface_ends_the_stream() -> None:
    found = session("CheckStream")
    found.feed(asked(body("ping")))
    with pytest.raises(ApiError, match="direction"):
        found.feed(pb.CheckRequest(server="weather", raw=body("ping")).SerializeToString())


# ---- FilterStream ----------------------------------------------------------------------------------------------------


def test_start_is_answered_with_the_head_and_each_piece_with_what_may_be_sent() -> None:
    of = gate()
    event = b"data: " + listed(*TOOLS) + b"\n\n"
    head, first, second, last = answers(
        session("FilterStream", of),
        start(context=context(of), content_type="text/event-stream", status=203, report_hidden=True),
        piece(event[:30]),
        piece(event[30:] + b": end"),
    )
    assert ("text/event-stream", 203, b"") == (head.head.content_type, head.head.status, head.body)
    assert (b"", False) == (first.body, first.HasField("head"))
    assert ["forecast", "history"] == [tool["name"] for tool in json.loads(second.body[6:])["result"]["tools"]]
    assert (2, 1, ["delete"], "") == (second.shown, second.hidden_count, list(second.hidden), second.refused)
    assert b": end\n\n" == last.body
    assert {of.policies.revision} == {one.revision for one in (head, first, second, last)}


def test_names_of_what_is_hidden_are_told_to_those_who_ask() -> None:
    of = gate()
    replies = answers(
        session("FilterStream", of),
        start(context=context(of), content_type="application/json"),
        piece(listed(*TOOLS)),
    )
    assert (1, []) == (replies[-1].hidden_count, list(replies[-1].hidden))


@pytest.mark.parametrize("bad", [b"", b"\x01", b"no context"])
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_response_without_a_good_context_is_withheld_from_the_start(bad: bytes, content_type: str) -> None:
    head, *rest = answers(
        session("FilterStream"), start(context=bad, content_type=content_type, status=206), piece(b"x")
    )
    assert (content_type, 200) == (head.head.content_type, head.head.status)
    assert b"withheld" in head.body
    assert head.refused
    assert [(b"", head.refused)] * 2 == [(one.body, one.refused) for one in rest]


def test_error_of_the_server_keeps_its_status_when_it_is_withheld() -> None:
    head, *_ = answers(session("FilterStream"), start(context=b"", status=404))
    assert 404 == head.head.status


def test_what_is_refused_on_the_way_stays_refused() -> None:
    of = gate()
    found = session("FilterStream", of)
    event = b"data: " + listed("forecast") + b"\n\n"
    _, bad, after, end = answers(
        found, start(context=context(of), content_type="text/event-stream"), piece(b"\xff\n\n"), piece(event)
    )
    assert b"withheld" in bad.body
    assert [(b"", bad.refused)] * 2 == [(one.body, one.refused) for one in (after, end)]


def test_error_of_our_own_withholds_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    of = gate()
    found = session("FilterStream", of)
    found.feed(start(context=context(of), content_type="text/event-stream"))
    monkeypatch.setattr(type(of.policies), "view", lambda *_: 1 / 0)
    (answer,) = map(pb.FilterStreamResponse.FromString, found.feed(piece(b"data: {}\n\n")))
    monkeypatch.undo()
    assert (b"data: {", "internal error") == (answer.body[:7], answer.refused)
    assert b"" == pb.FilterStreamResponse.FromString(found.feed(piece(b"data: {}\n\n"))[0]).body


def test_stream_follows_the_policies_that_are_put_in_force() -> None:
    of = gate()
    found = session("FilterStream", of)
    event = piece(b"data: " + listed(*TOOLS) + b"\n\n")
    found.feed(start(context=context(of), content_type="text/event-stream"))
    before = pb.FilterStreamResponse.FromString(found.feed(event)[0])
    of.policies = compile_policies([SourceFile("none.yaml", b"version: 1\npolicy: none\nrules: []\n")])
    after = pb.FilterStreamResponse.FromString(found.feed(event)[0])
    assert (2, 0) == (before.shown, after.shown)
    assert before.revision != after.revision == of.policies.revision


@pytest.mark.parametrize(
    "messages",
    [[b""], [piece(b"x")], [start(), start()], [start(), b""], [b"\xff\xff"]],
    ids=["no part", "piece", "2", "", "bytes"],
)
def test_messages_out_of_place_are_misuse(messages: list[bytes]) -> None:
    found = session("FilterStream")
    with pytest.raises(ApiError):
        [found.feed(message) for message in messages]


def test_end_before_the_start_is_misuse() -> None:
    with pytest.raises(ApiError, match="start"):
        session("FilterStream").close()
