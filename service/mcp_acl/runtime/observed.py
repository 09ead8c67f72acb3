"""A gate whose answers are told to observers: after they were made, and without any power over them. Knows no observer.

What an observer raises is logged, and changes nothing; what it takes is added to the answer's time, so it returns at once.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple

from mcp_acl.domain import (
    Decision,
    Direction,
    Effect,
    Http,
    Message,
    MessageKind,
    Reason,
    Request,
    ResponseNeeds,
    RuleRef,
    TokenState,
)
from mcp_acl.mcp.demands import target_of
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.context import decision_id_of, read_context
from mcp_acl.runtime.gate import Answer, Filtering, Gate, Question, Reply
from mcp_acl.runtime.standing import Standing
from mcp_acl.runtime.trace import Trace, trace_of

_LOG: Final = logging.getLogger("mcp_acl")
_REMEMBERED: Final = 1024
_LONGEST: Final = 256
"""Characters of a text that is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What decisions have in common that are alike. `method` and `target` are as peers have written them.

    All of them share one object, by which observers can remember what they made of it, unless its texts are too long to keep (`is_shared`).
    """

    server: str
    method: str
    target: str
    token: TokenState
    direction: Direction
    effect: Effect
    reason: Reason
    rules: tuple[RuleRef, ...]
    revision: str
    response_needs: ResponseNeeds
    is_shared: bool


class Decided(NamedTuple):
    """One decision. `message` is what was decided, if it could be read; `seconds` is how long it took, `trace` what it belongs to."""

    likeness: Likeness
    question: Question
    message: Message | None
    answer: Answer
    seconds: float
    trace: Trace | None


class Replied(NamedTuple):
    """What became of a response, or of a piece of one; and the decision and the trace that it belongs to, if its context could be read."""

    request: Request | None
    decision_id: str
    reply: Reply
    seconds: float
    trace: Trace | None


class Observer:
    """Whoever is told. Called from several threads."""

    def decided(self, decided: Decided) -> None:
        """A message was decided."""

    def replied(self, replied: Replied) -> None:
        """A response was looked into, and there is something to say: it held a list, or something was taken out.

        A response that is withheld is told of once, though each of its pieces says so.
        """

    def stands(self, standing: Standing) -> None:
        """Another set is in force, or one was refused."""


def method_told(message: Message | None, http: Http) -> str:
    """The method; of what is no request and no notification, what it is. As peers have written it."""
    if message is None:
        return "(unreadable)"
    if message.method:
        return message.method
    if message.kind is MessageKind.EXCHANGE:
        return f"HTTP {http.method}"
    return f"(batch of {len(message.members)})" if message.kind is MessageKind.BATCH else "(response)"


def target_told(message: Message | None) -> str:
    """The name of what is acted on, or `''`. As peers have written it."""
    row = METHODS.get(message.method) if message is not None else None
    return "" if message is None or row is None else target_of(message.params, row) or ""


class ObservedGate(Gate):
    """A gate with observers. With `obeys_clients` clients may say whether what they send is traced."""

    def __init__(
        self, observers: Sequence[Observer], policies: PolicySet, *, obeys_clients: bool = False, **known: Any
    ) -> None:
        self._observers = tuple(observers)
        self._trace_of = partial(trace_of, obeys_clients=obeys_clients)
        self._likenesses: dict[tuple[object, ...], Likeness] = {}
        super().__init__(policies, **known)

    def put(self, standing: Standing) -> None:
        """As the gate does."""
        super().put(standing)
        self._tell(lambda observer: observer.stands(standing))

    def check(self, question: Question) -> Answer:
        """As the gate does."""
        started = perf_counter()
        answer, request = self._ask(self.policies, question)
        seconds = perf_counter() - started
        try:
            decided = self._decided(question, request, answer, seconds)
        except Exception:  # noqa: BLE001 - an answer does not depend on who watches
            _LOG.exception("decision %s could not be told", answer.decision_id)
            return answer
        for observer in self._observers:
            try:
                observer.decided(decided)
            except Exception:  # noqa: BLE001 - nor on what becomes of it there
                _LOG.exception("decision %s could not be told", answer.decision_id)
        return answer

    def _decided(self, question: Question, request: Request | None, answer: Answer, seconds: float) -> Decided:
        message = None if request is None else request.message
        likeness = self._likeness(question, message, answer.decision)
        trace = self._trace_of(question.trace, question.http, message)
        return Decided(likeness, question, message, answer, seconds, trace)

    def _likeness(self, question: Question, message: Message | None, decision: Decision) -> Likeness:
        method, target = method_told(message, question.http), target_told(message)
        effect, reason, revision, rules, _, needs, _ = decision
        server, token, direction = question.server, question.token, question.direction
        # Members of enumerations are told apart by what they are: to hash one is a call of Python.
        kind = (id(token), id(direction), id(effect), id(reason), id(needs))
        key = (server, method, target, rules, revision, *kind)
        found = self._likenesses.get(key)
        if found is None:
            is_shared = max(len(server), len(method), len(target)) <= _LONGEST
            found = Likeness(
                server, method, target, token, direction, effect, reason, rules, revision, needs, is_shared
            )
            if is_shared:
                if len(self._likenesses) >= _REMEMBERED:
                    self._likenesses.clear()
                self._likenesses[key] = found
        return found

    def filter(self, context: bytes, content_type: str, body: bytes, status: int = 200, *, trace: str = "") -> Reply:
        """As the gate does."""
        run = super().filter
        return self._timed(context, trace, lambda: run(context, content_type, body, status))

    def withhold(self, context: bytes, content_type: str, why: str, status: int = 200, *, trace: str = "") -> Reply:
        """As the gate does."""
        run = super().withhold
        return self._timed(context, trace, lambda: run(context, content_type, why, status))

    def filter_stream(self, context: bytes, content_type: str, status: int = 200, *, trace: str = "") -> Filtering:
        """As the gate does."""
        return _ObservedFiltering(self, context, content_type, status, trace)

    def _timed(self, context: bytes, trace: str, run: Callable[[], Reply]) -> Reply:
        started = perf_counter()
        reply = run()
        self.tell(context, trace, reply, perf_counter() - started)
        return reply

    def tell(self, context: bytes, trace: str, reply: Reply, seconds: float) -> None:
        """Tell of a response, if there is something to say."""
        filtered = reply.filtered
        if not (filtered.shown or filtered.hidden or filtered.dropped or filtered.refused or reply.shadow):
            return
        try:
            request = read_context(context)
            belongs = self._trace_of(trace, request.http, request.message)
            replied = Replied(request, decision_id_of(context), reply, seconds, belongs)
        except Exception:  # noqa: BLE001 - that it is withheld is told all the same
            replied = Replied(None, "", reply, seconds, None)
        self._tell(lambda observer: observer.replied(replied))

    def _tell(self, say: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                say(observer)
            except Exception:  # noqa: BLE001 - an answer does not depend on who watches
                _LOG.exception("an observer could not be told")


class _ObservedFiltering(Filtering):
    def __init__(self, gate: ObservedGate, context: bytes, content_type: str, status: int, trace: str) -> None:
        started = perf_counter()
        super().__init__(gate, context, content_type, status)
        self._observed = gate
        self._context = context
        self._trace = trace
        self._withheld = False
        self._say(self.head, perf_counter() - started)

    def feed(self, piece: bytes) -> Reply:
        """As the one that is observed."""
        started = perf_counter()
        return self._say(super().feed(piece), perf_counter() - started)

    def close(self) -> Reply:
        """As the one that is observed."""
        started = perf_counter()
        return self._say(super().close(), perf_counter() - started)

    def _say(self, reply: Reply, seconds: float) -> Reply:
        if not self._withheld:
            self._observed.tell(self._context, self._trace, reply, seconds)
        self._withheld = bool(reply.filtered.refused)
        return reply
