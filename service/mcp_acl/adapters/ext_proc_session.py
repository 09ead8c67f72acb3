"""One HTTP exchange in Envoy's external processing: a state machine, fed with messages, giving answers. No I/O.

The gateway takes a call that ends without an answer for a permission, so every message is answered or ends the call with an error,
which the gateway turns into one of its own. What may come when is one table; anything else is an error.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Final

from mcp_acl.adapters.ext_proc import (
    UPSTREAM,
    ResponseHead,
    attributes_from,
    denied,
    fault_of,
    headers_from,
    http_from,
    metadata_for,
    mutation_for,
    pieces_of,
    response_from,
    taken_without_an_answer,
    told_from,
    warn,
    withheld,
)
from mcp_acl.adapters.ext_proc_response import (
    AS_IT_IS,
    Answers,
    Body,
    Buffered,
    Duplex,
    Streamed,
    Untouched,
    UntouchedDuplex,
)
from mcp_acl.adapters.facts import Facts, Sources, facts_from
from mcp_acl.adapters.grpc_api import parsed
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import Http, ResponseNeeds
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.mcp.accept import EVENT_STREAM, JSON, is_plain_json
from mcp_acl.mcp.exchanges import SESSION
from mcp_acl.mcp.limits import DEFAULT_LIMITS
from mcp_acl.problems import MessageError
from mcp_acl.runtime.context import is_only_watched
from mcp_acl.runtime.gate import Answer, Gate, Question
from mcp_acl.runtime.trace import traceparent_in

PATH: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"

_WITHOUT_ENCODING: Final = pb.CommonResponse(header_mutation=pb.HeaderMutation(remove_headers=["accept-encoding"]))
"""A response that is encoded cannot be filtered, so none is asked for."""
_TAKEN: Final = pb.HeadersResponse(response=_WITHOUT_ENCODING)
_HEADERS_TAKEN: Final = pb.ProcessingResponse(request_headers=_TAKEN).SerializeToString()
_BODY_AWAITED: Final = {
    mode: pb.ProcessingResponse(
        request_headers=_TAKEN,
        mode_override=pb.ProcessingMode(
            request_body_mode=pb.BUFFERED, response_body_mode=mode, request_trailer_mode=pb.SEND
        ),
    ).SerializeToString()
    for mode in (pb.STREAMED, pb.BUFFERED)
}
"""As the gateway is set up, by the mode of the response, and trailers too: a request that has them and no body would go on unseen."""
_BODY_TAKEN: Final = pb.ProcessingResponse(request_body=pb.BodyResponse()).SerializeToString()
_TRAILERS_TAKEN: Final = pb.ProcessingResponse(request_trailers=pb.TrailersResponse()).SerializeToString()
_RESPONSE_TAKEN: Final = pb.ProcessingResponse(response_headers=pb.HeadersResponse()).SerializeToString()
_LET_GO: Final = pb.ProcessingResponse(
    response_headers=pb.HeadersResponse(), mode_override=pb.ProcessingMode(response_body_mode=pb.NONE)
).SerializeToString()
_NOT_SAID: Final = pb.ProtocolConfiguration()
_PIECE_BY_PIECE: Final = pb.ProcessingMode(response_body_mode=pb.STREAMED)
_UNASKED: Final = (
    "a request went past the gateway's ext_proc: set `request_header_mode: SEND` and `request_trailer_mode: SEND`"
)
_UNKNOWN_ORIGIN: Final = (
    "a response came to a request that was not seen; set `request_header_mode: SEND`, and for answers of the gateway's own "
    "`response_attributes: [response.code_details]`"
)
_OBSERVED: Final = "`observability_mode` is on: the gateway does not wait for decisions and obeys none; turn it off"


class _At(StrEnum):
    """What was last."""

    BEGIN = "at the beginning"
    ASKED = "before the request's body"
    ALLOWED = "after the request"
    RESPONDING = "in the response"
    REFUSED = "after a refusal"


class ExtProcSession:
    """`Process`: one HTTP request and its response."""

    def __init__(self, gate: Gate, sources: Sources, metadata: Metadata, *, early_close: bool = True) -> None:
        self._gate = gate
        self._sources = sources
        self._metadata = metadata
        self._trace = traceparent_in(metadata)
        self._early_close = early_close
        self._at = _At.BEGIN
        self._config = _NOT_SAID
        self._facts: Facts | None = None
        self._http = Http()
        self._kept = bytearray()
        self._answer: Answer | None = None
        self._body: Body = Untouched()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the last answer that is needed has been given. Never before: that would be a permission."""
        return self._is_over

    @property
    def held(self) -> int:
        """What is kept of the request or the response."""
        return len(self._kept) + self._body.held

    def feed(self, message: bytes) -> Sequence[bytes]:
        """The answers to a message. Raises ApiError if it cannot be understood, or does not come at this point."""
        request = parsed(pb.ProcessingRequest, message)
        kind = request.WhichOneof("request")
        step = self._STEPS.get((self._at, kind or ""))
        if step is None:
            raise ApiError(f"`{kind or 'a message that is not known'}` does not come {self._at}")
        if request.observability_mode:
            warn(_OBSERVED)
        return step(self, request)

    def close(self) -> Sequence[bytes]:
        """Nothing is due at the end. Raises ApiError if the request was not decided by then."""
        if self._at in (_At.BEGIN, _At.ASKED):
            raise ApiError("the call ended before the request could be decided")
        return ()

    # ---- the request ---------------------------------------------------------------------------------------------

    def _request_headers(self, request: pb.ProcessingRequest) -> Answers:
        self._config = request.protocol_config
        headers = headers_from(request.request_headers.headers)
        attributes = attributes_from(request)
        self._facts = facts_from(self._sources, told_from(self._metadata, request, attributes, headers))
        try:
            self._http = http_from(headers, attributes)
        except MessageError as error:
            return self._misset(error.message)
        if fault := fault_of(request):
            return self._misset(fault)
        if request.request_headers.end_of_stream:
            return self._decided(b"", [_HEADERS_TAKEN])
        self._at = _At.ASKED
        # Envoy sends the headers on when it has the answer to them, so in this mode it has to wait for the body.
        return () if self._is_duplex_request else (_BODY_AWAITED.get(self._config.response_body_mode, _HEADERS_TAKEN),)

    @property
    def _is_duplex_request(self) -> bool:
        return self._config.request_body_mode == pb.FULL_DUPLEX_STREAMED

    def _request_body(self, request: pb.ProcessingRequest) -> Answers:
        piece = request.request_body
        if not self._is_duplex_request:
            return self._decided(piece.body, [_BODY_TAKEN])
        if len(self._kept) + len(piece.body) > DEFAULT_LIMITS.size:
            return self._decided(MessageError("size", f"it is larger than {DEFAULT_LIMITS.size:,} bytes"), [])
        self._kept += piece.body
        return self._decided_duplex(is_last=True) if piece.end_of_stream else ()

    def _request_trailers(self, _: pb.ProcessingRequest) -> Answers:
        """Before a decision: there was no body, or it is whole only now."""
        if not self._is_duplex_request:
            return self._decided(b"", [_TRAILERS_TAKEN])
        return (*self._decided_duplex(is_last=False), *([_TRAILERS_TAKEN] if self._at is _At.ALLOWED else []))

    def _decided_duplex(self, *, is_last: bool) -> Answers:
        body = bytes(self._kept)
        self._kept.clear()
        return self._decided(body, [_HEADERS_TAKEN, *map(_request_piece, pieces_of(body, is_last=is_last))])

    def _more_trailers(self, _: pb.ProcessingRequest) -> Answers:
        return (_TRAILERS_TAKEN,)

    def _decided(self, message: bytes | MessageError, permission: Sequence[bytes]) -> Answers:
        """The answers if it is allowed, the first of them with the decision; else the denial."""
        answer = self._gate.check(self._question(message))
        if answer.denial is not None or not (answer.decision.allowed and permission):
            return self._refused(answer)
        self._at, self._answer = _At.ALLOWED, answer
        return (permission[0] + metadata_for(answer), *permission[1:])

    def _question(self, message: bytes | MessageError) -> Question:
        facts = self._facts
        assert facts is not None
        session = self._http.headers.get(SESSION, ("",))
        return Question(
            facts.server,
            message,
            facts.claims,
            facts.token,
            http=self._http,
            attributes=facts.attributes,
            session_id=session[0],
            filters_responses=True,
            trace=self._trace,
        )

    def _refused(self, answer: Answer) -> Answers:
        if answer.denial is None:
            raise ApiError("the message could not be decided")
        self._end(_At.REFUSED)
        return (denied(answer, answer.denial),)

    def _misset(self, fault: str) -> Answers:
        """What would otherwise be allowed, too, is denied: whoever sets the gateway up sees it at once, and what is to be done."""
        warn(fault)
        return self._decided(MessageError("gateway", fault), [])

    # ---- the response --------------------------------------------------------------------------------------------

    def _response_headers(self, request: pb.ProcessingRequest) -> Answers:
        head = response_from(request)
        answer = self._answer
        assert answer is not None
        self._at = _At.RESPONDING
        if answer.decision.response_needs is ResponseNeeds.NONE and _may_hold_message(head):
            self._end(_At.REFUSED)
            return (taken_without_an_answer(),)
        if head.is_empty or not _is_filtered(answer.decision.response_needs, head):
            return self._let_go(head)
        if head.encoding and is_only_watched(answer.context, head.content_type):
            return self._let_go(head)
        if head.encoding:
            why = f"it is encoded ({head.encoding[:60]}); remove `accept-encoding` from requests"
            reply = self._gate.withhold(answer.context, head.content_type, why, head.status, trace=self._trace)
            self._end(_At.REFUSED)
            return (withheld(reply),)
        return self._filtered(answer, head)

    def _filtered(self, answer: Answer, head: ResponseHead) -> Answers:
        mode = self._config.response_body_mode
        override: pb.ProcessingMode | None = None
        passes = is_only_watched(answer.context, head.content_type)
        if mode == pb.BUFFERED and _media(head) != EVENT_STREAM and not passes:
            self._body = Buffered(self._gate, answer.context, head, self._trace)
            return (_RESPONSE_TAKEN,)
        filtering = self._gate.filter_stream(answer.context, head.content_type, head.status, trace=self._trace)
        if filtering.head.filtered.refused:
            self._end(_At.REFUSED)
            return (withheld(filtering.head),)
        if mode == pb.BUFFERED:
            # An event stream may have no end, and what passes is kept by nobody. Where the gateway does not obey, it brings the whole as one piece, which is as good.
            override = _PIECE_BY_PIECE
        self._body = Duplex(filtering) if mode == pb.FULL_DUPLEX_STREAMED else Streamed(filtering)
        mutation = None if passes else mutation_for(filtering.head.filtered.content_type, head)
        headers = pb.HeadersResponse(response=pb.CommonResponse(header_mutation=mutation))
        return (pb.ProcessingResponse(response_headers=headers, mode_override=override).SerializeToString(),)

    def _let_go(self, head: ResponseHead) -> Answers:
        """Nothing of this response is to be changed: the gateway may do without us."""
        if self._config.response_body_mode == pb.FULL_DUPLEX_STREAMED and not head.is_empty:
            # No other mode can be asked for, and what is not sent back is lost.
            self._body = UntouchedDuplex()
            return (_RESPONSE_TAKEN,)
        self._body = Untouched()
        self._end(_At.RESPONDING)
        return (_LET_GO,)

    def _response_body(self, request: pb.ProcessingRequest) -> Answers:
        piece = request.response_body
        answers = self._body.feed(piece.body, is_last=piece.end_of_stream)
        if piece.end_of_stream:
            self._end(_At.RESPONDING)
        return answers

    def _response_trailers(self, _: pb.ProcessingRequest) -> Answers:
        answers = self._body.end()
        self._end(_At.RESPONDING)
        return answers

    def _headless_body(self, request: pb.ProcessingRequest) -> Answers:
        """Without its headers nobody knows what it is, and somebody may read it even where nobody was to answer."""
        answer = self._answer
        is_awaited = answer is None or answer.decision.response_needs is not ResponseNeeds.NONE
        if is_awaited or request.response_body.body:
            raise ApiError("the response came without its headers: set `response_header_mode: SEND`")
        return (AS_IT_IS,)

    # ---- what was never asked ------------------------------------------------------------------------------------

    def _uninvited(self, request: pb.ProcessingRequest) -> Answers:
        """A response before a decision: the gateway's own, or a server's to a request that went past."""
        if self._at is _At.BEGIN:
            self._config = request.protocol_config
        head = response_from(request)
        fault = _UNASKED if head.details == UPSTREAM else _UNKNOWN_ORIGIN
        if head.details != UPSTREAM and (head.details or _holds_no_message(head)):
            self._at = _At.RESPONDING
            return self._let_go(head)
        return self._unseen(request, fault)

    def _unseen(self, request: pb.ProcessingRequest, fault: str = _UNASKED) -> Answers:
        if self._facts is None:
            self._facts = facts_from(self._sources, told_from(self._metadata, request, {}, {}))
        return self._misset(fault)

    def _end(self, at: _At) -> None:
        self._at = at
        # The body may be under way already, if the gateway does not wait for the answer to its headers.
        self._is_over = self._early_close and not self._config.send_body_without_waiting_for_header_response

    _STEPS: ClassVar[Mapping[tuple[_At, str], "_Step"]] = {
        (_At.BEGIN, "request_headers"): _request_headers,
        (_At.BEGIN, "response_headers"): _uninvited,
        (_At.BEGIN, "request_body"): _unseen,
        (_At.BEGIN, "request_trailers"): _unseen,
        (_At.ASKED, "request_body"): _request_body,
        (_At.ASKED, "request_trailers"): _request_trailers,
        (_At.ASKED, "response_headers"): _uninvited,
        (_At.ALLOWED, "request_trailers"): _more_trailers,
        (_At.ALLOWED, "response_headers"): _response_headers,
        (_At.ALLOWED, "response_body"): _headless_body,
        (_At.RESPONDING, "response_body"): _response_body,
        (_At.RESPONDING, "response_trailers"): _response_trailers,
    }
    """What may come when. Anything that is not here ends the call with an error."""


