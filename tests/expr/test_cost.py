"""What the loops of a condition may cost is known from its tree: no run pays more, and sizes that fit never end one."""

import random
from types import FunctionType, SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings

from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.cost import Cost, cost_of
from mcp_acl.expr.meter import MAX_STEPS, MAX_WORK, Meter
from mcp_acl.expr.nodes import Node, Variable
from mcp_acl.problems import EvalError
from tests.expr.cel.making import Maker, facts
from tests.expr.trees import SCOPE, trees

ENVIRONMENT = {"x": Variable("x", "x")}
LARGE = 1_000
"""No text or list of what is made at random becomes larger."""


def paid(node: Node, scope: object) -> tuple[int, int]:
    """The units and the items that one run has paid for, as long as it was not ended."""
    made: list[Meter] = []

    class Watched(Meter):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    run = cast(FunctionType, compile_node(node))
    run.__globals__["Meter"] = Watched
    run(scope)
    return sum(MAX_WORK - one._work for one in made), sum(MAX_STEPS - one._steps for one in made)


def cost(text: str) -> Cost:
    return cost_of(parse_cel(text, ENVIRONMENT).node)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(trees())
def test_no_run_of_a_tree_pays_more_than_its_cost(node: Node) -> None:
    bound, (units, items) = cost_of(node), paid(node, SCOPE)
    assert 0 == bound.own
    assert units <= bound.most(3)
    assert items <= bound.steps(3)


def test_no_run_of_an_expression_pays_more_than_its_cost() -> None:
    maker, rng = Maker(3, extensions=True), random.Random(3)  # noqa: S311 - draws examples
    compared = 0
    for _ in range(1_500):
        node, data = parse_cel(maker.expression(), ENVIRONMENT, open_names=True).node, facts(rng)
        bound = cost_of(node)
        units, items = paid(node, SimpleNamespace(x=data))
        assert items <= bound.steps(LARGE)
        if not bound.own:
            compared += units > 0
            assert units <= bound.most(LARGE)
    assert compared > 50


@pytest.mark.parametrize(
    ("text", "largest"),
    [
        ("x.a == 1 && x.b.size() > 2", None),
        ("x.a.all(y, true)", 100_000),
        ("x.a.all(y, x.b.exists(z, z))", 315),
        ("x.a.all(y, x.b.exists(z, x.c.exists_one(w, w)))", 46),
        ("x.a.all(y, y == x.b)", 0),
    ],
)
def test_how_large_inputs_may_be_is_known_beforehand(text: str, largest: int | None) -> None:
    assert largest == cost(text).largest


def test_what_fits_is_never_ended_and_what_is_much_larger_is() -> None:
    text = "x.all(y, x.all(z, x.all(w, true)))"
    node, largest = parse_cel(text, ENVIRONMENT).node, cost(text).largest
    assert largest is not None
    run = compile_node(node)
    assert run(SimpleNamespace(x=[True] * largest)) is True
    assert isinstance(run(SimpleNamespace(x=[True] * (largest * 2))), EvalError)


def test_nodes_outside_of_loops_are_counted() -> None:
    assert 1 == cost("1").nodes
    assert cost("x.a").nodes == cost("x.a.all(y, y && y && y)").nodes - 1


def test_calls_that_know_better_what_they_cost_are_told_apart() -> None:
    assert (0, 1) == (cost("x.a == x.b").own, cost("x.a.all(y, y == x.b)").own)
    assert not cost("x.a.all(y, y == x.b)").fits(1)
