"""CEL text to nodes: one function per rule of the grammar.

Knows no fact: the names an expression may use come in as an environment. Everything wrong with a text is collected and
raised once.
"""

from collections.abc import Mapping
from typing import Final

from mcp_acl.expr.cel import operators
from mcp_acl.expr.cel.builder import KEYWORDS, RESERVED, Builder, Rule
from mcp_acl.expr.cel.functions import GLOBALS, METHODS, NAMESPACES
from mcp_acl.expr.cel.grammar import Tree, arguments, parse_tree, span_of, subtree, token, trees
from mcp_acl.expr.cel.literals import LiteralError, value_of
from mcp_acl.expr.cel.macros import GLOBAL_MACROS, METHOD_MACROS, Invocation
from mcp_acl.expr.cel.names import Path, field_name, path_of, resolve, variable_of
from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.cel.optionals import OF
from mcp_acl.expr.cel.patterns import MATCHES, matches_constant
from mcp_acl.expr.cel.rows import Row
from mcp_acl.expr.cel.values import NONE
from mcp_acl.expr.nodes import Available, Call, Conditional, Const, Environment, Fact, Function, Logic, Node, Parsed
from mcp_acl.problems import EvalError, Problem, SourceError, Span, nearest, place_in

MAX_LENGTH: Final = 10_000


def parse_cel(text: str, environment: Environment, *, open_names: bool = False) -> Parsed:
    """The tree of a CEL expression. Raises `SourceError` with every problem.

    `open_names`: a name or function that is not known is an error when it is evaluated, not a problem.
    """
    if len(text) > MAX_LENGTH:
        message = f"the expression is longer than {MAX_LENGTH:,} characters"
        raise SourceError([Problem("cel-too-long", message, place_in(text, Span(MAX_LENGTH, MAX_LENGTH + 1)))])
    builder = Builder(text, environment, _RULES, open_names=open_names)
    return Parsed(builder.finished(builder.build(parse_tree(text))))


# ---- operators -----------------------------------------------------------------------------------------------------

_BINARY: Final[Mapping[str, Function]] = {
    "relation_lt": operators.LESS,
    "relation_le": operators.AT_MOST,
    "relation_gt": operators.GREATER,
    "relation_ge": operators.AT_LEAST,
    "relation_eq": operators.EQUAL,
    "relation_ne": operators.NOT_EQUAL,
    "relation_in": operators.IN,
    "addition_add": operators.ADD,
    "addition_sub": operators.SUBTRACT,
    "multiplication_mul": operators.MULTIPLY,
    "multiplication_div": operators.DIVIDE,
    "multiplication_mod": operators.REMAINDER,
}
_UNARY: Final[Mapping[str, Function]] = {"unary_not": operators.NOT, "unary_neg": operators.NEGATE}


def _conditional(builder: Builder, tree: Tree) -> Node:
    condition, then, otherwise = (builder.build(child) for child in trees(tree))
    return Conditional(condition, then, otherwise, TRUTH, span=span_of(tree))


def _logic(builder: Builder, tree: Tree) -> Node:
    """`a && b && c` is one node with three operands, `||` likewise: however many there are, it is one level deep."""
    operands: list[Tree] = []
    left = tree
    while left.data == tree.data:
        operands.append(subtree(left, 1))
        left = subtree(left, 0)
    built = [builder.build(operand) for operand in (left, *reversed(operands))]
    return Logic(tree.data == "conditionaland", tuple(built), TRUTH, commutative=True, span=span_of(tree))


def _binary(builder: Builder, tree: Tree) -> Node:
    """The left operand stands within the operator's own rule: `addition → addition_add(left) right`."""
    operator = subtree(tree, 0)
    args = (builder.build(subtree(operator, 0)), builder.build(subtree(tree, 1)))
    return Call(_BINARY[operator.data], args, span=span_of(tree))


def _unary(builder: Builder, tree: Tree) -> Node:
    return Call(_UNARY[subtree(tree, 0).data], (builder.build(subtree(tree, 1)),), span=span_of(tree))


# ---- names, fields, indexes ----------------------------------------------------------------------------------------