def _request_piece(piece: pb.StreamedBody) -> bytes:
    common = pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=piece))
    return pb.ProcessingResponse(request_body=pb.BodyResponse(response=common)).SerializeToString()


def _is_filtered(needs: ResponseNeeds, head: ResponseHead) -> bool:
    """What must be looked into. Of what needs it as a stream alone, JSON passes as it is."""
    if needs is ResponseNeeds.STREAM:
        return not is_plain_json(head.content_type)
    return needs is not ResponseNeeds.NONE


def _may_hold_message(head: ResponseHead) -> bool:
    """Whether some client reads messages from it, though its own was one that nobody answers."""
    text = head.content_type.lower()
    return not head.is_empty and head.status < 400 and (JSON in text or EVENT_STREAM in text)


def _holds_no_message(head: ResponseHead) -> bool:
    """Whether clients cannot take it for a message."""
    text = head.content_type.lower()
    return head.is_empty or (head.status >= 400 and text != "" and JSON not in text and EVENT_STREAM not in text)


def _media(head: ResponseHead) -> str:
    return head.content_type.partition(";")[0].strip().lower()


_Step = Callable[[ExtProcSession, pb.ProcessingRequest], Answers]


class _Asking(ExtProcSession):
    """A session that reads its question, and does not ask it."""

    asked: Question | None = None

    def _decided(self, message: bytes | MessageError, permission: Sequence[bytes]) -> Answers:  # noqa: ARG002
        self.asked = self._question(message)
        self._end(_At.REFUSED)
        return ()

    def read(self, messages: Sequence[bytes]) -> tuple[Question, Facts]:
        for message in messages:
            if self.asked is None:
                self.feed(message)
        if self.asked is None or self._facts is None:
            raise ApiError("the messages ask nothing; send the request's headers, and its body if it has one")
        return self.asked, self._facts


def question_from(
    gate: Gate, sources: Sources, metadata: Metadata, messages: Sequence[bytes]
) -> tuple[Question, Facts]:
    """What the first messages of a call ask, and where what is believed of it is from. Raises ApiError."""
    return _Asking(gate, sources, metadata).read(messages)
