"""Evaluate a tree over sets of possible values: the reference meaning of every node, and how lists are decided.

While a list is shown, what only the call will bring is unknown. So an evaluation yields *possibilities*: a tuple of the
values (an `EvalError` stands for an error) that the expression may still have, or `UNKNOWN` where that is anything
at all. With nothing unknown it is a tuple of one, and equal to what `compiler` makes of the same tree.

Calls are applied to every combination of their arguments' possibilities; beyond `MAX_POSSIBILITIES` it is `UNKNOWN`.
The result is sound (what may happen is in the set) and knows no relation between two reads of one unknown fact.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from itertools import product
from typing import Final, TypeAlias

from mcp_acl.expr.meter import MAX_WORK, NODE, Meter
from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Function,
    Gather,
    Let,
    Local,
    Logic,
    Node,
    Value,
    price,
)
from mcp_acl.problems import EvalError

MAX_POSSIBILITIES: Final = 8
MAX_VISITS: Final = MAX_WORK // NODE + 100_000
"""How many nodes one walk may visit. With nothing unknown the meter ends it first; several possibilities multiply."""


class UnknownFact(Exception):  # noqa: N818 - control flow between a value and `walk`, never seen outside
    """Raised by a value that holds facts not known yet (the headers of a list request, asked for an argument header)."""


class _Unknown:
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
Possibilities: TypeAlias = "tuple[Value | EvalError, ...] | _Unknown"
Trace: TypeAlias = Callable[[Node, Possibilities], None]


class Outcomes(IntFlag):
    """The outcomes of a condition that are still possible."""

    NONE = 0
    TRUE = 1
    FALSE = 2
    ERROR = 4


ANY_OUTCOME: Final = Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR
_NOT_KNOWN: Final = EvalError("not known before the call")
_ANY_BOOL: Final = (True, False, _NOT_KNOWN)


@dataclass(slots=True)
class _Run:
    scope: object
    unknown: frozenset[str]
    trace: Trace | None
    meter: Meter = field(default_factory=Meter)
    visits: int = MAX_VISITS
    loops: int = 0
    guesses: bool = False
    """Whether something unknown was met: from then on the walk may pay for what will not happen."""

    @property
    def overdrawn(self) -> bool:
        """Whether the meter ran out over that, so that nothing follows from it."""
        return self.guesses and self.meter.spent


def walk(node: Node, scope: object, unknown: frozenset[str] = frozenset(), trace: Trace | None = None) -> Possibilities:
    """What the tree may evaluate to. `unknown` holds the scope attributes not known yet. Never raises."""
    return _walk(node, _Run(scope, unknown, trace), {})


def outcomes(possibilities: Possibilities) -> Outcomes:
    """A condition's possibilities as a set; null counts as false."""
    if isinstance(possibilities, _Unknown):
        return ANY_OUTCOME
    result = Outcomes.NONE
    for value in possibilities:
        if value is True:
            result |= Outcomes.TRUE
        elif value is False or value is None:
            result |= Outcomes.FALSE
        else:
            result |= Outcomes.ERROR
    return result


def as_eval_error(error: Exception) -> EvalError:
    """Any exception met while evaluating, as the one error a condition may have."""
    match error:
        case EvalError():
            return error.settled()
        case KeyError():
            return EvalError(f"no such key: `{str(*error.args[:1])[:60]}`")
        case IndexError():
            return EvalError("index out of range")
        case RecursionError() | MemoryError():
            return EvalError("the value is nested too deeply or too large")
    return EvalError("no such overload: the operation does not take these types")


def apply(function: Function, args: Iterable[Value], meter: Meter | None = None, nodes: Sequence[Node] = ()) -> Value:
    """Apply one function to plain values, in a loop at the meter's expense. Raises only `EvalError` and `UnknownFact`."""
    metered = function.in_loop(nodes) if meter is not None else None
    try:
        return function.run(*args) if metered is None else metered(meter, *args)
    except UnknownFact:
        raise
    except Exception as error:  # noqa: BLE001 - evaluation is total
        raise as_eval_error(error) from None


_Locals: TypeAlias = Mapping[str, Possibilities]


def _walk(node: Node, run: _Run, local: _Locals) -> Possibilities:
    run.visits -= 1
    result = _HANDLERS[type(node)](node, run, local) if run.visits >= 0 else UNKNOWN
    run.guesses = run.guesses or isinstance(result, _Unknown) or len(result) > 1
    if run.trace is not None:
        run.trace(node, result)
    return result


def _const(node: Const, _run: _Run, _local: _Locals) -> Possibilities:
    return (node.value,)


