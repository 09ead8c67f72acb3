"""Problems are shown with their place; errors keep what they carry."""

import operator

import pytest

from mcp_acl.domain import InexactNumber
from mcp_acl.problems import (
    EvalError,
    Place,
    Problem,
    Severity,
    SourceError,
    Span,
    nearest,
    place_in,
    render_problem,
    render_problems,
)


def test_a_problem_is_drawn_with_a_caret_under_its_place() -> None:
    place = place_in("one\ntwo three\n", Span(8, 13), "a.yaml")
    problem = Problem("code", "what is wrong", place, "what to do")
    assert "a.yaml:2:5: problem [code]: what is wrong\n  | two three\n  |     ^^^^^\n  = what to do" == render_problem(
        problem
    )


def test_a_problem_without_text_or_hint_is_one_line() -> None:
    assert "a.yaml:1:1: finding [c]: m" == render_problem(Problem("c", "m", Place("a.yaml"), severity=Severity.FINDING))


def test_a_long_line_is_cut_around_the_place() -> None:
    place = place_in("x" * 500 + "here" + "y" * 500, Span(500, 504))
    shown, caret = render_problem(Problem("c", "m", place)).split("\n")[1:]
    assert "here" == shown[caret.index("^") : caret.rindex("^") + 1]
    assert 130 > len(shown)


def test_what_cannot_be_printed_is_shown_as_a_space() -> None:
    assert "  | a b" in render_problem(Problem("c", "m", place_in("a\x1bb", Span(0, 1))))


@pytest.mark.parametrize(
    ("before", "marked", "caret"),
    [
        ('"日本語" == claims.x && ', "clams", " " * 24 + "^" * 5),
        ("a == ", "日本", "     ^^^^"),
        ("\N{ROCKET} ", "x", "   ^"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}", "x", "  ^"),
        ("e\N{COMBINING ACUTE ACCENT} ", "x", "  ^"),
        ("a\N{ZERO WIDTH JOINER}", "x", "  ^"),
        ("ab", "\N{COMBINING ACUTE ACCENT}", " ^"),
        ("\N{COMBINING ACUTE ACCENT}", "x", "^"),
        ("日本", "", "    ^"),
    ],
)
def test_a_caret_stands_under_what_a_terminal_shows(before: str, marked: str, caret: str) -> None:
    place = place_in(f"{before}{marked}", Span(len(before), len(before + marked)))
    assert len(before) + 1 == place.column
    assert f"  | {caret}" == render_problem(Problem("c", "m", place)).split("\n")[2]


def test_a_place_beyond_the_text_is_its_end() -> None:
    assert (1, 4) == (place_in("abc", Span(9, 12)).line, place_in("abc", Span(9, 12)).column)


def test_problems_are_sorted_by_place_and_joined_by_a_blank_line() -> None:
    late, early = Problem("b", "late", Place("f", 2)), Problem("a", "early", Place("f", 1))
    error = SourceError([late, early])
    assert (early, late) == error.problems
    assert "early; late" == str(error)
    assert render_problem(early) + "\n\n" + render_problem(late) == render_problems(error.problems)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tools/cal", "did you mean `tools/call`?"), ("nothing like it", ""), ("x" * 101, "")],
)
def test_the_nearest_known_name_is_offered(name: str, expected: str) -> None:
    assert expected == nearest(name, ["tools/call", "tools/list"])


def test_a_number_parsers_read_differently_passes_as_data_and_fails_in_use() -> None:
    number = InexactNumber("9007199254740993")
    assert "InexactNumber('9007199254740993')" == repr(number)
    for use in (operator.eq, operator.lt, operator.ne):
        with pytest.raises(EvalError, match="outside the range"):
            use(number, 1)
    for use_alone in (hash, bool, len):
        with pytest.raises(EvalError, match="outside the range"):
            use_alone(number)
