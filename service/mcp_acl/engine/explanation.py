"""`explain`: every rule that governs a server, what its condition saw, why it did or did not apply. For people, not for speed.

Strategy: a message becomes the questions that `decide` puts to the rules, the one that grants first; a rule applies if it
applies to one of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mcp_acl.domain import Decision, Direction, Effect, Feature, MessageKind, Reason, Request, RuleRef
from mcp_acl.engine.decision import decide, from_server, owns
from mcp_acl.engine.judging import settle, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.engine.wrapping import inner_calls
from mcp_acl.expr.account import Account, Seen, account_of
from mcp_acl.mcp.demands import INPUTS, Demand, brings_answers, demands_of, inputs_of
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.policy.facts import UNKNOWN_BEFORE_ENTRY
from mcp_acl.policy.index import ASKING, Candidates, Grant, PolicySet, Rule, View
from mcp_acl.problems import EvalError, MessageError

_SHOWN: Final = 200  # characters of a value
_WITHOUT_RULES: Final = frozenset(
    {
        Reason.TOKEN_INVALID,
        Reason.TOKEN_MISSING,
        Reason.HEADER_MISMATCH,
        Reason.WRONG_DIRECTION,
        Reason.MESSAGE_REFUSED,
        Reason.TARGET_MISSING,
        Reason.URI_NOT_CANONICAL,
    }
)
"""Denials that stand whatever the rules say."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule tried: whether it applied, why or why not, what its condition saw, missed, and left to the call."""

    rule: RuleRef
    effect: Effect
    applies: bool
    why: str
    saw: tuple[Seen, ...] = ()
    missing: str = ""
    remains: str = ""
    in_shadow: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, with every rule of every policy that governs the server."""

    decision: Decision
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    """What the rules on one method are asked. `denies_only`: why allow rules are not; `spelled`: `*` does not name the method."""

    scope: Scope
    denies_only: str = ""
    spelled: bool = False
    is_list: bool = False


def explain(policies: PolicySet, request: Request) -> Explanation:
    """Why `decide` answers what it answers. Total."""
    decision = decide(policies, request)
    view = policies.view(request.server)
    if view is None:
        return Explanation(decision, ())
    rules = view.grants().values()
    if decision.reason in _WITHOUT_RULES and not _is_of_wrapper(decision, request):
        why = f"no rule changes this denial ({decision.reason})"
        return Explanation(decision, tuple(_unapplied(grants[0].rule, why) for grants in rules))
    each = [request._replace(message=one) for one in request.message.members] or [request]
    asked = [question for one in each for question in _asked(policies, view, one)]
    questions = [(one, _matching(view, one)) for one in asked if not _is_refused(view, one.scope)]
    return Explanation(decision, tuple(_trial(grants, questions) for grants in rules))


def _asked(policies: PolicySet, view: View, request: Request) -> Iterator[_Question]:
    yield from _questions(request)
    yield from _wrapped(view, request)
    yield from _answers(request)
    yield from _inputs(policies, request)


def _is_of_wrapper(decision: Decision, request: Request) -> bool:
    """Whether it is what a wrapper calls that is missing, which is seen if rules grant the wrapper."""
    message = request.message
    is_named = message.method == "tools/call" and isinstance(message.params.get("name"), str)
    return is_named and decision.reason is Reason.TARGET_MISSING


def _is_refused(view: View, scope: Scope) -> bool:
    """Whether the target is a URI of which no rule is asked."""
    row = METHODS.get(scope.method)
    if scope.target is None or row is None or not row.target_is_uri:
        return False
    return uri_refusal(view.settings, scope.target, template=scope.before_call) != ""


# ---- what is asked ------------------------------------------------------------------------------------------------


def _questions(request: Request) -> Iterable[_Question]:
    message = request.message
    if message.kind in (MessageKind.RESPONSE, MessageKind.EXCHANGE):
        return ()
    row = method_named(message.method)
    if row is None:
        return (_Question(Scope(request, message.method, None), spelled=True),)
    return _BY_CLASS[row.method_class](request, row)


def _wrapped(view: View, request: Request) -> Iterator[_Question]:
    """The call inside a call is asked as one of its own, as far as it can be read."""
    if request.message.method != "tools/call":
        return
    with suppress(MessageError):
        for call in inner_calls(view.settings.wrappers, request):
            yield from _questions(call)


def _answers(request: Request) -> Iterator[_Question]:
    """A client's answer passes if the server may ask."""
    message = request.message
    is_answer = message.kind is MessageKind.RESPONSE or brings_answers(message.params)
    if is_answer and request.direction is Direction.CLIENT_TO_SERVER:
        yield from (_Question(Scope(request, method, None, before_call=True)) for method in ASKING)


