"""Condition texts → trees, and what is wrong or odd about them before any request. Knows no file: places are within the text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from mcp_acl.expr.cel.operators import TRUTH
from mcp_acl.expr.cel.parser import parse_cel
from mcp_acl.expr.condition import Condition, as_condition, both, condition_of
from mcp_acl.expr.el.parser import parse_el
from mcp_acl.expr.el.template import has_block
from mcp_acl.expr.kinds import Language
from mcp_acl.expr.nodes import Call, Conditional, Const, Fact, Let, Local, Node, Type, Variable, descendants
from mcp_acl.expr.rewrite import moved, substituted
from mcp_acl.expr.shapes import Shapes
from mcp_acl.policy.condition_checks import CEL, EL, condition_findings
from mcp_acl.policy.facts import CEL_ENVIRONMENT, EL_ENVIRONMENT
from mcp_acl.problems import Place, Problem, SourceError, Span, place_in

MAX_NODES: Final = 5_000
"""Nodes a condition may have once its variables are put in."""

_CONSTANT_TYPES: Final = (
    (bool, Type.BOOL),
    (int, Type.INT),
    (float, Type.DOUBLE),
    (str, Type.STRING),
    (bytes, Type.BYTES),
    (dict, Type.MAP),
    (list, Type.LIST),
)
_NEVER_BOOLEAN: Final = frozenset(Type) - {Type.DYN, Type.BOOL, Type.NULL}
_EL_NEVER_BOOLEAN: Final = _NEVER_BOOLEAN - {Type.STRING}
"""EL reads some texts as booleans."""


def static_type(node: Node) -> Type:
    """The type a tree's value has whenever it has one; `DYN` if that is not certain."""
    match node:
        case Const():
            return next((kind for one, kind in _CONSTANT_TYPES if isinstance(node.value, one)), Type.DYN)
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text under `key` is: the tree of a condition, or of a variable, unless a problem keeps it from being one.

    Places are within the text.
    """

    key: str
    text: str
    node: Node | None
    problems: tuple[Problem, ...]


def read_el(text: str) -> Reading:
    """An EL condition. Raises nothing: what is wrong is in the reading."""
    if not has_block(text) and text.strip().lower() not in ("true", "false"):
        hint = "write `{#…}` or `{(…)}` around EL; CEL goes under `cel:`"
        return Reading("condition", text, None, (Problem("el-no-block", "there is no EL block", _whole(text), hint),))
    try:
        parsed = parse_el(text, EL_ENVIRONMENT)
    except SourceError as error:
        return Reading("condition", text, None, error.problems)
    value = parsed.node.args[0] if isinstance(parsed.node, Call) else parsed.node
    found = _findings(text, parsed.node, static_type(value), _EL_NEVER_BOOLEAN, EL)
    told = {problem.place for problem in parsed.findings}
    more = (problem for problem in found if problem.place not in told or problem.code != "wrong-operand")
    return Reading("condition", text, parsed.node, (*parsed.findings, *more))


def read_cel(text: str, variables: Mapping[str, Node]) -> Reading:
    """A CEL condition, with the trees of variables put in. Raises nothing: what is wrong is in the reading."""
    reading = read_variable(text, variables)
    if reading.node is None:
        return replace(reading, key="cel")
    tree = as_condition(reading.node, TRUTH)
    found = _findings(text, tree, static_type(reading.node), _NEVER_BOOLEAN, CEL)
    return Reading("cel", text, tree, (*reading.problems, *found))


def read_variable(text: str, variables: Mapping[str, Node]) -> Reading:
    """A CEL text of any type, with the trees of variables put in. Raises nothing: what is wrong is in the reading."""
    environment = {**CEL_ENVIRONMENT, **{name: Variable(name, name) for name in variables}}
    try:
        parsed = parse_cel(text, environment)
    except SourceError as error:
        return Reading("variable", text, None, error.problems)
    tree = substituted(parsed.node, variables)
    if sum(1 for _ in islice(descendants(tree), MAX_NODES + 1)) > MAX_NODES:
        problem = Problem(
            "too-large", "with its variables put in the condition is too large", _whole(text), "use fewer"
        )
        return Reading("variable", text, None, (problem,))
    return Reading("variable", text, tree, parsed.findings)


def joined(readings: Sequence[Reading], shapes: Shapes | None = None) -> Condition | None:
    """The condition of one or two readings, CEL's `&&` between them; None if there is none to be had.

    `shapes` is code to share with other conditions.
    """
    tree = joined_tree(readings)
    return None if tree is None else condition_of(tree, "\n".join(reading.text for reading in readings), shapes)


def joined_tree(readings: Sequence[Reading]) -> Node | None:
    """The tree of that condition; places in it are those in the texts with a line break between them."""
    nodes = [reading.node for reading in readings if reading.node is not None]
    if not nodes or len(nodes) != len(readings):
        return None
    first, *rest = nodes
    return both(first, moved(rest[0], len(readings[0].text) + 1)) if rest else first


def _findings(text: str, tree: Node, kind: Type, never: frozenset[Type], language: Language) -> Iterator[Problem]:
    if kind in never:
        yield Problem("not-boolean", f"the condition is a {kind}, not a boolean", _whole(text))
        return
    yield from condition_findings(text, tree, language)


def _whole(text: str) -> Place:
    return place_in(text, Span(0, len(text)))
