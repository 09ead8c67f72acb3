"""Bytes → documents, and the place of every value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.policy.source import MAX_SIZE, Document, SourceFile, read_document
from mcp_acl.policy.tree import Path
from mcp_acl.problems import Place, Problem, Span


def read(content: str | bytes) -> tuple[Document | None, tuple[Problem, ...]]:
    return read_document(SourceFile("a.yaml", content if isinstance(content, bytes) else content.encode()))


def document(text: str) -> Document:
    found, problems = read(text)
    assert found is not None
    assert () == problems
    return found


def codes(content: str | bytes) -> list[str]:
    _, problems = read(content)
    return [problem.code for problem in problems]


def test_what_to_do_with_an_empty_file_depends_on_what_is_read() -> None:
    empty = SourceFile("a.yaml", b"# nothing")
    assert ["fill it, or remove it"] == [problem.hint for problem in read_document(empty)[1]]
    assert ["begin here"] == [problem.hint for problem in read_document(empty, "begin here")[1]]


# ---- bytes --------------------------------------------------------------------------------------------------------


def test_a_file_of_the_greatest_size_is_read() -> None:
    assert [] == codes(b"a: b #" + b"x" * (MAX_SIZE - 6))
    assert ["file-size"] == codes(b"a: b #" + b"x" * (MAX_SIZE - 5))


def test_a_larger_file_is_refused_by_its_length_alone() -> None:
    found, problems = read(b"\xff" * (100 * MAX_SIZE))
    assert found is None
    assert ["the file has more than 1,048,576 bytes"] == [problem.message for problem in problems]
    assert Place("a.yaml") == problems[0].place


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbfa: b", "the file begins with a byte order mark"),
        ("a: b".encode("utf-16"), "the file is UTF-16 or UTF-32"),
        ("a: b".encode("utf-32"), "the file is UTF-16 or UTF-32"),
        (b"\xfe\xff\x00a", "the file is UTF-16"),
        ("a: b".encode("utf-16-le"), "the file holds NUL bytes, as UTF-16 does"),
        (b"a: \x00", "the file holds NUL bytes, as UTF-16 does"),
    ],
)
def test_another_encoding_is_refused(content: bytes, message: str) -> None:
    assert [message] == [problem.message for problem in read(content)[1]]


@pytest.mark.parametrize(
    ("content", "line", "column", "text"),
    [
        (b"\xff", 1, 1, "\ufffd"),
        (b"a: \xc3\nb: c", 1, 4, "a: \ufffd"),
        ("é: b\nü: ".encode() + b"\xc0b\n", 2, 4, "ü: \ufffdb"),
        (b"a: \xed\xa0\x80", 1, 4, "a: \ufffd\ufffd\ufffd"),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused_where_they_stand(
    content: bytes, line: int, column: int, text: str
) -> None:
    found, (problem,) = read(content)
    assert found is None
    assert ("file-encoding", Place("a.yaml", line, column, 1, text)) == (problem.code, problem.place)


@pytest.mark.parametrize(
    "character",
    ["\x01", "\x1b", "\x7f", "\x80", "\x85", "\u2028", "\u2029", "\u200e", "\u202e", "\u2066", "\ufeff", "\ufffe"],
)
def test_hidden_characters_are_refused(character: str) -> None:
    _, (problem,) = read(f"a: b\nc: d{character}e\n")
    assert ("file-character", 2, 5) == (problem.code, problem.place.line, problem.place.column)


def test_a_lone_carriage_return_is_refused() -> None:
    assert ["file-character"] == codes("a: b\rc: d")


def test_only_the_first_hidden_characters_are_told() -> None:
    assert ["file-character"] * 20 == codes("\u202e" * 1000)


@pytest.mark.parametrize("text", ["é", "日本語", "😀", "\u00a0", "\U0010ffff", "\ue000"])
def test_any_other_character_is_read(text: str) -> None:
    assert {"a": text} == document(f'a: "{text}"').plain()


def test_directives_are_refused() -> None:
    assert ["yaml-directive"] == codes("%YAML 1.2\n%TAG ! x\n---\na: b\n")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_a_problem(content: bytes) -> None:
    found, problems = read(content)
    assert found is not None or problems


# ---- places -------------------------------------------------------------------------------------------------------

PLACES = document(
    """\
version: 1
servers: [one, 'two', "three"]
rules:
  - id: first
    cel: claims.a == "b"   # a comment
  - {id: second, cel: ''}
empty:
text: |
  one
"""
)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1, 7)),
        (("version",), (1, 10, 1)),
        (("servers",), (2, 10, 21)),
        (("servers", 1), (2, 16, 5)),
        (("rules",), (4, 3, 11)),
        (("rules", 0), (4, 5, 2)),
        (("rules", 0, "cel"), (5, 10, 15)),
        (("rules", 1), (6, 5, 3)),
        (("rules", 1, "cel"), (6, 23, 2)),
        (("rules", 1, "name", "glob"), (6, 5, 3)),
        (("empty",), (7, 7, 1)),
        (("text",), (8, 7, 1)),
    ],
)
def test_every_value_has_its_place(path: Path, place: tuple[int, int, int]) -> None:
    found = PLACES.place(path)
    assert ("a.yaml", *place) == (found.file, found.line, found.column, found.width)
    assert PLACES.lines[found.line - 1] == found.text


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1, 7)),
        (("servers",), (2, 1, 7)),
        (("servers", 1), (2, 16, 5)),
        (("rules", 0, "cel"), (5, 5, 3)),
        (("rules", 1, "id"), (6, 6, 2)),
    ],
)
def test_every_key_has_its_place(path: Path, place: tuple[int, int, int]) -> None:
    found = PLACES.place(path, key=True)
    assert place == (found.line, found.column, found.width)


@pytest.mark.parametrize(
    ("span", "place"),
    [
        (Span(0, 6), (5, 10, 6)),
        (Span(12, 15), (5, 22, 3)),
        (Span(15, 15), (5, 25, 1)),
        (Span(14, 99), (5, 24, 1)),
        (Span(99, 99), (5, 25, 1)),
    ],
)
def test_a_span_has_its_place_inside_the_value(span: Span, place: tuple[int, int, int]) -> None:
    found = PLACES.place(("rules", 0, "cel"), span)
    assert place == (found.line, found.column, found.width)


def test_a_span_of_what_is_not_text_is_the_place_of_the_value() -> None:
    assert PLACES.place(("servers",)) == PLACES.place(("servers",), Span(1, 2))


def test_a_span_in_an_empty_text_is_the_place_of_the_value() -> None:
    assert PLACES.place(("rules", 1, "cel")) == PLACES.place(("rules", 1, "cel"), Span(0, 0))


def test_an_empty_mapping_has_its_place() -> None:
    found = document("a: {}\n").place(("a",))
    assert (1, 4, 2) == (found.line, found.column, found.width)


def test_windows_line_ends_are_read() -> None:
    found = document('a: b\r\nc: "d\r\n  e"\r\nf: |\r\n  g\r\n  h\r\n')
    assert {"a": "b", "c": "d e", "f": "g\nh\n"} == found.plain()
    assert Place("a.yaml", 6, 3, 1, "  h") == found.place(("f",), Span(2, 3))
