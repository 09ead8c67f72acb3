"""Every row of the function table: its example holds, and no value makes it do anything but answer or raise."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.expr.cel import operators
from mcp_acl.expr.cel.functions import FUNCTIONS, GLOBALS, METHODS
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.patterns import matches_constant
from mcp_acl.expr.cel.rows import MAX_SIZE, Row, Style
from mcp_acl.expr.cel.values import Map, type_of
from mcp_acl.expr.nodes import Function, Type, Value, Variable
from mcp_acl.expr.walk import UnknownFact, walk
from mcp_acl.problems import EvalError
from tests.expr.cel.pool import ANY, only

_NAMES = {
    Type.TIMESTAMP: "google.protobuf.Timestamp",
    Type.DURATION: "google.protobuf.Duration",
    Type.NULL: "null_type",
}
_ANYTHING = (Type.DYN, Type.OTHER)
_NOT_VALUES = (operators.ITEMS, operators.PAIRS, operators.PAIR, operators.MAP_OF_PAIRS)
_OPERATORS = [one for one in vars(operators).values() if isinstance(one, Function) and one not in _NOT_VALUES]


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: f"{row.style.name} {row.name}")
def test_an_example_is_true(row: Row) -> None:
    signature, meaning, example = row.function.doc.split("\n")
    assert row.name in signature
    assert meaning
    assert row.name in example
    assert True is only(walk(parse_cel(example, {}).node, None))


def test_a_name_stands_for_one_function_in_each_style() -> None:
    assert len(GLOBALS) == sum(Style.GLOBAL in row.style for row in FUNCTIONS)
    assert len(METHODS) == sum(Style.METHOD in row.style for row in FUNCTIONS)


def _run(function: Function, args: list[Value]) -> None:
    """A value of the type that the row promises and of bounded size, or `EvalError`."""
    try:
        value = function.run(*args)
    except (EvalError, UnknownFact):
        return
    if isinstance(value, str | bytes | list):
        assert len(value) <= MAX_SIZE
    if function.result not in _ANYTHING:
        assert _NAMES.get(function.result, function.result.value) == type_of(value).name


_VALUES = st.integers(0, len(ANY) - 1).map(ANY.__getitem__)  # by position: hypothesis would hash the values


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: f"{row.style.name} {row.name}")
@given(data=st.data())
@pytest.mark.untraced
def test_any_values_give_a_value_or_an_error(row: Row, data: st.DataObject) -> None:
    most = min(row.most, row.least + 3)
    _run(row.function, data.draw(st.lists(_VALUES, min_size=row.least, max_size=most)))


@pytest.mark.parametrize("function", _OPERATORS, ids=lambda one: one.name)
@given(data=st.data())
@pytest.mark.untraced
def test_any_values_give_an_operator_a_value_or_an_error(function: Function, data: st.DataObject) -> None:
    count = {"bool": 1, "!": 1, "[]": 4, "[?]": 4, "{}": 4, "{?}": 6}.get(function.name, 2)
    if function is operators.NEGATE:
        count = 1
    _run(function, data.draw(st.lists(_VALUES, min_size=count, max_size=count)))


@pytest.mark.parametrize("function", [operators.ITEMS, operators.PAIRS])
@given(value=_VALUES)
def test_a_comprehension_goes_over_a_list_or_raises(function: Function, value: Value) -> None:
    try:
        items = function.run(value)
    except (EvalError, UnknownFact):
        return
    assert isinstance(items, list)


@pytest.mark.parametrize("text", ["'a'.matches(x)", "x.matches('a')", "bytes(x)"])
def test_half_a_character_is_an_error(text: str) -> None:
    node = parse_cel(text, {"x": Variable("x", "x")}).node
    assert isinstance(only(walk(node, SimpleNamespace(x="\ud800"))), EvalError)


@given(value=_VALUES)
def test_a_constant_pattern_takes_any_value(value: Value) -> None:
    _run(matches_constant("^a"), [value])


_LONG = "a" * 60_000


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("x + x", [_LONG]),
        ("x + x", [_LONG.encode()]),
        ("x + x", [[0] * 60_000]),
        ("x.replace('a', 'bb')", [_LONG]),
        ("x.replace('', 'b')", [_LONG]),
        ("[x, x].join()", [_LONG]),
        ("[x, y].join(z)", ["", "", "a" * 100_001]),
        ("'%s%s'.format([x, x])", [_LONG]),
        ("'%s'.format([x])", [[_LONG, {"a": _LONG}]]),
        ("[x, x].flatten()", [[0] * 60_000]),
        ("strings.quote(x)", ["\n" * 60_000]),
        ("base64.encode(x)", [b"a" * 90_000]),
        ("string(x)", [b"a" * 100_001]),
        ("bytes(x)", ["é" * 60_000]),
        ("lists.range(100001)", []),
        ("x.trim()", [" " + "a" * 100_001]),
        ("x.split('')", ["a" * 100_001]),
        ("x.transformMap(i, v, v)", [[0] * 100_001]),
        ("cel.bind(a, [x, x], cel.bind(b, [a, a], cel.bind(c, [b, b], '%s'.format([c]))))", ["a" * 20_000]),
    ],
)  # fmt: skip
def test_a_result_is_bounded(text: str, args: list[Value]) -> None:
    environment = {name: Variable(name, name) for name in "xyz"}
    scope = SimpleNamespace(**dict(zip("xyz", args, strict=False)))
    made = only(walk(parse_cel(text, environment).node, scope))
    assert isinstance(made, EvalError)
    assert "longer than 100,000" in made.message or "too many items" in made.message


def test_comparing_is_bounded() -> None:
    """Each level holds the one below twice, so the text is short and the value is not."""
    level = "[1, 2]"
    for _ in range(40):
        level = f"cel.bind(x, {level}, [x, x])"
    made = only(walk(parse_cel(f"cel.bind(y, {level}, y == y)", {}).node, None))
    assert isinstance(made, EvalError)
    assert "too large to compare" in made.message


def test_sorting_and_sets_compare_as_cel_does() -> None:
    assert [True, 1, "a"] == only(walk(parse_cel("[true, 1, 'a', 1.0].distinct()", {}).node, None))
    made = only(walk(parse_cel("[0.0 / 0.0, 1.0].sort()", {}).node, None))
    assert isinstance(made, EvalError)
    assert "NaN" in made.message


def test_a_map_of_other_keys_is_one_to_every_function() -> None:
    value = Map([(1, "a")])
    assert 1 == operators.ITEMS.run(value)[0]  # type: ignore[index]
    assert (1, "a") == operators.PAIRS.run(value)[0]  # type: ignore[index]
