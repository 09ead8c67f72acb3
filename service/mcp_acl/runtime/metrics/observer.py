"""What is counted of decisions, responses and policy sets: an observer, and what it has counted, for whoever reads it.

Labels are bounded: a server counts by its id where a policy governs it, a method where the table has it, a tool once it was granted.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Final

from mcp_acl.domain import Message, Reason
from mcp_acl.mcp.methods import METHODS
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.load import Load
from mcp_acl.runtime.metrics import table
from mcp_acl.runtime.metrics.counts import Counted, Counter, Distribution, Exemplar, Histogram, Labels
from mcp_acl.runtime.metrics.table import INSTRUMENTS, OTHER, Kind
from mcp_acl.runtime.observed import NANOS, Decided, Likeness, Observer, Replied, each
from mcp_acl.runtime.standing import Standing

_MOST_SERVERS: Final = 200
_MOST_TOOLS: Final = 1000
_MOST_TOOLS_OF_ONE: Final = 250
"""Values of a label, and tools of one server; what comes beyond is `other`."""
_LONGEST: Final = 256
"""Characters of a value; what is longer is `other`, for it is kept as long as the process lives."""
_CALL: Final = "tools/call"
_REMEMBERED: Final = 1024


class _Cell:
    """Decisions that are alike: how many there were, and how long they took."""

    __slots__ = ("durations", "labels", "number", "tool")

    def __init__(self, labels: Labels, tool: str, durations: Distribution) -> None:
        self.labels = labels
        self.tool = tool
        self.durations = durations
        self.number = 0


class Metrics(Observer):
    """Counts. `dropped` says how many records the decision log had no room for, by effect; `load` is what the host counts; `unmade` are spans."""

    def __init__(
        self,
        dropped: Callable[[], Mapping[str, int]] = dict,
        load: Load | None = None,
        unmade: Callable[[], int] = int,
    ) -> None:
        self._dropped = dropped
        self._unmade = unmade
        self._load = Load() if load is None else load
        self._lock = threading.Lock()
        self._counters = {one.name: Counter() for one in INSTRUMENTS if one.kind is Kind.COUNTER}
        self._histograms = {one.name: Histogram(one.bounds) for one in INSTRUMENTS if one.kind is Kind.HISTOGRAM}
        self._decisions = self._counters[table.DECISIONS.name]
        self._durations = self._histograms[table.DECISION_DURATION.name]
        self._calls = self._counters[table.TOOL_CALLS.name]
        self._errors = self._counters[table.CONDITION_ERRORS.name]
        self._shadow = self._counters[table.SHADOW.name]
        self._cells: dict[tuple[str, str, str, str], _Cell] = {}
        self._known: dict[Likeness, _Cell] = {}
        self._servers: set[str] = set()
        self._tools: dict[str, set[str]] = {}
        self._tools_known = 0
        self._standing: Standing | None = None

    def decided(self, every: Sequence[Decided]) -> None:
        """As an observer."""
        with self._lock:
            each(every, self._count)

    def _count(self, decided: Decided) -> None:
        time, likeness, _, _, answer, seconds, trace = decided
        exemplar = None
        if trace is not None and trace.is_sampled:
            exemplar = Exemplar(trace.trace_id, trace.span_id, seconds, time / NANOS)
        cell = self._known.get(likeness)
        if cell is None:
            cell = self._cell(likeness)
        cell.number += 1
        cell.durations.add(seconds, exemplar)
        if answer.shadow is not None:
            self._shadow.add((answer.shadow.effect._value_, cell.labels[2], cell.labels[3]))
        for error in answer.decision.errors:
            self._errors.add((error.rule.policy, error.rule.rule))

    def _cell(self, likeness: Likeness) -> "_Cell":
        """Where decisions of one kind are counted: under their own names, or what of them is anybody's under `other`."""
        decision = likeness.decision
        is_allowed, reason = decision.allowed, decision.reason
        server = self._server(likeness.server, is_governed=reason is not Reason.NO_POLICY)
        method = likeness.method if likeness.method in METHODS else OTHER
        tool = self._tool(server, likeness.target, is_granted=is_allowed) if method == _CALL else ""
        key = (reason.value, server, method, tool)
        cell = self._cells.get(key)
        if cell is None:
            effect = decision.effect.value
            durations = self._durations.of((effect,))
            cell = self._cells[key] = _Cell((effect, reason.value, server, method), tool, durations)
        if likeness.is_shared and OTHER not in (server, tool):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[likeness] = cell
        return cell

    def replied(self, replied: Replied) -> None:
        """As an observer."""
        request, filtered = replied.request, replied.reply.filtered
        outcome = "withheld" if filtered.refused else "filtered"
        hidden, dropped = len(filtered.hidden), len(filtered.dropped)
        with self._lock:
            server = self._server(request.server if request is not None else "", is_governed=request is not None)
            method = _method(request.message if request is not None else None)
            self._counters[table.RESPONSES.name].add((outcome, server, method))
            self._histograms[table.RESPONSE_DURATION.name].of((outcome,)).add(replied.seconds)
            entries = self._counters[table.ENTRIES.name]
            for what, amount in (("shown", filtered.shown), ("hidden", hidden), ("dropped", dropped)):
                if amount:
                    entries.add((what, server, method), amount)
            if filtered.shown or hidden or dropped:
                sizes = self._histograms[table.LIST_SIZE.name]
                sizes.of(("before",)).add(filtered.shown + hidden + dropped)
                sizes.of(("after",)).add(filtered.shown)
            if replied.reply.shadow is not None:
                self._shadow.add(("list", server, method))
            for error in filtered.errors:
                self._errors.add((error.rule.policy, error.rule.rule))

    def stands(self, standing: Standing) -> None:
        """As an observer."""
        reloads = self._counters[table.RELOADS.name]
        with self._lock:
            before, self._standing = self._standing, standing
            if before is None or standing.policies is not before.policies:
                reloads.add(("taken",))
            if standing.refused is not None and (before is None or standing.refused is not before.refused):
                reloads.add(("refused",))

    def counted(self) -> Counted:
        """All that was counted until now."""
        with self._lock:
            self._decisions.values, self._calls.values = _summed(self._cells.values())
            counters: dict[str, Mapping[Labels, float]] = {
                name: dict(counter.values) for name, counter in self._counters.items()
            }
            histograms = {name: deepcopy(histogram.values) for name, histogram in self._histograms.items()}
            standing = self._standing
        counters[table.RECORDS_DROPPED.name] = {(effect,): number for effect, number in self._dropped().items()}
        counters[table.SPANS_DROPPED.name] = {(): self._unmade()}
        return Counted({**counters, **_gauges(standing), **_of_load(self._load)}, histograms)

    def _server(self, server: str, *, is_governed: bool) -> str:
        if server in self._servers:
            return server
        if not is_governed or len(self._servers) >= _MOST_SERVERS or len(server) > _LONGEST:
            return OTHER
        self._servers.add(server)
        return server

    def _tool(self, server: str, tool: str, *, is_granted: bool) -> str:
        known = self._tools.setdefault(server, set())
        if tool in known:
            return tool
        is_full = len(known) >= _MOST_TOOLS_OF_ONE or self._tools_known >= _MOST_TOOLS
        if not is_granted or is_full or len(tool) > _LONGEST:
            return OTHER
        known.add(tool)
        self._tools_known += 1
        return tool


