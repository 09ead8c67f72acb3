"""Metrics of one process: counted by our own counters, which cost a decision next to nothing, and read when somebody asks."""

from mcp_acl.runtime.metrics.exposition import MetricsError, Serving, check_free, text_of
from mcp_acl.runtime.metrics.observer import Metrics

__all__ = ["Metrics", "MetricsError", "Serving", "check_free", "text_of"]
