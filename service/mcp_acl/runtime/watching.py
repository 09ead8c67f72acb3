"""Who watches the decisions of one process, by its settings: the decision log, metrics. Put together here, and nothing more."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from mcp_acl.runtime.bound import Bound
from mcp_acl.runtime.decision_log import DecisionLog, Kept, LogError, LogFile, Masking, Output, Sink
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.metrics import Metrics, Serving, check_free
from mcp_acl.runtime.observed import Observer
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.settings_watched import COLLECTOR, STANDARD_OUTPUT

_LOG: Final = logging.getLogger("mcp_acl")


@contextmanager
def watching(settings: Settings, load: Load) -> Iterator[Sequence[Observer]]:
    """Whoever watches, until the end; `load` is what the host counts. Raises LogError, MetricsError."""
    with ExitStack() as ending:
        observers: list[Observer] = []
        log: DecisionLog | None = None
        if settings.decision_log is not None:
            log = ending.enter_context(closing(_log(settings, settings.decision_log)))
            observers.append(log)
        if settings.metrics_listen or settings.otlp_endpoint:
            bound = Bound(settings.trace_most)
            metrics = Metrics(dict if log is None else log.dropped.copy, load, lambda: bound.refused)
            observers.append(metrics)
            if settings.metrics_listen:
                serving = ending.enter_context(closing(Serving(metrics, settings.metrics_listen)))
                _LOG.info("metrics on port %d", serving.port)
            if settings.otlp_endpoint:
                observers.append(_sent(settings, metrics, bound, ending))
        yield observers


def _sent(settings: Settings, metrics: Metrics, bound: Bound, ending: ExitStack) -> Observer:
    from mcp_acl.runtime import otlp  # noqa: PLC0415 - half a second, for who does not want it

    source = otlp.Source(settings.otlp_endpoint)
    ending.enter_context(closing(otlp.MetricsSender(source, metrics, settings.otlp_interval)))
    return ending.enter_context(closing(otlp.Spans(source, settings.trace_share, bound)))


@contextmanager
def watched_elsewhere(settings: Settings) -> Iterator[Sequence[Observer]]:
    """Nobody here, for another process decides: whether it can be watched, and at the end, and of one before it, what it has left to be written.

    Raises LogError, MetricsError.
    """
    if settings.metrics_listen:
        check_free(settings.metrics_listen)
    write_what_is_left(settings)
    try:
        yield ()
    finally:
        write_what_is_left(settings)


def write_what_is_left(settings: Settings) -> None:
    """Write what processes that ended without writing it have left. Raises LogError."""
    if settings.decision_log is not None:
        _log(settings, settings.decision_log).close()


def _log(settings: Settings, place: Path) -> DecisionLog:
    masking = Masking(
        settings.log_claims, settings.log_arguments, frozenset(settings.log_masked), names=settings.log_names
    )
    sink, name = _sink(settings, place)
    return DecisionLog(sink, name, masking, Kept(settings.log_allowed))


def _sink(settings: Settings, place: Path) -> tuple[Sink, str]:
    """Where records go, and a name by which whoever has the same log knows it."""
    if place == STANDARD_OUTPUT:
        return Output(1), f"- {settings.policies.absolute()}"
    if place == COLLECTOR:
        from mcp_acl.runtime import otlp  # noqa: PLC0415 - as above

        return otlp.RecordSink(otlp.Source(settings.otlp_endpoint)), f"{settings.otlp_endpoint} {settings.policies}"
    file = LogFile(place.absolute(), settings.log_size, settings.log_files)
    try:
        file.append(b"")  # better now than when the first record waits
    except OSError as error:
        why = f"`{place}` cannot be written ({error.strerror}); name a file in a directory that exists"
        raise LogError(why) from None
    return file, str(place.absolute())
