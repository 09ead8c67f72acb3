"""What is decided, told to whoever watches: an observer of the gate.

Told are the principal's `sub` and no other claim, the method and the target and no argument.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from mcp_acl.domain import Json, Request, RuleRef, TokenState
from mcp_acl.runtime.gate import Reply
from mcp_acl.runtime.observed import NANOS, Decided, Observer, Replied, each, method_told, target_told

_LONGEST: Final = 8192
"""Characters of a text."""
_WITHOUT_CLAIMS: Final = {
    TokenState.NONE: "anonymous",
    TokenState.MISSING: "(no token)",
    TokenState.INVALID: "(invalid token)",
    TokenState.VALID: "(no sub)",
}


class Seen(NamedTuple):
    """One decision, or what became of a response: then `decision` is `filtered` or `withheld`, and the counts are of list entries.

    Texts are as peers wrote them, control characters and all, but no longer than can be kept of many that wait.
    """

    time: datetime
    server: str
    principal: str
    method: str
    target: str
    decision: str
    reason: str
    rules: tuple[RuleRef, ...] = ()
    decision_id: str = ""
    shown: int = 0
    hidden: int = 0


Tell: TypeAlias = Callable[[Seen], None]


class Watcher(Observer):
    """Tells each answer to `tell`, which must return at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def decided(self, every: Sequence[Decided]) -> None:
        """As an observer."""
        each(every, lambda decided: self._tell(_of_answer(decided)))

    def replied(self, replied: Replied) -> None:
        """As an observer."""
        if replied.request is not None:
            self._tell(_of_reply(replied.time, replied.request, replied.reply))


def _of_answer(decided: Decided) -> Seen:
    likeness, question = decided.likeness, decided.question
    return Seen(
        _moment(decided.time),
        likeness.server,
        _principal(question.claims, question.token),
        likeness.method[:_LONGEST],
        likeness.target[:_LONGEST],
        likeness.decision.effect,
        likeness.decision.reason,
        likeness.decision.rules,
        decided.answer.decision_id,
    )


def _of_reply(time: int, request: Request, reply: Reply) -> Seen:
    filtered = reply.filtered
    return Seen(
        _moment(time),
        request.server,
        _principal(request.claims, request.token),
        method_told(request.message, request.http)[:_LONGEST],
        target_told(request.message)[:_LONGEST],
        "withheld" if filtered.refused else "filtered",
        filtered.refused,
        shown=filtered.shown,
        hidden=len(filtered.hidden) + len(filtered.dropped),
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / NANOS, UTC)


def _principal(claims: Mapping[str, Json], token: TokenState) -> str:
    subject: Json = claims.get("sub")
    return subject[:_LONGEST] if isinstance(subject, str) and subject else _WITHOUT_CLAIMS[token]