def _fact(node: Fact, run: _Run, _local: _Locals) -> Possibilities:
    if node.variable.attribute in run.unknown:
        return UNKNOWN
    try:
        return (getattr(run.scope, node.variable.attribute),)
    except UnknownFact:
        return UNKNOWN
    except Exception as error:  # noqa: BLE001 - evaluation is total
        return (as_eval_error(error),)


def _available(node: Available, run: _Run, local: _Locals) -> Possibilities:
    found = _fact(Fact(node.variable), run, local)
    if isinstance(found, _Unknown):
        return (True, False)
    return (not isinstance(found[0], EvalError),)


def _local(node: Local, _run: _Run, local: _Locals) -> Possibilities:
    return local[node.name]


def _let(node: Let, run: _Run, local: _Locals) -> Possibilities:
    value = _walk(node.value, run, local)
    if isinstance(value, _Unknown):
        return _union([_walk(node.body, run, {**local, node.name: UNKNOWN}), (_NOT_KNOWN,)])
    found: list[Possibilities] = []
    for one in value:
        if isinstance(one, EvalError):
            found.append((one,))
        else:
            found.append(_walk(node.body, run, {**local, node.name: (one,)}))
    return _union(found)


def _call(node: Call, run: _Run, local: _Locals) -> Possibilities:
    args: list[Possibilities] = []
    for child in node.args:
        arg = _walk(child, run, local)
        if _certain_error(arg):
            return arg
        args.append(arg)
    return _apply_all(node.function, args, run, node.args)


def _apply_all(function: Function, args: list[Possibilities], run: _Run, nodes: Sequence[Node] = ()) -> Possibilities:
    known: list[tuple[Value | EvalError, ...]] = []
    for arg in args:
        if isinstance(arg, _Unknown):
            return UNKNOWN
        known.append(arg)
    found: list[Possibilities] = []
    for combination in product(*known):
        one = _apply_one(function, combination, run, nodes)
        if isinstance(one, _Unknown) or len(found) > MAX_POSSIBILITIES * MAX_POSSIBILITIES:
            return UNKNOWN
        found.append(one)
    return _union(found)


def _apply_one(function: Function, args: Sequence[Value], run: _Run, nodes: Sequence[Node]) -> Possibilities:
    error = next((one for one in args if isinstance(one, EvalError)), None)
    if error is not None:
        return (error,)
    try:
        return (apply(function, args, run.meter if run.loops else None, nodes),)
    except EvalError as raised:
        return UNKNOWN if run.overdrawn else (raised.settled(),)
    except UnknownFact:
        return UNKNOWN


def _truths(node: Node, truth: Function, run: _Run, local: _Locals) -> tuple[Value | EvalError, ...]:
    result = _apply_all(truth, [_walk(node, run, local)], run, (node,))
    return _ANY_BOOL if isinstance(result, _Unknown) else result


def _logic(node: Logic, run: _Run, local: _Locals) -> Possibilities:
    result: tuple[Value | EvalError, ...] = (node.is_and,)
    for operand in node.operands:
        if not _goes_on(result, node.is_and, node.commutative):
            break
        result = fold(result, _truths(operand, node.truth, run, local), node.is_and, node.commutative)
    return result


def _goes_on(result: tuple[Value | EvalError, ...], is_and: bool, commutative: bool) -> bool:
    """Whether the next operand can still matter: the deciding value ends it, and left to right so does an error."""
    return any(one is is_and or (commutative and isinstance(one, EvalError)) for one in result)


def fold(
    left: tuple[Value | EvalError, ...], right: tuple[Value | EvalError, ...], is_and: bool, commutative: bool
) -> tuple[Value | EvalError, ...]:
    """The outcomes of two operands, each one of several still possible."""
    found: list[Value | EvalError] = []
    for first, second in product(left, right):
        one: Value | EvalError
        if first is (not is_and):
            one = first
        elif isinstance(first, EvalError):
            one = second if commutative and second is (not is_and) else first
        else:
            one = second
        if not _has(found, one):
            found.append(one)
    return tuple(found)


def _conditional(node: Conditional, run: _Run, local: _Locals) -> Possibilities:
    found: list[Possibilities] = []
    for one in _truths(node.condition, node.truth, run, local):
        if isinstance(one, EvalError):
            found.append((one,))
        else:
            found.append(_walk(node.then if one else node.otherwise, run, local))
    return _union(found)


def _comprehension(node: Comprehension, run: _Run, local: _Locals) -> Possibilities:
    over = _walk(node.range, run, local)
    if _certain_error(over):
        return over
    try:
        return _loop(node, over, run, local)
    except EvalError as error:
        return UNKNOWN if run.overdrawn else (error.settled(),)


