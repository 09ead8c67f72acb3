"""Questions to requests, answers to verdicts: all that both clients share. Pure; knows protobuf and no channel.

Fail closed: what is not an answer as the interface has it is a denial, or a response that is withheld.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Protobuf
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.wire import encode_json
from mcp_acl.client.values import (
    FilteredResponse,
    MisuseError,
    Question,
    Report,
    ShadowVerdict,
    UnavailableError,
    Verdict,
)
from mcp_acl.domain import (
    Decision,
    Denial,
    Effect,
    Http,
    Message,
    Reason,
    ResponseNeeds,
    RuleError,
    RuleRef,
    TokenState,
)
from mcp_acl.engine.denial import denial_for
from mcp_acl.engine.denial import withheld as withheld_body
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.mcp.message import parse_message
from mcp_acl.mcp.sse import SseEvent, render
from mcp_acl.policy.servers import ServerSettings
from mcp_acl.problems import MessageError

_Answer = TypeVar("_Answer", bound=Protobuf)

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["AccessControl"]
PATHS: Final[Mapping[str, str]] = {name: f"/{_SERVICE.full_name}/{name}" for name in _SERVICE.methods_by_name}
"""The path of each method by its name."""

_NEEDS: Final[Mapping[int, ResponseNeeds]] = {
    pb.ResponseNeeds.Value(f"RESPONSE_NEEDS_{needs.name}"): needs for needs in ResponseNeeds
}
_JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_LARGEST_PIECE: Final = 1024 * 1024


# ---- requests -------------------------------------------------------------------------------------------------------


def check_request(question: Question, sequence: int = 0) -> bytes:
    """Raises MisuseError for what cannot be written as JSON or as protobuf."""
    request = _check(question)
    request.sequence = sequence
    return request.SerializeToString()


def explain_request(question: Question) -> bytes:
    """As `check_request`."""
    return pb.ExplainRequest(check=_check(question)).SerializeToString()


def filter_request(context: bytes, response: FilteredResponse, *, report_hidden: bool) -> bytes:
    """Raises MisuseError."""
    with _misuse():
        return pb.FilterResponseRequest(
            context=context,
            content_type=response.content_type,
            body=response.body,
            status=response.status,
            report_hidden=report_hidden,
        ).SerializeToString()


def start_request(context: bytes, response: FilteredResponse, *, report_hidden: bool) -> bytes:
    """The first message of FilterStream. Raises MisuseError."""
    with _misuse():
        start = pb.FilterStreamStart(
            context=context,
            content_type=response.content_type,
            status=response.status,
            report_hidden=report_hidden,
        )
        return pb.FilterStreamRequest(start=start).SerializeToString()


def piece_requests(piece: bytes) -> Iterator[bytes]:
    """The messages that bring a piece: one, unless it is very large."""
    for start in range(0, len(piece), _LARGEST_PIECE):
        yield pb.FilterStreamRequest(piece=piece[start : start + _LARGEST_PIECE]).SerializeToString()


@contextmanager
def _misuse() -> Iterator[None]:
    """What libraries say of values that they cannot write, as MisuseError."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError) as error:
        raise MisuseError(f"the question cannot be sent: {error}") from None


def _check(question: Question) -> pb.CheckRequest:
    with _misuse():
        request = pb.CheckRequest(
            server=question.server,
            direction=f"DIRECTION_{question.direction.name}",
            raw=question.message,
            principal=_principal(question),
            http=None if question.http is None else _http(question.http),
            session_id=question.session_id,
            filters_responses=question.filters_responses,
        )
        if question.attributes:
            request.attributes.CopyFrom(json_format.Parse(encode_json(question.attributes), Struct()))
        if question.time is not None:
            if question.time.tzinfo is None:
                raise ValueError("`time` has no zone")
            request.time.FromDatetime(question.time)
        return request


def _principal(question: Question) -> pb.Principal:
    claims = question.claims
    token = question.token or (TokenState.NONE if claims is None else TokenState.VALID)
    return pb.Principal(
        claims_json=claims if claims is None or isinstance(claims, bytes) else encode_json(claims),
        token=f"TOKEN_STATE_{token.name}",
    )


def _http(http: Http) -> pb.Http:
    headers = [
        pb.Header(name=_sendable(name), values=[_sendable(value) for value in values])
        for name, values in http.headers.items()
    ]
    return pb.Http(method=http.method, path=_sendable(http.path), headers=headers, remote_address=http.remote_address)


def _sendable(text: str) -> str:
    """With a `?` for what is not UTF-8: it comes from a stranger, and leaving it out would hide that it came."""
    return text.encode(errors="replace").decode()


# ---- answers to Check -----------------------------------------------------------------------------------------------


