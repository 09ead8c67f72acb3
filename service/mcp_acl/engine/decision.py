"""`decide`: may this principal send this message through this server. The combining order is visible in this file.

The rule: deny unless some allow rule applies; a deny rule that applies wins; a condition that breaks never widens access
(an allow rule with an error does not apply, a deny rule with an error does). Deciding is total: it never raises.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from mcp_acl.domain import (
    Decision,
    Direction,
    Effect,
    Feature,
    Json,
    Message,
    MessageKind,
    Reason,
    Request,
    ResponseNeeds,
    TaskFact,
)
from mcp_acl.engine.exchanges import exchange_decision
from mcp_acl.engine.judging import NO_GOOD, deny, judge, settle, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.engine.wrapping import inner_calls
from mcp_acl.mcp.demands import INPUTS, Demand, brings_answers, demands_of, inputs_of, target_of
from mcp_acl.mcp.exchanges import ODD_REPLAY, is_odd_replay, may_carry
from mcp_acl.mcp.headers import MIRRORS, doubtful_encoding, header_mismatch
from mcp_acl.mcp.links import LINKING
from mcp_acl.mcp.methods import METHODS, Method, MethodClass, method_named
from mcp_acl.mcp.results import SPEAKING
from mcp_acl.mcp.tasks import may_become_task
from mcp_acl.policy.index import ASKING, Candidates, PolicySet, Rule, View
from mcp_acl.policy.servers import LinkedResources
from mcp_acl.problems import MessageError


def decide(policies: PolicySet, request: Request) -> Decision:
    """The decision on one message. Total: any doubt is a denial with its reason."""
    view = policies.view(request.server)
    if view is None:
        return deny(Reason.NO_POLICY, policies.revision)
    if request.message.kind is MessageKind.EXCHANGE:
        return exchange_decision(view, request)
    if request.message.kind is MessageKind.BATCH:
        return _batch(policies, request)
    if request.token in NO_GOOD:
        return deny(NO_GOOD[request.token], policies.revision)
    if not may_carry(request.http) and request.direction is Direction.CLIENT_TO_SERVER:
        return deny(Reason.MESSAGE_REFUSED, policies.revision, _NOT_POSTED)
    doubt = _by_headers(request, policies.revision) if request.http.headers else None
    if doubt is not None:
        return doubt
    if request.message.kind is MessageKind.RESPONSE:
        return _response(view, request)
    decision = _by_method(view, request)
    return _with_inputs(policies, view, request, decision) if decision.allowed else decision


def _batch(policies: PolicySet, request: Request) -> Decision:
    """Every message of a batch is decided, as if it had come by itself; one that is refused refuses all."""
    if not request.message.members:
        return deny(Reason.MESSAGE_REFUSED, policies.revision, "the batch is empty")
    decisions = [decide(policies, request._replace(message=one)) for one in request.message.members]
    is_answered = any(decision.response_needs is not ResponseNeeds.NONE for decision in decisions)
    needs = ResponseNeeds.RESULT if is_answered else ResponseNeeds.NONE
    return _all_of(decisions, policies.revision, needs)._replace(response_needs=needs)


_NOT_POSTED: Final = "a message is sent by POST; of whatever else servers do not read the body"
"""They open a stream, or have one repeated, and what comes back answers that and not the message."""


def _by_headers(request: Request, revision: str) -> Decision | None:
    """The denial of a message that its headers contradict, or that a server may read in another way because of them."""
    headers = request.http.headers
    mismatch = header_mismatch(request.message, headers)
    if mismatch:
        return deny(Reason.HEADER_MISMATCH, revision, mismatch)
    if request.direction is not Direction.CLIENT_TO_SERVER:
        return None
    # What a request brings is filtered, and nothing is expected of any other message.
    is_odd = request.message.kind is not MessageKind.REQUEST and is_odd_replay(request.http)
    doubt = ODD_REPLAY if is_odd else doubtful_encoding(headers)
    return deny(Reason.MESSAGE_REFUSED, revision, doubt) if doubt else None


_NOTHING_ASKED: Final = "the server may not ask the client for anything, so there is nothing to answer"


def _response(view: View, request: Request) -> Decision:
    """What a server answers is filtered by its shape, whatever it answers. A client answers what a server may ask, and pings.

    Which request a client's response belongs to is not known: it comes in an HTTP exchange of its own.
    """
    if request.direction is Direction.SERVER_TO_CLIENT:
        return _pass(view, ResponseNeeds.RESULT)
    if request.message.is_empty or _may_be_asked(view, request):
        return _pass(view, ResponseNeeds.NONE)
    return deny(Reason.NO_MATCHING_RULE, view.revision, _NOTHING_ASKED)


def _pass(view: View, needs: ResponseNeeds) -> Decision:
    return Decision(Effect.ALLOW, Reason.ALWAYS_PERMITTED, view.revision, response_needs=needs)


def _may_be_asked(view: View, request: Request) -> bool:
    """Whether the server may ask this client for something: sampling, elicitation or roots."""
    if view.asks_freely:
        return True
    scopes = (Scope(request, method, None, before_call=True) for method in ASKING)
    return any(judge(view.without_name(scope.method), scope, view.revision).allowed for scope in scopes)


def _by_method(view: View, request: Request) -> Decision:
    row = method_named(request.message.method)
    if row is None:
        return _unknown_method(view, request)
    if row.method_class is not MethodClass.ALWAYS and request.direction not in row.directions:
        return deny(Reason.WRONG_DIRECTION, view.revision)
    return _BY_CLASS[row.method_class](view, request, row)


def _with_inputs(policies: PolicySet, view: View, request: Request, decision: Decision) -> Decision:
    """A server's message that asks the client for input passes only if each of its requests may be sent.

    A client's that brings answers (MCP 2026-07-28, multi round-trip requests) passes only if it may have been asked.
    """
    params = request.message.params
    if request.direction is Direction.SERVER_TO_CLIENT:
        asked = input_decisions(policies, request, params[INPUTS]) if INPUTS in params else ()
        return next((one for one in asked if not one.allowed), decision)
    if brings_answers(params) and not _may_be_asked(view, request):
        return deny(Reason.NO_MATCHING_RULE, policies.revision, _NOTHING_ASKED)
    return decision


def input_decisions(
    policies: PolicySet, request: Request, asked: Json, read: Callable[[Json], Sequence[Message]] = inputs_of
) -> Iterator[Decision]:
    """The decision on each request that a message of the server's holds, as `read` finds them; what cannot be read is refused."""
    try:
        messages = read(asked)
    except MessageError as error:
        return iter((deny(Reason.MESSAGE_REFUSED, policies.revision, error.message),))
    return (decide(policies, from_server(request, message)) for message in messages)


