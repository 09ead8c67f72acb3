"""What the loops of a condition may cost, known from its tree before any request: a sum of parts that grow with the size of inputs.

The meter ends a run that costs too much; this says beforehand how large inputs may be so that it certainly does not. Outside of
loops every node is evaluated once at most. Knows the prices of `meter` and `nodes`, and no language.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mcp_acl.expr.meter import CALL, ITEM, MAX_STEPS, MAX_WORK, NODE
from mcp_acl.expr.nodes import Call, Comprehension, Conditional, Const, Function, Logic, Node, children, price


class Part(NamedTuple):
    """What is paid each time that one thing in a loop is done, which is once for each item of `depth` loops around it.

    `flat` units; `an_item` for each item of its own, if it is a loop; if it is a call, one for each `pace` that its `values` hold
    together and `ITEM` for each item that it makes.
    """

    depth: int
    flat: int
    an_item: int = 0
    values: int = 0
    pace: int = 1

    def paid(self, size: int) -> int:
        """What it pays at most in a run where nothing is larger."""
        call = self.values * size // self.pace + ITEM * size if self.values else 0
        times: int = size**self.depth
        return times * (self.flat + self.an_item * size + call)


@dataclass(frozen=True, slots=True)
class Cost:
    """`parts` are what loops pay; `own` counts the calls in them that know better what they cost: for these the meter alone is a bound.

    A size is that of the largest list, map or text that a run meets, what it makes included.
    """

    nodes: int
    parts: tuple[Part, ...]
    own: int

    def most(self, size: int) -> int:
        """The units that a run pays at most, but for calls in `own`."""
        return sum(part.paid(size) for part in self.parts)

    def steps(self, size: int) -> int:
        """The items that it visits at most."""
        return sum(size ** (part.depth + 1) for part in self.parts if part.an_item)

    def fits(self, size: int) -> bool:
        """Whether the meter certainly does not end such a run; of calls in `own` nothing is certain."""
        return not self.own and self.most(size) <= MAX_WORK and self.steps(size) <= MAX_STEPS

    @property
    def largest(self) -> int | None:
        """The largest size that fits; None if any does, because there are no loops."""
        if not self.parts and not self.own:
            return None
        low, high = 0, MAX_STEPS + 1
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low


def cost_of(node: Node) -> Cost:
    """The cost of a tree."""
    parts: list[Part] = []
    nodes = own = 0
    pending = [(node, 0)]
    while pending:
        current, depth = pending.pop()
        nodes += 1 if depth == 0 else 0
        for function, args, at in _calls(current, depth):
            if at == 0 or function.in_loop(args) is None:
                continue
            if function.metered is not None:
                own += 1
            else:
                parts.append(Part(at, CALL, values=max(1, len(args)), pace=function.pace))
        if isinstance(current, Comprehension):
            parts.append(Part(depth, 2 * NODE, price(current)))
            pending.append((current.range, depth))
            pending += [(one, depth + 1) for one in (current.condition, current.result) if one is not None]
        else:
            pending += [(one, depth) for one in children(current)]
    return Cost(nodes, tuple(parts), own)


def _calls(node: Node, depth: int) -> Iterator[tuple[Function, tuple[Node, ...], int]]:
    """The functions that a node itself applies, to what, and in how many loops."""
    match node:
        case Call():
            yield node.function, node.args, depth
        case Logic():
            yield from ((node.truth, (operand,), depth) for operand in node.operands)
        case Conditional():
            yield node.truth, (node.condition,), depth
        case Comprehension():
            yield node.items, (node.range,), depth
            if node.condition is not None:
                yield node.truth, (node.condition,), depth + 1
            if node.build is not None:
                yield node.build, (Const(None),), depth + 1
