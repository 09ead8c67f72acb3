"""What a name stands for: a macro's variable, a declared one, a type, or a field of what is before it.

The longest dotted prefix that is declared wins, and a leading dot passes over the variables of macros (CEL language
definition: name resolution). `a['b']` counts as `a.b` here.
"""

from dataclasses import dataclass
from itertools import repeat, takewhile
from typing import Final, NamedTuple

import lark

from mcp_acl.expr.cel.builder import KEYWORDS, RESERVED, Builder
from mcp_acl.expr.cel.grammar import Tree, arguments, outer_span_of, span_of, subtree, token
from mcp_acl.expr.cel.literals import LiteralError, value_of
from mcp_acl.expr.cel.operators import SELECT
from mcp_acl.expr.cel.values import TYPES
from mcp_acl.expr.nodes import Call, Const, Fact, Local, Node, Variable
from mcp_acl.problems import Span, nearest


class Step(NamedTuple):
    """One name of a path, the tree that ends with it, and its token if it is written as a name."""

    name: str
    tree: Tree
    word: lark.Token | None


@dataclass(frozen=True, slots=True)
class Path:
    """A name with fields, `a.b['c']`. `is_root`: it has a leading dot."""

    steps: tuple[Step, ...]
    is_root: bool = False


def path_of(tree: Tree) -> Path | None:
    """The path that a tree is, or None."""
    steps: list[Step] = []
    while (step := _field(tree)) is not None:
        steps.append(step)
        tree = subtree(tree, 0)
    first = simple_name(tree)
    if first is None:
        return None
    return Path((first, *reversed(steps)), tree.data == "dot_ident")


def _field(tree: Tree) -> Step | None:
    if tree.data == "member_dot":
        word = token(tree, 1)
        return Step(field_name(word), tree, word)
    if tree.data == "member_index":
        key = string_constant(subtree(tree, 1))
        return Step(key, tree, None) if key is not None else None
    return None


def simple_name(tree: Tree) -> Step | None:
    """A tree that is one name: an identifier, or one that an optimizer made: `cel.index(0)`, `cel.iterVar(0, 0)`."""
    if tree.data in {"ident", "dot_ident"}:
        word = token(tree, 0)
        return Step(str(word), tree, word)
    if tree.data == "member_dot_arg" and str(token(tree, 1)) in {"index", "iterVar"}:
        owner = subtree(tree, 0)
        numbers = [str(token(arg, 0)) for arg in arguments(tree) if arg.data == "literal"]
        if owner.data == "ident" and token(owner, 0) == "cel":
            return Step(f"cel.{token(tree, 1)}({', '.join(numbers)})", tree, None)
    return None


def field_name(word: lark.Token) -> str:
    """The field a token names, with or without backticks."""
    return word.strip("`")


def string_constant(tree: Tree) -> str | None:
    """The string a tree is, if it is a literal of one."""
    if tree.data != "literal" or token(tree, 0).type != "STRING_LIT":
        return None
    try:
        value = value_of(token(tree, 0))
    except LiteralError:
        return None
    return value if isinstance(value, str) else None


def variable_of(builder: Builder, path: Path) -> Variable | None:
    """The declared variable that a whole path is, if it is one."""
    used, node = _declared(builder, path)
    return node.variable if used == len(path.steps) and isinstance(node, Fact) else None


def resolve(builder: Builder, path: Path) -> Node:
    """The node of a path."""
    for step, words in zip(path.steps, (RESERVED, *repeat(KEYWORDS, len(path.steps) - 1)), strict=True):
        if step.word is not None and builder.is_word(step.word, words):
            return builder.nothing(step.tree)
    used, node = _declared(builder, path)
    if node is None:
        return _unknown(builder, path)
    for step in path.steps[used:]:
        key = Const(step.name, span=_key_span(step))
        node = Call(SELECT, (node, key), span=span_of(step.tree))
    return node


def _declared(builder: Builder, path: Path) -> tuple[int, Node | None]:
    """How many steps name a value, and that value; None if no prefix is declared."""
    local = None if path.is_root else builder.local(path.steps[0].name)
    if local is not None:
        return 1, Local(local, span=span_of(path.steps[0].tree))
    plain = sum(1 for _ in takewhile(lambda step: "." not in step.name, path.steps[1:]))
    for used in range(min(plain, builder.longest_name) + 1, 0, -1):
        name = ".".join(step.name for step in path.steps[:used])
        span = span_of(path.steps[used - 1].tree)
        if name in builder.environment:
            return used, Fact(builder.environment[name], span=span)
        if name in TYPES:
            return used, Const(TYPES[name], span=span)
    return 0, None


def _unknown(builder: Builder, path: Path) -> Node:
    name = path.steps[0].name
    inside = [known for known in builder.environment if known.startswith(f"{name}.")]
    if inside and len(path.steps) == 1:
        message = f"`{name}` is a group of variables, not a value"
        hint = "use " + ", ".join(f"`{one}`" for one in inside)
        return builder.unknown("cel-unknown-variable", message, span_of(path.steps[0].tree), hint)
    shown = path.steps[: 2 if inside else 1]
    unknown = ".".join(step.name for step in shown)
    span = span_of(shown[-1].tree)
    known = [*builder.environment, *builder.locals]
    hint = nearest(unknown, known) if name != _VARIABLES else f"define it under `{_VARIABLES}`, above what uses it"
    return builder.unknown("cel-unknown-variable", f"unknown variable `{unknown}`", span, hint)


_VARIABLES: Final = "variables"
"""What a policy's own variables are written under."""


def _key_span(step: Step) -> Span:
    return span_of(step.word) if step.word is not None else outer_span_of(subtree(step.tree, 1))
