"""Whether a URI that a response names could be read by the principal: as reading it, before the call."""

from mcp_acl.domain import Decision, Reason, Request
from mcp_acl.engine.judging import deny, judge, uri_refusal
from mcp_acl.engine.scope import Scope
from mcp_acl.policy.index import View


def read_decision(view: View, request: Request, uri: str) -> Decision:
    """The decision on reading a URI. What only the call will bring is unknown."""
    refusal = uri_refusal(view.settings, uri, template=False)
    if refusal:
        return deny(Reason.URI_NOT_CANONICAL, view.revision, refusal)
    scope = Scope(request, "resources/read", uri, before_call=True)
    return judge(view.candidates("resources/read", uri), scope, view.revision)
