"""Mirrored headers say what the message says, or it is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.domain import Message, MessageKind
from mcp_acl.mcp.headers import header_mismatch
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
