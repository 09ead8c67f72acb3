"""What is compiled for the time before the call is the set that the walk gives."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_acl.expr.nodes import Call, Fact, Function, Logic, Node, Type, Value
from mcp_acl.expr.outlook import outlook_of
from mcp_acl.expr.walk import UnknownFact, outcomes, walk
from tests.expr.trees import FLAG, LATER, SCOPE, TRUTH, trees

UNKNOWN = frozenset({"later"})


@settings(max_examples=500)
@given(st.lists(trees(depth=3), min_size=2, max_size=3), st.booleans(), st.booleans())
def test_an_outlook_is_what_the_walk_gives(operands: list[Node], is_and: bool, commutative: bool) -> None:
    made_bool = tuple(Call(TRUTH, (operand,)) for operand in operands)
    node = Call(TRUTH, (Logic(is_and, made_bool, TRUTH, commutative),))
    assert outcomes(walk(node, SCOPE, UNKNOWN)) == outlook_of(node, UNKNOWN, frozenset())(SCOPE)


def test_what_is_known_in_part_is_asked_for() -> None:
    class Partly:
        flag = True

        @property
        def number(self) -> int:
            raise UnknownFact

    node = Logic(False, (Call(TRUTH, (Fact(FLAG),)), Call(TRUTH, (Fact(LATER),))), TRUTH, True)
    assert 1 == outlook_of(node, UNKNOWN, frozenset({"flag"}))(Partly())


def _picky(value: Value) -> Value:
    if value is True:
        raise ValueError
    return True


def test_a_function_that_fails_is_an_error_among_the_outcomes() -> None:
    either = Logic(False, (Call(TRUTH, (Fact(FLAG),)), Call(TRUTH, (Fact(LATER),))), TRUTH, True)
    node = Call(Function("picky", _picky, Type.BOOL), (either,))
    assert outcomes(walk(node, SCOPE, UNKNOWN)) == outlook_of(node, UNKNOWN, frozenset())(SCOPE)
