"""Carets inside scalars."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.policy.source import Document, SourceFile, read_document
from mcp_acl.policy.tree import Mark, ScalarNode
from mcp_acl.policy.verbatim import marks_of
from mcp_acl.problems import Span


def document(text: str) -> Document:
    found, problems = read_document(SourceFile("a.yaml", text.encode()))
    assert found is not None
    assert () == problems
    return found


def shown(text: str, part: str) -> tuple[int, str]:
    """The line a part of the value of `a` is said to be on, and what the caret is under."""
    found = document(text)
    data = found.plain()
    assert isinstance(data, dict)
    value = data["a"]
    assert isinstance(value, str)
    start = value.index(part)
    place = found.place(("a",), Span(start, start + len(part)))
    return place.line, place.text[place.column - 1 : place.column - 1 + place.width]


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("a: one two three # four\n", "two", (1, "two")),
        ("a: one two\n   three\n\n   four\n", "three", (2, "three")),
        ("a: one two\n   three\n\n   four\n", "four", (4, "four")),
        ("{a: one two, b: c}\n", "two", (1, "two")),
        ("a: 'one two'\n", "two", (1, "two")),
        ("a: 'it''s two'\n", "two", (1, "two")),
        ("a: 'it''s two'\n", "'", (1, "''")),
        ("a: 'one\n\n\n  two'\n", "two", (4, "two")),
        ('a: "one two"\n', "two", (1, "two")),
        ('a: "\\x41\\u0042\\U00000043\\"\\n two"\n', "two", (1, "two")),
        ('a: "\\x41\\u0042\\U00000043\\"\\n two"\n', "B", (1, "\\u0042")),
        ('a: "one \\\n     two"\n', "two", (2, "two")),
        ('a: "one\n     two"\n', "two", (2, "two")),
        ("a: |\n  one\n   two\n\n  three\n", "two", (3, "two")),
        ("a: |\n  one\n   two\n\n  three\n", "three", (5, "three")),
        ("a: |+ # kept\n\n  one\n\n\n", "one", (3, "one")),
        ("a: |2-\n   one\n  two\n", "two", (1, "|2-")),
        ("a: >\n  one\n  two\n\n  three\n", "two", (3, "two")),
        ("a: >\n  one\n  two\n\n  three\n", "three", (5, "three")),
        ("a: >-\n  one\n   two\n   three\n  four\n", "three", (4, "three")),
        ("a: >-\n  one\n   two\n   three\n  four\n", "four", (5, "four")),
        ("a: >\n\n  one\n\n   two\n\n\n", "two", (5, "two")),
        ("a: >2\n   one\n  two\n", "two", (1, ">2")),
    ],
)
def test_a_part_is_shown_where_it_stands(text: str, part: str, expected: tuple[int, str]) -> None:
    assert expected == shown(text, part)


def test_a_part_over_several_lines_is_shown_to_the_end_of_the_first() -> None:
    assert (1, "two") == shown("a: one two\n  three\n", "two three")


def test_a_very_long_scalar_is_shown_at_its_start() -> None:
    found = document("a: " + "b" * 100_001)
    assert found.place(("a",)) == found.place(("a",), Span(5, 6))


@pytest.mark.parametrize(
    ("lines", "text", "style"),
    [
        (["abc"], "xyz", ""),
        (["abc"], "ab", ""),
        (["|", " abc"], "xyz", "|"),
        ([">", " abc"], "xyz", ">"),
        ([">", " a", " b"], "ab", ">"),
        ([">", " a", "", "", " b"], "a\nb", ">"),
    ],
)
def test_where_source_and_value_disagree_there_is_no_answer(lines: list[str], text: str, style: str) -> None:
    node = ScalarNode(text, text, style, Mark(0, 0), Mark(len(lines) - 1, len(lines[-1])))
    assert marks_of(lines, node) is None


_TEXT = st.text(st.sampled_from("ab'\"\\:#{}é😀 \n"), min_size=1, max_size=40)


@given(_TEXT, st.sampled_from(["", "'", '"', "|", ">"]), st.integers(8, 40))
def test_a_caret_is_never_under_something_else(value: str, style: str, width: int) -> None:
    text = yaml.safe_dump({"k": [{"a": value}]}, default_style=style or None, width=width, allow_unicode=True)
    found, _ = read_document(SourceFile("a.yaml", text.replace("!!str ", "").encode()))
    if found is None or {"k": [{"a": value}]} != found.plain():
        return
    whole = found.place(("k", 0, "a"))
    for index, char in enumerate(value):
        place = found.place(("k", 0, "a"), Span(index, index + 1))
        if place != whole and char not in " \n":
            under = place.text[place.column - 1 : place.column - 1 + place.width]
            assert under in (char, "''", f"\\{char}", f'"{char}', "\\xe9") or under.startswith("\\")
