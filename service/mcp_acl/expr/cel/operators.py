"""The operators as rows: what the tree's calls for `==`, `+`, `e.f`, literals and comprehensions hold.

Knows no syntax; the visitor picks rows by name.
"""

import ast
import operator
from typing import Final

from mcp_acl.expr.cel import access, arithmetic, equality, inline
from mcp_acl.expr.cel.rows import Overloads, bounded, dispatch
from mcp_acl.expr.nodes import Function, Inline, Type, Value
from mcp_acl.problems import EvalError


def _truth(value: Value) -> bool:
    if value is True or value is False:
        return value
    raise EvalError("the condition is not a bool")


def _negated(value: Value) -> bool:
    return not _truth(value)


def _arithmetic(name: str, overloads: Overloads, faster: "Inline | None" = None) -> Function:
    return Function(name, bounded(dispatch(name, overloads)), Type.OTHER, faster)


TRUTH: Final = Function("bool", _truth, Type.BOOL, inline.truth, "whether a condition holds: a bool, or an error")
NOT: Final = Function("!", _negated, Type.BOOL, inline.negation)
NEGATE: Final = Function("-", dispatch("-", arithmetic.NEGATE))

ADD: Final = _arithmetic("+", arithmetic.ADD, inline.sum_of_ints(ast.Add()))
SUBTRACT: Final = _arithmetic("-", arithmetic.SUBTRACT, inline.sum_of_ints(ast.Sub()))
MULTIPLY: Final = _arithmetic("*", arithmetic.MULTIPLY)
DIVIDE: Final = _arithmetic("/", arithmetic.DIVIDE)
REMAINDER: Final = _arithmetic("%", arithmetic.REMAINDER)

EQUAL: Final = Function("==", equality.equal, Type.BOOL, inline.equality(ast.Eq()))
NOT_EQUAL: Final = Function("!=", equality.not_equal, Type.BOOL, inline.equality(ast.NotEq()))
LESS: Final = Function("<", equality.comparer("<", operator.lt), Type.BOOL, inline.ordering(ast.Lt()))
AT_MOST: Final = Function("<=", equality.comparer("<=", operator.le), Type.BOOL, inline.ordering(ast.LtE()))
GREATER: Final = Function(">", equality.comparer(">", operator.gt), Type.BOOL, inline.ordering(ast.Gt()))
AT_LEAST: Final = Function(">=", equality.comparer(">=", operator.ge), Type.BOOL, inline.ordering(ast.GtE()))
IN: Final = Function("in", equality.contained, Type.BOOL, inline.membership)

SELECT: Final = Function(".", access.select, inline=inline.lookup)
INDEX: Final = Function("[_]", access.index, inline=inline.lookup)
HAS: Final = Function("has", access.has, Type.BOOL, inline.presence)
OPTIONAL_SELECT: Final = Function(".?", access.optional_select, Type.OTHER)
OPTIONAL_INDEX: Final = Function("[?_]", access.optional_index, Type.OTHER)

LIST: Final = Function("[]", access.new_list, Type.LIST)
LIST_OF_OPTIONALS: Final = Function("[?]", access.new_list_of_optionals, Type.LIST)
MAP: Final = Function("{}", access.new_map_of, Type.MAP)
MAP_OF_OPTIONALS: Final = Function("{?}", access.new_map_of_optionals, Type.MAP)

ITEMS: Final = Function("items", access.items_of, Type.LIST)
PAIRS: Final = Function("pairs", access.pairs_of, Type.LIST)
PAIR: Final = Function("pair", access.pair, Type.OTHER)
MAP_OF_PAIRS: Final = Function("map", access.map_of_pairs, Type.MAP)
