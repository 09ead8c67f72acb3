"""Canonical form: what every server reads alike."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.mcp import uris
from mcp_acl.mcp.uris import template_why_not_canonical, why_not_canonical
from tests.mcp.wire import cases

CASES = cases("uris")


@pytest.mark.parametrize("uri", CASES["canonical"])
def test_a_canonical_uri(uri: str) -> None:
    assert "" == why_not_canonical(uri)


@pytest.mark.parametrize(("uri", "why"), CASES["not_canonical"])
def test_what_some_server_reads_as_another(uri: str, why: str) -> None:
    found = why_not_canonical(uri)
    assert why in found
    assert found.isprintable()


@pytest.mark.parametrize("text", CASES["templates"])
def test_a_template_text(text: str) -> None:
    assert "" == template_why_not_canonical(text)


@pytest.mark.parametrize(("text", "why"), CASES["not_templates"])
def test_a_template_text_that_is_refused(text: str, why: str) -> None:
    assert why in template_why_not_canonical(text)


@pytest.mark.parametrize("port", ["80", "443", "21"])
def test_a_default_port_is_one_of_its_scheme_alone(port: str) -> None:
    assert why_not_canonical(f"demo://host:{port}/") == ""


@pytest.mark.parametrize(
    "uri",
    [
        "demo://host/" + "a" * 8_181,
        "demo://host/" + "../" * 300_000,
        "https://xn--a-" + "9" * 300_000 + ".com/",
    ],
)
def test_one_that_is_too_long_is_not_read(uri: str) -> None:
    assert "it is longer than 8,192 characters" == why_not_canonical(uri)
    assert "it is longer than 8,192 characters" == template_why_not_canonical(uri)


def test_punycode_is_no_longer_than_a_label_may_be() -> None:
    assert "must be a domain name in lower case" in why_not_canonical("https://xn--" + "a" * 60 + "/")


PIECES = st.sampled_from(
    [
        *(
            "demo:",
            "http:",
            "file:",
            "urn:",
            "//",
            "/",
            "host",
            "Host",
            ".",
            "..",
            "%2E",
            "%2F",
            "%252E",
            "%41",
            "%C3%A9",
        ),
        *("a", "@", ":", "80", "?", "#", "[::1]", "xn--mnchen-3ya", "1", "{a}", " ", "\\", "'", "é", "localhost"),
    ]
)
URIS = st.lists(PIECES, max_size=8).map("".join) | st.builds("demo://{}".format, st.text(max_size=8))


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(URIS)
def test_the_short_way_accepts_nothing_the_checks_refuse(uri: str) -> None:
    if uris._PLAIN.fullmatch(uri):
        assert not any(check(uris._Parts(uri, *uris._PARTS.fullmatch(uri).groups())) for check in uris._CHECKS)  # type: ignore[union-attr]


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(URIS)
def test_a_canonical_uri_has_no_second_spelling_of_a_letter_or_segment(uri: str) -> None:
    if why_not_canonical(uri) == "":
        decoded = re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), uri)
        assert not re.search(r"(^|[/\\])\.{1,2}([/\\]|$)", decoded.partition(":")[2].partition("?")[0])
        assert uri.isascii()
        assert template_why_not_canonical(uri) == ""
