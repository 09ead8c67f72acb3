"""Macros: calls whose arguments are not simply evaluated.

They are those of the CEL language definition, and of the extensions bindings, two-variable comprehensions, optionals
and lists. Each is a row by name and number of arguments; a call that fits no row is an ordinary function.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.expr.cel.builder import RESERVED, Builder
from mcp_acl.expr.cel.grammar import Tree, span_of, subtree, trees
from mcp_acl.expr.cel.lists import SORT_BY
from mcp_acl.expr.cel.names import simple_name
from mcp_acl.expr.cel.operators import HAS, ITEMS, MAP_OF_PAIRS, PAIR, PAIRS, SELECT, TRUTH
from mcp_acl.expr.cel.optionals import HAS_VALUE, OF, VALUE
from mcp_acl.expr.cel.values import NONE
from mcp_acl.expr.nodes import Available, Call, Comprehension, Conditional, Const, Fact, Gather, Let, Local, Node
from mcp_acl.problems import Span


class Invocation(NamedTuple):
    """A call as written. `receiver` is what stands before the dot of a method."""

    tree: Tree
    receiver: Tree
    args: list[Tree]

    @property
    def span(self) -> Span:
        """Where the call stands."""
        return span_of(self.tree)


Macro: TypeAlias = Callable[[Builder, Invocation], Node]


def _variables(builder: Builder, written: list[Tree]) -> tuple[str, ...] | None:
    """The names that arguments introduce; None, with a problem noted, if they are no names."""
    names: list[str] = []
    for tree in written:
        step = simple_name(tree)
        if step is None or step.tree.data == "dot_ident" or step.name in names:
            builder.problem("cel-arguments", "expected the name of a new variable", span_of(tree))
            return None
        if step.word is not None and builder.is_word(step.word, RESERVED):
            return None
        names.append(step.name)
    return tuple(names)


# ---- comprehensions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """A comprehension: how many variables, and which arguments are its condition and its result."""

    gather: Gather
    variables: int
    condition: int | None = None
    result: int | None = None

    def __call__(self, builder: Builder, call: Invocation) -> Node:
        names = _variables(builder, call.args[: self.variables])
        if names is None:
            return builder.nothing(call.tree)
        items = builder.build(call.receiver)
        with builder.binding(*names) as made:
            condition = builder.build(call.args[self.condition]) if self.condition is not None else None
            result = builder.build(call.args[self.result]) if self.result is not None else None
        if self.gather is Gather.LIST and result is None:
            result = Local(made[0], span=span_of(call.args[0]))
        if self.gather is Gather.MAP and result is not None:
            result = Call(PAIR, (Local(made[0], span=span_of(call.args[0])), result), span=result.span)
        return Comprehension(
            gather=self.gather,
            names=made,
            range=items,
            items=ITEMS if self.variables == 1 else PAIRS,
            condition=condition,
            truth=TRUTH,
            result=result,
            build=MAP_OF_PAIRS if self.gather is Gather.MAP else None,
            span=call.span,
        )


def _sort_by(builder: Builder, call: Invocation) -> Node:
    """`list.sortBy(x, key)`: the list once, then the keys of its items."""
    names = _variables(builder, call.args[:1])
    if names is None:
        return builder.nothing(call.tree)
    items, values = builder.build(call.receiver), builder.fresh()
    with builder.binding(*names) as made:
        key = builder.build(call.args[1])
    source = Local(values, span=items.span)
    keys = Comprehension(
        gather=Gather.LIST,
        names=made,
        range=source,
        items=ITEMS,
        condition=None,
        truth=TRUTH,
        result=key,
        span=call.span,
    )
    return Let(values, items, Call(SORT_BY.function, (source, keys), span=call.span), span=call.span)


# ---- bindings ------------------------------------------------------------------------------------------------------


def _bind(builder: Builder, call: Invocation) -> Node:
    """`cel.bind(x, value, body)`. The value is computed once, and an error in it is the error of the whole."""
    names = _variables(builder, call.args[:1])
    if names is None:
        return builder.nothing(call.tree)
    value = builder.build(call.args[1])
    with builder.binding(*names) as (local,):
        body = builder.build(call.args[2])
    return Let(local, value, body, span=call.span)


def _block(builder: Builder, call: Invocation) -> Node:
    """`cel.block([values], body)`: each value may use those before it as `cel.index(i)`."""
    written = call.args[0]
    if written.data != "list_lit":
        return builder.problem("cel-arguments", "the first argument is a list of values", span_of(written))
    bound: list[tuple[str, Node]] = []
    with ExitStack() as scopes:
        for index, tree in enumerate(trees(subtree(written, 0)) if written.children else []):
            value = builder.build(tree)
            (local,) = scopes.enter_context(builder.binding(f"cel.index({index})"))
            bound.append((local, value))
        body = builder.build(call.args[1])
    for local, value in reversed(bound):
        body = Let(local, value, body, span=call.span)
    return body


# ---- presence and optionals ----------------------------------------------------------------------------------------


def _has(builder: Builder, call: Invocation) -> Node:
    """`has(e.f)`. A declared variable is there if it can be read at all."""
    tree = call.args[0]
    if tree.data != "member_dot":
        hint = "write `has(e.f)`, or `'f' in e`"
        return builder.problem("cel-arguments", "`has` takes a field", span_of(tree), hint)
    node = builder.build(tree)
    if isinstance(node, Fact):
        return Available(node.variable, span=call.span)
    if isinstance(node, Call) and node.function is SELECT:
        return Call(HAS, node.args, span=call.span)
    return node


def _with_value(builder: Builder, call: Invocation, then: Callable[[Local], Node], otherwise: Tree | None) -> Node:
    """The receiver's value put to use, or else what stands in for it; only one of the two is evaluated."""
    optional, name = builder.build(call.receiver), builder.fresh()
    source = Local(name, span=optional.span)
    absent = builder.build(otherwise) if otherwise is not None else Const(NONE, span=call.span)
    chosen = Conditional(
        Call(HAS_VALUE.function, (source,), span=optional.span), then(source), absent, TRUTH, span=call.span
    )
    return Let(name, optional, chosen, span=call.span)


