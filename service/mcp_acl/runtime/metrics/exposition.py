"""Metrics as Prometheus reads them: its text and OpenMetrics, made when it asks, over HTTP. Counts nothing."""

import threading
from collections.abc import Iterator
from itertools import accumulate
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.metrics.counts import Distribution
from mcp_acl.runtime.metrics.observer import Metrics
from mcp_acl.runtime.metrics.table import INSTRUMENTS, Instrument, Kind

_INFINITE: Final = "+Inf"


class MetricsError(Exception):
    """The address cannot be listened on. The text says why."""


def text_of(metrics: Metrics) -> str:
    """What Prometheus is told, in its text format."""
    return generate_latest(_registry(metrics)).decode()


class Serving:
    """An HTTP server that tells metrics, in a thread of its own, until it is closed. Raises MetricsError."""

    def __init__(self, metrics: Metrics, listen: str) -> None:
        address = parse_address(listen, insecure=True)
        try:
            self._server: WSGIServer
            self._thread: threading.Thread
            self._server, self._thread = start_http_server(address.port, address.host, _registry(metrics))
        except OSError as error:
            raise MetricsError(f"cannot listen on `{listen}`: {error.strerror or error}") from None
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _registry(metrics: Metrics) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return registry


class _Collector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Every metric that has a value, in the order of the table."""
        counted = self._metrics.counted()
        for one in INSTRUMENTS:
            metric = Metric(one.prometheus, one.meaning, one.kind, "seconds" if one.unit == "s" else "")
            for labels, value in counted.counters.get(one.name, {}).items():
                ending = "_total" if one.kind is Kind.COUNTER else ""
                metric.add_sample(one.prometheus + ending, dict(zip(one.labels, labels, strict=True)), value)
            for labels, distribution in counted.histograms.get(one.name, {}).items():
                _add_histogram(metric, one, dict(zip(one.labels, labels, strict=True)), distribution)
            yield metric

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand."""
        return iter(())


def _add_histogram(metric: Metric, one: Instrument, labels: dict[str, str], distribution: Distribution) -> None:
    bounds = [*map(str, one.bounds), _INFINITE]
    for bucket, (bound, number) in enumerate(zip(bounds, accumulate(distribution.counts), strict=True)):
        found = distribution.exemplars.get(bucket)
        exemplar = (
            None
            if found is None
            else Exemplar({"trace_id": found.trace_id, "span_id": found.span_id}, found.value, found.time)
        )
        metric.add_sample(f"{one.prometheus}_bucket", {**labels, "le": bound}, number, exemplar=exemplar)
    metric.add_sample(f"{one.prometheus}_count", labels, sum(distribution.counts))
    metric.add_sample(f"{one.prometheus}_sum", labels, distribution.sum)
