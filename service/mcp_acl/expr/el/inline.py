"""Faster forms of the commonest operations: Python expressions for the types met most, the ordinary call for all others.

Each must agree with its function's `run` for every value. A class is tested by identity, so subclasses take the call.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mcp_acl.expr.el.values import Int32
from mcp_acl.expr.nodes import Const, Inline, Node


def _is(value: ast.expr, kind: str) -> ast.expr:
    """`value.__class__ is kind`."""
    return ast.Compare(_get(value, "__class__"), [ast.Is()], [ast.Name(kind, ast.Load())])


def _get(value: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(value, name, ast.Load())


def _unless_constant(emit: Inline) -> Inline:
    """No faster form for a constant: Python warns of operations that cannot be on one."""

    def guarded(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr | None:
        return None if nodes and isinstance(nodes[0], Const) else emit(nodes, args, call)

    return guarded


def _is_text(node: Node) -> bool:
    return isinstance(node, Const) and type(node.value) is str


def _int_of(node: Node) -> int | None:
    return int(node.value) if isinstance(node, Const) and type(node.value) in (int, Int32) else None  # type: ignore[call-overload]


def is_bool(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
    """A boolean as it is."""
    return ast.IfExp(_is(args[0], "bool"), args[0], call)


def _comparison(operator: ast.cmpop, *, texts: bool) -> Inline:
    """With a constant text (if `texts`) any value compares as in Python; with a constant whole number a Long does."""

    def emit(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr | None:
        number = _int_of(nodes[1])
        if texts and _is_text(nodes[1]):
            return ast.Compare(args[0], [operator], [args[1]])
        if number is None:
            return None
        return ast.IfExp(_is(args[0], "int"), ast.Compare(args[0], [operator], [ast.Constant(number)]), call)

    return emit


equal: Final = _comparison(ast.Eq(), texts=True)
not_equal: Final = _comparison(ast.NotEq(), texts=True)
less: Final = _comparison(ast.Lt(), texts=False)
less_or_equal: Final = _comparison(ast.LtE(), texts=False)
greater: Final = _comparison(ast.Gt(), texts=False)
greater_or_equal: Final = _comparison(ast.GtE(), texts=False)


def key(name: str) -> Inline:
    """A key of a plain map; None if it is missing."""

    def emit(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        found = ast.Call(_get(args[0], "get"), [ast.Constant(name)], [])
        return ast.IfExp(_is(args[0], "dict"), found, call)

    return _unless_constant(emit)


def position(index: int) -> Inline:
    """An element of a plain list that is long enough."""

    def emit(_nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr:
        length = ast.Call(ast.Name("len", ast.Load()), [args[0]], [])
        long_enough = ast.Compare(length, [ast.Gt()], [ast.Constant(index)])
        known = ast.BoolOp(ast.And(), [_is(args[0], "list"), long_enough])
        return ast.IfExp(known, ast.Subscript(args[0], ast.Constant(index), ast.Load()), call)

    return _unless_constant(emit)


def attribute(name: str) -> Inline:
    """`#context.attributes[name]`: the context is always ours."""

    def emit(_nodes: Sequence[Node], args: Sequence[ast.expr], _call: ast.expr) -> ast.expr:
        return ast.Subscript(_get(args[0], "attributes"), ast.Constant(name), ast.Load())

    return emit


def bean_property(name: str) -> Inline:
    """A property a root object is known to have."""

    def emit(_nodes: Sequence[Node], args: Sequence[ast.expr], _call: ast.expr) -> ast.expr:
        return ast.Subscript(_get(args[0], "values"), ast.Constant(name), ast.Load())

    return emit


def _on_text(make: Callable[[ast.expr, ast.expr], ast.expr], *kinds: str) -> Inline:
    """A method of one constant text, on a plain text (or what else `kinds` name)."""

    def emit(nodes: Sequence[Node], args: Sequence[ast.expr], call: ast.expr) -> ast.expr | None:
        if len(nodes) != 2 or not _is_text(nodes[1]):
            return None
        tests = [_is(args[0], kind) for kind in kinds]
        known = tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)
        return ast.IfExp(known, make(args[0], args[1]), call)

    return _unless_constant(emit)


def _python_method(name: str) -> Inline:
    return _on_text(lambda value, text: ast.Call(_get(value, name), [text], []), "str")


METHODS: Final[Mapping[str, Inline]] = {
    "contains": _on_text(lambda value, text: ast.Compare(text, [ast.In()], [value]), "list", "str"),
    "equals": _on_text(lambda value, text: ast.Compare(value, [ast.Eq()], [text]), "str"),
    "startsWith": _python_method("startswith"),
    "endsWith": _python_method("endswith"),
}
"""Methods with one constant text, by name."""
