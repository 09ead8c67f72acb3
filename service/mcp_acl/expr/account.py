"""What a condition saw: each part's value, the fact that was missing, and what is still to be decided. For people.

Strategy: a tree is walked and every part's possibilities noted. What remains is written with the text of the parts that are
open: of `&&` and `||` those that can still matter, with facts that are known put in. Knows no policy.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mcp_acl.expr.cel.operators import HAS, INDEX, SELECT
from mcp_acl.expr.el.access import INDEX as EL_INDEX
from mcp_acl.expr.el.jsonpath import NoPath
from mcp_acl.expr.el.values import Bean, Context, Headers
from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Function,
    Let,
    Local,
    Logic,
    Node,
    children,
    descendants,
)
from mcp_acl.expr.walk import Outcomes, Possibilities, outcomes, walk
from mcp_acl.problems import EvalError

_SHOWN: Final = 200  # characters of a value
_PUT_IN: Final = 60  # characters of a value that stands in what remains


@dataclass(frozen=True, slots=True)
class Seen:
    """A part of a condition's text, or a fact its variables read, and the value it had (or `unknown`, or the error)."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Account:
    """What a condition saw. `missing`: the fact it did not find, as it is written; `remains`: what the call will decide."""

    saw: tuple[Seen, ...] = ()
    missing: str = ""
    remains: str = ""


def account_of(node: Node, text: str, scope: object, unknown: frozenset[str]) -> Account:
    """The account of a condition's tree, whose spans are places in the text. Raises nothing."""
    notes = _Notes(text)
    possible = outcomes(walk(node, scope, unknown, notes.note))
    is_open = possible.bit_count() > 1
    missing = "" if possible is Outcomes.TRUE else notes.missing()
    return Account(notes.saw(node), missing, notes.remaining(node) if is_open else "")


@dataclass(slots=True)
class _Notes:
    text: str
    found: dict[int, Possibilities] = field(default_factory=dict)
    walked: list[Node] = field(default_factory=list)

    def note(self, node: Node, value: Possibilities) -> None:
        self.found[id(node)] = value
        self.walked.append(node)

    def source(self, node: Node) -> str:
        return self.text[node.span.start : node.span.end]

    # ---- values ----------------------------------------------------------------------------------------------------------

    def saw(self, tree: Node) -> tuple[Seen, ...]:
        """The parts that are neither constants nor loop variables, outermost value for each text."""
        found: dict[str, Possibilities] = {}
        inside = dict(_inside(tree, self.text))
        for node in self.walked:
            if isinstance(node, Const | Local):
                continue
            for text in (inside.get(id(node), ""), self.source(node)):
                found.pop(text, None)
                found[text] = self.found[id(node)]
        return tuple(Seen(text, render(value)) for text, value in found.items() if text)

    def missing(self) -> str:
        """The first fact that was read and is not there, or the null before an error, else the first fixed step that is null."""
        nulls = ""
        for node in self.walked:
            settled = self._settled(node)
            if settled is None or not _reads(node):
                continue
            found = self._not_found(node) if isinstance(settled[0], EvalError) else ""
            if found:
                return found
            if settled[0] is None and isinstance(node, Call) and node.function.key is not None:
                nulls = nulls or self.source(node)
        return nulls

    def _not_found(self, node: Node) -> str:
        """What an error says is not there; `''` if the error is of another kind, or of a part."""
        if any(isinstance((self._settled(one) or (None,))[0], EvalError) for one in children(node)):
            return ""
        is_place = _is_step(node) or isinstance((self._settled(node) or (None,))[0], NoPath)
        return _read(node, self.text) or self._null_before(node) or (self.source(node) if is_place else "")

    def _null_before(self, node: Node) -> str:
        """What is null and was asked for more."""
        owner = node.args[0] if isinstance(node, Call) and node.args else node
        return self.source(owner) if self._is(owner, None) else ""

    # ---- what remains ----------------------------------------------------------------------------------------------------

    def remaining(self, node: Node) -> str:
        """The text of what is open in a part."""
        match self._open_part(node):
            case Call(function=function, args=(inner,)) if function.name == "!":
                return f"!({self.remaining(inner)})"
            case Logic() as part if _is_written(part):
                return self._operands(part)
            case part:
                return self._with_values(part)

    def _open_part(self, node: Node) -> Node:
        """The innermost part that decides what the whole comes to: all around it is known, or stands in no text."""
        match node:
            case Call(function=function, args=(inner,)) if function.name in _TRUTHS:
                return self._open_part(inner)
            case Logic() if _is_written(node) and len(only := self._open(node)) == 1 and self._settled(only[0]) is None:
                return self._open_part(only[0])
            case Conditional() if self._settled(node.condition) is not None:
                chosen = node.then if self._is(node.condition, True) else node.otherwise
                return self._open_part(chosen) if self.found.get(id(chosen)) is not None else node
        return node

    def _settled(self, node: Node) -> tuple[object] | None:
        value = self.found.get(id(node))
        return value if isinstance(value, tuple) and len(value) == 1 else None

    def _is(self, node: Node, value: bool | None) -> bool:
        """Whether it is certain to be that: by identity, for a number that is not exact refuses to be compared."""
        settled = self._settled(node)
        return settled is not None and settled[0] is value

    def _operands(self, node: Logic) -> str:
        sign = " && " if node.is_and else " || "
        return sign.join(self._operand(one, node) for one in self._open(node))

    def _open(self, node: Logic) -> list[Node]:
        """The operands that are not what changes nothing."""
        return [one for one in node.operands if not self._is(one, node.is_and)]

    def _operand(self, node: Node, around: Logic) -> str:
        is_settled = self._settled(node) is not None
        part = node if is_settled else self._open_part(node)
        text = self.source(node) if is_settled else self.remaining(part)
        is_other = isinstance(part, Logic) and part.is_and is not around.is_and
        return f"({text})" if is_other or isinstance(part, Conditional | Let) else text

    def _with_values(self, node: Node) -> str:
        """The part as it is written, facts that are known put in."""
        made, at = "", node.span.start
        for start, end, literal in sorted(set(self._known(node))):
            made += self.text[at:start] + literal
            at = end
        return made + self.text[at : node.span.end]

    def _known(self, node: Node) -> Iterator[tuple[int, int, str]]:
        for child in _outside_loops(node):
            value = self._settled(child)
            inside = node.span.start <= child.span.start < child.span.end <= node.span.end
            literal = _literal(value[0]) if value is not None and inside and child.span != node.span else ""
            if literal and _reads(child):
                yield child.span.start, child.span.end, literal
            else:
                yield from self._known(child)


