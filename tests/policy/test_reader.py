"""What YAML means here, and its limits."""

import pytest

from mcp_acl.policy.reader import MAX_DEPTH, MAX_NODES, resolve
from mcp_acl.policy.source import SourceFile, read_document


def read(text: str) -> object:
    found, problems = read_document(SourceFile("a.yaml", text.encode()))
    assert () == problems
    assert found is not None
    return found.plain()


def codes(text: str) -> list[str]:
    return [problem.code for problem in read_document(SourceFile("a.yaml", text.encode()))[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("017", 17),
        ("0o17", 15),
        ("0xfF", 255),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-1.5E-1", -0.15),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
    ],
)
def test_plain_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    assert (value, type(value)) == (resolve(text), type(resolve(text)))


def test_not_a_number_is_a_number() -> None:
    assert "nan" == str(resolve(".nan"))


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "n", "Yes", "NO", "nULL", "1:20", "190:20:30", "2024-01-01", "2024-01-01 10:00:00",
     "1_000", "0b11", "0o18", "0xg", "1e", ".", "+.nan", "1.2.3", "=", "<<", "tRUE"],
)  # fmt: skip
def test_what_only_yaml_1_1_takes_for_something_else_is_text(text: str) -> None:
    assert {"a": text} == read(f"a: {text}\n")


def test_quoted_scalars_are_text() -> None:
    assert {"a": "true", "b": "1", "c": "", "d": "1\n"} == read("a: 'true'\nb: \"1\"\nc: ''\nd: |\n  1\n")


def test_keys_are_text() -> None:
    assert {"1": "a", "true": "b", "null": "c"} == read("1: a\ntrue: b\nnull: c\n")


def test_flow_and_block_say_the_same() -> None:
    assert read("a:\n- b: c\n- d\n") == read("{a: [{b: c}, d]}")


def test_a_document_may_be_marked() -> None:
    assert {"a": "b"} == read("---\na: b\n...\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "yaml-empty"),
        ("# nothing\n\n", "yaml-empty"),
        ("a: 1\n---\nb: 2\n", "yaml-documents"),
        ("a: &x 1\n", "yaml-alias"),
        ("a: &x [1]\n", "yaml-alias"),
        ("a: &x {b: 1}\n", "yaml-alias"),
        ("a: *x\n", "yaml-alias"),
        ("&x a: 1\n", "yaml-alias"),
        ("a: !x 1\n", "yaml-tag"),
        ("a: !!str 1\n", "yaml-tag"),
        ("a: ! 1\n", "yaml-tag"),
        ("a: !!binary aGk=\n", "yaml-tag"),
        ("a: !!python/object/apply:os.system [x]\n", "yaml-tag"),
        ("!!map {a: b}\n", "yaml-tag"),
        ("a: !e!x 1\n", "yaml-syntax"),
        ("? [a]\n: b\n", "yaml-key"),
        ("? {a: b}\n: c\n", "yaml-key"),
        ("'': a", "yaml-key"),
        ("a: 1\na: 2\n", "yaml-duplicate-key"),
        ("1: 1\n'1': 2\n", "yaml-duplicate-key"),
        ("a: 1234567890123456789\n", "yaml-number"),
        ("a: 1" + "0" * 5000 + "\n", "yaml-number"),
        ("a: 0." + "0" * 50 + "\n", "yaml-number"),
        ("\ta: 1\n", "yaml-tab"),
        ("a:\n\tb: 1\n", "yaml-tab"),
    ],
)
def test_what_cannot_be_read_is_a_problem(text: str, code: str) -> None:
    assert [code] == codes(text)


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    assert ["yaml-alias"] == codes("a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(1000)))


def test_the_first_of_two_equal_keys_is_kept() -> None:
    found, problems = read_document(SourceFile("a.yaml", b"a: 1\nb: 2\na: 3\n"))
    assert found is not None
    assert {"a": 1, "b": 2} == found.plain()
    assert [("yaml-duplicate-key", 3)] == [(problem.code, problem.place.line) for problem in problems]


def test_only_the_first_equal_keys_are_told() -> None:
    assert 100 == len(codes("a: 1\n" * 1000))


@pytest.mark.parametrize("opening", ["[", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert ["yaml-depth"] == codes(opening * 100_000)
    assert "yaml-depth" not in codes(opening * (MAX_DEPTH - 1))


def test_size_is_bounded() -> None:
    assert ["yaml-size"] == codes("[" + "a," * MAX_NODES + "]")


SYNTAX = [
    ("a: [\n", "the file ends before this is complete"),
    ("a: [b\nc: d\n", "the list that begins here is never closed"),
    ("a: {b\nc: d\n", "the mapping that begins here is never closed"),
    ("a: 'b\n", "the quote that begins here is never closed"),
    ("a: b: c\n", "a `: ` cannot stand here"),
    ("a: ? b\n", "a `? ` cannot stand here"),
    ("a: - b\n", "a list item cannot begin here"),
    ("a: @b\n", "a value cannot begin with this character"),
    ("a: *\n", "a value cannot begin with `*` or `&`"),
    ('a: "\\d"\n', "an unknown escape in double quotes"),
    ('a: "\\xz"\n', "an escape without its hexadecimal digits"),
    ('a: "\\ud800"\n', "an escape that is no character"),
    ("a: >= b\n", "a block text begins on the line after `|` or `>`"),
    ("a: |0\n", "a wrong number after `|` or `>`"),
    ("- a\nb: c\n", "a list item is expected here"),
    ("a: b\nc\nd: e\n", "a key without `:`"),
    ("a: b\n- c\n", "a key is expected here"),
    ("a: ]\n", "a value is missing here"),
    ("{a: b}\nc\n", "text after the end of the document"),
    ("a: !e!x b\n", "`!` begins a YAML tag, which is not read here"),
    ("a: 'b' c\n", "text after the closing quote"),
    ("a: {#b}\n", "`{#` begins a YAML mapping and a comment"),
    ("a: !<x b\n", "this is not YAML"),
]


@pytest.mark.parametrize(("text", "message"), SYNTAX)
def test_every_mistake_is_said_in_our_words(text: str, message: str) -> None:
    _, (problem,) = read_document(SourceFile("a.yaml", text.encode()))
    assert message == problem.message
    assert problem.hint
