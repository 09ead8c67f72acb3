"""Deciding HTTP exchanges that carry no message: opening a stream, ending a session, what browsers and OAuth clients ask first.

The rule: what is in the table passes on a server that a policy governs; what brings messages must be filtered, and what has messages
repeated needs a caller that filters, unless nothing would be hidden.
"""

from typing import Final

from mcp_acl.domain import Decision, Direction, Effect, Reason, Request, ResponseNeeds
from mcp_acl.engine.judging import NO_GOOD, deny
from mcp_acl.mcp.exchanges import ODD_REPLAY, REPLAY, Exchange, belongs_to_a_session, exchange_of, is_odd_replay
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
    is_open = row.is_open and not belongs_to_a_session(request.http)
    if request.token in NO_GOOD and not is_open:
        return deny(NO_GOOD[request.token], view.revision)
    if is_odd_replay(request.http):
        return deny(Reason.MESSAGE_REFUSED, view.revision, ODD_REPLAY)
    if (
        REPLAY in request.http.headers
        and not request.filters_responses
        and not all(view.facts(one).open for one in _LISTS)
    ):
        return deny(Reason.LIST_NOT_FILTERED, view.revision)
    return Decision(Effect.ALLOW, Reason.ALWAYS_PERMITTED, view.revision, response_needs=_needs(row))


def _needs(row: Exchange) -> ResponseNeeds:
    return ResponseNeeds.RESULT if row.brings_messages else ResponseNeeds.STREAM
