"""Trees are changed into new trees, spans and all."""

import pytest
from hypothesis import given, settings

from mcp_acl.expr.condition import as_condition, both, condition_of
from mcp_acl.expr.nodes import Call, Const, Fact, Logic, Node, descendants
from mcp_acl.expr.rewrite import moved, rewrite, substituted
from mcp_acl.problems import EvalError, Span
from tests.expr.trees import ADD, FLAG, NUMBER, SCOPE, TRUTH, trees


@settings(max_examples=200)
@given(trees())
def test_rewriting_with_no_change_is_no_change(node: Node) -> None:
    assert node == rewrite(node, lambda one: one)


@settings(max_examples=200)
@given(trees())
def test_moving_moves_every_span(node: Node) -> None:
    assert {3} == {
        one.span.start - before.span.start
        for one, before in zip(descendants(moved(node, 3)), descendants(node), strict=True)
    }


def test_what_is_put_in_stands_where_it_is_put() -> None:
    inner = Call(ADD, (Const(1, span=Span(0, 1)), Const(2, span=Span(4, 5))), span=Span(0, 5))
    tree = Call(ADD, (Fact(NUMBER, span=Span(10, 16)), Fact(FLAG)), span=Span(10, 20))
    changed = substituted(tree, {"number": inner})
    assert Call(ADD, (Const(1, span=Span(10, 16)), Const(2, span=Span(10, 16))), span=Span(10, 16)) == changed.args[0]  # type: ignore[attr-defined]
    assert tree.args[1] == changed.args[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (True, True, True),
        (None, True, False),
        (True, None, False),
        (False, 1, False),
        (1, False, False),
        (True, 1, "error"),
    ],
)
def test_two_conditions_joined(first: object, second: object, expected: object) -> None:
    value = condition_of(both(Const(first), Const(second))).run(SCOPE)
    assert expected == ("error" if isinstance(value, EvalError) else value)


def test_a_condition_knows_what_it_reads() -> None:
    condition = condition_of(as_condition(Logic(True, (Fact(FLAG), Fact(NUMBER)), TRUTH, True), TRUTH), "text")
    assert (frozenset({FLAG, NUMBER}), "text") == (condition.reads, condition.text)
    assert isinstance(condition.run(SCOPE), EvalError)
    possible = condition.possible(SCOPE, frozenset({"flag"}))
    assert isinstance(possible, tuple)
    assert [False] == [one for one in possible if not isinstance(one, EvalError)]
