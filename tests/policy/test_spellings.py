"""Every spelling of a URI that some server takes for another, and what a deny rule's pattern means by it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.policy.patterns import NamePattern, PatternKind
from mcp_acl.policy.spellings import deny_patterns, spellings
from tests.naive_names import deny_matches


def denies(pattern: NamePattern, uri: str) -> bool:
    return any(one.matches(form) for one in deny_patterns(pattern) for form in spellings(uri))


@pytest.mark.parametrize(
    ("uri", "others"),
    [
        ("demo://h/a/b.txt", []),
        ("text:a", []),
        ("demo://h/a@b", ["demo://h/a%40b"]),
        ("demo://h/a%40b", ["demo://h/a@b"]),
        ("demo://h/a%40b:c", ["demo://h/a@b:c", "demo://h/a%40b%3Ac"]),
        ("demo://h/a%2Fb@", ["demo://h/a/b@", "demo://h/a%2Fb%40", "demo://h/a/b%40"]),
        ("demo://h/100%25", []),
        ("demo://h,i/a", ["demo://h%2Ci/a"]),
        ("demo://h/a%2Fb", ["demo://h/a/b"]),
        ("demo://user@h:80/a", ["demo://user%40h%3A80/a"]),
        ("demo://h/a?b=c", ["demo://h/a?b%3Dc"]),
        ("text:a%20b", ["text:a b"]),
        ("no scheme", []),
        ("a/b:c", []),
    ],
)
def test_the_spellings_of_a_uri(uri: str, others: list[str]) -> None:
    assert [uri, *others] == list(spellings(uri))


@pytest.mark.parametrize(
    ("kind", "text", "uri", "expected"),
    [
        ("any", "", "demo://h/a%40b", True),
        ("literal", "demo://h/a@b", "demo://h/a%40b", True),
        ("literal", "demo://h/a%40b", "demo://h/a@b", True),
        ("literal", "demo://h/a%2Fb", "demo://h/a/b", True),
        ("literal", "demo://h/a@b", "demo://h/a@c", False),
        ("glob", "demo://h/a/*", "demo://h/a%2Fb", True),
        ("glob", "demo://h/a%3A*", "demo://h/a:b", True),
        ("glob", "demo://h/a/*", "demo://h/b%2Fb", False),
        ("template", "demo://h/{x}", "demo://h/a@b", True),
        ("template", "demo://h/{x}", "demo://h/a%2Fb", True),
        ("template", "demo://h/a@b/{x}", "demo://h/a%40b/c", True),
        ("template", "demo://h/{x}", "demo://h/a/b", False),
        ("regex", "demo://h/a%40.*", "demo://h/a@b", True),
        ("regex", "demo://h/a@.*", "demo://h/a%40b", True),
        ("regex", "demo://h/a@.*", "demo://h/a", False),
        ("regex", "demo://h/[^/]+:secret", "demo://h/a%2Fb%3Asecret", True),
        ("template", "demo://h/{x}/r%20s", "demo://h/q%2Fr%20s", True),
        ("template", "demo://h/{x}%2Fb", "demo://h/q/b", True),
        ("template", "demo://{x},fr", "demo://a%2Fb%2Cfr", True),
        ("template", "demo://{x}%2Cfr", "demo://paris,fr", True),
        ("glob", "demo://h/%2A/*", "demo://h/honest/y", False),
        ("glob", "demo://h/a%2A", "demo://h/a*", True),
        ("glob", "demo://h/a%2A", "demo://h/a%2A", True),
        ("literal", "demo://h/a%3Ab", "demo://h/a%253Ab", False),
    ],
)
def test_a_deny_pattern_means_every_spelling(kind: PatternKind, text: str, uri: str, expected: bool) -> None:
    assert expected is denies(NamePattern(kind, text), uri)
    assert expected is deny_matches(NamePattern(kind, text), uri)


TEXTS = st.text(st.sampled_from("ab/@:%4021.?=\u00e9*"), max_size=8).map("demo://h/".__add__)
PATTERNS = st.builds(NamePattern, st.sampled_from(["literal", "glob"]), TEXTS)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(PATTERNS, TEXTS)
def test_a_deny_pattern_means_at_least_what_it_says(pattern: NamePattern, uri: str) -> None:
    assert denies(pattern, uri) == deny_matches(pattern, uri)
    if pattern.matches(uri):
        assert denies(pattern, uri)
