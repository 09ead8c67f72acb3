"""A gate whose answers are told to observers: after they were made, and without any power over them. Knows no observer.

What an observer raises is logged, and changes nothing; what it takes is added to the answer's time, so it returns at once.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter, time_ns
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from mcp_acl.domain import (
    Decision,
    Direction,
    Http,
    Message,
    MessageKind,
    Request,
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
_T = TypeVar("_T")
NANOS: Final = 1_000_000_000
"""Of a second."""
_REMEMBERED: Final = 1024
_LONGEST: Final = 256
"""Characters of a text that is remembered."""
_MOST_RULES: Final = 16
"""Rules of what is remembered: a client that names many targets chooses which they are, and in what order."""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What decisions have in common that are alike: `decision` without errors and message. `method` and `target` are as peers have written them.

    All of them share one object, by which observers can remember what they made of it, unless there is too much of it to keep (`is_shared`).
    """

    server: str
    method: str
    target: str
    token: TokenState
    direction: Direction
    decision: Decision
    is_shared: bool


class Decided(NamedTuple):
    """One decision, made at `time` (nanoseconds since 1970). `message` is what was decided, if it could be read; `seconds` is how long it took, `trace` what it belongs to."""

    time: int
    likeness: Likeness
    question: Question
    message: Message | None
    answer: Answer
    seconds: float
    trace: Trace | None


class Replied(NamedTuple):
    """What became of a response, or of a piece of one, at `time`; and the decision and the trace that it belongs to, if its context could be read."""

    time: int
    request: Request | None
    decision_id: str
    reply: Reply
    seconds: float
    trace: Trace | None


class Observer:
    """Whoever is told. Called from several threads."""

    def decided(self, every: Sequence[Decided]) -> None:
        """Messages were decided, in this order."""

    def replied(self, replied: Replied) -> None:
        """A response was looked into, and there is something to say: it held entries of a list, or something was taken out.

        A response that is withheld is told of once, though each of its pieces says so.
        """

    def stands(self, standing: Standing) -> None:
        """Another set is in force, or one was refused."""


def each(every: Iterable[Decided], run: Callable[[Decided], _T]) -> list[_T]:
    """What `run` makes of each. If it raises, that is logged, and the others are told all the same."""
    made = []
    for decided in every:
        try:
            made.append(run(decided))
        except Exception:  # noqa: BLE001 - as in the gate
            _LOG.exception("decision %s could not be told", decided.answer.decision_id)
    return made


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


_Untold: TypeAlias = tuple[int, Question, Request | None, Answer, float]
"""When, what, and how long it took."""


class _Batch(threading.local):
    """What the thread that has begun one has still to tell; None on any other."""

    untold: list[_Untold] | None = None

    def __init__(self, tell: Callable[[Iterable[_Untold]], None]) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        self.untold = self.untold or []

    def __exit__(self, *_: object) -> None:
        untold, self.untold = self.untold, None
        if untold:
            self._tell(untold)


class ObservedGate(Gate):
    """A gate with observers. With `obeys_clients` clients may say whether what they send is traced.

    Of several questions within `batch` observers are told at its end: a processor finds in its caches what it does several times in a row.
    """

    def __init__(
        self, observers: Sequence[Observer], policies: PolicySet, *, obeys_clients: bool = False, **known: Any
    ) -> None:
        self._observers = tuple(observers)
        self.batch: _Batch = _Batch(self._tell_decided)
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
        untold = (time_ns(), question, request, answer, perf_counter() - started)
        waiting = self.batch.untold
        if waiting is None:
            self._tell_decided((untold,))
        else:
            waiting.append(untold)
        return answer

    def _tell_decided(self, untold: Iterable[_Untold]) -> None:
        every = []
        for one in untold:
            try:
                every.append(self._decided(*one))
            except Exception:  # noqa: BLE001 - an answer does not depend on who watches
                _LOG.exception("decision %s could not be told", one[3].decision_id)
        self._tell(lambda observer: observer.decided(every))

    def _decided(
        self, time: int, question: Question, request: Request | None, answer: Answer, seconds: float
    ) -> Decided:
        message = None if request is None else request.message
        likeness = self._likeness(question, message, answer.decision)
        trace = self._trace_of(question.trace, question.http, message)
        return Decided(time, likeness, question, message, answer, seconds, trace)

    def _likeness(self, question: Question, message: Message | None, decision: Decision) -> Likeness:
        server, token, direction = question.server, question.token, question.direction
        method, target = method_told(message, question.http), target_told(message)
        if decision.errors or decision.message:
            decision = decision._replace(errors=(), message="")
        key = (server, method, target, token, direction, decision)
        found = self._likenesses.get(key)
        if found is None:
            is_short = max(len(server), len(method), len(target)) <= _LONGEST
            is_shared = is_short and len(decision.rules) <= _MOST_RULES
            found = Likeness(server, method, target, token, direction, decision, is_shared)
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
        if reply.changed or _says_something(reply):
            self.tell(context, trace, reply, perf_counter() - started)
        return reply

    def tell(self, context: bytes, trace: str, reply: Reply, seconds: float) -> None:
        """Tell of a response."""
        try:
            request = read_context(context)
            belongs = self._trace_of(trace, request.http, request.message)
            replied = Replied(time_ns(), request, decision_id_of(context), reply, seconds, belongs)
        except Exception:  # noqa: BLE001 - that it is withheld is told all the same
            replied = Replied(time_ns(), None, "", reply, seconds, None)
        self._tell(lambda observer: observer.replied(replied))

    def _tell(self, say: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                say(observer)
            except Exception:  # noqa: BLE001 - an answer does not depend on who watches
                _LOG.exception("an observer could not be told")


def _says_something(reply: Reply) -> bool:
    filtered = reply.filtered
    return bool(filtered.shown or filtered.hidden or filtered.dropped or filtered.refused or reply.shadow)


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
        if not self._withheld and _says_something(reply):
            self._observed.tell(self._context, self._trace, reply, seconds)
        self._withheld = bool(reply.filtered.refused)
        return reply
