"""Scenarios: what policies are expected to answer, and how an entrance is asked whether they do.

Knows neither the file they are written in (`scenario_file`) nor any wire: an entrance is whatever can be asked. Each entrance
gets the same bytes, so that all of them can be held to the same answers.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from mcp_acl.domain import (
    Decision,
    Denial,
    Direction,
    Effect,
    Http,
    Json,
    Message,
    Reason,
    Request,
    ResponseNeeds,
    RuleRef,
    TaskFact,
    TokenState,
)
from mcp_acl.engine.decision import decide
from mcp_acl.engine.denial import denial_for
from mcp_acl.engine.response import filter_response
from mcp_acl.engine.shadow import Shadow, difference, tried
from mcp_acl.mcp.exchanges import read_message
from mcp_acl.mcp.jsontext import parse_json
from mcp_acl.mcp.methods import METHODS
from mcp_acl.mcp.sse import SseReader
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import MessageError, Place

# ---- what a scenario is ----------------------------------------------------------------------------------------------

IN_SHADOW: Final = "shadow."
"""How the names begin of what is expected of what is in shadow."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an entrance is asked, the same bytes for each. `claims` and `attributes` are JSON texts."""

    server: str
    body: bytes
    token: TokenState
    claims: bytes
    direction: Direction
    http: Http
    attributes: bytes
    filters_responses: bool
    time: datetime
    tasks: Mapping[str, TaskFact]


class Response(NamedTuple):
    """What the server answered."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question, the server's response if there is one, and what is expected of both."""

    name: str
    row: str
    place: Place
    question: Question
    response: Response | None
    expect: Mapping[str, object]
    cannot_filter: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """The scenarios of one file; `policies` is None if they are those of the directory it lies in."""

    name: str
    policies: tuple[SourceFile, ...] | None
    scenarios: tuple[Scenario, ...]


class Otherwise(NamedTuple):
    """What would be decided instead if all that is in shadow were enforced."""

    decision: Effect
    reason: Reason
    rules: tuple[str, ...]


class Answer(NamedTuple):
    """What an entrance says to a message."""

    decision: Effect
    reason: Reason
    rules: tuple[str, ...]
    errors: tuple[str, ...]
    response_needs: ResponseNeeds
    message: str
    denial: Denial | None
    shadow: Otherwise | None = None


class Shown(NamedTuple):
    """What an entrance makes of a response."""

    content_type: str
    body: bytes
    hidden: tuple[str, ...]
    dropped: int
    refused: bool
    errors: tuple[str, ...]
    shadow: Shadow | None = None


class Entrance(Protocol):
    """A way to ask. `filters` says whether it can filter responses; if not, `filter` is never called.

    `tells_shadow` says whether it tells what is in shadow; if not, nothing of that is compared.
    """

    filters: bool
    tells_shadow: bool

    def check(self, policies: PolicySet, question: Question) -> Answer:
        """Decide one message."""

    def filter(self, policies: PolicySet, question: Question, response: Response) -> Shown:
        """Filter the response to a message that was allowed."""


class Difference(NamedTuple):
    """One field of one scenario that is not as expected."""

    scenario: Scenario
    field: str
    expected: object
    actual: object

    def __str__(self) -> str:
        where = f"{self.scenario.place}: {self.scenario.name}"
        return f"{where}: `{self.field}` should be {_written(self.expected)} and is {_written(self.actual)}"