def read_answer(kind: type[_Answer], body: bytes) -> _Answer:
    """Raises UnavailableError for bytes that are no such message."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise UnavailableError(f"the answer is not a `{kind.DESCRIPTOR.full_name}`") from None


def verdict_of(question: Question, body: bytes, sequence: int = 0) -> Verdict:
    """What the answer says. One that says neither yes nor no, or both, is a denial.

    Raises UnavailableError for what is no answer to this question.
    """
    response = read_answer(pb.CheckResponse, body)
    if response.sequence != sequence:
        raise UnavailableError("the answer belongs to another question")
    is_denial = response.HasField("denial")
    if response.decision == pb.DECISION_ALLOW and not is_denial:
        return _verdict(question, response, None)
    if response.decision == pb.DECISION_DENY:
        return _verdict(question, response, _denial(response.denial) if is_denial else _unavailable(question))
    return denied(question, UnavailableError("the answer holds no decision"))


def denied(question: Question, cause: UnavailableError) -> Verdict:
    """The verdict without an answer."""
    return Verdict(question, allowed=False, reason=Reason.UNAVAILABLE, denial=_unavailable(question), cause=cause)


def _verdict(question: Question, response: pb.CheckResponse, denial: Denial | None) -> Verdict:
    return Verdict(
        question,
        allowed=denial is None,
        reason=response.reason,
        message=response.message,
        rules=tuple(map(_rule, response.rules)),
        errors=_errors(response.errors),
        revision=response.revision,
        decision_id=response.decision_id,
        response_needs=_NEEDS.get(response.response_needs, ResponseNeeds.RESULT),
        context=response.context,
        denial=denial,
        shadow=_shadow(response.shadow) if response.HasField("shadow") else None,
    )


def _shadow(shadow: pb.ShadowDecision) -> ShadowVerdict:
    return ShadowVerdict(shadow.decision == pb.DECISION_ALLOW, shadow.reason, tuple(map(_rule, shadow.rules)))


def _denial(denial: pb.Denial) -> Denial:
    headers = tuple((header.name, value) for header in denial.headers for value in header.values)
    return Denial(denial.status, headers, denial.body)


def _unavailable(question: Question) -> Denial:
    return denial_for(
        Decision(Effect.DENY, Reason.UNAVAILABLE, ""),
        _message(question),
        "",
        http=question.http or Http(),
        direction=question.direction,
        settings=ServerSettings(),
    )


def _message(question: Question) -> Message | None:
    """The message as far as its id can be read safely."""
    try:
        return parse_message(question.message)
    except MessageError:
        return None


def _rule(rule: pb.RuleRef) -> RuleRef:
    return RuleRef(rule.policy, rule.rule, rule.file, rule.line)


def _errors(errors: Any) -> tuple[RuleError, ...]:
    return tuple(RuleError(_rule(error.rule), error.message) for error in errors)


# ---- responses ------------------------------------------------------------------------------------------------------


def context_for(of: Verdict | bytes, content_type: str) -> bytes | None:
    """What the response is handed over with; None: it passes as it is. Raises MisuseError for that of a denied message."""
    if isinstance(of, bytes):
        return of
    if not of.allowed:
        raise MisuseError("the message was denied, so there is no response to filter; send `denial`")
    if of.response_needs is ResponseNeeds.NONE:
        return None
    return None if of.response_needs is ResponseNeeds.STREAM and _media(content_type) == _JSON else of.context


def filtered_of(of: Verdict | bytes, response: FilteredResponse, body: bytes) -> FilteredResponse:
    """What to send instead of the response, by the answer to FilterResponse."""
    try:
        answer = read_answer(pb.FilterResponseResponse, body)
        if not answer.status:
            raise UnavailableError("the answer holds no response")
    except UnavailableError as error:
        return withheld(of, response, error)
    return FilteredResponse(answer.status, answer.content_type, answer.body, answer.changed, report_of(answer))


def withheld(of: Verdict | bytes, response: FilteredResponse, cause: UnavailableError) -> FilteredResponse:
    """What to send instead of a response that could not be filtered: an error that answers the request."""
    message = None if isinstance(of, bytes) else _message(of.question)
    why = "access cannot be decided at the moment"
    body = withheld_body(message, Reason.UNAVAILABLE, why)
    status = response.status if response.status >= 400 else 200
    if _media(response.content_type) == _EVENT_STREAM:
        body = render(SseEvent(()), body.decode())
        return FilteredResponse(
            status, response.content_type, body, changed=True, report=Report(refused=why), cause=cause
        )
    return FilteredResponse(status, _JSON, body, changed=True, report=Report(refused=why), cause=cause)


def head_of(body: bytes) -> tuple[FilteredResponse, tuple[bytes, Report]]:
    """What is to be sent before a body that comes in pieces, and the first piece. Raises UnavailableError."""
    answer = read_answer(pb.FilterStreamResponse, body)
    if not answer.head.status:
        raise UnavailableError("the answer holds no head of a response")
    return FilteredResponse(answer.head.status, answer.head.content_type, b""), (answer.body, report_of(answer))


def piece_of(body: bytes) -> tuple[bytes, Report]:
    """What is to be sent of a piece, and what was done to it. Raises UnavailableError."""
    answer = read_answer(pb.FilterStreamResponse, body)
    return answer.body, report_of(answer)


def report_of(answer: pb.FilterResponseResponse | pb.FilterStreamResponse) -> Report:
    """What was done to a response, or to a piece of it."""
    return Report(
        answer.shown,
        answer.hidden_count,
        tuple(answer.hidden),
        tuple(answer.dropped),
        _errors(answer.errors),
        answer.revision,
        answer.refused,
        answer.shadow.hidden_count,
        answer.shadow.shown_count,
    )


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
