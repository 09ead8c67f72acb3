"""Records of the decision log as OpenTelemetry's log records: a sink, which takes all of them or none."""

from collections.abc import Mapping
from datetime import datetime
from time import time_ns
from typing import Any, Final

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult

from mcp_acl.runtime.otlp.source import SCOPE, Source
from mcp_acl.runtime.otlp.spans import context_of
from mcp_acl.runtime.trace import Trace

_NANOS: Final = 1_000_000_000
_DEEPEST: Final = 16
"""Objects and arrays within one another that are sent as such, what is deeper as JSON: protobuf has 100 messages within one another, and an object
is three. A record that cannot be sent would keep all others waiting for ever."""


class RecordSink:
    """Sends lines to a collector."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._exporter = OTLPLogExporter(endpoint=source.url("logs"))

    def append(self, lines: bytes) -> None:
        """Send lines. Raises OSError if the collector has not taken them."""
        records = [self._record(msgspec.json.decode(line)) for line in lines.splitlines()]
        if self._exporter.export(records) is not LogRecordExportResult.SUCCESS:
            raise OSError("the collector does not take records")

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _record(self, record: Mapping[str, Any]) -> ReadableLogRecord:
        is_denial = record.get("effect") == "deny" or record.get("outcome") == "withheld"
        severity = SeverityNumber.WARN if is_denial else SeverityNumber.INFO
        made = LogRecord(
            timestamp=int(datetime.fromisoformat(record["time"]).timestamp() * _NANOS),
            observed_timestamp=time_ns(),
            context=_context(record),
            severity_number=severity,
            severity_text=severity.name,
            body=_sent(record, _DEEPEST),
            event_name=f"mcp_acl.{record['kind']}",
        )
        return ReadableLogRecord(made, self._source.resource, SCOPE)


def _sent(value: Any, depth: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if not depth:
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return {name: _sent(one, depth - 1) for name, one in value.items()}
    return [_sent(one, depth - 1) for one in value]


def _context(record: Mapping[str, Any]) -> Context | None:
    if "trace_id" not in record:
        return None
    return context_of(Trace(record["trace_id"], record["span_id"], record["sampled"]))