_STEPS: Final = frozenset((SELECT, INDEX, EL_INDEX))
_TRUTHS: Final = frozenset(("bool", "condition", "truth"))
"""What makes a condition of a value, and stands in no text."""


def _is_step(node: Node) -> bool:
    """Whether it reads a fact, or an entry or element of something."""
    if not isinstance(node, Call):
        return isinstance(node, Fact | Available)
    return node.function in _STEPS or node.function.key is not None


def _is_written(node: Logic) -> bool:
    """Whether the text has its operands, each at a place of its own."""
    return any(one.span != node.span for one in node.operands)


def _outside_loops(node: Node) -> tuple[Node, ...]:
    """The children that have one value: not what is evaluated for each of several."""
    if isinstance(node, Comprehension):
        return (node.range,)
    return (node.value,) if isinstance(node, Let) else children(node)


def _reads(node: Node) -> bool:
    return any(isinstance(one, Fact | Available) for one in descendants(node))


def _literal(value: object) -> str:
    """A plain value as both languages write it, or `''`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else ""
    is_plain = type(value) is str and len(value) <= _PUT_IN and value.isprintable() and not set("'\\") & set(value)
    return f"'{value}'" if is_plain else ""


# ---- what the variables of a policy read -----------------------------------------------------------------------------


def _inside(node: Node, text: str) -> Iterator[tuple[int, str]]:
    """What the variables in a condition read, by the identity of the node."""
    read = _read(node, text)
    if read:
        yield id(node), read
        return
    for child in children(node):
        yield from _inside(child, text)


def _read(node: Node, text: str) -> str:
    """A fact that a variable reads, or a member of it, as CEL writes it; `''` for everything else.

    The tree of a variable has the span of the variable: the text there is not how the fact is written.
    """
    match node:
        case Fact() | Available():
            name = node.variable.name if isinstance(node, Fact) else f"has({node.variable.name})"
            return "" if text[node.span.start : node.span.end] in (name, f"#{name}") else name
        case Call(function=function, args=(owner, Const(value=key))) if function in _FORMS:
            read = _read(owner, text)
            member = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
            return read and _FORMS[function].format(f"{read}{member}")
    return ""


_FORMS: Final[Mapping[Function, str]] = {SELECT: "{}", INDEX: "{}", HAS: "has({})"}


# ---- values in words -------------------------------------------------------------------------------------------------


def render(value: Possibilities) -> str:
    """A part's value, or the values it may have."""
    if not isinstance(value, tuple):
        return "unknown"
    return " or ".join(_render_one(one) for one in value)


def _render_one(value: object) -> str:
    if isinstance(value, EvalError):
        return f"error: {value.message}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Bean | Context | Headers):
        return "an object"
    return "null" if value is None else repr(value)[:_SHOWN]
