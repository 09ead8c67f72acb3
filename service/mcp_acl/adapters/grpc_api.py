"""The native interface: `proto/acl.proto` to the gate, and back. Translations alone; knows neither rules nor hosts.

A handler is synchronous and takes a message's bytes to its answer's bytes. It raises `ApiError` if the interface was
misused; a host turns that, and anything else, into a status by `status_of`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Protobuf

from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import encode_json, json_of
from mcp_acl.domain import (
    Decision,
    Denial,
    Direction,
    Effect,
    Http,
    Json,
    Message,
    MessageKind,
    ResponseNeeds,
    RuleError,
    RuleRef,
    TokenState,
)
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.mcp.message import parse_json, parse_message
from mcp_acl.problems import MessageError, Problem
from mcp_acl.runtime.gate import Answer, Gate, Question, Reply
from mcp_acl.runtime.standing import Refused, Standing

SERVICE: Final = "mcp_acl.v1.AccessControl"
MAX_REQUEST: Final = 16 * 1024 * 1024
"""Bytes of one request, for hosts to refuse more: a response body to filter, with its context."""
MAX_HEADERS: Final = 1000
"""Entries of `Http.headers`, and values of all of them together. HTTP servers stop at some hundred."""

_Request = TypeVar("_Request", bound=Protobuf)

_DIRECTIONS: Final[Mapping[int, Direction]] = {
    pb.DIRECTION_CLIENT_TO_SERVER: Direction.CLIENT_TO_SERVER,
    pb.DIRECTION_SERVER_TO_CLIENT: Direction.SERVER_TO_CLIENT,
}
_TOKENS: Final[Mapping[int, TokenState]] = {
    pb.TOKEN_STATE_UNSPECIFIED: TokenState.NONE,
    pb.TOKEN_STATE_NONE: TokenState.NONE,
    pb.TOKEN_STATE_MISSING: TokenState.MISSING,
    pb.TOKEN_STATE_INVALID: TokenState.INVALID,
    pb.TOKEN_STATE_VALID: TokenState.VALID,
}
_KINDS: Final[Mapping[int, MessageKind]] = {
    pb.MESSAGE_KIND_REQUEST: MessageKind.REQUEST,
    pb.MESSAGE_KIND_NOTIFICATION: MessageKind.NOTIFICATION,
    pb.MESSAGE_KIND_RESPONSE: MessageKind.RESPONSE,
}
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
_REMEMBERED_SIZE: Final = 4096
"""How many tokens' claims are remembered, and bytes of the largest."""
_NO_HTTP: Final = Http()
_TEXT_LIMITS: Final = replace(DEFAULT_LIMITS, number=310)
"""Of the text that a structured message stands for: no whole number that is a double has more characters."""


def check(gate: Gate, body: bytes) -> bytes:
    """`Check`."""
    request = parsed(pb.CheckRequest, body)
    answer = gate.check(question_from(request))
    decision = answer.decision
    # One message after another is one message with the fields of both (protobuf encoding, "Last One Wins").
    own = pb.CheckResponse(decision_id=answer.decision_id, context=answer.context, sequence=request.sequence)
    is_usual = decision.allowed and not decision.errors
    return (_permission(decision) if is_usual else reply_for(answer).SerializeToString()) + own.SerializeToString()


@lru_cache(_REMEMBERED)
def _permission(decision: Decision) -> bytes:
    """What a reply says of a decision that is made again and again."""
    return reply_for(Answer(decision, "")).SerializeToString()


def filter_response(gate: Gate, body: bytes) -> bytes:
    """`FilterResponse`."""
    request = parsed(pb.FilterResponseRequest, body)
    reply = gate.filter(request.context, request.content_type, request.body, request.status or 200)
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


# ---- from the wire ------------------------------------------------------------------------------------------------


def question_from(request: pb.CheckRequest) -> Question:
    """What is asked. Raises ApiError, with what to do, if the request does not say what it must."""
    direction = _DIRECTIONS.get(request.direction)
    if direction is None:
        raise ApiError("`direction` must be client to server or server to client")
    token, claims = _principal(request.principal)
    return Question(
        request.server,
        _message(request),
        claims,
        token,
        direction,
        _http(request.http) if request.HasField("http") else _NO_HTTP,
        _struct(request, "attributes"),
        request.session_id,
        request.filters_responses,
        _time(request),
    )


