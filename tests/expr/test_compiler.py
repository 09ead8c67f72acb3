"""The compiled function means what the reference walk means."""

import gc
import itertools
import weakref

import pytest
from hypothesis import given, settings

from mcp_acl.expr.compiler import compile_node, is_bool
from mcp_acl.expr.meter import MAX_STEPS
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
    children,
    descendants,
)
from mcp_acl.expr.walk import UNKNOWN, Outcomes, UnknownFact, outcomes, walk
from mcp_acl.problems import EvalError
from tests.expr.trees import ADD, EQUAL, FLAG, INDEX, ITEMS, LATER, LIST, MISSING, NUMBER, NUMBERS, SCOPE, TRUTH, trees


def shown(value: object) -> object:
    return f"error: {value}" if isinstance(value, EvalError) else (type(value), value)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(trees())
@pytest.mark.untraced
def test_compiled_equals_the_walk(node: Node) -> None:
    possible = walk(node, SCOPE)
    assert isinstance(possible, tuple)
    assert 1 == len(possible)
    assert shown(possible[0]) == shown(compile_node(node)(SCOPE))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(trees())
@pytest.mark.untraced
def test_what_happens_for_some_value_is_in_the_set_of_possibilities(node: Node) -> None:
    possible = walk(node, SCOPE, frozenset({"later"}))
    run = compile_node(node)
    for value in (0, 1, 2, True, False, None, "a", [1], [True, 2]):
        SCOPE.later = value
        try:
            happened = run(SCOPE)
        finally:
            SCOPE.later = 1
        if possible is UNKNOWN:
            continue
        assert isinstance(possible, tuple)
        wanted = shown(happened) if not isinstance(happened, EvalError) else "error"
        assert wanted in [shown(one) if not isinstance(one, EvalError) else "error" for one in possible]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(trees())
def test_is_bool_is_true_only_of_bools(node: Node) -> None:
    value = compile_node(node)(SCOPE)
    if is_bool(node):
        assert isinstance(value, bool | EvalError)


BOOM = Const("not a bool")
TABLE = [(True, True), (False, False), (BOOM, "error")]


@pytest.mark.parametrize("is_and", [True, False])
@pytest.mark.parametrize(("left", "right"), list(itertools.product(TABLE, TABLE)))
def test_commutative_logic_lets_the_deciding_value_win(
    is_and: bool, left: tuple[object, object], right: tuple[object, object]
) -> None:
    operands = tuple(one[0] if isinstance(one[0], Node) else Const(one[0]) for one in (left, right))
    meaning = {left[1], right[1]}
    expected: object = (not is_and) if (not is_and) in meaning else ("error" if "error" in meaning else is_and)
    value = compile_node(Logic(is_and, operands, TRUTH, True))(SCOPE)
    assert expected == ("error" if isinstance(value, EvalError) else value)


def test_logic_from_left_to_right_stops_at_the_first_error() -> None:
    node = Logic(True, (BOOM, Const(False)), TRUTH, False)
    assert isinstance(compile_node(node)(SCOPE), EvalError)
    assert compile_node(Logic(True, (Const(False), BOOM), TRUTH, False))(SCOPE) is False


def test_unknown_facts_leave_the_outcomes_the_other_side_allows() -> None:
    later = frozenset({"later"})
    unknown_or = Logic(False, (Fact(FLAG), Fact(LATER)), TRUTH, True)
    assert Outcomes.TRUE == outcomes(walk(unknown_or, SCOPE, later))
    unknown_and = Logic(True, (Fact(FLAG), Fact(LATER)), TRUTH, True)
    assert Outcomes.TRUE | Outcomes.FALSE | Outcomes.ERROR == outcomes(walk(unknown_and, SCOPE, later))
    chosen = Conditional(Fact(FLAG), Const(1), Fact(LATER), TRUTH)
    assert (1,) == walk(chosen, SCOPE, later)
    either = Call(EQUAL, (Conditional(Fact(LATER), Const(1), Const(2), TRUTH), Const(3)))
    assert Outcomes.FALSE | Outcomes.ERROR == outcomes(walk(either, SCOPE, later))


def test_null_counts_as_false_in_outcomes() -> None:
    assert Outcomes.FALSE == outcomes((None,))
    assert Outcomes.ERROR == outcomes(("a",))


def test_many_possibilities_become_unknown() -> None:
    node: Node = Fact(NUMBER)
    for index in range(4):
        node = Call(ADD, (node, Conditional(Fact(LATER), Const(10**index), Const(0), TRUTH)))
    assert UNKNOWN is walk(node, SCOPE, frozenset({"later"}))
    assert "UNKNOWN" == repr(UNKNOWN)
    several: Node = Const(0)
    for index in range(4):
        several = Conditional(Fact(LATER), Const(index), several, TRUTH)
    assert UNKNOWN is walk(Call(LIST, (several, several, several)), SCOPE, frozenset({"later"}))


def test_a_value_may_hold_facts_that_are_not_known() -> None:
    def ask(_value: object) -> object:
        raise UnknownFact

    node = Call(Function("ask", ask), (Const(1),))
    assert UNKNOWN is walk(node, SCOPE)


