"""Our counters as OpenTelemetry's data, sent every so often by a thread. Counts nothing."""

import logging
import threading
from collections.abc import Iterator, Mapping
from time import time_ns
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from mcp_acl.runtime.metrics.counts import Counted, Distribution, Labels
from mcp_acl.runtime.metrics.observer import Metrics
from mcp_acl.runtime.metrics.table import INSTRUMENTS, Instrument, Kind
from mcp_acl.runtime.otlp.source import SCOPE, Source

_LOG: Final = logging.getLogger("mcp_acl")
_END_SECONDS: Final = 5.0
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_NANOS: Final = 1_000_000_000


class MetricsSender:
    """Sends what was counted every `interval` seconds, and at the end. What cannot be sent is sent with the next: counts are cumulative."""

    def __init__(self, source: Source, metrics: Metrics, interval: float) -> None:
        self._source = source
        self._metrics = metrics
        self._interval = interval
        self._since = time_ns()
        self._exporter = OTLPMetricExporter(endpoint=source.url("metrics"))
        self._is_failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what was counted until now, unless that takes too long."""
        self._stop.set()
        self._thread.join(_END_SECONDS)
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._send()
        self._send()

    def _send(self) -> None:
        try:
            is_sent = self._exporter.export(self._data()) is MetricExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - counting goes on, whatever a collector does
            is_sent = False
        if is_sent is self._is_failing:
            (_LOG.info if is_sent else _LOG.warning)(
                "metrics are %s the collector", "sent to" if is_sent else "not taken by"
            )
        self._is_failing = not is_sent

    def _data(self) -> MetricsData:
        metrics = [*_metrics(self._metrics.counted(), self._since, time_ns())]
        return MetricsData([ResourceMetrics(self._source.resource, [ScopeMetrics(SCOPE, metrics, "")], "")])


def _metrics(counted: Counted, since: int, now: int) -> Iterator[Metric]:
    for one in INSTRUMENTS:
        if one.kind is Kind.HISTOGRAM:
            found = counted.histograms.get(one.name, {})
            points = [_distribution(one, labels, value, since, now) for labels, value in found.items()]
            data: Histogram | Gauge | Sum = Histogram(points, _CUMULATIVE)
        else:
            numbers = [
                NumberDataPoint(_attributes(one, labels), since, now, value)
                for labels, value in counted.counters.get(one.name, {}).items()
            ]
            data = Gauge(numbers) if one.kind is Kind.GAUGE else Sum(numbers, _CUMULATIVE, is_monotonic=True)
        if data.data_points:
            yield Metric(one.name, one.meaning, one.unit, data)


def _distribution(one: Instrument, labels: Labels, value: Distribution, since: int, now: int) -> HistogramDataPoint:
    exemplars = [
        Exemplar({}, found.value, int(found.time * _NANOS), int(found.span_id, 16), int(found.trace_id, 16))
        for found in value.exemplars.values()
    ]
    return HistogramDataPoint(
        _attributes(one, labels),
        since,
        now,
        sum(value.counts),
        value.sum,
        value.counts,
        one.bounds,
        None,  # type: ignore[arg-type] # neither the least nor the greatest is known, and both are optional
        None,  # type: ignore[arg-type]
        exemplars,
    )


def _attributes(one: Instrument, labels: Labels) -> Mapping[str, str]:
    return dict(zip(one.labels, labels, strict=True))
