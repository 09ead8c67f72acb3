"""Which names a pattern matches, and which patterns are refused."""

from fnmatch import translate

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.policy.patterns import MAX_PROGRAM, NamePattern, PatternKind, pattern_problem, program_size

NAMES = [
    "get_weather",
    "get_weathers",
    "Get_weather",
    "get_weather ",
    "get_weather\n",
    "",
    "get_",
    "é",
    "e\u0301",
    "a\0b",
]


def matching(pattern: NamePattern) -> list[str]:
    """What a pattern matches, alone; an index of it must match the same."""
    alone = [name for name in NAMES if pattern.matches(name)]
    if pattern.regex is not None:
        index = re2.Set.FullMatchSet()
        index.Add(pattern.regex)
        index.Compile()
        assert alone == [name for name in NAMES if index.Match(name)]
        assert alone == [name for name in NAMES if re2.search(pattern.regex, name)]
    return alone


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("any", "", NAMES),
        ("literal", "get_weather", ["get_weather"]),
        ("literal", "é", ["é"]),
        ("literal", "a\0b", ["a\0b"]),
        ("literal", "get_.*", []),
        ("glob", "*", NAMES),
        ("glob", "get_weather?", ["get_weathers", "get_weather ", "get_weather\n"]),
        ("glob", "get_*", ["get_weather", "get_weathers", "get_weather ", "get_weather\n", "get_"]),
        ("glob", "get_**?", ["get_weather", "get_weathers", "get_weather ", "get_weather\n"]),
        ("glob", "?", ["é"]),
        ("glob", "??", ["e\u0301"]),
        ("glob", "get.weather", []),
        ("regex", "get_.*", ["get_weather", "get_weathers", "get_weather ", "get_"]),
        ("regex", "(?s)get_.*", ["get_weather", "get_weathers", "get_weather ", "get_weather\n", "get_"]),
        ("regex", "(?i)get_weather", ["get_weather", "Get_weather"]),
        ("regex", "get|get_weather", ["get_weather"]),
        ("regex", "get_weather$", ["get_weather"]),
        ("regex", "^get_weather", ["get_weather"]),
        ("regex", "(?m)get_weather$", ["get_weather"]),
        ("regex", "weather", []),
        ("regex", r"\Qget_weather", ["get_weather"]),
        ("regex", r"\Qget_\Eweather", ["get_weather"]),
        ("regex", r"\\Qget_weather", []),
        ("regex", "", [""]),
        ("template", "get_{x}", ["get_weather", "get_weathers"]),
    ],
)
def test_a_pattern_matches_whole_names_as_they_stand(kind: PatternKind, text: str, expected: list[str]) -> None:
    assert expected == matching(NamePattern(kind, text))


@pytest.mark.parametrize(
    "pattern", [NamePattern("regex", "(?s).*"), NamePattern("glob", "*"), NamePattern("template", "{x}")]
)
def test_a_lone_surrogate_is_matched_by_no_pattern(pattern: NamePattern) -> None:
    assert not pattern.matches("a\ud800")


@pytest.mark.parametrize(
    "pattern",
    [
        NamePattern("regex", "a)|(?:.*"),
        NamePattern("regex", "a("),
        NamePattern("regex", "a\ud800"),
        NamePattern("regex", r"\pL{1,1000}"),
        NamePattern("glob", "\ud800*"),
        NamePattern("template", "{+x}"),
        NamePattern("template", "{x}\ud800"),
    ],
)
def test_a_pattern_that_is_not_well_formed_matches_nothing(pattern: NamePattern) -> None:
    assert [] == [name for name in (*NAMES, "a", "a\ud800") if pattern.matches(name)]
    assert pattern.regex is not None


def test_literals_are_for_the_index() -> None:
    assert ("a", None) == (NamePattern("literal", "a").literal, NamePattern("literal", "a").regex)
    assert (None, None) == (NamePattern("any").literal, NamePattern("any").regex)
    assert NamePattern("glob", "a").literal is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (NamePattern("any"), "any"),
        (NamePattern("literal", "a"), "literal `a`"),
        (NamePattern("glob", "a*\n"), "glob `a*?`"),
    ],
)
def test_a_pattern_can_be_read(pattern: NamePattern, text: str) -> None:
    assert text == str(pattern)


_GLOB_TEXT = st.text(st.sampled_from("ab*?.+\n\\é()"), max_size=8)


