"""What is odd about a condition that can be compiled: it can never take what it is given, or a part of it is always the same.

Strategy: kinds first (`expr.kinds`), then the tree is evaluated with every variable unknown: an outcome impossible even then
is impossible for good. Where the whole is fixed its parts are not looked at, and of nested parts the outermost is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final, TypeAlias

from mcp_acl.expr.cel import kinds as cel_kinds
from mcp_acl.expr.cel.operators import HAS, INDEX, SELECT
from mcp_acl.expr.el import kinds as el_kinds
from mcp_acl.expr.el.values import PREFIX
from mcp_acl.expr.kinds import Findings, Language
from mcp_acl.expr.nodes import (
    Available,
    Call,
    Comprehension,
    Conditional,
    Const,
    Fact,
    Logic,
    Node,
    children,
    descendants,
)
from mcp_acl.expr.walk import Outcomes, Possibilities, outcomes, walk
from mcp_acl.mcp.methods import METHODS
from mcp_acl.problems import Problem, Severity, Span, place_in

_FEATURES: Final = frozenset(row.feature.value if row.feature else "" for row in METHODS.values())

EL: Final = el_kinds.LANGUAGE
CEL: Final = cel_kinds.language({"feature": _FEATURES})

_FIXED: Final[Mapping[Outcomes, tuple[str, str]]] = {
    Outcomes.TRUE: ("always-true", "true for every request"),
    Outcomes.FALSE: ("always-false", "false for every request"),
    Outcomes.ERROR: ("always-error", "an error for every request"),
    Outcomes.FALSE | Outcomes.ERROR: ("never-true", "true for no request"),
}


def condition_findings(text: str, tree: Node, language: Language) -> Iterator[Problem]:
    """Every finding of a condition's tree, each at its place in the text."""
    findings = Findings(language)
    _, judged = findings.judge(tree)
    told: list[Span] = []
    for node, fault in findings.faults:
        if node.span not in told:
            told.append(node.span)
            yield _finding(text, fault.code, fault.message, node.span, fault.hint)
    yield from _near_names(text, tree)
    yield from _fixed(text, judged, told)


def _finding(text: str, code: str, message: str, span: Span, hint: str = "") -> Problem:
    return Problem(code, message, place_in(text, span), hint, Severity.FINDING)


# ---- what is always the same -----------------------------------------------------------------------------------------


def _fixed(text: str, tree: Node, told: Iterable[Span]) -> Iterator[Problem]:
    """The whole if it is fixed, else its parts."""
    attributes = frozenset(one.variable.attribute for one in descendants(tree) if isinstance(one, Fact | Available))
    found: dict[int, Possibilities] = {}
    possible = outcomes(walk(tree, None, attributes, lambda node, result: found.update({id(node): result})))
    if possible in _FIXED:
        if any(text[one.start : one.end].strip(_AROUND) == text.strip(_AROUND) for one in told):
            return
        code, message = _FIXED[possible]
        hint = "leave the condition out" if possible is Outcomes.TRUE else ""
        yield _finding(text, code, f"the condition is {message}", Span(0, len(text)), hint)
        return
    spans = list(told)
    for node, fixed in _parts(tree, found):
        if not any(_holds(node.span, one) or _holds(one, node.span) for one in spans):
            spans.append(node.span)
            message = f"this part is {_FIXED[fixed][1]}"
            yield _finding(text, "constant-part", message, node.span, _PART_HINTS[fixed is Outcomes.TRUE])


_AROUND: Final = " \t\n{}()"
"""What stands around an expression that is the whole condition."""

_PART_HINTS: Final = {True: "leave it out", False: "nothing that is joined to it by `&&` is ever asked"}


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _parts(tree: Node, found: Mapping[int, Possibilities]) -> Iterator[tuple[Node, Outcomes]]:
    """The parts asked for true or false that read something and are always the same. What is in a loop has many values."""
    pending = [tree]
    while pending:
        node = pending.pop(0)
        if isinstance(node, Comprehension):
            continue
        asked = _asked(node)
        for child in children(node):
            fixed = _outcomes(found.get(id(child), ())) if any(child is one for one in asked) else Outcomes.NONE
            if fixed in _FIXED and _reads(child):
                yield child, fixed
            else:
                pending.append(child)


def _asked(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Logic):
        return node.operands
    return (node.condition,) if isinstance(node, Conditional) else ()


def _outcomes(possibilities: Possibilities) -> Outcomes:
    """None where a text may stand for true or false."""
    if isinstance(possibilities, tuple) and any(isinstance(one, str | list) or one is None for one in possibilities):
        return Outcomes.NONE
    return outcomes(possibilities)


def _reads(node: Node) -> bool:
    return any(isinstance(one, Fact | Available) for one in descendants(node))


# ---- names one level down --------------------------------------------------------------------------------------------

_ANNOTATIONS: Final = ("destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint", "title")
_ATTRIBUTES: Final = ("jwt.claims", "oauth.client_id", "oauth.payload", "user.roles")
_NEAR: Final = 0.85


def _near(name: str, known: Iterable[str]) -> str:
    """The known name that another almost is, or `''`: for names that may be anything, so only where they hardly differ."""
    if not name or len(name) > 100:
        return ""
    lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), [*lower], n=1, cutoff=_NEAR)
    return lower[found[0]] if found and lower[found[0]] != name else ""


def _near_names(text: str, tree: Node) -> Iterator[Problem]:
    """What the standard or the token calls by another name."""
    for node in descendants(tree):
        if not isinstance(node, Call):
            continue
        for read in (_annotation, _attribute):
            name, whose, known = read(node)
            near = _near(name, known)
            if near:
                yield _finding(text, "unknown-member", f"`{name[:60]}` {whose}", node.span, f"did you mean `{near}`?")


_Read: TypeAlias = tuple[str, str, tuple[str, ...]]
_NOTHING: Final[_Read] = ("", "", ())


def _annotation(node: Call) -> _Read:
    """`mcp.annotations.x`, in both languages."""
    whose = "is none of MCP's annotations"
    if node.function in (SELECT, INDEX, HAS):
        owner, key = node.args
        is_read = isinstance(owner, Fact) and owner.variable.attribute == "annotations" and isinstance(key, Const)
        name = key.value if is_read and isinstance(key, Const) else ""
        return (name, whose, _ANNOTATIONS) if isinstance(name, str) else _NOTHING
    owner = node.args[0] if node.args else node
    is_read = isinstance(owner, Call) and owner.function.key == "annotations" and isinstance(owner.args[0], Fact)
    return (node.function.key, whose, _ANNOTATIONS) if is_read and isinstance(node.function.key, str) else _NOTHING


def _attribute(node: Call) -> _Read:
    """`#context.attributes['x']`."""
    key = node.function.key
    if node.function.name != "attribute" or not isinstance(key, str):
        return _NOTHING
    return key.removeprefix(PREFIX), "is made of no token: only a gateway that sends it gives it", _ATTRIBUTES
