"""In which revision a message is, and which era that is."""

from typing import Any

import pytest

from mcp_acl.mcp.methods import REVISIONS
from mcp_acl.mcp.revisions import Era, era_of, revision_of

META = "io.modelcontextprotocol/protocolVersion"


@pytest.mark.parametrize(
    ("params", "headers", "expected"),
    [
        ({}, {}, "2025-03-26"),
        ({}, {"mcp-protocol-version": []}, "2025-03-26"),
        ({}, {"mcp-protocol-version": ["2025-06-18"]}, "2025-06-18"),
        ({"_meta": {META: "2026-07-28"}}, {}, "2026-07-28"),
        # Servers go by the header, by the first of several.
        ({"_meta": {META: "2026-07-28"}}, {"mcp-protocol-version": ["2025-11-25"]}, "2025-11-25"),
        ({"_meta": {META: "2025-11-25"}}, {"mcp-protocol-version": ["2026-07-28", "2025-11-25"]}, "2026-07-28"),
        ({"_meta": {META: "2026-07-28"}}, {"mcp-protocol-version": [""]}, ""),
        ({"_meta": {META: 2026}}, {}, "2025-03-26"),
        ({"_meta": {"protocolVersion": "2026-07-28"}}, {}, "2025-03-26"),
        ({"_meta": []}, {}, "2025-03-26"),
        ({"protocolVersion": "2026-07-28"}, {}, "2025-03-26"),
    ],
)
def test_the_header_decides_then_the_message(params: Any, headers: dict[str, list[str]], expected: str) -> None:
    assert expected == revision_of(params, headers)


@pytest.mark.parametrize("revision", [*REVISIONS, "", "2026-07-27", "2027-01-01", "draft"])
def test_one_revision_is_without_sessions(revision: str) -> None:
    assert (Era.STATELESS if revision == "2026-07-28" else Era.SESSION) == era_of(revision)