def _name(builder: Builder, tree: Tree) -> Node:
    path = path_of(tree)
    assert path is not None
    return resolve(builder, path)


def _member_dot(builder: Builder, tree: Tree) -> Node:
    path = path_of(tree)
    if path is not None:
        return resolve(builder, path)
    return _field(builder, tree, operators.SELECT)


def _field(builder: Builder, tree: Tree, function: Function) -> Node:
    word = token(tree, 1)
    if builder.is_word(word, KEYWORDS):
        return builder.nothing(tree)
    key = Const(field_name(word), span=span_of(word))
    return Call(function, (builder.build(subtree(tree, 0)), key), span=span_of(tree))


def _member_optional_dot(builder: Builder, tree: Tree) -> Node:
    """`a.?b`; if that is a declared variable, an optional of it."""
    path = path_of(subtree(tree, 0))
    variable = None
    if path is not None:
        step = path.steps[-1]._replace(name=field_name(token(tree, 1)))
        variable = variable_of(builder, Path((*path.steps, step), path.is_root))
    if variable is None:
        return _field(builder, tree, operators.OPTIONAL_SELECT)
    span = span_of(tree)
    value = Call(OF.function, (Fact(variable, span=span),), span=span)
    return Conditional(Available(variable, span=span), value, Const(NONE, span=span), TRUTH, span=span)


def _member_index(builder: Builder, tree: Tree) -> Node:
    path = path_of(tree)
    if path is not None:
        return resolve(builder, path)
    return _indexed(builder, tree, operators.INDEX)


def _member_optional_index(builder: Builder, tree: Tree) -> Node:
    return _indexed(builder, tree, operators.OPTIONAL_INDEX)


def _indexed(builder: Builder, tree: Tree, function: Function) -> Node:
    args = (builder.build(subtree(tree, 0)), builder.build(subtree(tree, 1)))
    return Call(function, args, span=span_of(tree))


# ---- literals ------------------------------------------------------------------------------------------------------


def _literal(builder: Builder, tree: Tree) -> Node:
    try:
        return Const(value_of(token(tree, 0)), span=span_of(tree))
    except LiteralError as error:
        return builder.problem("cel-syntax", error.message, error.span, error.hint)


def _list(builder: Builder, tree: Tree) -> Node:
    items = trees(subtree(tree, 0)) if tree.children else []
    if not any(item.data == "optional" for item in items):
        return Call(operators.LIST, tuple(builder.build(item) for item in items), span=span_of(tree))
    args = [arg for item in items for arg in _maybe(builder, item)]
    return Call(operators.LIST_OF_OPTIONALS, tuple(args), span=span_of(tree))


def _map(builder: Builder, tree: Tree) -> Node:
    items = trees(subtree(tree, 0)) if tree.children else []
    if not any(key.data == "optional" for key in items[::2]):
        return Call(operators.MAP, tuple(builder.build(item) for item in items), span=span_of(tree))
    args: list[Node] = []
    for key, value in zip(items[::2], items[1::2], strict=True):
        args += [*_maybe(builder, key), builder.build(value)]
    return Call(operators.MAP_OF_OPTIONALS, tuple(args), span=span_of(tree))


def _maybe(builder: Builder, item: Tree) -> tuple[Node, Node]:
    """Whether an item is marked as optional, and the item."""
    is_optional = item.data == "optional"
    value = builder.build(subtree(item, 0) if is_optional else item)
    return Const(is_optional, span=value.span), value


def _message(builder: Builder, tree: Tree) -> Node:
    hint = "make a map: `{'f': 1}`"
    return builder.problem("cel-syntax", "protobuf messages cannot be made here", span_of(tree), hint)


# ---- calls ---------------------------------------------------------------------------------------------------------


_METHOD_MACRO_NAMES: Final = frozenset(name for name, _ in METHOD_MACROS)
_GLOBAL_MACRO_NAMES: Final = frozenset(name for name, _ in GLOBAL_MACROS)


def _call(builder: Builder, tree: Tree) -> Node:
    """`f(x)`, with a leading dot or without."""
    word = token(tree, 0)
    if builder.is_word(word, RESERVED):
        return builder.nothing(tree)
    return _called(builder, str(word), Invocation(tree, tree, arguments(tree)))


