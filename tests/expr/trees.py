"""Small languages for testing the evaluators: functions that may fail, and random trees over them."""

from dataclasses import replace
from types import SimpleNamespace

from hypothesis import strategies as st

from mcp_acl.expr.meter import FLAT
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
    Type,
    Value,
    Variable,
)
from mcp_acl.problems import EvalError


def _truth(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    raise EvalError("not a bool")


def _add(left: Value, right: Value) -> Value:
    if type(left) is int and type(right) is int:
        return left + right
    raise EvalError("not ints")


def _items(value: Value) -> Value:
    if isinstance(value, list):
        return value
    raise EvalError("not a list")


def _pairs(value: Value) -> Value:
    items = _items(value)
    assert isinstance(items, list)
    return list(enumerate(items))


def _index(left: Value, right: Value) -> Value:
    return left[right]  # type: ignore[index]


TRUTH = Function("truth", _truth, Type.BOOL, pace=FLAT)
ADD = Function("+", _add, Type.INT)
EQUAL = Function("==", lambda a, b: type(a) is type(b) and a == b, Type.BOOL)
LIST = Function("list", lambda *items: list(items), Type.LIST)
INDEX = Function("index", _index)
ITEMS = Function("items", _items, Type.LIST)
PAIRS = Function("pairs", _pairs, Type.LIST)
BUILD = Function("build", len, Type.INT)

FLAG = Variable("flag", "flag")
NUMBER = Variable("number", "number")
NUMBERS = Variable("numbers", "numbers")
MISSING = Variable("missing", "missing")
LATER = Variable("later", "later")

SCOPE = SimpleNamespace(flag=True, number=2, numbers=[1, 2, 3], later=1)
VARIABLES = (FLAG, NUMBER, NUMBERS, MISSING, LATER)


def trees(names: tuple[str, ...] = (), depth: int = 4) -> st.SearchStrategy[Node]:
    """Random trees; `names` are the locals in reach."""
    leaves: list[st.SearchStrategy[Node]] = [
        st.sampled_from([True, False, None, 0, 1, 2, "a"]).map(Const),
        st.sampled_from(VARIABLES).map(Fact),
        st.sampled_from(VARIABLES).map(Available),
    ]
    if names:
        leaves.append(st.sampled_from(names).map(Local))
    if depth == 0:
        return st.one_of(leaves)
    inner = st.deferred(lambda: trees(names, depth - 1))
    name = f"v{len(names)}"
    bound = st.deferred(lambda: trees((*names, name), depth - 1))
    two = st.deferred(lambda: trees((*names, f"{name}a", f"{name}b"), depth - 1))
    functions = st.sampled_from([(ADD, 2), (EQUAL, 2), (LIST, 2), (INDEX, 2), (TRUTH, 1)])
    calls = functions.flatmap(
        lambda row: st.lists(inner, min_size=row[1], max_size=row[1]).map(lambda args: Call(row[0], tuple(args)))
    )
    logic = st.builds(
        lambda is_and, operands, commutative: Logic(is_and, tuple(operands), TRUTH, commutative),
        st.booleans(),
        st.lists(inner, min_size=2, max_size=3),
        st.booleans(),
    )
    conditional = st.builds(lambda a, b, c: Conditional(a, b, c, TRUTH), inner, inner, inner)
    let = st.builds(lambda value, body: Let(name, value, body), inner, bound)
    maybe = st.none() | bound
    loops = st.builds(
        lambda gather, over, condition, result, commutative, build: Comprehension(
            gather, (name,), over, ITEMS, condition, TRUTH, result, build, commutative
        ),
        st.sampled_from([*Gather]),
        st.one_of(st.just(Fact(NUMBERS)), inner),
        maybe,
        bound,
        st.booleans(),
        st.sampled_from([None, BUILD]),
    ).map(_valid)
    pairs = st.builds(
        lambda gather, condition, result: Comprehension(
            gather, (f"{name}a", f"{name}b"), Fact(NUMBERS), PAIRS, condition, TRUTH, result
        ),
        st.sampled_from([*Gather]),
        st.none() | two,
        two,
    ).map(_valid)
    return st.one_of(*leaves, calls, logic, conditional, let, loops, pairs)


def _valid(node: Comprehension) -> Node:
    build = node.build if node.gather in (Gather.LIST, Gather.MAP) else None
    quantifies = node.gather in (Gather.ALL, Gather.EXISTS, Gather.EXISTS_ONE)
    condition = Const(True) if quantifies and node.condition is None else node.condition
    return replace(node, build=build, condition=condition)