def _inputs(policies: PolicySet, request: Request) -> Iterator[_Question]:
    """What a server's message asks the client for is asked as messages of their own."""
    asked = request.message.params.get(INPUTS)
    if request.direction is not Direction.SERVER_TO_CLIENT or asked is None:
        return
    try:
        inner = [from_server(request, message) for message in inputs_of(asked)]
    except MessageError:
        return
    for one in inner:
        if decide(policies, one).reason not in _WITHOUT_RULES:
            yield from _questions(one)
            yield from _inputs(policies, one)


def _always(request: Request, row: Method) -> Iterator[_Question]:
    yield _Question(Scope(request, row.name, None), "it is always permitted", spelled=True)


def _plain(request: Request, row: Method) -> Iterator[_Question]:
    yield _Question(Scope(request, row.name, None))


def _list(request: Request, row: Method) -> Iterator[_Question]:
    """Entries are settled before the call that they offer."""
    scope = Scope(request, row.name, None, before_call=True)
    yield _Question(scope, _TASK_DECIDED if row.feature is Feature.TASKS else "", is_list=True)


def _target(request: Request, row: Method) -> Iterator[_Question]:
    for demand in demands_of(request.message, row):
        yield from _demanded(request, row, demand)


def _demanding(request: Request, row: Method) -> Iterator[_Question]:
    yield from _target(request, row)
    scope = Scope(request, row.name, None, before_call=row.method_class is MethodClass.COMPLETION)
    yield _Question(scope, "the rules on what it names decide")


def _demanded(request: Request, row: Method, demand: Demand) -> Iterator[_Question]:
    """One target: the rules of the method that decides it, then the deny rules on the message's own method."""
    method, name = demand.method, demand.name
    if name is None:
        return
    before_call = row.method_class is MethodClass.COMPLETION
    if METHODS[method].method_class is MethodClass.TASK:
        yield from _task(request, method, name)
    else:
        yield _Question(Scope(request, method, name, before_call=before_call))
    if method != row.name:
        yield _Question(Scope(request, row.name, name, before_call=before_call), f"the rules on `{method}` decide")


def _task(request: Request, method: str, task_id: str) -> Iterator[_Question]:
    task = request.tasks.get(task_id)
    if task is not None and owns(request, task):
        yield _Question(Scope(request, "tools/call", task.tool, before_call=True))
    yield _Question(Scope(request, method, task_id), _TASK_DECIDED)


_TASK_DECIDED: Final = "the task's owner and the rules on `tools/call` decide"
_BY_CLASS: Final[Mapping[MethodClass, Callable[[Request, Method], Iterator[_Question]]]] = {
    MethodClass.ALWAYS: _always,
    MethodClass.LIST: _list,
    MethodClass.PLAIN: _plain,
    MethodClass.TARGET: _target,
    MethodClass.COMPLETION: _demanding,
    MethodClass.LISTEN: _demanding,
    MethodClass.TASK: _target,
}


# ---- what one rule answers ----------------------------------------------------------------------------------------


_Asked: TypeAlias = tuple[_Question, Candidates]
"""A question, and the rules that match it."""


