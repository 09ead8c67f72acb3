"""Faster forms of the operators and functions that policies use most, as Python expressions.

Each form tests the type of what it gets with `x.__class__ is …` and leaves every other case to the ordinary call, so it
can only differ from it where that test holds. An exception in one stands for an error in the other.
"""

import ast
import math
from collections.abc import Sequence
from typing import Final

from mcp_acl.expr.cel.values import INT_MAX, INT_MIN
from mcp_acl.expr.nodes import Call, Const, Inline, Node, Value

_EXACT: Final = 2**53
"""Up to here an int and the double it is compared with are the same number to Python and to CEL."""

_NO_CONSTANT: Final = object()


def _constant(node: Node) -> Value:
    return node.value if isinstance(node, Const) else _NO_CONSTANT


def _class_is(arg: ast.expr, *names: str) -> ast.expr:
    """`arg.__class__ is name or …`."""
    tests: list[ast.expr] = [
        ast.Compare(ast.Attribute(arg, "__class__", ast.Load()), [ast.Is()], [ast.Name(name, ast.Load())])
        for name in names
    ]
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)


def _both(*tests: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), list(tests))


def _compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [operator], [right])


# ---- equality and order --------------------------------------------------------------------------------------------


_GUARDS: Final = {bool: "bool", int: "int", float: "float"}


def equality(operator: ast.cmpop) -> Inline:
    """`==` or `!=`: with a constant string, null, bool or number, or between two strings."""

    def inline(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        for node, constant, other in zip(nodes, args, reversed(args), strict=True):
            value = _constant(node)
            fast = _compare(other, operator, constant)
            if value is None or type(value) is str:
                return fast
            if type(value) in _GUARDS:
                return ast.IfExp(_class_is(other, _GUARDS[type(value)]), fast, call)
        left, right = args
        return ast.IfExp(_both(_class_is(left, "str"), _class_is(right, "str")), _compare(left, operator, right), call)

    return inline


def ordering(operator: ast.cmpop) -> Inline:
    """`<`, `<=`, `>`, `>=`: with a constant number, or between two ints."""

    def inline(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        fast = _compare(args[0], operator, args[1])
        for node, other in zip(nodes, reversed(args), strict=True):
            test = _orders_with(_constant(node), other)
            if test is not None:
                return ast.IfExp(test, fast, call)
        return ast.IfExp(_both(*(_class_is(arg, "int") for arg in args)), fast, call)

    return inline


def _orders_with(value: Value, other: ast.expr) -> ast.expr | None:
    """The test that `other` is a number which Python orders with the constant as CEL does; a NaN is not."""
    a_number = _both(_class_is(other, "float"), _compare(other, ast.Eq(), other))
    if type(value) is int and abs(value) <= _EXACT:
        return ast.BoolOp(ast.Or(), [_class_is(other, "int"), a_number])
    return a_number if type(value) is float and not math.isnan(value) else None


# ---- maps, lists and strings ---------------------------------------------------------------------------------------


def lookup(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`e.f` and `e['f']` on a map, `e[0]` on a list."""
    key = _constant(nodes[1])
    if isinstance(args[0], ast.Constant):
        return call
    item = ast.Subscript(args[0], args[1], ast.Load())
    if isinstance(key, str):
        return ast.IfExp(_class_is(args[0], "dict"), item, call)
    if type(key) is int and key >= 0:
        return ast.IfExp(_class_is(args[0], "list"), item, call)
    return call


def presence(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`has(e.f)` on a map."""
    return ast.IfExp(_class_is(args[0], "dict"), _compare(args[1], ast.In(), args[0]), call)


def membership(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`in`: a constant string in a list or map, or a string among constant ones."""
    if isinstance(_constant(nodes[0]), str):
        return ast.IfExp(_class_is(args[1], "list", "dict"), _compare(args[0], ast.In(), args[1]), call)
    strings = _constant_strings(nodes[1])
    if strings is None:
        return call
    among = ast.Set([ast.Constant(one) for one in strings])
    return ast.IfExp(_class_is(args[0], "str"), _compare(args[0], ast.In(), among), call)


def _constant_strings(node: Node) -> list[str] | None:
    """The strings of a list that is known when loading; None for any other, and for an empty one."""
    values: Value = node.value if isinstance(node, Const) else None
    if isinstance(node, Call) and node.function.name == "[]":
        values = [_constant(item) for item in node.args]
    if not isinstance(values, list) or not values:
        return None
    strings = [one for one in values if isinstance(one, str)]
    return strings if len(strings) == len(values) else None


def string_method(python_name: str) -> Inline:
    """A function of two strings that Python has as a method."""

    def inline(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        fast = ast.Call(ast.Attribute(args[0], python_name, ast.Load()), [args[1]], [])
        return _if_strings(nodes, args, fast, call)

    return inline


def substring(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`contains` of two strings."""
    return _if_strings(nodes, args, _compare(args[1], ast.In(), args[0]), call)


def _if_strings(nodes: Sequence[Node], args: Sequence[ast.expr], fast: ast.expr, call: ast.expr) -> ast.expr:
    tests = [_class_is(arg, "str") for node, arg in zip(nodes, args, strict=True) if type(_constant(node)) is not str]
    if not tests:
        return fast
    return ast.IfExp(_both(*tests) if len(tests) > 1 else tests[0], fast, call)


def size(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`size` of a string, list or map."""
    length = ast.Call(ast.Name("len", ast.Load()), [args[0]], [])
    return ast.IfExp(_class_is(args[0], "str", "list", "dict"), length, call)


# ---- numbers and bools ---------------------------------------------------------------------------------------------


def sum_of_ints(operator: ast.operator) -> Inline:
    """`+` or `-` of ints whose result fits 64 bits."""

    def inline(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        total = ast.BinOp(args[0], operator, args[1])
        fits = ast.Compare(ast.Constant(INT_MIN), [ast.LtE(), ast.LtE()], [total, ast.Constant(INT_MAX)])
        ints = [_class_is(arg, "int") for arg in args]
        return ast.IfExp(_both(*ints, fits), total, call)

    return inline


def negation(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """`!` of a bool."""
    return ast.IfExp(_class_is(args[0], "bool"), ast.UnaryOp(ast.Not(), args[0]), call)


def truth(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """A bool as it is."""
    return ast.IfExp(_class_is(args[0], "bool"), args[0], call)
