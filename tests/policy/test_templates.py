"""URI templates of level 1."""

from urllib.parse import unquote_to_bytes

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.policy.templates import TemplateError, template_regex
from mcp_acl.problems import Span

REPORT = re2.compile(template_regex("report://{year}/{name}"))
ONE = re2.compile(template_regex("r:{x}"))


def matches(value: str) -> bool:
    return ONE.fullmatch(f"r:{value}") is not None


@pytest.mark.parametrize(
    "value",
    ["a", "Z9", "a-b_c~d.e", ".a", "a.", "...", "..a", "%20", "%2e.%2E", "%41", "%2d", "%7E", "%c3%a9", "%C2%A0",
     "%DF%BF", "%E0%A0%80", "%E2%82%AC", "%EC%80%80", "%ED%9F%BF", "%EE%80%80", "%F0%90%80%80", "%F3%80%80%80",
     "%F4%8F%BF%BF", "{y}", "{y_1.z}", "{%41}"],
)  # fmt: skip
def test_a_variable_stands_for_unreserved_characters_and_safe_triplets(value: str) -> None:
    assert matches(value)


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "%2e", "%2E", ".%2e", "%2e%2E", "/", "a/b", "%2f", "%2F", "a%2Fb", "\\", "%5c", "%5C", "%25", "%2500",
     "%00", "%1F", "%0a", "%7f", "%7F", "a b", "a\n", "\n", "é", "?", "#", ":", "@", "a+b", "%", "%4", "%4g", "%%41",
     "%80", "%BF", "%C0%AF", "%C1%81", "%C2", "%C2%80", "%C2%9f", "%C3%28", "%E0%80%AF", "%E0%9F%BF", "%ED%A0%80",
     "%F0%8F%BF%BF", "%F4%90%80%80", "%F5%80%80%80", "%FF", "{", "}", "{}", "{+y}", "{y*}", "{a,b}", "{a..b}", "{.a}",
     "a{y}", "{y}a", "{y}{z}"],
)  # fmt: skip
def test_a_variable_stands_for_nothing_else(value: str) -> None:
    assert not matches(value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("report://2024/q1", True),
        ("report://{y}/{n}", True),
        ("report://{year}/{name}", True),
        ("report://{y}/q1", False),
        ("report://2024/{n}", False),
        ("report://2024/a/b", False),
        ("report://2024/..", False),
        ("report://2024/", False),
        ("report:///q1", False),
        ("REPORT://2024/q1", False),
        ("report://2024/q1\n", False),
        (" report://2024/q1", False),
        ("report://{y}/{n}/x", False),
        ("report://{+y}/{n}", False),
    ],
)
def test_a_template_matches_what_it_expands_to_and_its_like(uri: str, expected: bool) -> None:
    assert expected == (REPORT.fullmatch(uri) is not None)


def test_literal_parts_are_literal() -> None:
    regex = re2.compile(template_regex("a.b*[c]$é\n{x}"))
    assert regex.fullmatch("a.b*[c]$é\n1")
    assert not regex.fullmatch("aXb*[c]$é\n1")


def test_a_template_without_variables_matches_itself() -> None:
    regex = re2.compile(template_regex("a:b"))
    assert (True, False) == (bool(regex.fullmatch("a:b")), bool(regex.fullmatch("a:bc")))


def test_neighbours_never_make_a_dot_segment() -> None:
    regex = re2.compile(template_regex("r:/{x}{y}/z"))
    assert not any(regex.fullmatch(f"r:/{value}/z") for value in (".", "..", "%2e.", "..."))


@pytest.mark.parametrize(
    ("text", "message", "span"),
    [
        ("a{+x}", "operators such as `+` are not level 1", Span(1, 5)),
        ("a{#x}", "operators such as `+` are not level 1", Span(1, 5)),
        ("a{.x}", "operators such as `+` are not level 1", Span(1, 5)),
        ("a{?x,y}", "operators such as `+` are not level 1", Span(1, 7)),
        ("a{x,y}", "several variables in one expression are not level 1", Span(1, 6)),
        ("a{x*}", "`*` after a variable is not level 1", Span(1, 5)),
        ("a{x:3}", "a length after a variable is not level 1", Span(1, 6)),
        ("a{}", "no name of a variable", Span(1, 3)),
        ("a{x y}", "no name of a variable", Span(1, 6)),
        ("a{x\n}", "no name of a variable", Span(1, 5)),
        ("a{é}", "no name of a variable", Span(1, 4)),
        ("a{x..y}", "no name of a variable", Span(1, 7)),
        ("a{x%4}", "no name of a variable", Span(1, 6)),
        ("a{x", "a `{` without its other half", Span(1, 2)),
        ("ax}", "a `}` without its other half", Span(2, 3)),
        ("{{x}}", "a `{` without its other half", Span(0, 1)),
        ("{x}{x}", "the same variable twice", Span(3, 6)),
    ],
)
def test_everything_beyond_level_1_is_refused(text: str, message: str, span: Span) -> None:
    with pytest.raises(TemplateError) as caught:
        template_regex(text)
    assert (message, span) == (caught.value.message, caught.value.span)
    assert caught.value.hint


_PIECES = st.sampled_from(
    ["a", ".", "~", "%2e", "%2F", "%5c", "%25", "%41", "%00", "%7F", "%C2", "%80", "%A0", "%9F", "%E0", "%ED", "%F0", "%90",
     "%F4", "/", "%", "é", "{x}"]
)  # fmt: skip


def is_value(value: str) -> bool:
    """The rule, said once more: decoded, and read."""
    if not value or any(char not in _UNRESERVED + "%" for char in value):
        return False
    if value.count("%") != sum(1 for index in range(len(value)) if _is_triplet(value[index : index + 3])):
        return False
    try:
        decoded = unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        return False
    controls = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}
    return decoded not in (".", "..") and controls.isdisjoint(decoded) and not set(decoded) & set("/\\%")


_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def _is_triplet(text: str) -> bool:
    return len(text) == 3 and text[0] == "%" and all(char in "0123456789abcdefABCDEF" for char in text[1:])


@given(st.lists(_PIECES, max_size=6).map("".join))
def test_a_value_is_what_the_rule_says(value: str) -> None:
    assert (value == "{x}" or is_value(value)) == matches(value)
