"""A peer's text inside an error text."""

import pytest

from mcp_acl.mcp.quoting import quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", "`a b`"),
        ("", "``"),
        ("é😀", "`é😀`"),
        ("a`b\n\0\u202e\ud800", "`a?b????`"),
        ("a" * 60, f"`{'a' * 60}`"),
        ("a" * 61, f"`{'a' * 60}…`"),
    ],
)
def test_text_is_shown_in_one_line(text: str, expected: str) -> None:
    assert expected == quoted(text)
