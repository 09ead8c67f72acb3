"""Mirrored headers say what the message says, or it is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.domain import Message, MessageKind
from mcp_acl.mcp.headers import doubtful_encoding, header_mismatch
from tests.mcp.wire import cases

CASES = cases("headers")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_headers_are_compared(case: dict[str, Any]) -> None:
    message = Message(MessageKind.REQUEST, case["method"], 1, case["params"])
    found = header_mismatch(message, case["headers"])
    expected = case["mismatch"]
    assert (f"the header `{expected}` does not match the message" if expected else "") == found


def test_a_response_has_no_method_to_mirror() -> None:
    response = Message(MessageKind.RESPONSE, "", 1)
    assert not header_mismatch(response, {})
    assert "Mcp-Method" in header_mismatch(response, {"mcp-method": ("ping",)})
    assert "Mcp-Method" in header_mismatch(response, {"mcp-method": ()})
    assert "Mcp-Name" in header_mismatch(response, {"mcp-name": ("a",)})


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_one_header_never_stands_for_two_names(name: str, other: str) -> None:
    def agrees(header: str, target: str) -> bool:
        message = Message(MessageKind.REQUEST, "tools/call", 1, {"name": target})
        return not header_mismatch(message, {"mcp-name": [header]})

    assert name == other or not (agrees(name, name) and agrees(name, other))


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON ; Charset="UTF-8"',
        "application/json;charset=utf-8",
        " application/json;",
    ],
)
def test_a_body_in_utf_8_is_read_as_it_is(value: str) -> None:
    assert "" == doubtful_encoding({"content-type": [value], "content-encoding": ["identity"]})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text/plain",
        "application/jsonp",
        "application/json; charset=utf-7",
        "application/json; charset=utf-8, application/json",
        'application/json ; charset="utf-8"; x=1',
        'application/json; charset="utf\\-7"',
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset=utf-8utf-7",
        'application/json; charset="utf-8',
        "application/json; charset*=utf-8''utf-7",
        "application/json; charset",
        "application/json\t;\tCHARSET\t=\tUTF-7",
    ],
)
def test_a_body_in_another_charset_is_refused(value: str) -> None:
    assert "Content-Type" in doubtful_encoding({"content-type": [value]})
    assert "Content-Type" in doubtful_encoding({"content-type": ["application/json", value]})


@pytest.mark.parametrize("value", ["gzip", "br", "Deflate", "identity, gzip", "x"])
def test_a_packed_body_is_refused(value: str) -> None:
    assert "Content-Encoding" in doubtful_encoding({"content-encoding": [value]})
    assert "Content-Encoding" in doubtful_encoding({"content-encoding": ["identity", value]})
