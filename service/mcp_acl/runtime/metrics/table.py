"""The table of metrics: what is counted, by what, in which unit. Documentation and every way to read them are made from it.

Names follow OpenTelemetry; Prometheus' are made of them by its rules (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility").
No label takes a value that a client can make up: what is not in a table, in a policy or granted is `other`.
"""

from enum import StrEnum
from typing import Final, NamedTuple

OTHER: Final = "other"


class Kind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


class Instrument(NamedTuple):
    """One metric. `unit` is UCUM, as OpenTelemetry writes it; `bounds` are the upper bounds of a histogram's buckets."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    bounds: tuple[float, ...] = ()

    @property
    def prometheus(self) -> str:
        """The name that Prometheus shows, without the endings of its samples."""
        name = self.name.replace(".", "_")
        return f"{name}_seconds" if self.unit == "s" else name


_SECONDS: Final = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 100e-3, 1.0)
_ENTRIES: Final = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0)

DECISIONS: Final = Instrument(
    "mcp_acl.decisions",
    Kind.COUNTER,
    "{decision}",
    ("effect", "reason", "server", "method"),
    "Messages that were decided.",
)
DECISION_DURATION: Final = Instrument(
    "mcp_acl.decision.duration",
    Kind.HISTOGRAM,
    "s",
    ("effect",),
    "How long a decision took, from the message's bytes to the answer, without the wire.",
    _SECONDS,
)
RESPONSES: Final = Instrument(
    "mcp_acl.responses",
    Kind.COUNTER,
    "{response}",
    ("outcome", "server", "method"),
    "Responses that held entries of a list or were changed: `filtered`, or `withheld` as a whole.",
)
RESPONSE_DURATION: Final = Instrument(
    "mcp_acl.response.duration",
    Kind.HISTOGRAM,
    "s",
    ("outcome",),
    "How long it took to filter a response, or a piece of one.",
    _SECONDS,
)
ENTRIES: Final = Instrument(
    "mcp_acl.list.entries",
    Kind.COUNTER,
    "{entry}",
    ("outcome", "server", "method"),
    "Entries of lists that were `shown`, `hidden` by rules, or `dropped` because they were in doubt.",
)
LIST_SIZE: Final = Instrument(
    "mcp_acl.list.size",
    Kind.HISTOGRAM,
    "{entry}",
    ("when",),
    "Entries of a list, `before` it was filtered and `after`.",
    _ENTRIES,
)
CONDITION_ERRORS: Final = Instrument(
    "mcp_acl.condition.errors",
    Kind.COUNTER,
    "{error}",
    ("policy", "rule"),
    "Conditions that broke, by the rule that they belong to.",
)
TOOL_CALLS: Final = Instrument(
    "mcp_acl.tool.calls",
    Kind.COUNTER,
    "{call}",
    ("effect", "server", "tool"),
    "Calls of tools. Names that were never granted are `other`.",
)
SHADOW: Final = Instrument(
    "mcp_acl.shadow.differences",
    Kind.COUNTER,
    "{message}",
    ("effect", "server", "method"),
    "Messages and lists that would be answered otherwise if all that is in shadow were enforced: `allow`, `deny`, `list`.",
)
RELOADS: Final = Instrument(
    "mcp_acl.policies.reloads",
    Kind.COUNTER,
    "{reload}",
    ("outcome",),
    "Policy sets that were `taken` or `refused` since the start, the first one included.",
)
POLICIES_INFO: Final = Instrument(
    "mcp_acl.policies.info",
    Kind.GAUGE,
    "1",
    ("revision", "commit"),
    "1, for the policy set in force.",
)
POLICIES_SINCE: Final = Instrument(
    "mcp_acl.policies.since",
    Kind.GAUGE,
    "s",
    (),
    "When the policy set was put in force, in seconds since 1970.",
)
POLICIES_RULES: Final = Instrument("mcp_acl.policies.rules", Kind.GAUGE, "{rule}", (), "Rules of the set in force.")
POLICIES_REFUSED: Final = Instrument(
    "mcp_acl.policies.refused",
    Kind.GAUGE,
    "1",
    (),
    "1 while what the files say is refused and the set before it stands, else 0.",
)
CALLS: Final = Instrument(
    "mcp_acl.calls.active", Kind.GAUGE, "{call}", (), "Calls under way on all listeners of gRPC, streams included."
)
STREAMS: Final = Instrument("mcp_acl.streams.active", Kind.GAUGE, "{stream}", (), "Streams among them.")
CALLS_REFUSED: Final = Instrument(
    "mcp_acl.calls.refused",
    Kind.COUNTER,
    "{call}",
    (),
    "Calls that were refused because `max_calls` were under way.",
)
RECORDS_DROPPED: Final = Instrument(
    "mcp_acl.log.dropped",
    Kind.COUNTER,
    "{record}",
    ("effect",),
    "Records that the decision log had no room for.",
)
SPANS_DROPPED: Final = Instrument(
    "mcp_acl.spans.dropped",
    Kind.COUNTER,
    "{span}",
    (),
    "Spans beyond `trace_most` in a second, which are not sent.",
)

INSTRUMENTS: Final = (
    DECISIONS,
    DECISION_DURATION,
    RESPONSES,
    RESPONSE_DURATION,
    ENTRIES,
    LIST_SIZE,
    CONDITION_ERRORS,
    TOOL_CALLS,
    SHADOW,
    RELOADS,
    POLICIES_INFO,
    POLICIES_SINCE,
    POLICIES_RULES,
    POLICIES_REFUSED,
    CALLS,
    STREAMS,
    CALLS_REFUSED,
    RECORDS_DROPPED,
    SPANS_DROPPED,
)


def render_metrics() -> str:
    """The rows as a Markdown table."""
    lines = ["| metric | in Prometheus | labels | what it is |", "|---|---|---|---|"]
    for one in INSTRUMENTS:
        labels = ", ".join(f"`{label}`" for label in one.labels) or "none"
        ending = "_total" if one.kind is Kind.COUNTER else ""
        lines.append(
            f"| `{one.name}` ({one.kind}, {one.unit}) | `{one.prometheus}{ending}` | {labels} | {one.meaning} |"
        )
    return "\n".join(lines) + "\n"