def from_server(request: Request, message: Message) -> Request:
    """A message of the server's to the principal of `request`. Headers that mirror the client's message say nothing of it."""
    headers = {name: values for name, values in request.http.headers.items() if not name.startswith(MIRRORS)}
    http = request.http._replace(headers=headers)
    return request._replace(message=message, direction=Direction.SERVER_TO_CLIENT, http=http)


# ---- one function per class of method ----------------------------------------------------------------------------


def _always(view: View, request: Request, row: Method) -> Decision:
    """Only a deny rule that spells the method out stops it."""
    denies = view.without_name(request.message.method, spelled=True).denies
    decision = judge(Candidates(denies, ()), Scope(request, row.name, None), view.revision)
    if decision.reason is Reason.DENIED_BY_RULE:
        return decision
    needs = _needs(view, request, row)
    return Decision(Effect.ALLOW, Reason.ALWAYS_PERMITTED, view.revision, (), decision.errors, needs)


def _unknown_method(view: View, request: Request) -> Decision:
    """A method outside the table: only rules under `feature: "*"` that spell its full name. Nobody knows what it returns."""
    candidates = view.without_name(request.message.method, spelled=True, every_feature=True)
    needs = ResponseNeeds.RESULT if _is_answered_by_server(request) else ResponseNeeds.NONE
    decision = judge(candidates, Scope(request, request.message.method, None), view.revision, needs)
    if decision.reason is not Reason.NO_MATCHING_RULE:
        return decision
    return decision._replace(reason=Reason.UNKNOWN_METHOD)