@given(_GLOB_TEXT, st.text(st.sampled_from("ab.+\n\\é()"), max_size=8))
def test_a_glob_is_the_glob_of_python_without_classes(glob: str, name: str) -> None:
    expected = re2.fullmatch(translate(glob).replace("(?>", "(?:").replace(r"\Z", ""), name)
    assert (expected is not None) == NamePattern("glob", glob).matches(name)


@given(st.sampled_from(["regex", "glob", "template", "literal"]), st.text(max_size=20), st.text(max_size=20))
def test_no_pattern_and_no_name_raises(kind: PatternKind, text: str, name: str) -> None:
    pattern = NamePattern(kind, text)
    pattern.matches(name)
    assert str(pattern)
    if pattern_problem(pattern) is None and pattern.regex is not None:
        re2.compile(pattern.regex)


@given(st.text(st.sampled_from("ab()[]{}|*+?\\QE^$.-1,"), max_size=12))
def test_a_regex_means_alone_what_it_means_inside_our_anchors(text: str) -> None:
    if pattern_problem(NamePattern("regex", text)) is None:
        for name in ("", "a", "ab", "b", "aab", "1", text):
            assert (re2.fullmatch(text, name) is not None) == NamePattern("regex", text).matches(name)


@pytest.mark.parametrize(
    "pattern",
    [
        NamePattern("any"),
        NamePattern("literal", "a*("),
        NamePattern("regex", "a.*"),
        NamePattern("glob", "[a"),
        NamePattern("template", "a{x}"),
    ],
)
def test_most_patterns_are_fine(pattern: NamePattern) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("text", "message", "part"),
    [
        ("a(?=b)", "RE2 has no lookahead or lookbehind", "(?="),
        ("a(?!b)", "RE2 has no lookahead or lookbehind", "(?!"),
        ("a(?<=b)", "RE2 has no lookahead or lookbehind", "(?<="),
        ("a(?<!b)", "RE2 has no lookahead or lookbehind", "(?<!"),
        ("a(?>b)", "RE2 has no atomic groups", "(?>"),
        ("a(?#b)", "an unknown group", "(?#"),
        (r"(a)\1", "RE2 has no backreferences", r"\1"),
        (r"(?P<n>a)\k<n>", "RE2 has no backreferences", r"\k"),
        (r"a\Z", "RE2 does not know this escape", r"\Z"),
        (r"a\y", "RE2 does not know this escape", r"\y"),
        (r"\u0041", "RE2 does not know this escape", r"\u"),
        ("a(b", "a `(` is never closed", "a(b"),
        ("a)", "a `)` that closes nothing", "a)"),
        ("a[b", "a `[` is never closed", "[b"),
        ("a\\", "a `\\` at the end", "a\\"),
        ("*a", "nothing to repeat", "*"),
        ("a**", "two repetitions in a row", "**"),
        ("a{1001}", "a count above 1,000, or a range upside down", "{1001}"),
        ("[z-a]", "an unknown character class or a range upside down", "z-a"),
        ("(?P<a b>c)", "a group name that is not closed or not a word", "(?P<a b>"),
        ("\ud800", "RE2 refuses this regex", "\ud800"),
    ],
)
def test_what_re2_refuses_is_said_in_our_words(text: str, message: str, part: str) -> None:
    problem = pattern_problem(NamePattern("regex", text))
    assert problem is not None
    assert ("regex", message) == (problem.code, problem.message)
    assert part == text[problem.span.start : problem.span.end]
    assert problem.hint


@pytest.mark.parametrize(
    "pattern",
    [
        NamePattern("regex", r"\pL{1,100}"),
        NamePattern("regex", r"\pL{1,1000}"),
        NamePattern("regex", "a" * 20_000),
        NamePattern("glob", "?" * 5000),
        NamePattern("glob", "\ud800"),
        NamePattern("template", "".join(f"{{v{n}}}" for n in range(100))),
    ],
)
def test_a_pattern_that_needs_too_much_is_refused(pattern: NamePattern) -> None:
    problem = pattern_problem(pattern)
    assert problem is not None
    assert (pattern.kind, "the pattern is too large") == (problem.code, problem.message)
    assert program_size(pattern) > MAX_PROGRAM


def test_a_template_problem_has_its_part() -> None:
    problem = pattern_problem(NamePattern("template", "a{+x}"))
    assert problem is not None
    assert ("template", 1, 5) == (problem.code, problem.span.start, problem.span.end)


def test_a_literal_needs_no_program() -> None:
    assert (0, 0) == (program_size(NamePattern("any")), program_size(NamePattern("literal", "a")))
