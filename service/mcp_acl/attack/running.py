"""The corpus against a gateway: each attack and its twin is sent, and what came of it is read off the canary and the response."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from mcp_acl.attack.canary import Canary, Heard
from mcp_acl.attack.cases import Answer, Case, Corpus, Exchange, Step
from mcp_acl.attack.reading import documents_of, is_denied, secrets_in, shows, things_of, told_by
from mcp_acl.attack.sending import Request, Response, Target, send
from mcp_acl.domain import TaskFact

SERVER: Final = "demo"
"""The server that the gateway stands before, by the name it has in the corpus."""

_USUAL: Final = (("Accept", "application/json, text/event-stream"), ("Content-Type", "application/json"))
_HONEST: Final = ("echo", "add", "greet", "demo://public/a", "demo://docs/{name}", "own-task")


class Outcome(StrEnum):
    """What came of an attack."""

    BLOCKED = "blocked"
    THROUGH = "through"
    AMBIGUOUS = "ambiguous"
    """Let by, and nothing denied was in it: parsers read it differently."""
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case: `what` got through, and whether the twin did (None: it was not tried)."""

    case: Case
    outcome: Outcome
    what: str
    twin_passed: bool | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that the gateway takes: of a member, and of somebody else. None: it is sent nothing."""

    member: str | None = None
    other: str | None = None

    def header(self, principal: str) -> Sequence[tuple[str, str]] | None:
        """What says who asks, or None if that cannot be said."""
        if self.member is None:
            return () if principal == "member" else None
        token = {"member": self.member, "other": self.other, "anonymous": "", "invalid": "not-a-token"}[principal]
        if token is None:
            return None
        return (("Authorization", f"Bearer {token}"),) if token else ()


@dataclass(frozen=True, slots=True)
class Attacker:
    """Sends cases through a gateway to the canary."""

    corpus: Corpus
    target: Target
    canary: Canary
    tokens: Tokens
    timeout: float = 5.0

    def reaches_canary(self) -> bool:
        """Whether an honest message comes through at all: else nothing that is blocked says anything."""
        message = msgspec.json.encode({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}},
        })  # fmt: skip
        self.canary.tell(None)
        self._step(Step("member", message, None))
        return any(thing.name == "echo" for one in self.canary.heard() for thing in things_of(one.body, one.headers))

    def results(self, groups: Iterable[str] = ()) -> Iterator[Result]:
        """Every case, or those of some classes."""
        wanted = frozenset(groups)
        for group in self.corpus.groups:
            if not wanted or group.name in wanted:
                yield from map(self._result, group.cases)

    def _result(self, case: Case) -> Result:
        if not (self._can_send(case.attack) and self._can_send(case.twin)):
            return Result(case, Outcome.UNTRIED, "", None)
        response, heard = self._exchange(case.attack)
        what = self._through(case, response, heard)
        outcome = Outcome.THROUGH if what else Outcome.BLOCKED
        if case.ambiguous and not what and heard:
            outcome = Outcome.AMBIGUOUS
        if response.late and not (what or heard):
            return Result(case, Outcome.UNTRIED, f"there was no answer within {self.timeout:g} seconds", None)
        return Result(case, outcome, what, _has_passed(case.twin, *self._exchange(case.twin)))

    def _can_send(self, exchange: Exchange) -> bool:
        """Whether there is a token for everybody who takes part, and the gateway stands before this server."""
        who = {exchange.principal, *(step.principal for step in exchange.before)}
        who |= {self._owner(task) for task in exchange.tasks.values()}
        return exchange.server == SERVER and all(self.tokens.header(one) is not None for one in who)

    def _owner(self, task: TaskFact) -> str:
        return next(who for who, claims in self.corpus.claims.items() if claims.get("sub") == task.subject)

    def _through(self, case: Case, response: Response, heard: Sequence[Heard]) -> str:
        """What got through of an attack, or `''`."""
        if case.attack.answer is not None:
            return _leaked(case.attack, response)
        if case.like is not None:
            other, _ = self._exchange(replace(case.attack, body=case.like))
            told, of_nothing = told_by(response.body, case.attack.body), told_by(other.body, case.like)
            if (response.status, told) != (other.status, of_nothing):
                return "the denial differs from that of what is not there"
        if case.attack.principal != "member":
            return "it reached the server" if heard else ""
        return _done(heard)

    def _exchange(self, exchange: Exchange) -> tuple[Response, Sequence[Heard]]:
        for name, task in exchange.tasks.items():
            self._step(_creating(self._owner(task), name, task))
        for step in exchange.before:
            self._step(step)
        self.canary.tell(exchange.answer)
        response = self._step(Step(exchange.principal, exchange.body, exchange.answer), exchange)
        return response, self.canary.heard()

    def _step(self, step: Step, exchange: Exchange | None = None) -> Response:
        if exchange is None:
            self.canary.tell(step.answer)
        given: Mapping[str, Sequence[str] | None] = exchange.headers if exchange else {}
        own = {name.lower() for name in given}
        headers = [pair for pair in _USUAL if pair[0].lower() not in own]
        headers += [(name, value) for name, values in given.items() for value in values or ()]
        request = Request(
            exchange.method if exchange else "POST",
            [*headers, *(self.tokens.header(step.principal) or ())],
            step.body,
            chunked=exchange is not None and exchange.chunked,
        )
        return send(self.target, request, self.timeout)


def _creating(owner: str, name: str, task: TaskFact) -> Step:
    """The call that makes a task, and the answer that says its id."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": task.tool, "task": {"ttl": 60_000}}}
    made = {"jsonrpc": "2.0", "id": 1, "result": {"task": {"taskId": name, "status": "working"}}}
    return Step(owner, msgspec.json.encode(call), Answer(200, "application/json", {}, msgspec.json.encode(made)))


def _done(heard: Sequence[Heard]) -> str:
    """What the server may have done that is denied, or `''`."""
    if any(one.body and one.method != "POST" for one in heard):
        return "a message reached the server by another method than POST, so it may answer with something else"
    things = [thing for one in heard for thing in things_of(one.body, one.headers)]
    return next((f"the server may have run {thing}"[:200] for thing in things if is_denied(thing)), "")


def _leaked(exchange: Exchange, response: Response) -> str:
    if secrets_in(response.body):
        return "something secret is in the response"
    return next((f"`{text}` is in the response" for text in exchange.forbids if text.encode() in response.body), "")


def _has_passed(exchange: Exchange, response: Response, heard: Sequence[Heard]) -> bool:
    """Whether the honest message reached the server, and what is honest in the response came back."""
    if not heard or not 200 <= response.status < 400:
        return False
    if exchange.passes is None:
        return not _is_error(response.body)
    if _is_error(response.body) != _is_error(exchange.passes):
        return False
    return all(shows(response.body, name) for name in _HONEST if shows(exchange.passes, name))


def _errors(body: bytes) -> list[Any]:
    found = [one for document in documents_of(body) for one in (document if isinstance(document, list) else [document])]
    return [error for one in found if isinstance(one, dict) for error in one.get("error", ())]


def _is_error(body: bytes) -> bool:
    return bool(_errors(body))