def _member_call(builder: Builder, tree: Tree) -> Node:
    """`x.f(y)`: a function with dots in its name, a macro, or a method."""
    path = path_of(tree)
    if path is not None:
        return resolve(builder, path)
    word = token(tree, 1)
    if builder.is_word(word, KEYWORDS):
        return builder.nothing(tree)
    name, call = str(word), Invocation(tree, subtree(tree, 0), arguments(tree))
    space = _namespace(builder, call.receiver)
    return _called(builder, f"{space}.{name}", call) if space else _method(builder, name, call)


def _method(builder: Builder, name: str, call: Invocation) -> Node:
    macro = METHOD_MACROS.get((name, len(call.args)))
    if macro is not None:
        return macro(builder, call)
    row = METHODS.get(name)
    if row is None:
        return _unknown_function(builder, name, call, {*METHODS, *_METHOD_MACRO_NAMES}, is_method=True)
    args = [builder.build(one) for one in (call.receiver, *call.args)]
    return _applied(builder, row, args, call, receivers=1)


def _namespace(builder: Builder, receiver: Tree) -> str:
    """What stands before the dot, if it is a namespace of functions and no variable; else `''`."""
    tree = receiver
    name = str(token(tree, 0)) if tree.data in {"ident", "dot_ident"} else ""
    return name if name in NAMESPACES and builder.local(name) is None and name not in builder.environment else ""


def _called(builder: Builder, name: str, call: Invocation) -> Node:
    macro = GLOBAL_MACROS.get((name, len(call.args)))
    if macro is not None:
        return macro(builder, call)
    row = GLOBALS.get(name)
    if row is None:
        return _unknown_function(builder, name, call, {*GLOBALS, *_GLOBAL_MACRO_NAMES})
    args = [builder.build(arg) for arg in call.args]
    return _applied(builder, row, args, call, receivers=0)


def _applied(builder: Builder, row: Row, args: list[Node], call: Invocation, *, receivers: int) -> Node:
    if not row.least <= len(args) <= row.most:
        least, most = row.least - receivers, row.most - receivers
        taken = f"{least}" if least == most else f"{least} to {most}"
        message = f"`{row.name}` takes {taken} arguments, not {len(call.args)}"
        return builder.unknown("cel-arguments", message, call.span, row.function.doc.partition("\n")[0])
    pattern = args[-1].value if row is MATCHES and isinstance(args[-1], Const) else None
    if not isinstance(pattern, str):
        return Call(row.function, tuple(args), span=call.span)
    try:
        return Call(matches_constant(pattern), (args[0],), span=call.span)
    except EvalError as error:
        return builder.unknown("cel-pattern", error.message, args[-1].span)


def _unknown_function(
    builder: Builder, name: str, call: Invocation, known: set[str], *, is_method: bool = False
) -> Node:
    """Of its arguments nothing is said: they may be what a macro takes."""
    if name == "not":
        hint = "write `!`"
    elif name in known:
        hint = "it takes another number of arguments"
    elif not is_method and name in METHODS:
        hint = f"it is written `x.{name}(…)`"
    elif is_method and name in GLOBALS:
        hint = f"it is written `{name}(x)`"
    else:
        hint = nearest(name, known)
    return builder.unknown("cel-unknown-function", f"unknown function `{name}`", call.span, hint)


_RULES: Final[Mapping[str, Rule]] = {
    "expr": _conditional,
    "conditionalor": _logic,
    "conditionaland": _logic,
    "relation": _binary,
    "addition": _binary,
    "multiplication": _binary,
    "unary": _unary,
    "member_dot": _member_dot,
    "member_optional_dot": _member_optional_dot,
    "member_dot_arg": _member_call,
    "member_index": _member_index,
    "member_optional_index": _member_optional_index,
    "member_object": _message,
    "ident": _name,
    "dot_ident": _name,
    "ident_arg": _call,
    "dot_ident_arg": _call,
    "list_lit": _list,
    "map_lit": _map,
    "literal": _literal,
}
