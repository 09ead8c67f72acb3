"""The streams of the native interface as sessions: protobuf messages to the gate, and back. Translations alone."""

from collections.abc import Sequence

from mcp_acl.adapters.grpc_api import check, errors_for, parsed, shadow_list_for
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.status import ApiError
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.runtime.gate import Filtering, Gate, Reply
from mcp_acl.runtime.trace import traceparent_in


class CheckSession:
    """`CheckStream`: each request has one answer, in its place."""

    is_over = False
    held = 0

    def __init__(self, gate: Gate, metadata: Metadata) -> None:
        self._gate = gate
        self._trace = traceparent_in(metadata)

    def feed(self, message: bytes) -> Sequence[bytes]:
        """The decision. Raises ApiError if the request does not say what it must."""
        return (check(self._gate, message, self._trace),)

    def close(self) -> Sequence[bytes]:
        """Nothing is due at the end."""
        return ()


class FilterSession:
    """`FilterStream`: a start, then pieces; each has one answer, and so has the end."""

    is_over = False

    def __init__(self, gate: Gate, metadata: Metadata) -> None:
        self._gate = gate
        self._trace = traceparent_in(metadata)
        self._filtering: Filtering | None = None
        self._report_hidden = False

    @property
    def held(self) -> int:
        """What is kept of the body."""
        return self._filtering.held if self._filtering is not None else 0

    def feed(self, message: bytes) -> Sequence[bytes]:
        """What may be sent on. Raises ApiError if a piece comes before the start, or a second start."""
        request = parsed(pb.FilterStreamRequest, message)
        match request.WhichOneof("part"), self._filtering:
            case "start", None:
                return (self._begin(request.start),)
            case "piece", Filtering() as filtering:
                return (self._answer(filtering.feed(request.piece)),)
        raise ApiError("the first message must be a `start`, and every other one a `piece`")

    def close(self) -> Sequence[bytes]:
        """What may be sent on at the end of the body. Raises ApiError if it never began."""
        if self._filtering is None:
            raise ApiError("the stream ended before its `start`")
        return (self._answer(self._filtering.close()),)

    def _begin(self, start: pb.FilterStreamStart) -> bytes:
        filtering = self._gate.filter_stream(start.context, start.content_type, start.status or 200, trace=self._trace)
        self._filtering = filtering
        self._report_hidden = start.report_hidden
        head = pb.FilterStreamHead(content_type=filtering.head.filtered.content_type, status=filtering.head.status)
        return self._answer(filtering.head, head)

    def _answer(self, reply: Reply, head: pb.FilterStreamHead | None = None) -> bytes:
        filtered = reply.filtered
        return pb.FilterStreamResponse(
            head=head,
            body=filtered.body,
            shown=filtered.shown,
            hidden_count=len(filtered.hidden),
            hidden=filtered.hidden if self._report_hidden else (),
            dropped=filtered.dropped,
            errors=errors_for(filtered.errors),
            revision=reply.revision,
            refused=filtered.refused,
            shadow=shadow_list_for(reply.shadow, report_hidden=self._report_hidden),
        ).SerializeToString()
