"""The pieces that generated code is made of, as `ast` nodes."""

import ast
import sys
from collections.abc import Sequence
from typing import Any, Final

PLAIN: Final = (str, int, float, bool, type(None))
"""Types of constants that Python has too."""

_LATER_FIELDS: Final[dict[str, Any]] = {"type_params": []} if sys.version_info >= (3, 12) else {}


def function(known_as: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.stmt:
    """A function of our own names."""
    arguments = ast.arguments([], [ast.arg(one) for one in parameters], None, [], [], None, [])
    return ast.FunctionDef(name=known_as, args=arguments, body=body, decorator_list=[], **_LATER_FIELDS)


def text_name(place: int) -> str:
    """The parameter for a text, by its place in the shape."""
    return f"c{place}"


def const(value: object) -> ast.expr:
    """A value that Python knows as a constant."""
    assert type(value) in PLAIN
    return ast.Constant(value)  # type: ignore[arg-type]


def name(text: str) -> ast.expr:
    """Read a name."""
    return ast.Name(text, ast.Load())


def assigned(target: str, value: ast.expr) -> ast.stmt:
    """Give a name a value."""
    return ast.Assign([ast.Name(target, ast.Store())], value)


def called(what: str, args: list[ast.expr]) -> ast.expr:
    """Call what a name stands for."""
    return ast.Call(name(what), args, [])


def same(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left is right`."""
    return ast.Compare(left, [ast.Is()], [right])


def if_same(left: ast.expr, right: ast.expr, then: list[ast.stmt]) -> ast.stmt:
    """Do something if two are the same object."""
    return ast.If(same(left, right), then, [])


def tried(body: list[ast.stmt], error: str | None, handler: list[ast.stmt]) -> ast.stmt:
    """A body whose errors are handled, under a name if one is given."""
    return ast.Try(body, [ast.ExceptHandler(name("Error"), error, handler)], [], [])


def keep_first(body: list[ast.stmt], error: str) -> ast.stmt:
    """A body of which the first error is kept in a name."""
    keep = if_same(name(error), const(None), [assigned(error, name("e"))])
    return tried(body, "e", [keep])


def raise_if(error: str) -> ast.stmt:
    """Raise what a name holds, if anything."""
    return ast.If(ast.Compare(name(error), [ast.IsNot()], [const(None)]), [ast.Raise(name(error))], [])
