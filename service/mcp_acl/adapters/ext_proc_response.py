"""The body of one response in Envoy's external processing: one class for each way in which bodies come and go. No I/O.

Knows nothing of requests. Each answers every message that its mode wants an answer to, and raises `ApiError` where nothing it could say would
be obeyed: the gateway then breaks the response off.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from mcp_acl.adapters.ext_proc import ResponseHead, mutation_for, pieces_of
from mcp_acl.adapters.status import ApiError
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.runtime.gate import Filtering, Gate

Answers = Sequence[bytes]
"""As they are sent; those that are always the same are made once."""

AS_IT_IS: Final = pb.ProcessingResponse(response_body=pb.BodyResponse()).SerializeToString()
TRAILERS: Final = pb.ProcessingResponse(response_trailers=pb.TrailersResponse()).SerializeToString()


class Body(Protocol):
    """What becomes of a body."""

    @property
    def held(self) -> int:
        """Bytes of it that are kept."""

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:
        """The answers to a piece; with `is_last` nothing comes after it."""

    def end(self) -> Answers:
        """The answers to trailers, which come after the last piece."""


class Untouched:
    """Sent on as it comes."""

    held = 0

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:  # noqa: ARG002
        """The same."""
        return (AS_IT_IS,)

    def end(self) -> Answers:
        """Nothing is changed."""
        return (TRAILERS,)


class UntouchedDuplex:
    """Sent on as it comes, where nothing is that is not sent."""

    held = 0

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:
        """The same, said again."""
        return _sent(piece, is_last=is_last)

    def end(self) -> Answers:
        """Nothing is changed."""
        return (TRAILERS,)


class Streamed:
    """STREAMED: each piece is answered by what takes its place, perhaps nothing. What is kept is sent in the place of a later one."""

    def __init__(self, filtering: Filtering) -> None:
        self._filtering = filtering

    @property
    def held(self) -> int:
        """What the filter keeps."""
        return self._filtering.held

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:
        """What may be sent by now."""
        out = self._filtering.feed(piece).filtered.body
        if is_last:
            out += self._filtering.close().filtered.body
        return (AS_IT_IS if out == piece else _replaced(out),)

    def end(self) -> Answers:
        """Trailers come when the body has gone: what was kept until now has no place any more."""
        if self._filtering.close().filtered.body:
            raise ApiError(
                "the response has trailers, so what was kept of it cannot be sent; set `response_body_mode: BUFFERED`"
            )
        return (TRAILERS,)


class Duplex:
    """FULL_DUPLEX_STREAMED: what is sent is not tied to what comes."""

    def __init__(self, filtering: Filtering) -> None:
        self._filtering = filtering

    @property
    def held(self) -> int:
        """What the filter keeps."""
        return self._filtering.held

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:
        """What may be sent by now, if anything."""
        out = self._filtering.feed(piece).filtered.body
        if is_last:
            out += self._filtering.close().filtered.body
        return _sent(out, is_last=is_last)

    def end(self) -> Answers:
        """The rest, and then the trailers."""
        return (*_sent(self._filtering.close().filtered.body, is_last=False), TRAILERS)


class Buffered:
    """BUFFERED: the whole body is one piece, whether trailers come after it or not; headers can still be changed."""

    held = 0

    def __init__(self, gate: Gate, context: bytes, head: ResponseHead, trace: str) -> None:
        self._gate = gate
        self._context = context
        self._trace = trace
        self._head = head
        self._is_done = False

    def feed(self, piece: bytes, *, is_last: bool) -> Answers:  # noqa: ARG002
        """The whole, filtered."""
        if self._is_done:
            raise ApiError("a body that is BUFFERED came in pieces")
        self._is_done = True
        head = self._head
        reply = self._gate.filter(self._context, head.content_type, piece, head.status, trace=self._trace)
        if not reply.changed:
            return (AS_IT_IS,)
        lines = [("content-length", str(len(reply.filtered.body)))]
        if reply.status != head.status:
            lines.append((":status", str(reply.status)))
        mutation = mutation_for(reply.filtered.content_type, head, *lines)
        return (_replaced(reply.filtered.body, mutation),)

    def end(self) -> Answers:
        """Nothing is changed."""
        return (TRAILERS,)


def _replaced(body: bytes, mutation: pb.HeaderMutation | None = None) -> bytes:
    change = pb.BodyMutation(body=body) if body else pb.BodyMutation(clear_body=True)
    common = pb.CommonResponse(header_mutation=mutation, body_mutation=change)
    return pb.ProcessingResponse(response_body=pb.BodyResponse(response=common)).SerializeToString()


def _sent(body: bytes, *, is_last: bool) -> Answers:
    return [
        pb.ProcessingResponse(
            response_body=pb.BodyResponse(
                response=pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=piece))
            )
        ).SerializeToString()
        for piece in pieces_of(body, is_last=is_last)
    ]
