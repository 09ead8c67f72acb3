"""The native interface: `proto/acl.proto` to the gate, and back. Translations alone; knows neither rules nor hosts.

A handler is synchronous and takes a message's bytes to its answer's bytes. It raises `ApiError` if the interface was
misused; a host turns that, and anything else, into a status by `status_of`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Protobuf

from mcp_acl.adapters.questions import question_from
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import delimited_tag, varint
from mcp_acl.domain import Decision, Denial, Effect, ResponseNeeds, RuleError, RuleRef
from mcp_acl.engine.shadow import Shadow
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.problems import Problem
from mcp_acl.runtime.gate import Answer, Gate, Reply
from mcp_acl.runtime.standing import Refused, Standing

SERVICE: Final = "mcp_acl.v1.AccessControl"
MAX_REQUEST: Final = 16 * 1024 * 1024
"""Bytes of one request, for hosts to refuse more: a response body to filter, with its context."""

_Request = TypeVar("_Request", bound=Protobuf)

_DECISIONS: Final[Mapping[Effect, pb.Decision]] = {
    Effect.ALLOW: pb.DECISION_ALLOW,
    Effect.DENY: pb.DECISION_DENY,
}
_NEEDS: Final[Mapping[ResponseNeeds, pb.ResponseNeeds]] = {
    ResponseNeeds.NONE: pb.RESPONSE_NEEDS_NONE,
    ResponseNeeds.LIST: pb.RESPONSE_NEEDS_LIST,
    ResponseNeeds.RESULT: pb.RESPONSE_NEEDS_RESULT,
    ResponseNeeds.STREAM: pb.RESPONSE_NEEDS_STREAM,
}
_REMEMBERED: Final = 1024
"""How many decisions' replies are remembered."""

_FIELDS: Final = pb.CheckResponse.DESCRIPTOR.fields_by_name
_DECISION_ID: Final = delimited_tag(_FIELDS["decision_id"].number)
_CONTEXT: Final = delimited_tag(_FIELDS["context"].number)
_SEQUENCE: Final = varint(_FIELDS["sequence"].number << 3)
"""What stands before the number: it is a varint (wire type 0)."""


def check(gate: Gate, body: bytes, trace: str = "") -> bytes:
    """`Check`. `trace` is that of a `Question`."""
    question, sequence = question_from(body, trace)
    answer = gate.check(question)
    decision = answer.decision
    is_usual = decision.allowed and not decision.errors and answer.shadow is None
    # One message after another is one message with the fields of both (protobuf encoding, "Last One Wins").
    said = _permission(decision) if is_usual else reply_for(answer).SerializeToString()
    number, context = answer.decision_id.encode(), answer.context
    own = (_DECISION_ID, varint(len(number)), number, _CONTEXT, varint(len(context)), context)
    return b"".join((said, *own, _SEQUENCE, varint(sequence)))


@lru_cache(_REMEMBERED)
def _permission(decision: Decision) -> bytes:
    """What a reply says of a decision that is made again and again."""
    return reply_for(Answer(decision, "")).SerializeToString()


def filter_response(gate: Gate, body: bytes, trace: str = "") -> bytes:
    """`FilterResponse`."""
    request = parsed(pb.FilterResponseRequest, body)
    reply = gate.filter(request.context, request.content_type, request.body, request.status or 200, trace=trace)
    return filter_reply_for(reply, report_hidden=request.report_hidden).SerializeToString()


def get_policy_set(gate: Gate, body: bytes) -> bytes:
    """`GetPolicySet`."""
    parsed(pb.GetPolicySetRequest, body)
    return policy_set_for(gate.standing).SerializeToString()


def parsed(kind: type[_Request], body: bytes) -> _Request:
    """A message of the interface. Raises ApiError."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise ApiError(f"the request is not a `{kind.DESCRIPTOR.full_name}`, or nests too deep") from None


# ---- to the wire --------------------------------------------------------------------------------------------------


def reply_for(answer: Answer) -> pb.CheckResponse:
    """The decision with all that belongs to it."""
    decision = answer.decision
    return pb.CheckResponse(
        decision=_DECISIONS[decision.effect],
        reason=decision.reason,
        rules=map(rule_for, decision.rules),
        errors=errors_for(decision.errors),
        revision=decision.revision,
        decision_id=answer.decision_id,
        response_needs=_NEEDS[decision.response_needs],
        context=answer.context,
        denial=None if answer.denial is None else _denial(answer.denial),
        message=decision.message,
        shadow=None if answer.shadow is None else _shadow_decision(answer.shadow),
    )


def _shadow_decision(decision: Decision) -> pb.ShadowDecision:
    rules = map(rule_for, decision.rules)
    return pb.ShadowDecision(decision=_DECISIONS[decision.effect], reason=decision.reason, rules=rules)


def shadow_list_for(shadow: Shadow | None, *, report_hidden: bool) -> pb.ShadowList | None:
    """What would be otherwise in a list. Names are told to those who ask for them."""
    if shadow is None:
        return None
    return pb.ShadowList(
        hidden_count=len(shadow.hidden),
        shown_count=len(shadow.shown),
        hidden=shadow.hidden if report_hidden else (),
        shown=shadow.shown if report_hidden else (),
        refused=shadow.refused,
    )


def filter_reply_for(reply: Reply, *, report_hidden: bool) -> pb.FilterResponseResponse:
    """The response to send. Names of what is hidden are told to those who ask for them."""
    filtered = reply.filtered
    return pb.FilterResponseResponse(
        content_type=filtered.content_type,
        body=filtered.body,
        status=reply.status,
        changed=reply.changed,
        shown=filtered.shown,
        hidden_count=len(filtered.hidden),
        hidden=filtered.hidden if report_hidden else (),
        dropped=filtered.dropped,
        errors=errors_for(filtered.errors),
        revision=reply.revision,
        refused=filtered.refused,
        shadow=shadow_list_for(reply.shadow, report_hidden=report_hidden),
    )


def policy_set_for(standing: Standing) -> pb.GetPolicySetResponse:
    """What is in force, what is odd about it, and what was refused in its place."""
    policies = standing.policies
    return pb.GetPolicySetResponse(
        revision=policies.revision,
        policies=[
            pb.PolicyInfo(id=policy.id, file=policy.file, servers=policy.servers, rules=policy.rules)
            for policy in policies.policies
        ],
        findings=map(_finding, policies.findings),
        since=standing.since,
        refused=None if standing.refused is None else _refused(standing.refused),
    )


def _refused(refused: Refused) -> pb.RefusedPolicySet:
    return pb.RefusedPolicySet(time=refused.time, problems=map(_finding, refused.problems))


def _finding(problem: Problem) -> pb.Finding:
    place = problem.place
    return pb.Finding(
        code=problem.code,
        message=problem.message,
        hint=problem.hint,
        file=place.file,
        line=place.line,
        column=place.column,
    )


def rule_for(rule: RuleRef) -> pb.RuleRef:
    """A rule by name and place."""
    return pb.RuleRef(policy=rule.policy, rule=rule.rule, file=rule.file, line=rule.line)


def errors_for(errors: Iterable[RuleError]) -> list[pb.RuleError]:
    """Conditions that broke."""
    return [pb.RuleError(rule=rule_for(error.rule), message=error.message) for error in errors]


def _denial(denial: Denial) -> pb.Denial:
    headers = [pb.Header(name=name, values=[value]) for name, value in denial.headers]
    return pb.Denial(status=denial.status, headers=headers, body=denial.body)
