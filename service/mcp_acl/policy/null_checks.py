"""Allow rules in EL that allow whoever lacks a fact, because Spring puts null below everything: `level < 5`.

Strategy: as in `missing`, a condition is walked for a token without claims, a request without headers and a gateway without
attributes, all else unknown. It is found if it may still be true, and an ordering in it is true because one side is null.
A comparison behind a guard is not reached then.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Final

from mcp_acl.domain import Effect
from mcp_acl.expr.el.kinds import ORDERINGS
from mcp_acl.expr.nodes import Call, Node
from mcp_acl.expr.walk import Outcomes, Possibilities, outcomes, walk
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.conditions import read_el
from mcp_acl.policy.missing import NOT_BARE, bare, reads
from mcp_acl.policy.spec import LoadedPolicy
from mcp_acl.problems import Problem, Severity, Span


def null_orderings(policy: LoadedPolicy) -> Iterator[Problem]:
    """An allow rule asks whether a fact is there before it asks whether it is small."""
    known: dict[str, list[tuple[Span, str]]] = {}
    for index, rule in enumerate(policy.spec.rules):
        text = rule.condition
        if text is None or rule.effect is not Effect.ALLOW or not _ORDERS.search(text):
            continue
        if text not in known:
            tree = read_el(text).node
            known[text] = [] if tree is None else [*_below(tree, text)]
        for span, fact in known[text]:
            message = f"this is true where {quoted(fact)} is missing: null is below everything"
            hint = "compare it with null first: `… != null && …`"
            place = policy.document.place(("rules", index, "condition"), span)
            yield Problem("null-below", message, place, hint, Severity.FINDING)


_ORDERS: Final = re.compile(r"[<>]|\b[lg][et]\b", re.IGNORECASE)
"""What orders: most conditions do not, and need not be read again."""


def _below(tree: Node, text: str) -> Iterator[tuple[Span, str]]:
    """Where a comparison is true of null, and what is null there."""
    found: dict[int, Possibilities] = {}
    walked: list[Node] = []

    def note(node: Node, result: Possibilities) -> None:
        found[id(node)] = result
        walked.append(node)

    possible = outcomes(walk(tree, SimpleNamespace(**bare()), NOT_BARE, note))
    if not possible & Outcomes.TRUE:
        return
    for node in walked:
        if not isinstance(node, Call) or node.function not in ORDERINGS or found[id(node)] != (True,):
            continue
        null = next((one for one in node.args if found.get(id(one)) == (None,) and reads(one)), None)
        if null is not None:
            yield node.span, text[null.span.start : null.span.end]
