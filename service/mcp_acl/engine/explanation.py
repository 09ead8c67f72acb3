"""`explain`: every rule that governs a server, what its condition saw, why it did or did not apply. For people, not for speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_acl.domain import Decision, Effect, MessageKind, Request, RuleRef
from mcp_acl.engine.decision import decide, settle
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.condition import Condition
from mcp_acl.expr.nodes import Const, Local, Node
from mcp_acl.expr.walk import Possibilities
from mcp_acl.mcp.demands import demands_of
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.policy.index import Grant, PolicySet, Rule
from mcp_acl.problems import EvalError, MessageError, Span

_SHOWN: Final = 200  # characters of a value


@dataclass(frozen=True, slots=True)
class Seen:
    """A part of a condition's text, and the value it had (or `unknown`, or the error)."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule tried: whether it applied, why or why not, what its condition saw."""

    rule: RuleRef
    effect: Effect
    applies: bool
    why: str
    saw: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, with every rule of every policy that governs the server."""

    decision: Decision
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    name: str | None
    scope: Scope
    is_list: bool


def explain(policies: PolicySet, request: Request) -> Explanation:
    """Why `decide` answers what it answers. Total."""
    decision = decide(policies, request)
    view = policies.view(request.server)
    if view is None:
        return Explanation(decision, ())
    questions = _questions(request)
    trials = tuple(_trial(grants, questions) for grants in view.grants().values())
    return Explanation(decision, trials)


def _questions(request: Request) -> Sequence[_Question]:
    """What the message asks of the rules: methods and names."""
    message = request.message
    row = method_named(message.method)
    if message.kind is MessageKind.RESPONSE:
        return ()
    if row is None or row.method_class in (MethodClass.ALWAYS, MethodClass.PLAIN):
        return (_Question(message.method, None, Scope(request, message.method, None), False),)
    if row.method_class is MethodClass.LIST:
        return (_Question(row.name, None, Scope(request, row.name, None, before_call=True), True),)
    return _demanded(request, row)


def _demanded(request: Request, row: Method) -> Sequence[_Question]:
    before_call = row.method_class is MethodClass.COMPLETION
    found = []
    try:
        demands = demands_of(request.message, row)
    except MessageError:
        demands = ()
    for demand in demands:
        scope = Scope(request, demand.method, demand.name, before_call=before_call)
        found.append(_Question(demand.method, demand.name, scope, False))
        task = request.tasks.get(demand.name or "")
        if METHODS[demand.method].method_class is MethodClass.TASK and task is not None:
            call = Scope(request, "tools/call", task.tool, before_call=True)
            found.append(_Question("tools/call", task.tool, call, False))
    own = Scope(request, row.name, None, before_call=before_call)
    return (*found, _Question(row.name, None, own, False))


def _trial(grants: Sequence[Grant], questions: Sequence[_Question]) -> Trial:
    rule = grants[0].rule
    why = _not_named(grants, questions)
    for question in questions:
        on_method = [grant for grant in grants if grant.method == question.method]
        if any(_matches(grant, question) for grant in on_method):
            return _tried(rule, question)
        if on_method and question.name is not None:
            patterns = ", ".join(dict.fromkeys(str(grant.pattern) for grant in on_method))
            why = f"`{question.name[:_SHOWN]}` does not match {patterns}"
    return Trial(rule.ref, rule.effect, applies=False, why=why)


def _not_named(grants: Sequence[Grant], questions: Sequence[_Question]) -> str:
    methods = dict.fromkeys(f"`{question.method[:_SHOWN]}`" for question in questions)
    asked = ", ".join(methods) or "a response"
    named = ", ".join(sorted({grant.method for grant in grants})[:6])
    return f"it speaks of {named}, not of {asked}"


def _matches(grant: Grant, question: _Question) -> bool:
    if question.is_list or grant.pattern.kind == "any":
        return True
    return question.name is not None and grant.pattern.matches(question.name)


def _tried(rule: Rule, question: _Question) -> Trial:
    if question.is_list and rule.reads_entry:
        return Trial(rule.ref, rule.effect, applies=False, why="its condition is settled for each entry of the list")
    outcome = settle(rule, question.scope)
    applies = outcome is not False if rule.effect is Effect.DENY else outcome is True
    if rule.condition is None:
        return Trial(rule.ref, rule.effect, applies, "it has no condition")
    return Trial(rule.ref, rule.effect, applies, _why(outcome, question), _saw(rule.condition, question.scope))


def _why(outcome: bool | EvalError, question: _Question) -> str:
    if isinstance(outcome, EvalError):
        return f"its condition is an error: {outcome.message}"
    settled = "may be" if question.scope.before_call else "is"
    return f"its condition {settled} true" if outcome else "its condition is false"


def _saw(condition: Condition, scope: Scope) -> tuple[Seen, ...]:
    """The parts of the condition that are neither constants nor loop variables, outermost value for each place."""
    found: dict[Span, Possibilities] = {}

    def trace(node: Node, value: Possibilities) -> None:
        if not isinstance(node, Const | Local) and node.span.end > node.span.start:
            found.pop(node.span, None)
            found[node.span] = value

    condition.possible(scope, scope.unknown, trace)
    shown: Mapping[str, str] = {condition.text[span.start : span.end]: _render(value) for span, value in found.items()}
    return tuple(Seen(text, value) for text, value in shown.items() if text)


def _render(value: Possibilities) -> str:
    if not isinstance(value, tuple):
        return "unknown"
    return " or ".join(_render_one(one) for one in value)


def _render_one(value: object) -> str:
    if isinstance(value, EvalError):
        return f"error: {value.message}"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else repr(value)[:_SHOWN]