def _matching(view: View, question: _Question) -> Candidates:
    method, name = question.scope.method, question.scope.target
    return view.without_name(method, spelled=question.spelled) if name is None else view.candidates(method, name)


def _trial(grants: Sequence[Grant], questions: Sequence[_Asked]) -> Trial:
    """The first answer that applies, else the first that a condition gave, else the first there is."""
    answers = [
        _answer(on_method, question, matching)
        for question, matching in questions
        if (on_method := [grant for grant in grants if grant.method == question.scope.method])
    ]
    if not answers:
        return _unapplied(grants[0].rule, _not_named(grants, questions))
    return max(answers, key=lambda trial: (trial.applies, trial.saw != ()))


def _unapplied(rule: Rule, why: str) -> Trial:
    return Trial(rule.ref, rule.effect, applies=False, why=why)


def _not_named(grants: Sequence[Grant], questions: Sequence[_Asked]) -> str:
    methods = dict.fromkeys(f"`{question.scope.method[:_SHOWN]}`" for question, _ in questions)
    asked = ", ".join(methods) or "a response"
    named = ", ".join(sorted({grant.method for grant in grants})[:6])
    return f"it speaks of {named}, not of {asked}"


def _answer(grants: Sequence[Grant], question: _Question, matching: Candidates) -> Trial:
    rule = grants[0].rule
    matches = rule in matching.denies or rule in matching.allows
    why = _unasked(grants, question, matches=matches)
    if why:
        return _unapplied(rule, why)
    trial = _tried(rule, question)
    return trial if matches else replace(trial, why=f"{trial.why}, for names that match {_patterns(grants)}")


def _unasked(grants: Sequence[Grant], question: _Question, *, matches: bool) -> str:
    """Why a rule on the method is not asked, or `''`. A list asks the rules on any name."""
    method, name = question.scope.method[:_SHOWN], question.scope.target
    if question.denies_only and grants[0].rule.effect is Effect.ALLOW:
        return f"allowing `{method}` has no effect: {question.denies_only}"
    if matches or question.is_list:
        return ""
    if question.spelled and not any(grant.spelled for grant in grants):
        return f"it does not spell out `{method}`"
    if name is None:
        return f"it has a name, and `{method}` acts on nothing that has one"
    return f"`{name[:_SHOWN]}` does not match {_patterns(grants)}"


def _patterns(grants: Sequence[Grant]) -> str:
    return ", ".join(dict.fromkeys(str(grant.pattern) for grant in grants))


def _tried(rule: Rule, question: _Question) -> Trial:
    if question.is_list and rule.reads_entry:
        trial = _unapplied(rule, "its condition is settled for each entry")
        return replace(trial, remains=_account(rule, question.scope, UNKNOWN_BEFORE_ENTRY).remains)
    outcome = settle(rule, question.scope)
    applies = outcome is not False if rule.effect is Effect.DENY else outcome is True
    if rule.condition is None:
        return Trial(rule.ref, rule.effect, applies, "it has no condition")
    why = _why(outcome, is_open=_is_open(rule, question.scope))
    account = _account(rule, question.scope)
    return Trial(rule.ref, rule.effect, applies, why, account.saw, account.missing, account.remains)


def _account(rule: Rule, scope: Scope, more: frozenset[str] = frozenset()) -> Account:
    assert rule.condition is not None
    return account_of(rule.condition.node, rule.condition.text, scope, scope.unknown | more)


def _is_open(rule: Rule, scope: Scope) -> bool:
    """Whether the call could still bring another outcome."""
    return scope.before_call and rule.outlook is not None and rule.outlook(scope).bit_count() > 1


def _why(outcome: bool | EvalError, *, is_open: bool) -> str:
    if isinstance(outcome, EvalError):
        return f"its condition is an error: {outcome.message}"
    return f"its condition {'may be' if is_open else 'is'} {str(outcome).lower()}"