def _loop(node: Comprehension, over: Possibilities, run: _Run, local: _Locals) -> Possibilities:
    run.meter.spend(NODE)
    ranges = _apply_all(node.items, [over], run, (node.range,))
    if isinstance(ranges, _Unknown):
        return _ANY_BOOL if node.gather in _FOLDS or node.gather is Gather.EXISTS_ONE else UNKNOWN
    found: list[Possibilities] = []
    for items in ranges:
        if isinstance(items, EvalError):
            found.append((items,))
            continue
        assert isinstance(items, list)
        run.meter.visit(len(items), price(node) if items else NODE)
        run.loops += 1
        found.append(_GATHERERS[node.gather](node, items, run, local))
        run.loops -= 1
    return _union(found)


def _bound(node: Comprehension, item: Value, local: _Locals) -> _Locals:
    if len(node.names) == 1:
        return {**local, node.names[0]: (item,)}
    assert isinstance(item, tuple)
    return {**local, **{name: (part,) for name, part in zip(node.names, item, strict=True)}}


_FOLDS: Final = {Gather.ALL: True, Gather.EXISTS: False}


def _quantify(node: Comprehension, items: list[Value], run: _Run, local: _Locals) -> Possibilities:
    is_and = _FOLDS[node.gather]
    result: tuple[Value | EvalError, ...] = (is_and,)
    for item in items:
        if not _goes_on(result, is_and, node.commutative):
            break
        result = fold(result, _picked(node, run, _bound(node, item, local)), is_and, node.commutative)
    return result


def _picked(node: Comprehension, run: _Run, local: _Locals) -> tuple[Value | EvalError, ...]:
    if node.condition is None:
        return (True,)
    return _truths(node.condition, node.truth, run, local)


def _exists_one(node: Comprehension, items: list[Value], run: _Run, local: _Locals) -> Possibilities:
    counts = {0}
    error: EvalError | None = None
    for item in items:
        picked = _picked(node, run, _bound(node, item, local))
        if _certain_error(picked):
            return picked
        error = error or next((one for one in picked if isinstance(one, EvalError)), None)
        counts = {min(count + (one is True), 2) for count in counts for one in picked if not isinstance(one, EvalError)}
    found: list[Possibilities] = [(count == 1,) for count in sorted(counts)]
    return _union([*found, (error,)] if error is not None else found)


def _gather(node: Comprehension, items: list[Value], run: _Run, local: _Locals) -> Possibilities:
    gathered: list[Value] = []
    for item in reversed(items) if node.gather is Gather.LAST else items:
        inner = _bound(node, item, local)
        picked = _picked(node, run, inner)
        if len(picked) != 1 or isinstance(picked[0], EvalError):
            return picked if _certain_error(picked) else UNKNOWN
        if picked[0] is False:
            continue
        assert node.result is not None
        result = _walk(node.result, run, inner)
        if isinstance(result, _Unknown) or len(result) != 1 or isinstance(result[0], EvalError):
            return result if _certain_error(result) else UNKNOWN
        gathered.append(result[0])
        if node.gather in (Gather.FIRST, Gather.LAST):
            return (gathered[0],)
    if node.gather in (Gather.FIRST, Gather.LAST):
        return (None,)
    return _apply_all(node.build, [(gathered,)], run) if node.build is not None else (gathered,)


_GATHERERS: Final = {
    Gather.ALL: _quantify,
    Gather.EXISTS: _quantify,
    Gather.EXISTS_ONE: _exists_one,
    Gather.LIST: _gather,
    Gather.MAP: _gather,
    Gather.FIRST: _gather,
    Gather.LAST: _gather,
}

_HANDLERS: Final[Mapping[type[Node], Callable[..., Possibilities]]] = {
    Const: _const,
    Fact: _fact,
    Available: _available,
    Local: _local,
    Let: _let,
    Call: _call,
    Logic: _logic,
    Conditional: _conditional,
    Comprehension: _comprehension,
}


def _certain_error(possibilities: Possibilities) -> bool:
    return not isinstance(possibilities, _Unknown) and all(isinstance(one, EvalError) for one in possibilities)


def _has(found: list[Value | EvalError], one: Value | EvalError) -> bool:
    """Whether it is there already; only what identity tells apart is merged, which keeps the set sound."""
    if isinstance(one, EvalError):
        return any(isinstance(other, EvalError) for other in found)
    return any(other is one for other in found)


def _union(parts: Iterable[Possibilities]) -> Possibilities:
    found: list[Value | EvalError] = []
    for part in parts:
        if isinstance(part, _Unknown):
            return UNKNOWN
        for one in part:
            if not _has(found, one):
                found.append(one)
    return tuple(found) if len(found) <= MAX_POSSIBILITIES else UNKNOWN
