"""The gate: the current policy set, and every question one may ask of it. The one thing that entrances call.

Knows no wire and no host. Adds to the engine what the world brings: the reading of bytes, the clock, ids, the context
that goes with a response. It is total: what breaks unexpectedly is logged with its trace and ends as a denial.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

from mcp_acl.domain import (
    Decision,
    Denial,
    Direction,
    Effect,
    Http,
    Json,
    Message,
    MessageKind,
    Reason,
    Request,
    ResponseNeeds,
    TaskFact,
    TokenState,
    ToolFact,
)
from mcp_acl.engine.decision import decide
from mcp_acl.engine.denial import denial_for
from mcp_acl.engine.explanation import Trial, explain
from mcp_acl.engine.response import Filtered, Passing, ResponseStream, filter_response, refusal
from mcp_acl.engine.shadow import Shadow, difference, tried
from mcp_acl.mcp.exchanges import read_message
from mcp_acl.mcp.quoting import quoted
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.servers import ServerSettings
from mcp_acl.problems import MessageError
from mcp_acl.runtime.context import is_only_watched, read_context, write_context
from mcp_acl.runtime.memory import Given, Knowledge
from mcp_acl.runtime.standing import Standing

_LOG: Final = logging.getLogger("mcp_acl")
_T = TypeVar("_T")
_NOTHING: Final[Mapping[str, Json]] = {}
_NO_TOOLS: Final[Mapping[str, ToolFact]] = {}
_NO_HTTP: Final = Http()
_UNREAD: Final = Message(MessageKind.RESPONSE)
_BEFORE_READING: Final = frozenset({Reason.NO_POLICY, Reason.TOKEN_INVALID, Reason.TOKEN_MISSING})


class Question(NamedTuple):
    """One message and everything around it, not yet read.

    `message` is the body as it came, or a message that was read elsewhere, or why it could not be. Without `time`, it
    came now. `trace` is the `traceparent` of the gateway's own call, if it said one.
    """

    server: str
    message: bytes | Message | MessageError
    claims: Mapping[str, Json] = _NOTHING
    token: TokenState = TokenState.NONE
    direction: Direction = Direction.CLIENT_TO_SERVER
    http: Http = _NO_HTTP
    attributes: Mapping[str, Json] = _NOTHING
    session_id: str = ""
    filters_responses: bool = False
    time: datetime | None = None
    trace: str = ""


class Answer(NamedTuple):
    """The decision, its id, the denial to send if it is one, and the context to bring back with the response.

    The context is empty if the response needs nothing. `shadow` is what would be decided instead if all that is in shadow were enforced.
    """

    decision: Decision
    decision_id: str
    denial: Denial | None = None
    context: bytes = b""
    shadow: Decision | None = None


class Reply(NamedTuple):
    """The response to send: body, content type and what was taken out; HTTP status; whether it differs.

    `shadow` is what would be otherwise if all that is in shadow were enforced.
    """

    filtered: Filtered
    status: int
    changed: bool
    revision: str
    shadow: Shadow | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class Gate:
    """Asks the policy set in `policies`: each question reads the attribute once. `standing` says more of it.

    `put` changes both. `memory` is what is known from before; without one nothing is. `resource_metadata` is the URL at which a client
    learns where to get a token for a server, `{server}` standing for its id.

    Who asks several questions before the first answer is used may ask them within `batch`, on one thread: what can wait until then waits.
    """

    batch: AbstractContextManager[object] = nullcontext()

    def __init__(
        self,
        policies: PolicySet,
        *,
        memory: Knowledge | None = None,
        clock: Callable[[], datetime] = _now,
        resource_metadata: str = "",
    ) -> None:
        self.put(Standing(policies, clock()))
        self._memory: Knowledge = Given() if memory is None else memory
        self._clock = clock
        self._resource_metadata = resource_metadata
        self._prefix = secrets.token_hex(4)
        self._count = count(1)

    def put(self, standing: Standing) -> None:
        """Put a set in force, or say that one was refused. Questions that are being answered keep the set they began with."""
        self.policies = standing.policies
        self.standing = standing

    def is_current(self) -> bool:
        """Whether what is in force is what the policy files say."""
        return self.standing.refused is None

    def check(self, question: Question) -> Answer:
        """Decide one message. Never raises."""
        answer, _ = self._ask(self.policies, question)
        return answer

    def explain(self, question: Question) -> tuple[Answer, tuple[Trial, ...]]:
        """Decide one message, and say of every rule that governs the server what became of it. Never raises."""
        policies = self.policies
        answer, request = self._ask(policies, question)
        if request is None:
            return answer, ()
        try:
            return answer, _explained(policies, request)
        except Exception:  # noqa: BLE001 - the gate is total
            _LOG.exception("decision %s cannot be explained", answer.decision_id)
            return answer, ()

    def filter(self, context: bytes, content_type: str, body: bytes, status: int = 200, *, trace: str = "") -> Reply:  # noqa: ARG002 - for who watches
        """Filter the response to the message the context came with. Never raises, and withholds what is in doubt.

        `status` is the HTTP status of the response. A body that is withheld becomes a JSON-RPC error, for which clients
        want the status 200 if it was not an error already. `trace` is that of a `Question`.
        """
        policies = self.policies
        filtered = _total(content_type, lambda: self._filtered(policies, context, content_type, body))
        changed = filtered.body != body or filtered.content_type != content_type
        shadow = None
        if policies.trial is not None:
            shadow = _tried(lambda: self._difference(policies.trial, context, content_type, body, filtered))
        return Reply(filtered, _status(filtered, status), changed, policies.revision, shadow)

    def _difference(
        self, trial: PolicySet | None, context: bytes, content_type: str, body: bytes, filtered: Filtered
    ) -> Shadow | None:
        assert trial is not None
        return difference(filtered, filter_response(trial, self.request_of(context), content_type, body))

    def _filtered(self, policies: PolicySet, context: bytes, content_type: str, body: bytes) -> Filtered:
        request = self.request_of(context)
        if is_only_watched(context, content_type):
            return Filtered(content_type, body)
        return self.learned(request.server, filter_response(policies, request, content_type, body))

    def withhold(self, context: bytes, content_type: str, why: str, status: int = 200, *, trace: str = "") -> Reply:  # noqa: ARG002 - for who watches
        """What to send in the place of a response that cannot be looked into. Never raises."""
        policies = self.policies
        filtered = _total(content_type, lambda: self._withheld(policies, context, content_type, why))
        return Reply(filtered, _status(filtered, status), changed=True, revision=policies.revision)

    def _withheld(self, policies: PolicySet, context: bytes, content_type: str, why: str) -> Filtered:
        request = self.request_of(context)
        style = policies.settings(request.server).denials
        return refusal(request.message, content_type, Reason.RESPONSE_REFUSED, why, style)

    def request_of(self, context: bytes) -> Request:
        """The request that a response answers, with what is known of tasks and tools by now. Raises MessageError."""
        request = read_context(context)
        tasks, tools = self._known(request.server, self.policies.settings(request.server))
        return request._replace(tasks=tasks, tools=tools)

    def learned(self, server: str, filtered: Filtered) -> Filtered:
        """The same, when what it brought is remembered: before the client can ask for it."""
        if filtered.learned is not None:
            for report in self._memory.learn(server, filtered.learned):
                _LOG.warning("%s: %s", quoted(server), report)
        return filtered

    def _known(self, server: str, settings: ServerSettings) -> tuple[Mapping[str, TaskFact], Mapping[str, ToolFact]]:
        """What is known of a server's tasks and tools; of tools nothing unless its policies trust what it says of them."""
        tools = self._memory.tools(server) if settings.trust_annotations else _NO_TOOLS
        return self._memory.tasks(server), tools

    def filter_stream(self, context: bytes, content_type: str, status: int = 200, *, trace: str = "") -> "Filtering":  # noqa: ARG002 - for who watches
        """Begin to filter a response that comes in pieces, as `filter` does a whole one. Never raises."""
        return Filtering(self, context, content_type, status)

    def _ask(self, policies: PolicySet, question: Question) -> tuple[Answer, Request | None]:
        """The answer, and the request as it was decided, if the message could be read."""
        decision_id = f"{self._prefix}-{next(self._count):x}"
        message: Message | None = None
        request: Request | None = None
        context = b""
        shadow: Decision | None = None
        try:
            settings = policies.settings(question.server)
            read = _read(question, settings)
            if isinstance(read, MessageError):
                decision = self._refusal(policies, question, read, settings)
            else:
                message = read
                request = self._request(question, message, settings)
                counts = decision = decide(policies, request)
                if policies.trial is not None:
                    decision, shadow = _beside(policies.trial, request, decision)
                if decision.allowed and decision.response_needs is not ResponseNeeds.NONE:
                    is_raised = decision.response_needs is not counts.response_needs
                    context = write_context(request, decision_id, only_watched=is_raised)
        except Exception:  # noqa: BLE001 - the gate is total
            _LOG.exception("decision %s failed", decision_id)
            decision = Decision(Effect.DENY, Reason.INTERNAL_ERROR, policies.revision)
        denial = None if decision.allowed else self._denial(policies, question, decision, message, decision_id)
        return Answer(decision, decision_id, denial, context, shadow), request

    def _denial(
        self, policies: PolicySet, question: Question, decision: Decision, message: Message | None, decision_id: str
    ) -> Denial:
        return denial_for(
            decision,
            message,
            decision_id,
            http=question.http,
            direction=question.direction,
            settings=policies.settings(question.server),
            filtered=question.filters_responses,
            resource_metadata=self._where_tokens_are(question.server),
        )

    def _where_tokens_are(self, server: str) -> str:
        """The URL for a server, or `''`."""
        url = self._resource_metadata
        return url.replace("{server}", quote(server, safe="")) if url else ""

    def _refusal(
        self, policies: PolicySet, question: Question, error: MessageError, settings: ServerSettings
    ) -> Decision:
        """A message that cannot be read is refused, unless it is denied for what comes before reading it."""
        decision = decide(policies, self._request(question, _UNREAD, settings))
        if decision.reason in _BEFORE_READING:
            return decision
        return Decision(Effect.DENY, Reason.MESSAGE_REFUSED, policies.revision, message=error.message)

    def _request(self, question: Question, message: Message, settings: ServerSettings) -> Request:
        tasks, tools = self._known(question.server, settings)
        return Request(
            question.server,
            message,
            question.claims,
            question.token,
            question.direction,
            question.http,
            question.attributes,
            question.session_id,
            question.filters_responses,
            question.time or self._clock(),
            tasks,
            tools,
        )


