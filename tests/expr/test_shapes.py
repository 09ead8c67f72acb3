"""Conditions that differ in short texts alone share their code, and each still means its own."""

import random
from types import FunctionType, SimpleNamespace
from typing import cast

import pytest

from mcp_acl.expr.cel.operators import EQUAL
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.cel.typed import to_typed
from mcp_acl.expr.compiler import compile_node
from mcp_acl.expr.nodes import Call, Const, Fact, Node, Variable
from mcp_acl.expr.shapes import Shapes, shape_of
from mcp_acl.expr.walk import walk
from mcp_acl.policy.conditions import read_el
from mcp_acl.problems import EvalError
from tests.expr.cel.making import Maker, facts

X = Variable("x", "x")


def tree(text: str) -> Node:
    return parse_cel(text, {"x": X}, open_names=True).node


def code_of(node: Node, shapes: Shapes) -> object:
    return cast(FunctionType, compile_node(node, shapes)).__code__


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('x.role == "a"', 'x.role == "another"'),
        ('"a" in x.groups && x.name.startsWith("b")', '"c" in x.groups && x.name.startsWith("d")'),
        ('x["a"] == "a"', 'x["b"] == "c"'),
        ('x.exists(y, y == "a")', 'x.exists(y, y == "b")'),
    ],
)
def test_texts_alone_make_no_other_code(one: str, other: str) -> None:
    shapes: Shapes = {}
    assert code_of(tree(one), shapes) is code_of(tree(other), shapes)
    assert 1 == len(shapes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('x == "a"', 'x != "a"'),
        ('x == "a"', "x == 1"),
        ("x == 1", "x == 2"),
        ("x == 1", "x == 1.0"),
        ("x == 0.0", "x == -0.0"),
        ("x == b'a'", "x == b'b'"),
        ('x == "a"', '"a" == x'),
        ('x == "a"', f'x == "{"a" * 201}"'),
        ('x in ["a"]', 'x in ["b"]'),
        ('x == "a" && x == "b"', 'x == "a" || x == "b"'),
        ('x == "a" && x == "b"', 'x == "a" && x == "b" && x == "c"'),
        ('x.matches("a")', 'x.matches("b")'),
        ('x.all(y, y == "a")', 'x.exists(y, y == "a")'),
        ('x ? "a" == x : x == "a"', 'x ? x == "a" : "a" == x'),
    ],
)
def test_all_else_does(one: str, other: str) -> None:
    assert shape_of(tree(one)).key != shape_of(tree(other)).key


def test_a_text_that_stands_twice_is_two_texts() -> None:
    shapes: Shapes = {}
    for left, right in (("a", "a"), ("a", "b"), ("b", "a")):
        run = compile_node(tree(f'[x == "{left}", x == "{right}"]'), shapes)
        for value in "ab":
            assert [value == left, value == right] == run(SimpleNamespace(x=value))
    assert 1 == len(shapes)


def test_a_part_that_stands_twice_is_not_two_parts() -> None:
    shapes: Shapes = {}
    part = Call(EQUAL, (Fact(X), Const("a")))
    other = Call(EQUAL, (Fact(X), Const("b")))
    for first, second in ((part, part), (part, other)):
        node = Call(EQUAL, (first, second))
        assert (first is second) == compile_node(node, shapes)(SimpleNamespace(x="a"))
    assert 2 == len(shapes)


def test_shared_code_means_what_the_walk_means() -> None:
    maker, rng = Maker(17, extensions=True), random.Random(17)  # noqa: S311 - draws examples
    shapes: Shapes = {}
    count = 1_500
    for _ in range(count):
        node, scope = tree(maker.expression()), SimpleNamespace(x=facts(rng))
        possible, found = walk(node, scope), compile_node(node, shapes)(scope)
        assert isinstance(possible, tuple)
        (expected,) = possible
        if isinstance(expected, EvalError):
            assert isinstance(found, EvalError)
        else:
            assert to_typed(expected) == to_typed(found)
    assert len(shapes) < count


def test_conditions_in_el_share_code_too() -> None:
    shapes: Shapes = {}
    codes = {code_of(cast(Node, read_el(f"{{#mcp.name == '{name}'}}").node), shapes) for name in "abc"}
    assert 1 == len(codes)
