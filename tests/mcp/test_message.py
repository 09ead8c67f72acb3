"""The envelope: what is a message, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.domain import InexactNumber, Message, MessageKind
from mcp_acl.mcp.limits import Limits
from mcp_acl.mcp.message import MAX_BATCH, parse_batch, parse_message
from mcp_acl.problems import MessageError
from tests.mcp.jsons import texts
from tests.mcp.wire import body_of, cases

CASES = cases("messages")
PING = b'{"jsonrpc":"2.0","id":%d,"method":"ping"}'
INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize"}'
NOTE = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


def refusal(body: bytes) -> str:
    with pytest.raises(MessageError) as error:
        parse_message(body)
    text = error.value.message
    assert text.isprintable()
    assert len(text) < 250
    assert not text.endswith(".")
    assert text[0].islower() or text[0] == "`"
    return error.value.code


@pytest.mark.parametrize("case", CASES["accepted"], ids=[case["name"] for case in CASES["accepted"]])
def test_a_message_is_read(case: dict[str, Any]) -> None:
    expected = Message(**{**case["message"], "kind": MessageKind(case["message"]["kind"])})
    found = parse_message(body_of(case))
    assert expected == found
    assert repr(expected.params) == repr(found.params)


@pytest.mark.parametrize("case", CASES["refused"], ids=[case["name"] for case in CASES["refused"]])
def test_a_body_is_refused(case: dict[str, Any]) -> None:
    assert case["code"] == refusal(body_of(case))


def test_inexact_numbers_pass_as_data() -> None:
    message = parse_message(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[9007199254740993]}}')
    found = message.params["a"]
    assert isinstance(found, list)
    assert isinstance(found[0], InexactNumber)


def test_the_text_names_the_member_and_what_to_do() -> None:
    with pytest.raises(MessageError, match=r"the member `Method` can be taken for `method`; spell it exactly"):
        parse_message(b'{"jsonrpc":"2.0","id":1,"Method":"ping"}')


def test_what_a_peer_wrote_is_shown_in_one_short_line() -> None:
    with pytest.raises(MessageError) as error:
        parse_message(b'{"jsonrpc":"2.0","id":1,"method":"ping","a`\\n' + b"b" * 1000 + b'":1}')
    assert "`a??" in error.value.message
    assert len(error.value.message) < 200


def test_limits_are_the_callers() -> None:
    with pytest.raises(MessageError, match="larger than 20 bytes"):
        parse_message(PING % 1, Limits(size=20))


def test_a_batch_is_read_member_by_member() -> None:
    body = b"[" + b", ".join((PING % 1, NOTE, PING % 2)) + b"]"
    assert [1, None, 2] == [message.id for message in parse_batch(body)]


@pytest.mark.parametrize(
    "body",
    [PING % 1, b"[]", b"[" + b",".join(PING % one for one in range(MAX_BATCH + 1)) + b"]", b"[" + INITIALIZE + b"]"],
)
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError) as refused:
        parse_batch(body)
    assert "batch" == refused.value.code


def test_ids_of_different_types_are_different() -> None:
    body = b"[" + PING % 1 + b',{"jsonrpc":"2.0","id":"1","method":"ping"}]'
    assert [1, "1"] == [message.id for message in parse_batch(body)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "batch"),
        (b"[" + PING % 1 + b"," + PING % 1 + b"]", "batch"),
        (b"[[" + PING % 1 + b"]]", "object"),
        (b"[" + PING % 1 + b",1]", "object"),
        (b"[" + PING % 1 + b",{}]", "version"),
        (b"[" + PING % 1, "syntax"),
    ],
)
def test_a_bad_batch_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(MessageError) as error:
        parse_batch(body)
    assert code == error.value.code


@settings(max_examples=200, derandomize=True, deadline=None)
@given(texts(), st.sampled_from(["id", "method", "params", "result", "jsonrpc", "x"]))
def test_no_input_raises_anything_else(value: bytes, member: str) -> None:
    for body in (
        value,
        b'{"jsonrpc":"2.0","method":"m","id":1,"%s":%s}' % (member.encode(), value),
        b"[" + value + b"]",
    ):
        with suppress(MessageError):
            assert repr((parse_message(body),)) == repr(parse_batch(body))