def _written(value: object) -> str:
    """A value as JSON text, which tells true from 1 and 1 from 1.0."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# ---- running ---------------------------------------------------------------------------------------------------------


def run_scenarios(policies: PolicySet, scenarios: Sequence[Scenario], entrance: Entrance) -> tuple[Difference, ...]:
    """Ask an entrance every scenario; everything that differs from what is expected, in order."""
    return tuple(found for scenario in scenarios for found in _differences(policies, scenario, entrance))


def _differences(policies: PolicySet, scenario: Scenario, entrance: Entrance) -> Iterator[Difference]:
    question, response, expect = scenario.question, scenario.response, scenario.expect
    if not entrance.filters:
        question, response, expect = replace(question, filters_responses=False), None, scenario.cannot_filter
    if not entrance.tells_shadow:
        expect = {name: value for name, value in expect.items() if not name.startswith(IN_SHADOW)}
    answer = entrance.check(policies, question)
    asks = response is not None and answer.decision is Effect.ALLOW
    shown = entrance.filter(policies, question, response) if asks and response is not None else None
    for field, expected in {**_DEFAULTS, **(_FILTERED_DEFAULTS if shown else {}), **expect}.items():
        actual = _OBSERVED[field](answer, shown)
        if _written(actual) != _written(expected):
            yield Difference(scenario, field, expected, actual)


def _error_of(answer: Answer) -> Mapping[str, object]:
    if answer.denial is None or not answer.denial.body:
        return {}
    (text,) = _texts(dict(answer.denial.headers).get("content-type", ""), answer.denial.body)
    found: Mapping[str, object] = json.loads(text)
    return found


def _code(answer: Answer, _: Shown | None) -> object:
    error = _error_of(answer).get("error")
    return error.get("code") if isinstance(error, Mapping) else None


def _errors(answer: Answer, shown: Shown | None) -> object:
    return sorted({*answer.errors, *(shown.errors if shown else ())})


_DEFAULTS: Final[Mapping[str, object]] = {"errors": []}
_FILTERED_DEFAULTS: Final[Mapping[str, object]] = {"dropped": 0, "refused": False}
"""What is expected of every response that is filtered: a body that was withheld shows no entries either."""

_NO_SHADOW: Final = Shadow()

_OBSERVED: Final[Mapping[str, Callable[[Answer, Shown | None], object]]] = {
    "decision": lambda answer, _: answer.decision,
    "reason": lambda answer, _: answer.reason,
    "rules": lambda answer, _: list(answer.rules),
    "errors": _errors,
    "response_needs": lambda answer, _: answer.response_needs,
    "message": lambda answer, _: answer.message,
    "status": lambda answer, _: answer.denial.status if answer.denial else None,
    "code": _code,
    "id": lambda answer, _: _error_of(answer).get("id"),
    "entries": lambda _, shown: list(_entries(shown)) if shown else None,
    "hidden": lambda _, shown: sorted(shown.hidden) if shown else None,
    "dropped": lambda _, shown: shown.dropped if shown else None,
    "refused": lambda _, shown: shown.refused if shown else None,
    "content_type": lambda _, shown: shown.content_type if shown else None,
    "body": lambda _, shown: shown.body.decode() if shown else None,
    "json": lambda _, shown: json.loads(shown.body) if shown else None,
    "shadow.decision": lambda answer, _: (answer.shadow or answer).decision,
    "shadow.reason": lambda answer, _: answer.shadow.reason if answer.shadow else None,
    "shadow.rules": lambda answer, _: list(answer.shadow.rules) if answer.shadow else None,
    "shadow.hidden": lambda _, shown: sorted((shown.shadow or _NO_SHADOW).hidden) if shown else None,
    "shadow.shown": lambda _, shown: sorted((shown.shadow or _NO_SHADOW).shown) if shown else None,
    "shadow.refused": lambda _, shown: (shown.shadow or _NO_SHADOW).refused != "" if shown else None,
}
"""How each field of `expect` is read off."""

_LISTS: Final = {row.list_key: row.list_member for row in METHODS.values() if row.list_key}


def _entries(shown: Shown) -> Iterator[object]:
    """The names in every list of every message of a body."""
    for text in _texts(shown.content_type, shown.body):
        message = json.loads(text) if text else {}
        result = message.get("result", {})
        for key in result.keys() & _LISTS.keys():
            yield from (entry.get(_LISTS[key]) for entry in result[key])


def _texts(content_type: str, body: bytes) -> Sequence[str | bytes]:
    """The messages of a body."""
    if not content_type.startswith("text/event-stream"):
        return [body]
    reader = SseReader()
    return [event.data for event in (*reader.feed(body), *reader.close()) if event.data]


class Library:
    """The entrance without a wire."""

    filters = True
    tells_shadow = True

    def check(self, policies: PolicySet, question: Question) -> Answer:
        """Decide by calling the engine."""
        try:
            request = request_of(policies, question)
        except MessageError as error:
            refused = Decision(Effect.DENY, Reason.MESSAGE_REFUSED, policies.revision, message=error.message)
            return answer_of(refused, _denial(policies, question, refused, None))
        decision, other = decide(policies, request), None
        if policies.trial is not None:
            decision, other = tried(policies.trial, request, decision)
        denial = None if decision.allowed else _denial(policies, question, decision, request.message)
        return answer_of(decision, denial, other)

    def filter(self, policies: PolicySet, question: Question, response: Response) -> Shown:
        """Filter by calling the engine."""
        request = request_of(policies, question)
        found = filter_response(policies, request, *response)
        errors = tuple(str(error.rule) for error in found.errors)
        shadow = None
        if policies.trial is not None:
            shadow = difference(found, filter_response(policies.trial, request, *response))
        dropped, refused = len(found.dropped), found.refused != ""
        return Shown(found.content_type, found.body, found.hidden, dropped, refused, errors, shadow)


def _denial(policies: PolicySet, question: Question, decision: Decision, message: Message | None) -> Denial:
    settings = policies.settings(question.server)
    return denial_for(
        decision,
        message,
        "",
        http=question.http,
        direction=question.direction,
        settings=settings,
        filtered=question.filters_responses,
    )


LIBRARY: Final = Library()


def answer_of(decision: Decision, denial: Denial | None, other: Decision | None = None) -> Answer:
    """A decision, and the other one in shadow, as scenarios see them."""
    errors = tuple(str(error.rule) for error in decision.errors)
    shadow = None if other is None else Otherwise(other.effect, other.reason, _names(other.rules))
    return Answer(
        decision.effect,
        decision.reason,
        _names(decision.rules),
        errors,
        decision.response_needs,
        decision.message,
        denial,
        shadow,
    )


def _names(rules: Sequence[RuleRef]) -> tuple[str, ...]:
    return tuple(map(str, rules))


def request_of(policies: PolicySet, question: Question) -> Request:
    """The question as the engine takes it. Raises MessageError if the body is not one message."""
    return Request(
        server=question.server,
        message=read_message(question.body, question.http, batches=policies.settings(question.server).accept_batches),
        claims=_object(question.claims),
        token=question.token,
        direction=question.direction,
        http=question.http,
        attributes=_object(question.attributes),
        filters_responses=question.filters_responses,
        time=question.time,
        tasks=question.tasks,
    )


def _object(text: bytes) -> Mapping[str, Json]:
    value = parse_json(text)
    assert isinstance(value, Mapping)
    return value