def test_a_fact_may_be_unknown_by_itself() -> None:
    class Later:
        @property
        def number(self) -> int:
            raise UnknownFact

    assert UNKNOWN is walk(Fact(NUMBER), Later())
    assert (True, False) == walk(Available(NUMBER), Later())


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (KeyError("k"), "no such key: `k`"),
        (KeyError(), "no such key: ``"),
        (IndexError(), "index out of range"),
        (RecursionError(), "nested too deeply or too large"),
        (ZeroDivisionError(), "no such overload"),
    ],
)
def test_any_exception_becomes_an_error(raised: Exception, text: str) -> None:
    def fail() -> object:
        raise raised

    node = Call(Function("fail", fail), ())
    value = compile_node(node)(SCOPE)
    assert isinstance(value, EvalError)
    assert text in value.message
    assert shown(value) == shown(walk(node, SCOPE)[0])  # type: ignore[index]


def test_visiting_too_many_items_is_an_error() -> None:
    many = Call(Function("many", lambda: [0] * 400), ())
    inner = Comprehension(Gather.LIST, ("v1",), many, ITEMS, None, TRUTH, Local("v1"))
    node = Comprehension(Gather.LIST, ("v0",), many, ITEMS, None, TRUTH, inner)
    assert MAX_STEPS < 400 * 400
    value = compile_node(node)(SCOPE)
    assert isinstance(value, EvalError)
    assert "too many items" in value.message
    assert "too many items" in str(walk(node, SCOPE)[0])  # type: ignore[index]


@pytest.mark.parametrize("gather", [*Gather])
def test_deep_nesting_compiles(gather: Gather) -> None:
    node: Node = Fact(FLAG)
    small: Node = node
    for depth in range(40):
        node = Logic(bool(depth % 2), (node, Const(True)), TRUTH, True)
        over = Call(LIST, (Const(1), Const(2)))
        condition = Logic(True, (node, Call(EQUAL, (Local(f"v{depth}"), Const(1)))), TRUTH, True)
        found = Comprehension(gather, (f"v{depth}",), over, ITEMS, condition, TRUTH, node, None)
        node = Logic(False, (Call(EQUAL, (found, Const(True))), Available(MISSING)), TRUTH, False)
        if depth == 7:
            small = node
    assert shown(walk(small, SCOPE)[0]) == shown(compile_node(small)(SCOPE))  # type: ignore[index]
    assert compile_node(_chain(60))(SCOPE) is True


def _chain(depth: int) -> Node:
    node: Node = Fact(FLAG)
    for index in range(depth):
        name = f"v{index}"
        condition = Logic(False, (Const(False), node), TRUTH, True)
        node = Comprehension(Gather.EXISTS, (name,), Fact(NUMBERS), ITEMS, condition, TRUTH)
    return node


def test_error_that_is_a_value_keeps_nothing_of_where_it_was_raised() -> None:
    failing = [Call(ADD, (Const("a"), Const(1))), Call(INDEX, (Const(1), Const("b")))]
    for node in [*failing, Logic(True, (failing[0], Const(True)), TRUTH, True)]:
        walked = walk(node, SCOPE)
        assert isinstance(walked, tuple)
        for error in (*walked, compile_node(node)(SCOPE)):
            assert isinstance(error, EvalError)
            assert (None, None) == (error.__traceback__, error.__context__)


@pytest.mark.parametrize("depth", [1, 40])
def test_condition_is_freed_without_the_collector(depth: int) -> None:
    node: Node = Const(True)
    for _ in range(depth):
        node = Logic(True, (node, Const(True)), TRUTH, True)
    gc.disable()
    try:
        run = compile_node(node)
        assert run(SCOPE) is True
        alive = weakref.ref(run)
        del run
        assert alive() is None
    finally:
        gc.enable()


def test_lifted_code_sees_the_locals_around_it() -> None:
    node: Node = Call(EQUAL, (Local("v0"), Const(2)))
    for _ in range(30):
        node = (
            Logic(True, (node, Logic(False, (Const(False), node), TRUTH, True)), TRUTH, True)
            if _ < 6
            else Logic(True, (Const(True), node), TRUTH, True)
        )
    whole = Let("v0", Fact(NUMBER), node)
    assert compile_node(whole)(SCOPE) is True


def test_policy_texts_are_constants_never_names() -> None:
    hostile = "__import__('os').system('x')"
    assert hostile == compile_node(Const(hostile))(SCOPE)
    assert hostile == compile_node(Let("v0", Const(hostile), Local("v0")))(SCOPE)
    assert b"bytes" == compile_node(Const(b"bytes"))(SCOPE)


def test_children_and_descendants_cover_every_kind() -> None:
    loop = Comprehension(Gather.LIST, ("v0",), Fact(NUMBERS), ITEMS, Const(True), TRUTH, Local("v0"))
    node = Let("v1", Conditional(Const(True), loop, Available(FLAG), TRUTH), Logic(True, (BOOM,), TRUTH, True))
    assert 3 == len(children(loop))
    assert 10 == len(list(descendants(node)))
    assert () == children(Const(1))
    assert "index out of range" in str(compile_node(Call(INDEX, (Fact(NUMBERS), Const(9))))(SCOPE))