def _list(view: View, request: Request, row: Method) -> Decision:
    """Passes if the caller filters the response, or if nothing would be hidden."""
    facts = view.facts(row.name)
    if row.feature is not Feature.TASKS and (facts.open or _shows_all(view, request, row, facts.every.denies)):
        return Decision(Effect.ALLOW, Reason.NOTHING_HIDDEN, view.revision, response_needs=_needs(view, request, row))
    if request.filters_responses:
        return Decision(Effect.ALLOW, Reason.LIST_FILTERED, view.revision, response_needs=_needs(view, request, row))
    return deny(Reason.LIST_NOT_FILTERED, view.revision)


def _shows_all(view: View, request: Request, row: Method, denies: Sequence[Rule]) -> bool:
    """Whether an allow rule shows any entry and no deny rule can hide one, without knowing the entries."""
    scope = Scope(request, row.name, None, before_call=True)
    if any(rule.reads_entry or settle(rule, scope) is not False for rule in denies):
        return False
    return any(not rule.reads_entry and settle(rule, scope) is True for rule in view.without_name(row.name).allows)


def _plain(view: View, request: Request, row: Method) -> Decision:
    """A method without target matches the pattern `any` alone."""
    scope = Scope(request, row.name, None)
    return judge(view.without_name(row.name), scope, view.revision, _needs(view, request, row))


def _target(view: View, request: Request, row: Method) -> Decision:
    """A method with one target, a task among them. A tool that calls another needs a grant for both.

    What is inside is looked at only if what is outside is granted: else it would tell which tools are wrappers.
    """
    needs = _needs(view, request, row)
    decision = _demand(view, request, row, Demand(row.decided_as, target_of(request.message.params, row)), needs)
    if not decision.allowed or row.name != "tools/call" or not view.settings.wrappers:
        return decision
    decisions = [decision]
    try:
        for call in inner_calls(view.settings.wrappers, request):
            decisions.append(_demand(view, call, row, Demand(row.name, target_of(call.message.params, row)), needs))
            if not decisions[-1].allowed:
                break
    except MessageError as error:
        return deny(Reason.TARGET_MISSING, view.revision, error.message)
    return _all_of(decisions, view.revision, needs)


def _demanding(view: View, request: Request, row: Method) -> Decision:
    """Every target the message names must be granted; one that is refused refuses the message."""
    try:
        demands = demands_of(request.message, row)
    except MessageError as error:
        return deny(Reason.MESSAGE_REFUSED, view.revision, error.message)
    needs = _needs(view, request, row)
    own = _own_denial(view, request, row, None)
    if own is not None:
        return own
    return _all_of([_demand(view, request, row, demand, needs) for demand in demands], view.revision, needs)


def _all_of(decisions: Sequence[Decision], revision: str, needs: ResponseNeeds) -> Decision:
    """The first refusal, or an allow that names every rule that granted. Nothing asked for is nothing to refuse."""
    refused = next((decision for decision in decisions if not decision.allowed), None)
    if refused is not None or len(decisions) == 1:
        return refused or decisions[0]
    reason = Reason.GRANTED if decisions else Reason.ALWAYS_PERMITTED
    rules = tuple(dict.fromkeys(rule for decision in decisions for rule in decision.rules))
    errors = tuple(error for decision in decisions for error in decision.errors)
    return Decision(Effect.ALLOW, reason, revision, rules, errors, needs)


def _own_denial(view: View, request: Request, row: Method, name: str | None) -> Decision | None:
    """The denial by a rule that names the message's own method, where another method's rules decide it."""
    candidates = view.without_name(row.name) if name is None else view.candidates(row.name, name)
    if not candidates.denies:
        return None
    scope = Scope(request, row.name, name, before_call=row.method_class is MethodClass.COMPLETION)
    decision = judge(Candidates(candidates.denies, ()), scope, view.revision)
    return decision if decision.reason is Reason.DENIED_BY_RULE else None