def _method(message: Message | None) -> str:
    return message.method if message is not None and message.method in METHODS else OTHER


def _summed(cells: Iterable["_Cell"]) -> tuple[dict[Labels, int], dict[Labels, int]]:
    """Decisions by their labels, and calls of tools."""
    decisions, calls = Counter(), Counter()
    for cell in cells:
        decisions.add(cell.labels, cell.number)
        effect, _, server, method = cell.labels
        if method == _CALL:
            calls.add((effect, server, cell.tool), cell.number)
    return decisions.values, calls.values


def _gauges(standing: Standing | None) -> Mapping[str, Mapping[Labels, float]]:
    if standing is None:
        return {}
    policies = standing.policies
    revision, _, commit = policies.revision.partition("+git.")
    return {
        table.POLICIES_INFO.name: {(revision, commit): 1},
        table.POLICIES_SINCE.name: {(): standing.since.timestamp()},
        table.POLICIES_RULES.name: {(): _rules(policies)},
        table.POLICIES_REFUSED.name: {(): int(standing.refused is not None)},
    }


def _of_load(load: Load) -> Mapping[str, Mapping[Labels, float]]:
    return {
        table.CALLS.name: {(): load.calls},
        table.STREAMS.name: {(): load.streams},
        table.CALLS_REFUSED.name: {(): load.refused},
    }


def _rules(policies: PolicySet) -> int:
    return sum(policy.rules for policy in policies.policies)
