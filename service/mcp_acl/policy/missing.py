"""Deny rules that deny everybody who lacks a fact, because their condition is an error without it.

Strategy: a condition is walked for a token without claims, a request without headers and a gateway without attributes, all else
unknown. It is found if it cannot be true then, and may be the error of reading such a fact. That is certain where one of them
is missing, and says nothing of a condition that guards one and reads another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Final

from mcp_acl.domain import Effect
from mcp_acl.expr.el.roots import context_root, principal_makers
from mcp_acl.expr.el.values import Bean, Headers
from mcp_acl.expr.nodes import Fact, Local, Node, descendants
from mcp_acl.expr.walk import Outcomes, Possibilities, UnknownFact, outcomes, walk
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.conditions import Reading, joined_tree, read_cel, read_el, read_variable
from mcp_acl.policy.facts import CEL_FACTS, EL_FACTS
from mcp_acl.policy.spec import LoadedPolicy, RuleSpec
from mcp_acl.problems import EvalError, Problem, Severity, Span


def optional_facts(policy: LoadedPolicy) -> Iterator[Problem]:
    """A deny rule asks whether a fact is there before it reads it."""
    denials = [(index, rule) for index, rule in enumerate(policy.spec.rules) if _may_break(rule)]
    variables = _variables(policy) if denials else {}
    known: dict[tuple[str | None, str | None], tuple[Reading, Span] | None] = {}
    for index, rule in denials:
        texts = (rule.condition, rule.cel)
        if texts not in known:
            known[texts] = needed(_readings(rule, variables))
        found = known[texts]
        if found is not None:
            reading, span = found
            text = reading.text[span.start : span.end]
            message = f"{quoted(text)} may be missing: the condition is then an error, and the rule denies"
            place = policy.document.place(("rules", index, reading.key), span)
            yield Problem("optional-fact", message, place, _hint(reading.key, text), Severity.FINDING)


def needed(readings: Sequence[Reading]) -> tuple[Reading, Span] | None:
    """What a rule's condition reads and cannot do without: in which of its texts and where, if there is such a thing."""
    tree = joined_tree(readings)
    if tree is None:
        return None
    span = _breaks_at(tree)
    if span is None:
        return None
    first, *rest = readings
    second = len(first.text) + 1
    if rest and span.start >= second:
        return rest[0], Span(span.start - second, span.end - second)
    return first, span


def _may_break(rule: RuleSpec) -> bool:
    return rule.effect is Effect.DENY and rule.is_conditional


def _variables(policy: LoadedPolicy) -> Mapping[str, Node]:
    trees: dict[str, Node] = {}
    for name, text in (policy.spec.variables or {}).items():
        node = read_variable(text, trees).node
        if node is not None:
            trees[f"variables.{name}"] = node
    return trees


def _readings(rule: RuleSpec, variables: Mapping[str, Node]) -> list[Reading]:
    readings = [] if rule.condition is None else [read_el(rule.condition)]
    return readings if rule.cel is None else [*readings, read_cel(rule.cel, variables)]


_SELECTED: Final = re.compile(r"(?:claims|attributes|request\.headers)(?:\.\w+)+")


def _hint(key: str, text: str) -> str:
    if key == "condition":
        return "compare it with null first: `… != null && …`, or `… == null || …` to deny then"
    if _SELECTED.fullmatch(text):
        return f"write `has({text}) && …`, or `!has({text}) || …` to deny then"
    return "ask for it first, as in `has(claims.x) && …`, or `!has(claims.x) || …` to deny then"


# ---- a request with as little as there may be ------------------------------------------------------------------------


class _Partly(dict[str, object]):
    """The properties of an object, of which only some are known."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> object:
        raise UnknownFact(name)


_TOKEN: Final = {"iss": ""}
"""Roots of EL are null without a token; what is looked for is a token without the claim."""


def bare() -> dict[str, object]:
    """The variables that hold what may be missing, by their attribute, with nothing in them."""
    attributes = {row.variable.attribute: None for row in EL_FACTS if row.variable.name in _OF_ATTRIBUTES}
    return {
        "claims": {},
        "attributes": {},
        "headers": {},
        **attributes,
        "el_context": context_root({}, principal_makers(_TOKEN)),
        "el_request": Bean(_Partly(headers=Headers({}))),
        "el_token": {},
    }


_OF_ATTRIBUTES: Final = ("subscription", "api", "properties", "dictionaries", "endpoints", "node")
NOT_BARE: Final = frozenset(row.variable.attribute for row in (*CEL_FACTS, *EL_FACTS)) - bare().keys()
"""The variables that such a request leaves unknown."""


def _breaks_at(tree: Node) -> Span | None:
    """The place of the read whose error a condition may be, if it cannot be true."""
    errors: list[tuple[EvalError, Node]] = []

    def note(node: Node, result: Possibilities) -> None:
        if isinstance(result, tuple) and len(result) == 1 and isinstance(result[0], EvalError):
            errors.append((result[0], node))

    possible = walk(tree, SimpleNamespace(**bare()), NOT_BARE, note)
    if not isinstance(possible, tuple) or outcomes(possible) & Outcomes.TRUE:
        return None
    found = (node for error, node in errors if any(error is one for one in possible))
    node = next(found, None)
    return None if node is None or not reads(node) else node.span


def reads(node: Node) -> bool:
    """Whether a part reads anything."""
    return any(isinstance(one, Fact | Local) for one in descendants(node))
