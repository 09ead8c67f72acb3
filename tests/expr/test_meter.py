"""What loops may cost: one budget for all of an evaluation, the same in both evaluators."""

from types import SimpleNamespace

import pytest

from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.meter import CALL, MAX_STEPS, MAX_WORK, NODE, SLOW, Budget, Meter, size
from mcp_acl.expr.nodes import (
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
    Type,
    price,
)
from mcp_acl.expr.walk import UNKNOWN, Outcomes, UnknownFact, outcomes, walk
from mcp_acl.problems import EvalError
from tests.expr.trees import EQUAL, FLAG, INDEX, ITEMS, LATER, LIST, NUMBERS, TRUTH

LATER_ONLY = frozenset({"later"})
SCOPE = SimpleNamespace(flag=True, later=1, numbers=list(range(1_000)), number=2)
TEXT = Const("x" * 100_000)
CONTAINS = Function("contains", lambda text, part: part in text, Type.BOOL)


def _loop(condition: Node, name: str = "v0", gather: Gather = Gather.EXISTS) -> Comprehension:
    return Comprehension(gather, (name,), Fact(NUMBERS), ITEMS, condition, TRUTH)


COSTLY = Call(CONTAINS, (TEXT, Const("y")))


def _message(value: object) -> str:
    assert isinstance(value, EvalError)
    return value.message


def _both(node: Node, scope: object = SCOPE) -> object:
    possible = walk(node, scope)
    assert isinstance(possible, tuple)
    (walked,) = possible
    compiled = compile_node(node)(scope)
    assert str(walked) == str(compiled)
    assert type(walked) is type(compiled)
    return compiled


def test_every_loop_spends_from_one_budget() -> None:
    half = _loop(COSTLY)
    several = SimpleNamespace(numbers=list(range(MAX_WORK // len("x" * 100_000) * SLOW // 2 + 1)))
    assert False is _both(half, several)
    assert "too much work" in _message(_both(Logic(False, (half, half), TRUTH, True), several))


def test_outside_of_loops_nothing_is_counted() -> None:
    assert False is _both(Logic(False, (COSTLY,) * 100, TRUTH, True))


def test_a_call_pays_for_what_it_makes() -> None:
    many = Function("many", lambda _value: [0] * 10_000)
    node = _loop(Call(EQUAL, (Call(many, (Local("v0"),)), Const(None))))
    assert "too much work" in _message(_both(node))


def test_an_item_pays_for_the_nodes_of_its_body() -> None:
    flat = Call(EQUAL, (Local("v0"), Const(-1)))
    inner = _loop(flat, "v1")
    assert 5 * NODE == price(_loop(Call(TRUTH, (flat,))))
    assert 3 * NODE == price(_loop(inner))
    wide = Logic(False, (flat,) * 100, TRUTH, True)
    scope = SimpleNamespace(numbers=list(range(MAX_STEPS)))
    assert "too much work" in _message(_both(_loop(wide), scope))


def test_a_short_constant_makes_a_comparison_flat() -> None:
    calls: list[int] = []

    def metered(meter: Meter, left: object, right: object) -> bool:
        calls.append(1)
        meter.spend(CALL)
        return left == right

    equal = Function("==", lambda left, right: left == right, Type.BOOL, flat_beside_constant=True, metered=metered)
    for other, count in ((Const(1), 0), (Const("x" * 2_000), 2_000), (Local("v0"), 2), (Const([]), 2_000)):
        calls.clear()
        _both(_loop(Call(equal, (Local("v0"), other))))
        assert count == len(calls)


def test_a_loop_in_a_loop_fails_before_it_makes_its_items() -> None:
    made: list[int] = []

    def items(value: object) -> object:
        made.append(1)
        return value

    counted = Function("items", items)
    inner = Comprehension(Gather.EXISTS, ("v1",), Fact(NUMBERS), counted, Const(False), TRUTH)
    assert "too many items" in _message(compile_node(_loop(inner))(SCOPE))
    assert 101 >= len(made)


def test_what_a_walk_pays_for_guesses_says_nothing() -> None:
    guess = Logic(True, (Fact(LATER), COSTLY), TRUTH, True)
    found = walk(_loop(guess), SCOPE, LATER_ONLY)
    assert Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR == outcomes(found)
    inner = _loop(Call(EQUAL, (Local("v1"), Const(-1))), "v1")
    nested = _loop(Logic(True, (Fact(LATER), inner), TRUTH, True))
    assert Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR == outcomes(walk(nested, SCOPE, LATER_ONLY))
    deeper = _loop(Logic(True, (Fact(LATER), _loop(COSTLY, "v1")), TRUTH, True))
    assert Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR == outcomes(walk(deeper, SCOPE, LATER_ONLY))


def test_a_value_not_known_is_a_guess_too() -> None:
    def ask(_value: object) -> object:
        raise UnknownFact

    either = Logic(True, (Call(Function("ask", ask), (Local("v0"),)), COSTLY), TRUTH, True)
    assert Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR == outcomes(walk(_loop(either), SCOPE))


@pytest.mark.untraced
def test_several_possibilities_at_every_step_are_unknown_in_the_end() -> None:
    body: Node = Const(1)
    for index in range(60):
        chosen = Conditional(Logic(False, (Fact(LATER), Fact(LATER)), TRUTH, True), Const(1), Const(2), TRUTH)
        body = Let(f"v{index}", chosen, Call(LIST, (Local(f"v{index}"), body)))
    assert UNKNOWN is walk(body, SCOPE, LATER_ONLY)


def test_an_error_in_the_range_comes_before_everything() -> None:
    broken = Comprehension(
        Gather.EXISTS, ("v0",), Call(INDEX, (Fact(NUMBERS), Const(-5_000))), ITEMS, Fact(FLAG), TRUTH
    )
    assert "index out of range" in _message(_both(broken))


@pytest.mark.parametrize(
    ("value", "expected"), [("abc", 3), (b"ab", 2), ([1], 1), ((1, 2), 2), ({"a": 1}, 1), (7, 0), (None, 0)]
)
def test_size(value: object, expected: int) -> None:
    assert expected == size(value)


def test_what_is_spent_stays_spent() -> None:
    meter = Meter()
    meter.spend(MAX_WORK)
    assert not meter.spent
    with pytest.raises(EvalError):
        meter.spend()
    assert meter.spent
    other = Meter()
    with pytest.raises(EvalError, match="too many items"):
        other.visit(MAX_STEPS + 1, 0)
    with pytest.raises(EvalError, match="too much work"):
        other.spend(0)
    with pytest.raises(EvalError, match="too large to compare"):
        Budget(0).spend()
