"""Deciding HTTP exchanges that carry no message: opening a stream, ending a session, what browsers and OAuth clients ask first.

The rule: what is in the table passes on a server that a policy governs; what brings messages must be filtered, and what has messages
repeated needs a caller that filters, unless nothing would be hidden.
"""

from typing import Final

from mcp_acl.domain import Decision, Direction, Effect, Reason, Request, ResponseNeeds
from mcp_acl.engine.judging import NO_GOOD, deny
from mcp_acl.mcp.exchanges import REPLAY, Exchange, exchange_of
from mcp_acl.mcp.methods import METHODS, MethodClass
from mcp_acl.policy.index import View
from mcp_acl.problems import MessageError

_LISTS: Final = tuple(row.name for row in METHODS.values() if row.method_class is MethodClass.LIST)


def exchange_decision(view: View, request: Request) -> Decision:
    """The decision on an exchange without a message. Total."""
    if request.direction is not Direction.CLIENT_TO_SERVER:
        return deny(Reason.WRONG_DIRECTION, view.revision)
    try:
        row = exchange_of(request.http)
    except MessageError as error:
        return deny(Reason.MESSAGE_REFUSED, view.revision, error.message)
    if request.token in NO_GOOD and not row.is_open:
        return deny(NO_GOOD[request.token], view.revision)
    if (
        REPLAY in request.http.headers
        and not request.filters_responses
        and not all(view.facts(one).open for one in _LISTS)
    ):
        return deny(Reason.LIST_NOT_FILTERED, view.revision)
    return Decision(Effect.ALLOW, Reason.ALWAYS_PERMITTED, view.revision, response_needs=_needs(row))


def _needs(row: Exchange) -> ResponseNeeds:
    if row.brings_messages:
        return ResponseNeeds.RESULT
    return ResponseNeeds.STREAM if row.may_stream else ResponseNeeds.NONE
