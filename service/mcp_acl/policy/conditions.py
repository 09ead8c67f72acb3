"""What is wrong or odd about a condition before any request: its type, whether it can hold, what it needs.

The tree is evaluated with every variable unknown: an outcome impossible even then is impossible for good.

"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.condition import as_condition
from mcp_acl.expr.nodes import Call, Conditional, Const, Fact, Let, Local, Node, Type, descendants
from mcp_acl.expr.walk import Outcomes, outcomes, walk
from mcp_acl.problems import Place, Problem, Severity, Span, place_in

_CONSTANT_TYPES: Final = {
    bool: Type.BOOL,
    int: Type.INT,
    float: Type.DOUBLE,
    str: Type.STRING,
    bytes: Type.BYTES,
    dict: Type.MAP,
    list: Type.LIST,
}
_NEVER_BOOLEAN: Final = frozenset(Type) - {Type.DYN, Type.BOOL, Type.NULL, Type.OTHER}
_EL_NEVER_BOOLEAN: Final = _NEVER_BOOLEAN - {Type.STRING}
"""EL reads some texts as booleans."""

_FIXED: Final[Mapping[Outcomes, tuple[str, str]]] = {
    Outcomes.TRUE: ("always-true", "the condition is true for every request"),
    Outcomes.FALSE: ("always-false", "the condition is false for every request"),
    Outcomes.ERROR: ("always-error", "the condition is an error for every request"),
    Outcomes.FALSE | Outcomes.ERROR: ("never-true", "the condition is true for no request"),
}


def static_type(node: Node) -> Type:
    """The type a tree's value has whenever it has one; `DYN` if that is not certain."""
    match node:
        case Const():
            return _CONSTANT_TYPES.get(type(node.value), Type.DYN)
        case Fact():
            return node.variable.type
        case Call():
            return node.function.result
        case Local():
            return Type.DYN
        case Let():
            return static_type(node.body)
        case Conditional():
            then, otherwise = static_type(node.then), static_type(node.otherwise)
            return then if then is otherwise else Type.DYN
    return Type.BOOL


def cel_findings(text: str, tree: Node) -> Iterator[Problem]:
    """Problems and findings of a CEL condition; `tree` is its value."""
    kind = static_type(tree)
    if kind in _NEVER_BOOLEAN:
        yield Problem("not-boolean", f"the condition is a {kind}, not a boolean", _whole(text))
        return
    yield from _findings(text, as_condition(tree, TRUTH))


def el_findings(text: str, tree: Node) -> Iterator[Problem]:
    """Problems and findings of an EL condition; `tree` converts its value to a boolean."""
    kind = static_type(tree.args[0]) if isinstance(tree, Call) else Type.DYN
    if kind in _EL_NEVER_BOOLEAN:
        yield Problem("not-boolean", f"the condition is a {kind}, not a boolean", _whole(text))
        return
    yield from _findings(text, tree)


def too_large(text: str) -> Problem:
    """A condition that its variables make too large."""
    return Problem("too-large", "with its variables put in the condition is too large", _whole(text), "use fewer")


def no_block(text: str) -> Problem:
    """An EL condition without a block is literal text: an error in every request."""
    hint = "write `{#…}` or `{(…)}` around EL; CEL goes under `cel:`"
    return Problem("el-no-block", "the condition has no EL block", _whole(text), hint)


def _findings(text: str, tree: Node) -> Iterable[Problem]:
    attributes = frozenset(one.variable.attribute for one in descendants(tree) if isinstance(one, Fact))
    possible = outcomes(walk(tree, None, attributes))
    if possible in _FIXED:
        code, message = _FIXED[possible]
        hint = "leave the condition out" if possible is Outcomes.TRUE else ""
        yield Problem(code, message, _whole(text), hint, Severity.FINDING)


def _whole(text: str) -> Place:
    return place_in(text, Span(0, len(text)))
