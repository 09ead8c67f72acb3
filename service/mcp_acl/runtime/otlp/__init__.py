"""What is watched, sent to a collector of OpenTelemetry by OTLP over HTTP. Loaded where a setting names one, and nowhere else."""

from mcp_acl.runtime.otlp.metrics import MetricsSender
from mcp_acl.runtime.otlp.records import RecordSink
from mcp_acl.runtime.otlp.source import Source
from mcp_acl.runtime.otlp.spans import Spans

__all__ = ["MetricsSender", "RecordSink", "Source", "Spans"]
