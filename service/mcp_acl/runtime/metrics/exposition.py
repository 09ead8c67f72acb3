"""Metrics as Prometheus reads them: its text and OpenMetrics, made when it asks, over HTTP. Counts nothing.

Whoever else reaches the port takes no more of the process than a few threads, and those not for long.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.metrics.counts import Distribution
from mcp_acl.runtime.metrics.observer import Metrics
from mcp_acl.runtime.metrics.table import INSTRUMENTS, Instrument, Kind

_INFINITE: Final = "+Inf"
_AT_ONCE: Final = 16
"""Connections; of more each is closed."""
_SECONDS: Final = 10.0
"""For which one may bring nothing, or take nothing."""


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
            self._server = _server_at(address.host, address.port)
        except OSError as error:
            raise _refused(listen, error) from None
        self._server.set_app(make_wsgi_app(_registry(metrics)))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    def handle(self) -> None:
        """Of one that brings or takes nothing there is nothing to say."""
        with suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve it in a thread of its own, if there is a place."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


def _server_at(host: str, port: int) -> _Server:
    family, *_, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return _Server((str(found[0]), int(found[1])), family)


def check_free(listen: str) -> None:
    """Raise MetricsError if another process could not serve there at the moment."""
    address = parse_address(listen, insecure=True)
    try:
        _server_at(address.host, address.port).server_close()
    except OSError as error:
        raise _refused(listen, error) from None


def _refused(listen: str, error: OSError) -> MetricsError:
    return MetricsError(f"cannot listen on `{listen}`: {error.strerror or error}")


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
