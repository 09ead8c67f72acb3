"""What would be otherwise if what is in shadow were enforced: decisions and lists that differ. Changes none of them.

The rule: what counts is decided by the set without whatever is in shadow, as if it were not written. Beside it the same is asked of
the set with all of it, and of that only the difference is told: another effect, other entries. That other rules would come to the same is none.
"""

from collections import Counter
from typing import Final, NamedTuple

from mcp_acl.domain import Decision, Request, ResponseNeeds
from mcp_acl.engine.decision import decide
from mcp_acl.engine.response import Filtered
from mcp_acl.policy.index import PolicySet

_MORE: Final = (ResponseNeeds.NONE, ResponseNeeds.STREAM, ResponseNeeds.RESULT, ResponseNeeds.LIST)
"""What a response needs, the least first."""


class Shadow(NamedTuple):
    """Entries of a list that would be hidden, and that would be shown besides; `refused`: why all would be withheld."""

    hidden: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    refused: str = ""


def tried(trial: PolicySet, request: Request, decision: Decision) -> tuple[Decision, Decision | None]:
    """The decision, and the one that would be made instead if that is another.

    The response is asked for where only the trial needs it: else nobody would see what it would hide.
    """
    other = decide(trial, request)
    if decision.allowed and other.allowed:
        needs = max(decision.response_needs, other.response_needs, key=_MORE.index)
        decision = decision._replace(response_needs=needs)
    return decision, other if other.allowed is not decision.allowed else None


def difference(filtered: Filtered, other: Filtered) -> Shadow | None:
    """What another set makes of the same response, or of the same piece of it; None if the same."""
    if other.refused and not filtered.refused:
        return Shadow(refused=other.refused)
    if filtered.refused:
        return None
    ours, theirs = Counter(filtered.hidden), Counter(other.hidden)
    found = Shadow(tuple((theirs - ours).elements()), tuple((ours - theirs).elements()))
    return found if found.hidden or found.shown else None
