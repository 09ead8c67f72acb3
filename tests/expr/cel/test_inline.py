"""A function's faster form agrees with its `run` for every value."""

import ast
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest

from mcp_acl.expr.cel import operators
from mcp_acl.expr.cel.functions import FUNCTIONS
from mcp_acl.expr.cel.operators import HAS, IN, LIST, SELECT
from mcp_acl.expr.compiler import INLINE_NAMES
from mcp_acl.expr.nodes import Call, Const, Fact, Function, Node, Value, Variable
from mcp_acl.expr.walk import apply, as_eval_error
from tests.expr.cel.pool import CEL, PLAIN

_ROWS = [one for one in vars(operators).values() if isinstance(one, Function)] + [row.function for row in FUNCTIONS]
_FASTER = [one for one in _ROWS if one.inline is not None]
_ARITIES = {"bool": 1, "!": 1, "size": 1}
_FACT = Fact(Variable("x", "x"))
_CONSTANTS = (*PLAIN, 7, 2**60, 1.5, ["a"], [1], [])


def _constant(value: Value) -> ast.expr:
    """As the compiler passes it: a literal, or a name for what has none."""
    if value is None or isinstance(value, str | int | float):
        return ast.Constant(value)
    return ast.Name("c", ast.Load())


def _faster(
    function: Function, nodes: Sequence[Node], args: Sequence[ast.expr], **bound: object
) -> Callable[..., Value]:
    assert function.inline is not None
    call = ast.Call(ast.Name("run", ast.Load()), list(args), [])
    body = function.inline(nodes, args, call) or call
    parameters = ast.arguments([], [ast.arg("a"), ast.arg("b")], None, [], [], None, [])
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(parameters, body)))
    names: dict[str, object] = {"__builtins__": {}, **INLINE_NAMES, "run": function.run, **bound}
    made: Callable[..., Value] = eval(compile(tree, "<inline>", "eval"), names)  # noqa: S307 - built above
    return made


def _outcome(run: Callable[[], Value]) -> tuple[object, ...]:
    """A value by type and text, which tells -0.0, NaN and True apart; an error as an error."""
    try:
        value = run()
    except Exception as error:  # noqa: BLE001 - any exception is an error of the condition
        return (type(as_eval_error(error)),)
    return (type(value), repr(value))


def _check(function: Function, faster: Callable[..., Value], args: tuple[Value, ...], place: tuple[Value, ...]) -> None:
    expected = _outcome(lambda: apply(function, args))
    assert expected == _outcome(lambda: faster(*place)), (function.name, args)


def _names(count: int) -> list[ast.expr]:
    return [ast.Name(name, ast.Load()) for name in "ab"[:count]]


def test_there_are_faster_forms() -> None:
    assert {"==", "!=", "<", "in", ".", "has", "startsWith", "endsWith", "contains", "size", "+"} <= {
        one.name for one in _FASTER
    }


@pytest.mark.parametrize("function", [one for one in _FASTER if one.name in _ARITIES], ids=lambda one: one.name)
def test_one_argument(function: Function) -> None:
    faster = _faster(function, [_FACT], _names(1))
    for value in CEL:
        _check(function, faster, (value,), (value, None))
    for value in _CONSTANTS:
        constant = _faster(function, [Const(value)], [_constant(value)], c=value)
        _check(function, constant, (value,), (None, None))


_TWO = [one for one in _FASTER if one.name not in _ARITIES and one is not HAS and one is not SELECT]


@pytest.mark.parametrize("function", _TWO, ids=lambda one: one.name)
def test_two_arguments_not_known(function: Function) -> None:
    faster = _faster(function, [_FACT, _FACT], _names(2))
    for pair in product(CEL, CEL):
        _check(function, faster, pair, pair)


@pytest.mark.parametrize("function", [*_TWO, HAS, SELECT], ids=lambda one: one.name)
def test_a_constant_on_the_right(function: Function) -> None:
    fields = [value for value in _CONSTANTS if isinstance(value, str)]
    for value in fields if function in (HAS, SELECT) else _CONSTANTS:
        faster = _faster(function, [_FACT, Const(value)], [*_names(1), _constant(value)], c=value)
        for left in CEL:
            _check(function, faster, (left, value), (left, None))


@pytest.mark.parametrize("function", _TWO, ids=lambda one: one.name)
def test_a_constant_on_the_left(function: Function) -> None:
    for value in _CONSTANTS:
        faster = _faster(function, [Const(value), _FACT], [_constant(value), *_names(1)], c=value)
        for right in CEL:
            _check(function, faster, (value, right), (right, None))


@pytest.mark.parametrize("function", [*_TWO, HAS, SELECT], ids=lambda one: one.name)
def test_constants_on_both_sides(function: Function) -> None:
    literals = [value for value in _CONSTANTS if value is None or isinstance(value, str | int | float)]
    fields = [value for value in literals if isinstance(value, str)]
    for left, right in product(literals, fields if function in (HAS, SELECT) else literals):
        nodes, args = [Const(left), Const(right)], [_constant(left), _constant(right)]
        _check(function, _faster(function, nodes, args), (left, right), (None, None))


def _lists() -> Iterator[tuple[Node, list[Value]]]:
    for values in (["a", "abc"], ["a", 1], [], [None]):
        yield Call(LIST, tuple(Const(value) for value in values)), list(values)
        yield Const(values), list(values)
    yield Call(LIST, (Const("a"), _FACT)), ["a", "b"]


def test_membership_in_a_list_of_constants() -> None:
    for node, values in _lists():
        faster = _faster(IN, [_FACT, node], [*_names(1), ast.Name("c", ast.Load())], c=values)
        for left in CEL:
            _check(IN, faster, (left, values), (left, None))