def _explained(policies: PolicySet, request: Request) -> tuple[Trial, ...]:
    """Every rule, those in shadow among them."""
    trials = explain(policies, request).trials
    if policies.trial is None:
        return trials
    counted = {one.rule: one for one in trials}
    every = explain(policies.trial, request).trials
    return tuple(counted.get(one.rule) or replace(one, in_shadow=True) for one in every)


def _beside(trial: PolicySet, request: Request, decision: Decision) -> tuple[Decision, Decision | None]:
    """As `tried`; if that breaks, there is nothing to tell, and the decision stands."""
    return _tried(lambda: tried(trial, request, decision)) or (decision, None)


def _tried(run: Callable[[], _T | None]) -> _T | None:
    """What `run` finds in shadow. If it breaks, it is logged, and changes nothing."""
    try:
        return run()
    except Exception:  # noqa: BLE001 - what is in shadow has no power over an answer
        _LOG.exception("what is in shadow could not be tried")
        return None


def _read(question: Question, settings: ServerSettings) -> Message | MessageError:
    if not isinstance(question.message, bytes):
        return question.message
    try:
        return read_message(question.message, question.http, batches=settings.accept_batches)
    except MessageError as error:
        return error.settled()


class Filtering:
    """One response that is filtered as it comes, by the policies in force when each piece has come. Never raises.

    `head` is what is known before the first piece: content type, status, and the body of a response that is withheld already.
    """

    def __init__(self, gate: Gate, context: bytes, content_type: str, status: int) -> None:
        self._gate = gate
        self._content_type = content_type
        self._server = ""
        self._stream: ResponseStream | Passing | None = None
        self._other: ResponseStream | None = None
        head = _total(content_type, lambda: self._opened(context))
        self._refused = head.refused
        self.head = Reply(head, _status(head, status), bool(head.refused), gate.policies.revision)

    @property
    def held(self) -> int:
        """Bytes of the response that are kept."""
        return max((one.held for one in (self._stream, self._other) if one is not None), default=0)

    def feed(self, piece: bytes) -> Reply:
        """What may be passed on, now that this piece has come. Nothing once the response is refused."""
        return self._next(lambda stream, policies: stream.feed(policies, piece))

    def close(self) -> Reply:
        """What may be passed on at the end."""
        return self._next(lambda stream, policies: stream.close(policies))

    def _opened(self, context: bytes) -> Filtered:
        request = self._gate.request_of(context)
        passes = is_only_watched(context, self._content_type)
        self._server = request.server
        self._stream = Passing(self._content_type) if passes else ResponseStream(request, self._content_type)
        if self._gate.policies.trial is not None:
            self._other = ResponseStream(request, self._content_type)
        return Filtered(self._stream.content_type, b"")

    def _next(self, step: Callable[[ResponseStream | Passing, PolicySet], Filtered]) -> Reply:
        policies, stream = self._gate.policies, self._stream
        content_type = self.head.filtered.content_type
        if stream is None:
            filtered = Filtered(content_type, b"", refused=self._refused)
        else:
            filtered = _total(content_type, lambda: self._gate.learned(self._server, step(stream, policies)))
        if filtered.refused:
            self._refused, self._stream = filtered.refused, None
        shadow = _tried(lambda: self._difference(step, policies, filtered))
        return self.head._replace(filtered=filtered, changed=True, revision=policies.revision, shadow=shadow)

    def _difference(
        self, step: Callable[[ResponseStream | Passing, PolicySet], Filtered], policies: PolicySet, filtered: Filtered
    ) -> Shadow | None:
        """What comes of the same piece with what is in shadow, while there is something."""
        other, self._other = self._other, None
        if other is None or filtered.refused:
            return None
        found = step(other, policies.trial or policies)
        if not found.refused:
            self._other = other
        return difference(filtered, found)


def _total(content_type: str, run: Callable[[], Filtered]) -> Filtered:
    """What `run` makes of a response; if it breaks, the error in its place."""
    try:
        return run()
    except MessageError as error:
        return refusal(None, content_type, Reason.RESPONSE_REFUSED, error.message)
    except Exception:  # noqa: BLE001 - the gate is total
        _LOG.exception("a response could not be filtered")
        return refusal(None, content_type, Reason.INTERNAL_ERROR, "internal error")


def _status(filtered: Filtered, status: int) -> int:
    return 200 if filtered.refused and status < 400 else status
