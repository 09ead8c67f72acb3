"""Text to nodes: names, problems with their places and hints, limits, odd inputs."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.expr.cel.builder import MAX_DEPTH, MAX_NODES
from mcp_acl.expr.cel.functions import GLOBALS, METHODS
from mcp_acl.expr.cel.operators import EQUAL, HAS, IN, OPTIONAL_SELECT, SELECT
from mcp_acl.expr.cel.parser import MAX_LENGTH, parse_cel
from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Environment,
    Fact,
    Local,
    Logic,
    Node,
    Variable,
    descendants,
)
from mcp_acl.expr.walk import walk
from mcp_acl.problems import EvalError, Problem, SourceError, render_problem, render_problems
from tests.expr.cel.pool import only


def _environment(*names: str) -> Environment:
    return {name: Variable(name, name.replace(".", "_")) for name in names}


FACTS = _environment("claims", "mcp.name", "mcp.arguments", "mcp.annotations", "request.time", "variables.is_admin")


def _parse(text: str, environment: Environment = FACTS) -> Node:
    return parse_cel(text, environment).node


def _problems(text: str, environment: Environment = FACTS) -> tuple[Problem, ...]:
    with pytest.raises(SourceError) as refused:
        parse_cel(text, environment)
    return refused.value.problems


def _problem(text: str) -> Problem:
    (problem,) = _problems(text)
    return problem


# ---- names ---------------------------------------------------------------------------------------------------------


def _facts(node: Node) -> list[str]:
    return [one.variable.name for one in descendants(node) if isinstance(one, Fact)]


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("claims", "claims", []),
        ("claims.role", "claims", ["role"]),
        ("claims['a.b'].c", "claims", ["a.b", "c"]),
        ("mcp.arguments.amount.value", "mcp.arguments", ["amount", "value"]),
        ("mcp['arguments']['amount']", "mcp.arguments", ["amount"]),
        ("mcp.`arguments`.`a-b`", "mcp.arguments", ["a-b"]),
        ("(mcp.arguments).amount", "mcp.arguments", ["amount"]),
        (".mcp.arguments", "mcp.arguments", []),
        ("variables.is_admin", "variables.is_admin", []),
    ],
)
def test_the_longest_declared_prefix_is_a_variable(text: str, name: str, fields: list[str]) -> None:
    node = _parse(text)
    found: list[object] = []
    while isinstance(node, Call):
        assert SELECT is node.function
        node, key = node.args
        assert isinstance(key, Const)
        found.append(key.value)
    assert isinstance(node, Fact)
    assert (name, fields) == (node.variable.name, found[::-1])


def test_a_key_with_a_dot_is_no_part_of_a_name() -> None:
    node = _parse("a['b.c']", _environment("a", "a.b.c"))
    assert ["a"] == _facts(node)


def test_a_variable_of_a_macro_shadows_a_declared_one() -> None:
    node = _parse("[1].exists(claims, claims == 1)")
    assert isinstance(node, Comprehension)
    assert [] == _facts(node)
    assert ["v0"] == [one.name for one in descendants(node) if isinstance(one, Local)]


def test_a_leading_dot_passes_over_the_variables_of_macros() -> None:
    assert ["claims"] == _facts(_parse("[1].exists(claims, .claims == 1)"))


def test_a_variable_of_a_macro_shadows_functions_of_its_name() -> None:
    node = _parse("[{'a': 1}].map(math, math.a)")
    assert isinstance(node, Comprehension)
    assert isinstance(node.result, Call)
    assert SELECT is node.result.function
    assert "cel-unknown-function" == _problem("[1].map(math, math.greatest(1, 2))").code


def test_nested_macros_have_locals_of_their_own() -> None:
    node = _parse("[1].map(x, [x].map(x, x))")
    assert isinstance(node, Comprehension)
    assert isinstance(node.result, Comprehension)
    assert ("v0",) == node.names
    assert ("v1",) == node.result.names


def test_has_of_a_declared_variable_asks_whether_it_is_available() -> None:
    node = _parse("has(mcp.annotations)")
    assert isinstance(node, Available)
    assert "mcp.annotations" == node.variable.name


def test_has_of_a_field_is_a_strict_call() -> None:
    node = _parse("has(mcp.annotations.title)")
    assert isinstance(node, Call)
    assert HAS is node.function
    assert ["mcp.annotations"] == _facts(node)


def test_an_optional_field_that_is_a_declared_variable_is_there_if_it_is_available() -> None:
    node = _parse("mcp.?annotations")
    assert isinstance(node, Conditional)
    assert isinstance(node.condition, Available)


@pytest.mark.parametrize("text", ["claims.?role", "[{}].map(mcp, mcp.?annotations)", "claims.a.?b", "[claims][0].?b"])
def test_any_other_optional_field_is_a_strict_call(text: str) -> None:
    assert any(isinstance(one, Call) and one.function is OPTIONAL_SELECT for one in descendants(_parse(text)))


def test_logic_is_flat_and_commutative() -> None:
    node = _parse("true && (claims == 1) && false && true")
    assert isinstance(node, Logic)
    assert node.is_and
    assert node.commutative
    assert 4 == len(node.operands)
    mixed = _parse("true || false && true || false")
    assert isinstance(mixed, Logic)
    assert [False, True] == [mixed.is_and, *(one.is_and for one in mixed.operands if isinstance(one, Logic))]


def test_parentheses_leave_logic_flat() -> None:
    node = _parse("((true || false)) || false")
    assert isinstance(node, Logic)
    assert 3 == len(node.operands)


def test_spans_are_offsets_in_the_text() -> None:
    text = "claims.role == 'admin' && mcp.name in ['a']"
    spans = {text[one.span.start : one.span.end] for one in descendants(_parse(text))}
    assert {text, "claims.role == 'admin'", "claims", "claims.role", "role", "'admin'", "mcp.name", "['a']"} <= spans


def test_operators_are_rows() -> None:
    node = _parse("'a' in claims == true")
    assert isinstance(node, Call)
    assert EQUAL is node.function
    assert isinstance(node.args[0], Call)
    assert IN is node.args[0].function


# ---- problems ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "message", "column", "hint"),
    [
        ("claims.role = 'a'", "cel-syntax", "unexpected `=`", 13, "compare with `==`"),
        ("true & false", "cel-syntax", "unexpected `&`", 6, "write `&&`"),
        ("true | false", "cel-syntax", "unexpected `|`", 6, "write `||`"),
        ("true and false", "cel-syntax", "unexpected `and`", 6, "write `&&`"),
        ("true OR false", "cel-syntax", "unexpected `OR`", 6, "write `||`"),
        ("not true", "cel-syntax", "unexpected `true`", 5, "write `!`"),
        ("not(true)", "cel-unknown-function", "unknown function `not`", 1, "write `!`"),
        ("{#request.id}", "cel-syntax", "`{#` does not begin a CEL expression", 2, "this is an EL block"),
        ("claims.role == 'a", "cel-syntax", "a quote is not closed", 16, "close the quote"),
        ("claims.role == \u2018a\u2019", "cel-syntax", "unexpected `\u2018`", 16, "use straight quotes"),
        ("claims.`a\tb`", "cel-syntax", "unexpected ```", 8, "quote fields only"),
        ("1 + \x00", "cel-syntax", "unexpected `U+0000`", 5, ""),
        ("(1 + 2", "cel-syntax", "the expression ends too early", 7, ""),
        ("", "cel-syntax", "the expression is empty", 1, ""),
        (" \n", "cel-syntax", "the expression is empty", 1, ""),
        ("1 2", "cel-syntax", "unexpected `2`", 3, ""),
        ("'a\\d'", "cel-syntax", "`\\d` is not an escape", 3, "write `\\\\` for a backslash"),
        ("'a\\\x01'", "cel-syntax", "`\\` is not an escape", 3, "write `\\\\` for a backslash"),
        ("'\\ud800'", "cel-syntax", "`\\ud800` is not an escape", 2, ""),
        ("'\\U00110000'", "cel-syntax", "`\\U00110000` is not an escape", 2, ""),
        ("b'\\u00e9'", "cel-syntax", "`\\u00e9` is not an escape", 3, ""),
        ("b'\ud800'", "cel-syntax", "the bytes are not valid Unicode", 1, ""),
        ("br'\ud800'", "cel-syntax", "the bytes are not valid Unicode", 1, ""),
        ("9223372036854775808", "cel-syntax", "the number does not fit 64 bits", 1, ""),
        ("9" * 5000, "cel-syntax", "the number does not fit 64 bits", 1, ""),
        ("-1u", "cel-syntax", "an unsigned number has no sign", 1, "without the `u`"),
        ("-0u", "cel-syntax", "an unsigned number has no sign", 1, "without the `u`"),
        ("1e999", "cel-syntax", "the number does not fit a double", 1, ""),
        ("Message{f: 1}", "cel-syntax", "protobuf messages cannot be made here", 1, "make a map"),
        ("package", "cel-syntax", "`package` is a word of the language", 1, ""),
        ("package()", "cel-syntax", "`package` is a word of the language", 1, ""),
        ("claims.true", "cel-syntax", "`true` is a word of the language", 8, "in brackets and quotes"),
        ("[1][0].in", "cel-syntax", "`in` is a word of the language", 8, ""),
        ("claims.in()", "cel-syntax", "`in` is a word of the language", 8, ""),
        ("claims['\\d']", "cel-syntax", "`\\d` is not an escape", 9, ""),
        ("claims.index(0)", "cel-unknown-function", "unknown function `index`", 1, ""),
        ("claim.role", "cel-unknown-variable", "unknown variable `claim`", 1, "did you mean `claims`?"),
        ("mcp.argments.a", "cel-unknown-variable", "unknown variable `mcp.argments`", 1, "did you mean `mcp.arguments`?"),
        ("has(mcp.nam)", "cel-unknown-variable", "unknown variable `mcp.nam`", 5, "did you mean `mcp.name`?"),
        ("mcp.?nam", "cel-unknown-variable", "`mcp` is a group of variables, not a value", 1, "use `mcp.name`"),
        ("mcp == 1", "cel-unknown-variable", "`mcp` is a group of variables, not a value", 1, "use `mcp.name`"),
        ("[1].map(item, itm)", "cel-unknown-variable", "unknown variable `itm`", 15, "did you mean `item`?"),
        ("claims.startWith('a')", "cel-unknown-function", "unknown function `startWith`", 1, "did you mean `startsWith`?"),
        ("math.greatst(1)", "cel-unknown-function", "unknown function `math.greatst`", 1, "did you mean `math.greatest`?"),
        ("startsWith('a', 'b')", "cel-unknown-function", "unknown function `startsWith`", 1, "written `x.startsWith(…)`"),
        ("claims.int()", "cel-unknown-function", "unknown function `int`", 1, "it is written `int(x)`"),
        ("claims.all(x)", "cel-unknown-function", "unknown function `all`", 1, "another number of arguments"),
        ("size(1, 2)", "cel-arguments", "`size` takes 1 arguments, not 2", 1, "size(string | bytes"),
        ("'a'.startsWith()", "cel-arguments", "`startsWith` takes 1 arguments, not 0", 1, "string.startsWith(string)"),
        ("'a'.substring(1, 2, 3)", "cel-arguments", "`substring` takes 1 to 2 arguments, not 3", 1, ""),
        ("has(1)", "cel-arguments", "`has` takes a field", 5, "write `has(e.f)`"),
        ("claims.matches('(')", "cel-pattern", "not a valid RE2 pattern: `(`", 16, ""),
        ("claims.matches('a')  && claims.matches('" + "a" * 1001 + "')", "cel-pattern", "longer than 1000", 40, ""),
        ("claims.matches('\ud800')", "cel-pattern", "not a valid RE2 pattern", 16, ""),
    ],
)  # fmt: skip
def test_a_problem_has_a_place_and_says_what_to_do(text: str, code: str, message: str, column: int, hint: str) -> None:
    problem = _problem(text)
    assert code == problem.code
    assert message in problem.message
    assert column == problem.place.column
    assert hint in problem.hint
    assert message in render_problem(problem)


def test_every_problem_is_reported_at_once_in_order() -> None:
    problems = _problems("nope.a ||\n  foo(1) ||\n  'x'.bar() || size()")
    assert [
        (1, 1, "cel-unknown-variable"),
        (2, 3, "cel-unknown-function"),
        (3, 3, "cel-unknown-function"),
        (3, 16, "cel-arguments"),
    ] == [(one.place.line, one.place.column, one.code) for one in problems]


def test_a_place_is_that_of_its_line() -> None:
    problem = _problem("claims.a ==\n  nope")
    assert (2, 3, 4, "  nope") == (problem.place.line, problem.place.column, problem.place.width, problem.place.text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "unknown variable `nope`"),
        ("nope.a.b", "unknown variable `nope`"),
        ("nope(1)", "unknown function `nope`"),
        ("1.nope()", "unknown function `nope`"),
        ("size()", "takes 1 arguments"),
        ("'a'.matches('(')", "not a valid RE2 pattern"),
        ("has(nope.a)", "unknown variable"),
    ],
)
def test_open_names_are_errors_when_evaluated(text: str, message: str) -> None:
    found = only(walk(parse_cel(text, {}, open_names=True).node, None))
    assert isinstance(found, EvalError)
    assert message in found.message


# ---- limits --------------------------------------------------------------------------------------------------------


def _codes(problems: Iterable[Problem]) -> set[str]:
    return {problem.code for problem in problems}


def test_a_text_is_at_most_10_000_characters() -> None:
    assert isinstance(_parse("1" + " " * (MAX_LENGTH - 1)), Const)
    assert {"cel-too-long"} == _codes(_problems("1" + " " * MAX_LENGTH))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        "[" * 130 + "]" * 130,
        "!" * 9000 + "true",
        "-" * 9000 + "claims",
        "1" + "+1" * 4000,
        "claims" + ".a" * 4000,
        "f()" + ".a" * 130,
        "claims" + "[0]" * 3000,
        "true?1:" * 1400 + "1",
        "cel.block([" + "1," * 2000 + "], 1)",
        "size(" * 1000 + ")" * 1000,
        "claims" + ".orValue(1)" * 200,
    ],
)
def test_a_tree_is_at_most_120_deep(text: str) -> None:
    assert {"cel-too-deep"} <= _codes(_problems(text))


def test_a_tree_as_deep_as_allowed_is_taken() -> None:
    assert isinstance(_parse("[" * MAX_DEPTH + "]" * MAX_DEPTH), Call)
    assert {"cel-too-deep"} == _codes(_problems("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)))


@pytest.mark.parametrize("text", ["(" * 4999 + "1" + ")" * 4999, " || ".join(["true"] * 1200)])
def test_parentheses_and_chains_of_logic_are_not_deep(text: str) -> None:
    assert isinstance(_parse(text), Const | Logic)


def test_a_tree_has_at_most_5_000_nodes() -> None:
    assert MAX_NODES == sum(1 for _ in descendants(_parse("[" + "1," * (MAX_NODES - 1) + "]")))
    assert {"cel-too-large"} == _codes(_problems("[" + "-x," * 3000 + "]", _environment("x")))


@pytest.mark.parametrize("text", ['"' + "\\" * 9990, "r'" + "\\" * 9990, '"""' + "\\" * 9990, "`" * 9999])
def test_an_open_quote_is_found_at_once(text: str) -> None:
    assert {"cel-syntax"} == _codes(_problems(text))


