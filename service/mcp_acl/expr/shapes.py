"""What the code of a tree depends on: of trees that differ in short texts alone, the code is made once.

Strategy: a text that is an argument of an operation with a faster form becomes a parameter of the code, and code is made without
knowing it. Everything else is part of the tree's shape, functions and other values by identity; so equal shapes have equal code.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Let,
    Local,
    Logic,
    Node,
    Value,
    children,
)

_LONGEST: Final = 200
"""Characters of a text that may be a parameter. How a loop pays for constants depends on their size, but not for such small ones."""

_PLAIN: Final = (str, int, bool, type(None))

ANY_TEXT: Final = Const("any text")
"""In the place of a text that code may not depend on."""

Maker: TypeAlias = Callable[..., Callable[[object], Value]]
"""Takes the texts of a tree and gives its code."""

Shapes: TypeAlias = dict[tuple[object, ...], Maker]
"""Code that was made, by the shape it is for."""


class Shape(NamedTuple):
    """The shape of a tree, the texts that are no part of it, and which of them is which argument of which call, by its identity."""

    key: tuple[object, ...]
    texts: Sequence[str]
    places: Mapping[tuple[int, int], int]


class _Same:
    """A value that is equal to nothing but itself; it lives as long as the shape does."""

    __slots__ = ("_value",)

    def __init__(self, value: Value) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def shape_of(tree: Node) -> Shape:
    """The shape of a tree. Iterative: depth costs memory, not stack."""
    key: list[object] = []
    texts: list[str] = []
    places: dict[tuple[int, int], int] = {}
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Call) and node.function.inline is not None:
            key += (Call, node.function, len(node.args))
            for index, arg in enumerate(node.args):
                if not _is_text(arg):
                    pending.append(arg)
                    key.append(None)
                    continue
                place = places.setdefault((id(node), index), len(texts))
                if place == len(texts):
                    texts.append(str(arg.value))  # type: ignore[attr-defined]
                key.append(place)
        else:
            key += _ROWS[type(node)](node)
            pending.extend(children(node))
    return Shape(tuple(key), texts, places)


def _is_text(node: Node) -> bool:
    return isinstance(node, Const) and type(node.value) is str and len(node.value) <= _LONGEST


def _const(node: Const) -> tuple[object, ...]:
    value = node.value
    return (Const, type(value), value) if type(value) in _PLAIN else (Const, _Same(value))


_ROWS: Final[Mapping[type[Node], Callable[..., tuple[object, ...]]]] = {
    Const: _const,
    Fact: lambda node: (Fact, node.variable.attribute),
    Available: lambda node: (Available, node.variable.attribute),
    Local: lambda node: (Local, node.name),
    Let: lambda node: (Let, node.name),
    Call: lambda node: (Call, node.function, len(node.args)),
    Logic: lambda node: (Logic, node.is_and, node.commutative, node.truth, len(node.operands)),
    Conditional: lambda node: (Conditional, node.truth),
    Comprehension: lambda node: (
        *(Comprehension, node.gather, node.names, node.items, node.truth, node.build, node.commutative),
        *(node.condition is None, node.result is None),
    ),
}
"""What of each kind of node the code depends on, and how many children it has."""