def _demand(view: View, request: Request, row: Method, demand: Demand, needs: ResponseNeeds) -> Decision:
    """One target, by the rules of the method that decides it."""
    method, name = demand.method, demand.name
    if name is None:
        return deny(Reason.TARGET_MISSING, view.revision)
    as_row = row if row.name == method else METHODS[method]
    if as_row.target_is_uri:
        refusal = uri_refusal(view.settings, name, template=demand.may_be_template)
        if refusal:
            return deny(Reason.URI_NOT_CANONICAL, view.revision, refusal)
    if as_row is not row:
        own = _own_denial(view, request, row, name)
        if own is not None:
            return own
    if as_row.method_class is MethodClass.TASK:
        return task_decision(view, Scope(request, method, name), needs)
    scope = Scope(request, method, name, before_call=row.method_class is MethodClass.COMPLETION)
    return judge(view.candidates(method, name), scope, view.revision, needs)


def task_decision(view: View, scope: Scope, needs: ResponseNeeds = ResponseNeeds.NONE) -> Decision:
    """A task belongs to who created it (`iss` and `sub`), while the creating tool may still be called."""
    request, task_id = scope.request, scope.target or ""
    denial = judge(Candidates(view.candidates(scope.method, task_id).denies, ()), scope, view.revision)
    if denial.reason is Reason.DENIED_BY_RULE:
        return denial
    task = request.tasks.get(task_id)
    if task is None or not owns(request, task):
        return deny(Reason.TASK_NOT_OWNED, view.revision)
    call_scope = Scope(request, "tools/call", task.tool, before_call=True)
    call = judge(view.candidates("tools/call", task.tool), call_scope, view.revision, needs)
    if call.reason is Reason.DENIED_BY_RULE:
        return call
    return call._replace(reason=Reason.TASK_OWNER if call.allowed else Reason.TASK_NOT_OWNED)


def owns(request: Request, task: TaskFact) -> bool:
    """Whether the principal created the task."""
    subject, issuer = request.claims.get("sub"), request.claims.get("iss")
    if not isinstance(subject, str) or not isinstance(issuer, str) or not subject:
        return False
    return (issuer, subject) == (task.issuer, task.subject)


def _needs(view: View, request: Request, row: Method) -> ResponseNeeds:
    """What the response to an allowed message still needs.

    Any request may be answered by a stream, and a stream may bring any message of the server's; a result may ask the client for
    input (MCP 2026-07-28, multi round-trip requests).
    """
    if row.method_class is MethodClass.LIST:
        return ResponseNeeds.LIST
    if not _is_answered_by_server(request):
        return ResponseNeeds.NONE
    return ResponseNeeds.STREAM if _leaves_result(view, request, row) else ResponseNeeds.RESULT


def _is_answered_by_server(request: Request) -> bool:
    return request.message.kind is MessageKind.REQUEST and request.direction is Direction.CLIENT_TO_SERVER


def _leaves_result(view: View, request: Request, row: Method) -> bool:
    """Whether nothing that the protocol puts in a result of the method would be changed."""
    if row.method_class is MethodClass.LISTEN:
        return True
    if not view.asks_freely or row.list_key or view.facts(row.name).reads_principal:
        return False
    if _is_treated(view, row) or may_become_task(request.message):
        return False
    ref = request.message.params.get("ref")
    return (
        row.method_class is not MethodClass.COMPLETION
        or not isinstance(ref, Mapping)
        or ref.get("type") != "ref/resource"
    )


def _is_treated(view: View, row: Method) -> bool:
    """Whether the server's settings say to take something out of results of the method."""
    if row.name in LINKING:
        return view.linked_resources is not LinkedResources.PASS
    return view.settings.drop_instructions and row.name in SPEAKING


_BY_CLASS: Final[Mapping[MethodClass, Callable[[View, Request, Method], Decision]]] = {
    MethodClass.ALWAYS: _always,
    MethodClass.LIST: _list,
    MethodClass.PLAIN: _plain,
    MethodClass.TARGET: _target,
    MethodClass.COMPLETION: _demanding,
    MethodClass.LISTEN: _demanding,
    MethodClass.TASK: _target,
}
