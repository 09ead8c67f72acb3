"""Change a tree: put other trees in for variables, move its spans. Trees never change; a change is a new tree."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from mcp_acl.expr.nodes import Call, Comprehension, Conditional, Fact, Let, Logic, Node
from mcp_acl.problems import Span


def rewrite(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with `change` applied to every node, children first."""
    match node:
        case Let():
            node = replace(node, value=rewrite(node.value, change), body=rewrite(node.body, change))
        case Call():
            node = replace(node, args=tuple(rewrite(arg, change) for arg in node.args))
        case Logic():
            node = replace(node, operands=tuple(rewrite(one, change) for one in node.operands))
        case Conditional():
            node = replace(
                node,
                condition=rewrite(node.condition, change),
                then=rewrite(node.then, change),
                otherwise=rewrite(node.otherwise, change),
            )
        case Comprehension():
            node = replace(
                node,
                range=rewrite(node.range, change),
                condition=rewrite(node.condition, change) if node.condition is not None else None,
                result=rewrite(node.result, change) if node.result is not None else None,
            )
    return change(node)


def substituted(node: Node, trees: Mapping[str, Node]) -> Node:
    """The tree with the variables named in `trees` replaced; what is put in gets the span of where it is put."""

    def change(one: Node) -> Node:
        if not isinstance(one, Fact) or one.variable.name not in trees:
            return one
        return rewrite(trees[one.variable.name], lambda inner: replace(inner, span=one.span))

    return rewrite(node, change)


def moved(node: Node, by: int) -> Node:
    """The tree with every span moved by a number of characters."""
    return rewrite(node, lambda one: replace(one, span=Span(one.span.start + by, one.span.end + by)))
