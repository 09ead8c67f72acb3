"""What is decided, told to whoever watches: wrapped around the gate, which knows nothing of it.

Told are the principal's `sub` and no other claim, the method and the target and no argument. Watching never changes an answer, whatever breaks.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from mcp_acl.domain import Http, Json, Message, MessageKind, Request, RuleRef, TokenState
from mcp_acl.mcp.demands import target_of
from mcp_acl.mcp.methods import method_named
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.context import read_context
from mcp_acl.runtime.gate import Answer, Filtering, Gate, Question, Reply

_LOG: Final = logging.getLogger("mcp_acl")
_WITHOUT_CLAIMS: Final = {
    TokenState.NONE: "anonymous",
    TokenState.MISSING: "(no token)",
    TokenState.INVALID: "(invalid token)",
    TokenState.VALID: "(no sub)",
}


class Seen(NamedTuple):
    """One decision, or what became of a response: then `decision` is `filtered` or `withheld`, and the counts are of list entries.

    Texts are as peers wrote them, control characters and all.
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


class WatchedGate(Gate):
    """A gate of which each answer is told. `tell` must return at once."""

    def __init__(self, tell: Tell, policies: PolicySet, **known: Any) -> None:
        super().__init__(policies, **known)
        self._tell = tell

    def check(self, question: Question) -> Answer:
        """As the gate does."""
        answer, request = self._ask(self.policies, question)
        self.told(lambda: _of_answer(question, request, answer))
        return answer

    def filter(self, context: bytes, content_type: str, body: bytes, status: int = 200) -> Reply:
        """As the gate does."""
        reply = super().filter(context, content_type, body, status)
        self.tell_reply(context, reply)
        return reply

    def filter_stream(self, context: bytes, content_type: str, status: int = 200) -> Filtering:
        """As the gate does."""
        return _WatchedFiltering(self, context, content_type, status)

    def withhold(self, context: bytes, content_type: str, why: str, status: int = 200) -> Reply:
        """As the gate does."""
        reply = super().withhold(context, content_type, why, status)
        self.tell_reply(context, reply)
        return reply

    def tell_reply(self, context: bytes, reply: Reply) -> None:
        """Tell of a response, if there is something to say: a list was in it, or something was taken out."""
        filtered = reply.filtered
        if filtered.shown or filtered.hidden or filtered.dropped or filtered.refused:
            self.told(lambda: _of_reply(read_context(context), reply))

    def told(self, seen: Callable[[], Seen]) -> None:
        """Tell, and go on whatever breaks."""
        try:
            self._tell(seen())
        except Exception:  # noqa: BLE001 - an answer does not depend on who watches
            _LOG.exception("a decision could not be shown")


class _WatchedFiltering(Filtering):
    def __init__(self, gate: WatchedGate, context: bytes, content_type: str, status: int) -> None:
        super().__init__(gate, context, content_type, status)
        self._watched = gate
        self._context = context
        self._withheld = False
        self._say(self.head)

    def feed(self, piece: bytes) -> Reply:
        """As the one that is watched."""
        return self._say(super().feed(piece))

    def close(self) -> Reply:
        """As the one that is watched."""
        return self._say(super().close())

    def _say(self, reply: Reply) -> Reply:
        """A response that is withheld is told of once, though each of its pieces says so."""
        if not self._withheld:
            self._watched.tell_reply(self._context, reply)
        self._withheld = bool(reply.filtered.refused)
        return reply


def _of_answer(question: Question, request: Request | None, answer: Answer) -> Seen:
    decision = answer.decision
    message = request.message if request is not None else None
    return Seen(
        datetime.now(UTC),
        question.server,
        _principal(question.claims, question.token),
        _method(message, question.http),
        _target(message),
        decision.effect,
        decision.reason,
        decision.rules,
        answer.decision_id,
    )


def _of_reply(request: Request, reply: Reply) -> Seen:
    filtered = reply.filtered
    return Seen(
        datetime.now(UTC),
        request.server,
        _principal(request.claims, request.token),
        _method(request.message, request.http),
        _target(request.message),
        "withheld" if filtered.refused else "filtered",
        filtered.refused,
        shown=filtered.shown,
        hidden=len(filtered.hidden) + len(filtered.dropped),
    )


def _principal(claims: Mapping[str, Json], token: TokenState) -> str:
    subject: Json = claims.get("sub")
    return subject if isinstance(subject, str) and subject else _WITHOUT_CLAIMS[token]


def _method(message: Message | None, http: Http) -> str:
    """Of what is no request and no notification, what it is."""
    if message is None:
        return "(unreadable)"
    if message.kind is MessageKind.EXCHANGE:
        return f"HTTP {http.method}"
    if message.kind is MessageKind.BATCH:
        return f"(batch of {len(message.members)})"
    return message.method or "(response)"


def _target(message: Message | None) -> str:
    row = method_named(message.method) if message is not None else None
    return "" if message is None or row is None else target_of(message.params, row) or ""