def _or(builder: Builder, call: Invocation) -> Node:
    """`a.or(b)`: the first optional with a value."""
    return _with_value(builder, call, lambda source: source, call.args[0])


def _or_value(builder: Builder, call: Invocation) -> Node:
    """`a.orValue(b)`: the value of the optional, or b."""
    return _with_value(builder, call, _value_of, call.args[0])


def _value_of(source: Local) -> Node:
    return Call(VALUE.function, (source,), span=source.span)


def _mapped(builder: Builder, call: Invocation) -> Node:
    """`a.optMap(x, e)`: an optional of e, if a has a value x."""
    return _flat_mapped(builder, call, lambda body: Call(OF.function, (body,), span=body.span))


def _flat_mapped(builder: Builder, call: Invocation, wrapped: Callable[[Node], Node] = lambda body: body) -> Node:
    """`a.optFlatMap(x, e)`: the optional e, if a has a value x."""
    names = _variables(builder, call.args[:1])
    if names is None:
        return builder.nothing(call.tree)
    with builder.binding(*names) as (local,):
        body = builder.build(call.args[1])
    return _with_value(builder, call, lambda source: wrapped(Let(local, _value_of(source), body, span=call.span)), None)


# ---- tables --------------------------------------------------------------------------------------------------------

METHOD_MACROS: Final[Mapping[tuple[str, int], Macro]] = {
    ("all", 2): _Shape(Gather.ALL, 1, condition=1),
    ("all", 3): _Shape(Gather.ALL, 2, condition=2),
    ("exists", 2): _Shape(Gather.EXISTS, 1, condition=1),
    ("exists", 3): _Shape(Gather.EXISTS, 2, condition=2),
    ("exists_one", 2): _Shape(Gather.EXISTS_ONE, 1, condition=1),
    ("exists_one", 3): _Shape(Gather.EXISTS_ONE, 2, condition=2),
    ("existsOne", 2): _Shape(Gather.EXISTS_ONE, 1, condition=1),
    ("existsOne", 3): _Shape(Gather.EXISTS_ONE, 2, condition=2),
    ("map", 2): _Shape(Gather.LIST, 1, result=1),
    ("map", 3): _Shape(Gather.LIST, 1, condition=1, result=2),
    ("filter", 2): _Shape(Gather.LIST, 1, condition=1),
    ("transformList", 3): _Shape(Gather.LIST, 2, result=2),
    ("transformList", 4): _Shape(Gather.LIST, 2, condition=2, result=3),
    ("transformMap", 3): _Shape(Gather.MAP, 2, result=2),
    ("transformMap", 4): _Shape(Gather.MAP, 2, condition=2, result=3),
    ("sortBy", 2): _sort_by,
    ("optMap", 2): _mapped,
    ("optFlatMap", 2): _flat_mapped,
    ("or", 1): _or,
    ("orValue", 1): _or_value,
}

GLOBAL_MACROS: Final[Mapping[tuple[str, int], Macro]] = {
    ("has", 1): _has,
    ("cel.bind", 3): _bind,
    ("cel.block", 2): _block,
}
