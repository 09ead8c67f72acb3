"""How rules that match are applied: conditions settled, deny rules first, then the first allow rule that holds. Total.

Knows neither which rules match nor what a message asks for.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from mcp_acl.domain import Decision, Effect, Reason, ResponseNeeds, RuleError, TokenState
from mcp_acl.engine.scope import Scope
from mcp_acl.expr.walk import Outcomes
from mcp_acl.mcp.uris import template_why_not_canonical, why_not_canonical, why_too_long
from mcp_acl.policy.index import Candidates, Rule
from mcp_acl.policy.servers import ServerSettings
from mcp_acl.problems import EvalError

NO_GOOD: Final[Mapping[TokenState, Reason]] = {
    TokenState.INVALID: Reason.TOKEN_INVALID,
    TokenState.MISSING: Reason.TOKEN_MISSING,
}
"""Tokens that nothing is granted to, whatever the rules say."""

_TRUE: Final = int(Outcomes.TRUE)
_FALSE: Final = int(Outcomes.FALSE)


def settle(rule: Rule, scope: Scope) -> bool | EvalError:
    """Whether a rule's condition holds, as far as is known.

    Before the call, what is unknown is given the benefit: an allow rule holds if true is possible, a deny rule does not
    if false is possible. An `EvalError` means that nothing but an error is possible.
    """
    condition = rule.condition
    if condition is None:
        return True
    if rule.outlook is None or not scope.before_call:
        outcome = condition.run(scope)
        return outcome if outcome is True or isinstance(outcome, EvalError) else False
    possible = rule.outlook(scope)
    wanted = rule.effect is Effect.ALLOW
    for outcome in (wanted, not wanted):
        if possible & (_TRUE if outcome else _FALSE):
            return outcome
    values = condition.possible(scope, scope.unknown)
    assert isinstance(values, tuple)
    return next(value for value in values if isinstance(value, EvalError))


def judge(candidates: Candidates, scope: Scope, revision: str, needs: ResponseNeeds = ResponseNeeds.NONE) -> Decision:
    """Apply the rules that match: deny rules first, then the first allow rule that holds; `needs` is for an allow."""
    errors: list[RuleError] = []
    for rule in candidates.denies:
        outcome = settle(rule, scope)
        if outcome is False:
            continue
        if outcome is not True:
            errors.append(RuleError(rule.ref, outcome.message))
        return Decision(Effect.DENY, Reason.DENIED_BY_RULE, revision, (rule.ref,), tuple(errors), message=rule.message)
    for rule in candidates.allows:
        outcome = settle(rule, scope)
        if outcome is True:
            return Decision(Effect.ALLOW, Reason.GRANTED, revision, (rule.ref,), tuple(errors), needs)
        if outcome is not False:
            errors.append(RuleError(rule.ref, outcome.message))
    return Decision(Effect.DENY, Reason.NO_MATCHING_RULE, revision, errors=tuple(errors))


def uri_refusal(settings: ServerSettings, uri: str, *, template: bool) -> str:
    """Why a URI cannot be a target, or `''`; `template`: the text of a URI template may stand for it."""
    if settings.lenient_uris:
        return why_too_long(uri)
    return _remembered(uri, template) if len(uri) <= _MEMO_URI else _uri_refusal(uri, template)


def _uri_refusal(uri: str, template: bool) -> str:
    return template_why_not_canonical(uri) if template and "{" in uri else why_not_canonical(uri)


_MEMO_URI: Final = 512  # characters; a longer one is read each time, so that what is remembered stays small
_remembered: Final = lru_cache(maxsize=4096)(_uri_refusal)


def deny(reason: Reason, revision: str, message: str = "") -> Decision:
    """A denial that no rule made."""
    return Decision(Effect.DENY, reason, revision, message=message)
