"""The operators as rows: what the tree's calls for `==`, `+`, `e.f`, literals and comprehensions hold.

Knows no syntax; the visitor picks rows by name.
"""

import ast
import operator
from collections.abc import Callable
from typing import Final

from mcp_acl.expr.cel import access, arithmetic, equality, inline
from mcp_acl.expr.cel.rows import Overloads, bounded, dispatch
from mcp_acl.expr.meter import FAST, FLAT
from mcp_acl.expr.nodes import Function, Inline, Type, Value
from mcp_acl.problems import EvalError


def _truth(value: Value) -> bool:
    if value is True or value is False:
        return value
    raise EvalError("the condition is not a bool")


def _negated(value: Value) -> bool:
    return not _truth(value)


def _equality(name: str, run: Callable[..., bool], faster: ast.cmpop, metered: Callable[..., bool]) -> Function:
    return Function(name, run, Type.BOOL, inline.equality(faster), flat_beside_constant=True, metered=metered)


def _ordering(name: str, compare: Callable[..., bool], faster: ast.cmpop) -> Function:
    run = equality.comparer(name, compare)
    return Function(name, run, Type.BOOL, inline.ordering(faster), pace=FAST, flat_beside_constant=True)


def _arithmetic(name: str, overloads: Overloads, faster: "Inline | None" = None) -> Function:
    return Function(name, bounded(dispatch(name, overloads)), Type.OTHER, faster)


def _flat(name: str, run: Callable[..., Value], result: Type = Type.DYN, faster: "Inline | None" = None) -> Function:
    """A row for what takes as long whatever it gets."""
    return Function(name, run, result, faster, pace=FLAT)


TRUTH: Final = Function(
    "bool", _truth, Type.BOOL, inline.truth, "whether a condition holds: a bool, or an error", pace=FLAT
)
NOT: Final = _flat("!", _negated, Type.BOOL, inline.negation)
NEGATE: Final = _flat("-", dispatch("-", arithmetic.NEGATE))

ADD: Final = _arithmetic("+", arithmetic.ADD, inline.sum_of_ints(ast.Add()))
SUBTRACT: Final = _arithmetic("-", arithmetic.SUBTRACT, inline.sum_of_ints(ast.Sub()))
MULTIPLY: Final = _arithmetic("*", arithmetic.MULTIPLY)
DIVIDE: Final = _arithmetic("/", arithmetic.DIVIDE)
REMAINDER: Final = _arithmetic("%", arithmetic.REMAINDER)

EQUAL: Final = _equality("==", equality.equal, ast.Eq(), equality.equal_in_loop)
NOT_EQUAL: Final = _equality("!=", equality.not_equal, ast.NotEq(), equality.not_equal_in_loop)
LESS: Final = _ordering("<", operator.lt, ast.Lt())
AT_MOST: Final = _ordering("<=", operator.le, ast.LtE())
GREATER: Final = _ordering(">", operator.gt, ast.Gt())
AT_LEAST: Final = _ordering(">=", operator.ge, ast.GtE())
IN: Final = Function("in", equality.contained, Type.BOOL, inline.membership, metered=equality.contained_in_loop)

SELECT: Final = _flat(".", access.select, faster=inline.lookup)
INDEX: Final = _flat("[_]", access.index, faster=inline.lookup)
HAS: Final = _flat("has", access.has, Type.BOOL, inline.presence)
OPTIONAL_SELECT: Final = _flat(".?", access.optional_select, Type.OTHER)
OPTIONAL_INDEX: Final = _flat("[?_]", access.optional_index, Type.OTHER)

LIST: Final = _flat("[]", access.new_list, Type.LIST)
LIST_OF_OPTIONALS: Final = _flat("[?]", access.new_list_of_optionals, Type.LIST)
MAP: Final = _flat("{}", access.new_map_of, Type.MAP)
MAP_OF_OPTIONALS: Final = _flat("{?}", access.new_map_of_optionals, Type.MAP)

ITEMS: Final = _flat("items", access.items_of, Type.LIST)
PAIRS: Final = _flat("pairs", access.pairs_of, Type.LIST)
PAIR: Final = _flat("pair", access.pair, Type.OTHER)
MAP_OF_PAIRS: Final = _flat("map", access.map_of_pairs, Type.MAP)
