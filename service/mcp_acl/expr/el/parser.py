"""Parse a condition in Gravitee's expression language to a tree.

`parse_el` gives a tree whose value is the condition's: true, false, or null for empty. `parse_el_value` gives the value itself.
Both raise `SourceError` with every problem of the text, and nothing else.
"""

from collections.abc import Iterable
from typing import Final

from mcp_acl.expr.el.names import Report
from mcp_acl.expr.el.operators import CONDITION, TEMPLATE
from mcp_acl.expr.el.syntax import MAX_DEPTH, SyntaxProblem, parse_expression
from mcp_acl.expr.el.template import has_block, split_template
from mcp_acl.expr.el.translate import Translator
from mcp_acl.expr.nodes import Call, Const, Environment, Node, Parsed, children
from mcp_acl.problems import Problem, SourceError, Span, place_in

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "MAX_NODES", "has_block", "parse_el", "parse_el_value"]

MAX_LENGTH: Final = 10_000
"""How long a condition may be, in characters (Spring's limit)."""

MAX_NODES: Final = 5_000
"""How many nodes a tree may have."""


def parse_el(text: str, environment: Environment) -> Parsed:
    """The tree of a condition; its root makes true, false or null of the value."""
    parsed = parse_el_value(text, environment)
    return Parsed(Call(CONDITION, (parsed.node,), span=Span(0, len(text))), parsed.findings)


def parse_el_value(text: str, environment: Environment) -> Parsed:
    """The tree of what a text evaluates to: literal text, one expression's value, or parts joined to a text."""
    if len(text) > MAX_LENGTH:
        message = f"the condition has {len(text):,} characters: {MAX_LENGTH:,} are allowed"
        raise SourceError([Problem("el-too-long", message, place_in(text, Span(0, 1)))])
    nodes: list[Node] = []
    problems: list[Problem] = []
    findings: list[Problem] = []
    first_local = 0
    for part in split_template(text):
        if not part.is_block:
            nodes.append(Const(part.text, span=part.span(0, len(part.text))))
            continue
        translator = Translator(environment, part, first_local)
        try:
            nodes.append(translator.translate(parse_expression(part.text)))
        except SyntaxProblem as error:
            place = place_in(text, part.span(error.start, error.end))
            problems.append(Problem(error.code, error.message, place, error.hint))
        first_local = translator.locals
        findings += _placed(text, translator.reports)
    if problems:
        raise SourceError([*problems, *findings])
    node = _joined(text, nodes)
    _check_size(text, node)
    return Parsed(node, tuple(findings))


def _placed(text: str, reports: Iterable[Report]) -> list[Problem]:
    return [Problem(one.code, one.message, place_in(text, one.span), one.hint, one.severity) for one in reports]


def _joined(text: str, nodes: list[Node]) -> Node:
    whole = Span(0, len(text))
    if not nodes:
        return Const("", span=whole)
    return nodes[0] if len(nodes) == 1 else Call(TEMPLATE, tuple(nodes), span=whole)


def _check_size(text: str, node: Node) -> None:
    """Refuse a tree that is too deep or has too many nodes."""
    count = 0
    pending = [(node, 0)]
    while pending:
        current, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            message = f"the condition is nested more than {MAX_DEPTH} deep"
            raise SourceError([Problem("el-too-deep", message, place_in(text, current.span))])
        if count > MAX_NODES:
            message = f"the condition has more than {MAX_NODES:,} parts"
            raise SourceError([Problem("el-too-large", message, place_in(text, Span(0, len(text))))])
        pending.extend((child, depth + 1) for child in children(current))
