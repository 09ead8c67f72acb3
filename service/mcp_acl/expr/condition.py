"""A compiled condition: run it in a call, or ask for its possible outcomes while facts are unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Available, Call, Fact, Function, Logic, Node, Type, Value, Variable, descendants
from mcp_acl.expr.shapes import Shapes
from mcp_acl.expr.walk import Possibilities, Trace, walk
from mcp_acl.problems import EvalError


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """`run` gives True, False, None (as false) or an `EvalError` value; `reads` are the variables it uses, `text` is its source."""

    node: Node
    run: Callable[[object], Value]
    reads: frozenset[Variable]
    text: str = ""

    def possible(self, scope: object, unknown: frozenset[str], trace: Trace | None = None) -> Possibilities:
        """What it may still be while the scope attributes of `unknown` are not known. Never raises."""
        return walk(self.node, scope, unknown, trace)


def condition_of(node: Node, text: str = "", shapes: Shapes | None = None) -> Condition:
    """Compile a tree whose value is a condition's; `shapes` as for `compile_node`."""
    reads = {one.variable for one in descendants(node) if isinstance(one, Fact | Available)}
    return Condition(node, compile_node(node, shapes), frozenset(reads), text)


def as_condition(node: Node, truth: Function) -> Node:
    """The tree with its value made a bool."""
    return Call(truth, (node,), span=node.span)


def both(first: Node, second: Node) -> Node:
    """Two conditions joined as CEL's `&&`: false wins over an error, whichever side it is on."""
    return Logic(True, (first, second), _JOINED, True, span=first.span)


def _joined(value: Value) -> Value:
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise EvalError("the condition is not a boolean")


_JOINED: Final = Function("condition", _joined, Type.BOOL, doc="null and empty count as false")
