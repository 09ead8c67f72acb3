"""Decisions as spans under the trace that a message belongs to: an observer. A span is made only where its trace is sampled, within a bound.

Names and attributes are those of OpenTelemetry's conventions for MCP, as far as they have them; what is ours begins with `mcp_acl.`.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.util.types import AttributeValue

from mcp_acl.mcp.methods import METHODS
from mcp_acl.runtime.bound import Bound
from mcp_acl.runtime.observed import NANOS, Decided, Observer, each
from mcp_acl.runtime.otlp.source import SCOPE, Source
from mcp_acl.runtime.trace import Trace

_LONGEST: Final = 256
"""Characters of an attribute that a client has written."""
_TARGETS: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
_URI: Final = "mcp.resource.uri"
_OTHER: Final = "mcp_acl.target"


class Spans(Observer):
    """Sends spans, as many as `bound` takes. Where nobody has said whether a message is to be traced, the share `share` is."""

    def __init__(self, source: Source, share: float, bound: Bound) -> None:
        self._share = share
        self._bound = bound
        self._chance = random.random
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=source.resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=source.url("traces"))))
        self._tracer = self._provider.get_tracer(SCOPE.name)

    def decided(self, every: Sequence[Decided]) -> None:
        """As an observer."""
        each(every, self._told)

    def _told(self, decided: Decided) -> None:
        trace = decided.trace
        if not (self._is_sampled(trace) and self._bound.takes_one()):
            return
        span = self._tracer.start_span(
            _name(decided),
            context=None if trace is None else context_of(trace),
            kind=SpanKind.SERVER,
            attributes=dict(_attributes(decided)),
            start_time=decided.time - int(decided.seconds * NANOS),
        )
        span.end(decided.time)

    def _is_sampled(self, trace: Trace | None) -> bool:
        if trace is not None and trace.is_sampled is not None:
            return trace.is_sampled
        return self._share > 0 and self._chance() < self._share

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def context_of(trace: Trace) -> Context:
    """The context of what belongs under a span of somebody else's."""
    flags = TraceFlags(TraceFlags.SAMPLED if trace.is_sampled else TraceFlags.DEFAULT)
    parent = SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _name(decided: Decided) -> str:
    """The method and what it acts on, if that is one of few (semantic conventions for MCP): a tool that is granted."""
    likeness = decided.likeness
    if likeness.method not in METHODS:
        return "mcp_acl.decision"
    if likeness.method in _TARGETS and likeness.decision.allowed:
        return f"{likeness.method} {likeness.target}"[:_LONGEST]
    return likeness.method


def _attributes(decided: Decided) -> Iterator[tuple[str, AttributeValue]]:
    _, likeness, question, message, answer, *_ = decided
    decision = answer.decision
    yield "mcp_acl.server", question.server[:_LONGEST]
    yield "mcp_acl.effect", decision.effect.value
    yield "mcp_acl.reason", decision.reason.value
    yield "mcp_acl.revision", decision.revision
    yield "mcp_acl.decision.id", answer.decision_id
    if decision.rules:
        yield "mcp_acl.rules", [str(rule) for rule in decision.rules]
    if question.session_id:
        yield "mcp.session.id", question.session_id[:_LONGEST]
    if message is None:
        return
    yield "mcp.method.name", message.method[:_LONGEST]
    if message.id is not None:
        yield "jsonrpc.request.id", str(message.id)[:_LONGEST]
    if target := likeness.target:
        other = _URI if METHODS[message.method].target_is_uri else _OTHER
        yield _TARGETS.get(message.method, other), target[:_LONGEST]