# ---- odd inputs ----------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *"()[]{}.,:?!-+*/%<>=&|'\"`#\\ \n0159abrxuUR_é",
        *("==", "!=", "&&", "||", " in ", "true", "null", "1.5", "1u", "'a'", "b'\\xff'", "r'\\'", '"""', "//"),
        *("claims", "mcp", "mcp.name", ".?", "[?", "cel.bind(", "cel.block(", "cel.index(0)", "cel.iterVar(0, 1)"),
        *(f".{name}(" for name in METHODS),
        *(f"{name}(" for name in GLOBALS),
        *(".all(x, ", ".map(x, ", ".exists(k, v, ", ".optMap(x, ", ".orValue(", "has(", "x", "if", "in"),
    ]
)


def _rendered(text: str, *, open_names: bool) -> str:
    """The problems of a text, if it has any; one that has none is evaluated without raising."""
    try:
        node = parse_cel(text, FACTS, open_names=open_names).node
    except SourceError as error:
        return render_problems(error.problems)
    walk(node, None)
    return "none"


def _only_source_errors(text: str) -> None:
    for open_names in (False, True):
        assert _rendered(text, open_names=open_names)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_a_source_error(text: str) -> None:
    _only_source_errors(text)


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_any_pieces_parse_or_are_a_source_error(text: str) -> None:
    _only_source_errors(text)


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_text_in_quotes_parses_or_is_a_source_error(text: str) -> None:
    for quoted in (f"'{text}'", f'b"{text}"', f"'a'.matches('''{text}''')", f"claims.`{text}`"):
        _only_source_errors(quoted)
