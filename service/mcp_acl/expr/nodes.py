"""The tree both languages become: nine kinds of frozen node, each with its span.

A node is language-neutral. What `==`, `+` or `contains` mean is in the `Function` row a `Call` holds, so the two
evaluators (`compiler`, which makes Python code, and `walk`, which works on sets of possible values) know
nothing of EL or CEL.

Strictness: a `Call` evaluates its arguments left to right and an error in one is the error of the call. Everything that
evaluates less than all of its children is a node kind of its own.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from mcp_acl.expr.meter import CALL, FLAT, NODE, SLOW, Meter, pay_for, size
from mcp_acl.problems import NO_SPAN, Problem, Span

Value: TypeAlias = object
"""What an expression computes with: None, bool, int, float, str, bytes, list, dict and each language's own types."""

_SHORT: Final = 1_000
"""A constant text shorter than this is compared in no time."""

Inline: TypeAlias = "Callable[[Sequence[Node], Sequence[ast.expr], ast.expr], ast.expr | None]"
"""`inline(nodes, args, call)`: a Python expression equal to the call, or None where there is none better.

`args` are the emitted arguments: names or constants, safe to repeat. `call` is the ordinary call of `run`, to be embedded as
the slow branch. Other names it may use are those of `compiler.INLINE_NAMES`; constants are str, int, float, bool, None.
"""


class Type(StrEnum):
    """Static types, as far as they are worth knowing. `DYN` is anything, `OTHER` anything that is not a bool."""

    DYN = "dyn"
    NULL = "null"
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    LIST = "list"
    MAP = "map"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One row of a language's function table.

    `run` takes one positional argument per child and returns a value or raises `EvalError`; it is deterministic,
    bounded in time and memory by its inputs, and accepts any value at all. `inline`, if given, must agree with `run`.

    In a loop a call pays for its work. `pace`: how many characters or items of its arguments and its result make one unit;
    `FLAT` if they do not matter, or if `flat_beside_constant` where one argument is a plain constant. `metered`: `run` with
    a meter before the arguments, for a function that knows better what it costs.
    """

    name: str
    run: Callable[..., Value]
    result: Type = Type.DYN
    inline: "Inline | None" = None
    doc: str = ""
    pace: int = SLOW
    flat_beside_constant: bool = False
    metered: Callable[..., Value] | None = None
    key: Value = None
    """What a step reads, if that is fixed: for those who judge trees."""

    def in_loop(self, args: "Sequence[Node]") -> Callable[..., Value] | None:
        """What a loop calls with a meter and the arguments, or None if `run` will do."""
        if self.pace == FLAT or (self.flat_beside_constant and any(map(_is_plain, args))):
            return None
        return self.metered or self._paced

    def _paced(self, meter: Meter, *args: Value) -> Value:
        meter.spend(CALL)
        meter.spend(sum(map(size, args)) // self.pace)
        return pay_for(meter, self.run(*args), self.pace)


@dataclass(frozen=True, slots=True)
class Variable:
    """A name a condition may use. `attribute` is where the scope object keeps it."""

    name: str
    attribute: str
    type: Type = Type.DYN
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Base of the tree."""

    span: Span = NO_SPAN


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A value known at load time."""

    value: Value


@dataclass(frozen=True, slots=True)
class Fact(Node):
    """Read a variable from the scope. An unavailable fact is an error; in a list it may be unknown."""

    variable: Variable


@dataclass(frozen=True, slots=True)
class Available(Node):
    """True if the fact can be read."""

    variable: Variable


@dataclass(frozen=True, slots=True)
class Local(Node):
    """Read a name bound by an enclosing `Let` or `Comprehension`. The front end makes `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Let(Node):
    """Evaluate `value` (an error in it is the error of the whole), bind it, evaluate `body`."""

    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """Apply a function to all its arguments."""

    function: Function
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`and` or `or` over two or more operands, each made a bool by `truth`.

    `commutative` (CEL): the deciding value (`false` for and, `true` for or) wins over errors on either side. Otherwise
    (EL): left to right, stop at the deciding value or the first error.
    """

    is_and: bool
    operands: tuple[Node, ...]
    truth: Function
    commutative: bool


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`condition ? then : otherwise`; only the chosen branch is evaluated."""

    condition: Node
    then: Node
    otherwise: Node
    truth: Function


class Gather(StrEnum):
    """What a comprehension makes of its items."""

    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"
    LIST = "list"
    MAP = "map"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """Loop over `range` with `names` bound to each item.

    `items` turns the range's value into a list of items: plain values for one name, tuples for two. `condition` (made a
    bool by `truth`; None, for LIST, MAP, FIRST and LAST alone, is every item) picks the items; ALL and EXISTS fold it like a commutative or left-to-right `Logic`, EXISTS_ONE
    does not absorb errors. LIST gathers `result` of the picked items, MAP gathers `(key, value)` from `result` through
    `build`, FIRST and LAST yield `result` of the first or last picked item, or None.
    """

    gather: Gather
    names: tuple[str, ...]
    range: Node
    items: Function
    condition: Node | None
    truth: Function
    result: Node | None = None
    build: Function | None = None
    commutative: bool = True


def _is_plain(node: Node) -> bool:
    return isinstance(node, Const) and isinstance(node.value, str | int | float | None) and size(node.value) < _SHORT


AnyNode: TypeAlias = Const | Fact | Available | Local | Let | Call | Logic | Conditional | Comprehension


def children(node: Node) -> tuple[Node, ...]:
    """The direct children, in order of evaluation."""
    match node:
        case Let():
            return (node.value, node.body)
        case Call():
            return node.args
        case Logic():
            return node.operands
        case Conditional():
            return (node.condition, node.then, node.otherwise)
        case Comprehension():
            return tuple(child for child in (node.range, node.condition, node.result) if child is not None)
    return ()


def price(node: Comprehension) -> int:
    """What one item of a loop is charged for the nodes of its body; loops within it charge for theirs."""
    pending = [one for one in (node.condition, node.result) if one is not None]
    count = 1
    while pending:
        current = pending.pop()
        count += 1
        pending.extend((current.range,) if isinstance(current, Comprehension) else children(current))
    return count * NODE


def descendants(node: Node) -> Iterator[Node]:
    """The node and everything below it. Iterative: depth costs memory, not stack."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(children(current))


Environment: TypeAlias = Mapping[str, Variable]
"""The names an expression may use, by their full dotted name."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a front end makes of a text: the tree, and what is odd about it but no reason to refuse it."""

    node: Node
    findings: tuple[Problem, ...] = ()
