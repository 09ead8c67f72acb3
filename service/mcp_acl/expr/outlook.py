"""What a condition may still come to before the call, computed once as far as it depends on no request.

Strategy: the parts of a tree that read nothing unknown are compiled; the parts that read nothing else have one answer for
good; `&&`, `||` and functions of one bool join sets of outcomes by table. Whatever is left is walked. The answer is the set
that `walk` gives.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from mcp_acl.expr.compiler import compile_node, is_bool
from mcp_acl.expr.nodes import Available, Call, Fact, Function, Logic, Node, descendants
from mcp_acl.expr.shapes import Shapes
from mcp_acl.expr.walk import Outcomes, fold, outcomes, walk
from mcp_acl.problems import EvalError

Outlook: TypeAlias = Callable[[object], int]
"""A scope → the outcomes still possible, as the bits of `Outcomes`."""

_ERROR: Final = EvalError("not known before the call")
_OF_BIT: Final = {Outcomes.TRUE: True, Outcomes.FALSE: False, Outcomes.ERROR: _ERROR}
_SETS: Final = tuple(tuple(value for bit, value in _OF_BIT.items() if bits & bit) for bits in range(8))


def outlook_of(node: Node, unknown: frozenset[str], partly: frozenset[str], shapes: Shapes | None = None) -> Outlook:
    """The outlook of a condition. `unknown` and `partly` are the scope attributes not known yet, or not all of each.

    `shapes` as for `compile_node`.
    """
    plan = _plan(node, unknown, partly, shapes)
    return plan if not isinstance(plan, int) else lambda _scope: plan


def _plan(node: Node, unknown: frozenset[str], partly: frozenset[str], shapes: Shapes | None) -> Outlook | int:
    reads = {one.variable.attribute for one in descendants(node) if isinstance(one, Fact | Available)}
    if not reads & (unknown | partly):
        return _known(compile_node(node, shapes))
    if reads <= unknown:
        return int(outcomes(walk(node, None, unknown)))
    if isinstance(node, Logic) and all(is_bool(operand) for operand in node.operands):
        return _joined(node, [_plan(operand, unknown, partly, shapes) for operand in node.operands])
    if isinstance(node, Call) and len(node.args) == 1 and is_bool(node.args[0]):
        return _applied(node.function, _plan(node.args[0], unknown, partly, shapes))
    return lambda scope: int(outcomes(walk(node, scope, unknown)))


def _known(run: Callable[[object], object]) -> Outlook:
    def outlook(scope: object) -> int:
        value = run(scope)
        if value is True:
            return 1
        return 4 if isinstance(value, EvalError) else 2

    return outlook


def _joined(node: Logic, plans: Sequence[Outlook | int]) -> Outlook:
    table = _TABLES[node.is_and, node.commutative]
    start = int(Outcomes.TRUE if node.is_and else Outcomes.FALSE)

    def outlook(scope: object) -> int:
        found = start
        for plan in plans:
            found = table[found][plan if isinstance(plan, int) else plan(scope)]
        return found

    return outlook


def _applied(function: Function, plan: Outlook | int) -> Outlook:
    results = [int(outcomes(_results(function, values))) for values in _SETS]
    assert not isinstance(plan, int)  # what reads nothing but unknown facts was walked as a whole
    return plan if results == list(range(8)) else lambda scope: results[plan(scope)]


def _results(function: Function, values: Sequence[object]) -> tuple[object, ...]:
    found: list[object] = []
    for value in values:
        try:
            found.append(value if isinstance(value, EvalError) else function.run(value))
        except Exception as error:  # noqa: BLE001 - evaluation is total
            found.append(error)
    return tuple(found)


def _table(*, is_and: bool, commutative: bool) -> Sequence[Sequence[int]]:
    return [[int(outcomes(fold(left, right, is_and, commutative))) for right in _SETS] for left in _SETS]


_TABLES: Final = {(a, c): _table(is_and=a, commutative=c) for a in (True, False) for c in (True, False)}