def _message(request: pb.CheckRequest) -> bytes | Message | MessageError:
    match request.WhichOneof("message"):
        case "raw":
            return request.raw
        case "structured":
            return _structured(request.structured)
    raise ApiError("`message` is missing; send `raw`, the body as it came")


def _structured(message: pb.StructuredMessage) -> Message | MessageError:
    """By way of the text it stands for, so that both forms are held to the same rules."""
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise ApiError("`structured.kind` must be request, notification or response")
    try:
        read = parse_message(_text(message, kind), _TEXT_LIMITS)
    except MessageError as error:
        return error
    if read.kind is not kind:
        return MessageError("envelope", f"the message has the members of a {read.kind}, but says it is a {kind}")
    return read._replace(is_empty=False)  # what is in a response is not told


def _text(message: pb.StructuredMessage, kind: MessageKind) -> bytes:
    """The JSON-RPC message. Raises MessageError if `params_json` is not one JSON value: nothing else may get in by it."""
    members: dict[str, object] = {"jsonrpc": "2.0"}
    id_member = message.WhichOneof("id")
    if id_member is not None:
        members["id"] = getattr(message, id_member)
    if kind is MessageKind.RESPONSE:
        members["result"] = {}
    if message.method or kind is not MessageKind.RESPONSE:
        members["method"] = message.method
    match message.WhichOneof("params"):
        case "params_struct":
            members["params"] = json_of(message.params_struct)
        case "params_json":
            members["params"] = parse_json(message.params_json)
    return encode_json(members)


def _principal(principal: pb.Principal) -> tuple[TokenState, Mapping[str, Json]]:
    """Claims count only if somebody says that they were verified."""
    token = _TOKENS.get(principal.token)
    if token is None:
        raise ApiError("`principal.token` is a state this service does not know")
    form = principal.WhichOneof("claims")
    if form is None or token is TokenState.INVALID:
        return token, {}
    if token in (TokenState.NONE, TokenState.MISSING):
        raise ApiError("claims came without a token; say TOKEN_STATE_VALID if they were verified, else leave them out")
    if form == "claims_struct":
        return token, _struct(principal, "claims_struct")
    text = principal.claims_json
    return token, (_known_claims if len(text) <= _REMEMBERED_SIZE else _claims)(text)


def _claims(text: bytes) -> Mapping[str, Json]:
    try:
        claims = parse_json(text)
    except MessageError as error:
        raise ApiError(f"`principal.claims_json` cannot be used: {error.message}") from None
    if not isinstance(claims, dict):
        raise ApiError("`principal.claims_json` must be one JSON object")
    return claims


_known_claims: Final = lru_cache(_REMEMBERED)(_claims)
"""A principal sends many messages with one token. Nothing changes the values that are read."""


def _struct(owner: pb.CheckRequest | pb.Principal, field: str) -> Mapping[str, Json]:
    if not owner.HasField(field):
        return {}
    try:
        return json_of(getattr(owner, field))
    except MessageError as error:
        raise ApiError(f"`{field}` cannot be used: {error.message}") from None


def _http(http: pb.Http) -> Http:
    """Header names in lower case, the values of one name together whatever its case was."""
    headers: dict[str, list[str]] = {}
    entries, number = len(http.headers), 0
    for header in http.headers if entries <= MAX_HEADERS else ():
        name, values = header.name.lower(), header.values[:]
        number += len(values)
        if name in headers:
            headers[name] += values
        else:
            headers[name] = values
    if entries > MAX_HEADERS or number > MAX_HEADERS:
        raise ApiError(f"`http.headers` has more than {MAX_HEADERS} entries or values; refuse such a request")
    return Http(http.method or "POST", http.path, headers, http.remote_address)


def _time(request: pb.CheckRequest) -> datetime | None:
    if not request.HasField("time"):
        return None
    try:
        return request.time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise ApiError("`time` is not a time between the years 1 and 9999") from None


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
