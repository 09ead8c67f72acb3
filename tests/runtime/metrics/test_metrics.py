"""Metrics: what is counted of what was decided, how Prometheus reads it, and that no client makes labels."""

import json
import re
import socket
import threading
import time
import urllib.request
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from mcp_acl.domain import Http, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Question
from mcp_acl.runtime.metrics import Metrics, MetricsError, Serving, exposition, observer, text_of
from mcp_acl.runtime.metrics.table import INSTRUMENTS, Kind, render_metrics
from mcp_acl.runtime.observed import ObservedGate
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.standing import Refused, Standing
from mcp_acl.runtime.watching import watched_elsewhere

POLICIES = compile_policies(
    [
        SourceFile(
            "w.yaml",
            b'version: 1\npolicy: w\nservers: ["s*"]\nrules:\n'
            b"  - {id: echo, methods: [tools/list, tools/call], name: echo}\n"
            b"  - {id: odd, methods: [tools/call], name: odd, cel: \"claims.role == 'x'\"}\n",
        )
    ]
)
TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"secret"},{"name":"more"}]}}'
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def asked(method: str, server: str = "s", flags: str = "", **params: Any) -> Question:
    """What a client says is sampled, under a gateway that says nothing, or with `flags`."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    http = Http(headers={"traceparent": [f"00-{'1' * 32}-00f067aa0ba902b7-01"]})
    trace = flags and f"00-{TRACE}-00f067aa0ba902b7-{flags}"
    return Question(server, body, {}, TokenState.NONE, http=http, filters_responses=True, trace=trace)


class Counting:
    def __init__(self) -> None:
        self.metrics = Metrics(lambda: {"allow": 3, "deny": 0}, unmade=lambda: 7)
        self.gate = ObservedGate([self.metrics], POLICIES)

    def call(self, name: str, server: str = "s", flags: str = "") -> None:
        self.gate.check(asked("tools/call", server, flags, name=name))

    def samples(self) -> "Samples":
        """Every sample, as Prometheus' own client reads them."""
        return Samples(
            {
                (sample.name, tuple(sorted(sample.labels.values()))): sample.value
                for family in prometheus(text_of(self.metrics))
                for sample in family.samples
            }
        )


class Samples(dict[tuple[str, tuple[str, ...]], float]):
    """By name and values of labels, in whichever order."""

    def __getitem__(self, key: tuple[str, tuple[str, ...]]) -> float:
        return super().__getitem__((key[0], tuple(sorted(key[1]))))


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_decisions_are_counted_by_effect_reason_server_and_method(counting: Counting) -> None:
    for name in ("echo", "echo", "nope", "odd"):
        counting.call(name)
    counting.gate.check(Question("s", b"{"))
    found = counting.samples()
    decisions = "mcp_acl_decisions_total"
    assert 2 == found[decisions, ("allow", "granted", "s", "tools/call")]
    assert 2 == found[decisions, ("deny", "no_matching_rule", "s", "tools/call")]
    assert 1 == found[decisions, ("deny", "message_refused", "s", "other")]
    assert (2, 3) == tuple(found["mcp_acl_decision_duration_seconds_count", (effect,)] for effect in ("allow", "deny"))
    assert 1 == found["mcp_acl_condition_errors_total", ("w", "odd")]
    assert (2, 2) == tuple(
        found["mcp_acl_tool_calls_total", labels] for labels in (("allow", "s", "echo"), ("deny", "s", "other"))
    )
    assert 3 == found["mcp_acl_log_dropped_total", ("allow",)]


def test_denials_of_a_tool_count_under_its_name_from_when_it_was_granted(counting: Counting) -> None:
    question = asked("tools/call", name="odd")
    for role in ("y", "y", "x", "y"):
        counting.gate.check(question._replace(claims={"role": role}))
    calls = {labels: number for (name, labels), number in counting.samples().items() if "tool_calls_total" in name}
    assert {("deny", "other", "s"): 2, ("allow", "odd", "s"): 1, ("deny", "odd", "s"): 1} == calls


def test_buckets_are_cumulative_and_hold_their_bounds(counting: Counting) -> None:
    histogram = counting.metrics._durations
    for value in (25e-6, 26e-6, 0.5, 7.0):
        histogram.of(("allow",)).add(value)
    found = counting.samples()
    buckets = [
        (labels[0], value)
        for (name, labels), value in found.items()
        if name == "mcp_acl_decision_duration_seconds_bucket"
    ]
    assert [("2.5e-05", 1), ("5e-05", 2)] == buckets[:2]
    assert [("0.1", 2), ("1.0", 3), ("+Inf", 4)] == buckets[-3:]
    assert pytest.approx(7.500051) == found["mcp_acl_decision_duration_seconds_sum", ("allow",)]


def test_lists_are_counted_before_and_after(counting: Counting) -> None:
    answer = counting.gate.check(asked("tools/list"))
    counting.gate.filter(answer.context, "application/json", TOOLS)
    counting.gate.filter(answer.context, "application/json", b"?")
    counting.gate.filter(b"?", "application/json", TOOLS)
    found = counting.samples()
    assert (1, 2) == tuple(
        found["mcp_acl_list_entries_total", (what, "s", "tools/list")] for what in ("shown", "hidden")
    )
    assert (3, 1) == tuple(found["mcp_acl_list_size_sum", (when,)] for when in ("before", "after"))
    assert (1, 1, 1) == tuple(
        found["mcp_acl_responses_total", labels]
        for labels in (
            ("filtered", "s", "tools/list"),
            ("withheld", "s", "tools/list"),
            ("withheld", "other", "other"),
        )
    )


def test_what_is_in_force_and_what_was_refused_is_told(counting: Counting) -> None:
    since = datetime(2026, 11, 27, tzinfo=UTC)
    counting.gate.put(Standing(POLICIES, since, Refused(since, ())))
    found = counting.samples()
    assert 1 == found["mcp_acl_policies_info", (POLICIES.revision, "")]
    assert (since.timestamp(), 2, 1) == tuple(
        found[f"mcp_acl_policies_{name}", ()] for name in ("since_seconds", "rules", "refused")
    )
    assert (1, 1) == tuple(found["mcp_acl_policies_reloads_total", (what,)] for what in ("taken", "refused"))
    counting.gate.put(Standing(POLICIES, since))
    found = counting.samples()
    assert 0 == found["mcp_acl_policies_refused", ()]
    assert (1, 1) == tuple(found["mcp_acl_policies_reloads_total", (what,)] for what in ("taken", "refused"))


def test_no_client_makes_labels(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "_MOST_SERVERS", 3)
    for number in range(50):
        counting.call(f"made-up-{number}", server=f"nobody-{number}")
        counting.call(f"made-up-{number}")
        counting.call("echo", server=f"s{number}")
        counting.gate.check(asked(f"made/up{number}"))
    text = text_of(counting.metrics)
    assert "made" not in text
    assert "nobody" not in text
    assert 50 == counting.samples()["mcp_acl_decisions_total", ("deny", "no_policy", "other", "tools/call")]
    assert {"s", "s0", "s1", "other"} == set(re.findall('server="([^"]*)"', text))


def test_what_is_kept_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    policies = SourceFile("a.yaml", b"version: 1\npolicy: a\nrules: [{id: any, methods: [tools/call]}]\n")
    gate = ObservedGate([metrics], compile_policies([policies]))
    monkeypatch.setattr(observer, "_MOST_TOOLS", 2)
    monkeypatch.setattr(observer, "_REMEMBERED", 2)
    for name in ("x" * 100_000, "one", "two", "three"):
        gate.check(asked("tools/call", name=name))
        gate.check(asked("tools/list", server=name))
    text = text_of(metrics)
    assert {"one", "two", "other"} == set(re.findall('tool="([^"]*)"', text))
    assert len(text) < 10_000
    assert len(metrics._known) <= 2


def test_names_made_up_for_one_server_leave_room_for_those_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    policies = SourceFile(
        "a.yaml", b"version: 1\npolicy: a\nrules: [{id: any, methods: [tools/call], name: {glob: 'report_*'}}]\n"
    )
    gate = ObservedGate([metrics], compile_policies([policies]))
    monkeypatch.setattr(observer, "_MOST_TOOLS", 3)
    monkeypatch.setattr(observer, "_MOST_TOOLS_OF_ONE", 2)
    for server, name in (
        ("s", "report_1"),
        ("s", "report_2"),
        ("s", "report_3"),
        ("t", "report_4"),
        ("u", "report_5"),
        ("s", "report_1"),
    ):
        gate.check(asked("tools/call", server=server, name=name))
    calls = {
        (server, tool): number
        for server, tool, number in re.findall(
            'mcp_acl_tool_calls_total.*server="(.*)",tool="(.*)"} (.*)', text_of(metrics)
        )
    }
    assert {
        ("s", "report_1"): "2.0",
        ("s", "report_2"): "1.0",
        ("s", "other"): "1.0",
        ("t", "report_4"): "1.0",
        ("u", "other"): "1.0",
    } == calls


def test_who_brings_nothing_takes_no_more_than_a_few_threads(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition._Handler, "timeout", 0.5)
    with closing(Serving(counting.metrics, "127.0.0.1:0")) as serving, ExitStack() as connections:
        before = threading.active_count()
        for _ in range(100):
            connections.enter_context(socket.create_connection(("127.0.0.1", serving.port), 60))
        refused = connections.enter_context(socket.create_connection(("127.0.0.1", serving.port), 60))
        with suppress(ConnectionError):
            assert b"" == refused.recv(1)
        assert threading.active_count() - before <= exposition._AT_ONCE
        until = time.monotonic() + 60
        while threading.active_count() > before:
            assert time.monotonic() < until
            time.sleep(0.01)
        with urllib.request.urlopen(f"http://127.0.0.1:{serving.port}/metrics", timeout=60) as answer:
            assert answer.status == 200


def test_trace_that_the_gateway_has_sampled_is_an_exemplar_and_no_other(counting: Counting) -> None:
    with closing(Serving(counting.metrics, "127.0.0.1:0")) as serving:
        for flags, exemplars in (("", 0), ("00", 0), ("01", 1)):
            counting.call("echo", flags=flags)
            wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
            request = urllib.request.Request(f"http://127.0.0.1:{serving.port}/metrics", headers=wanted)
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own
                text = answer.read().decode()
            found = [
                sample.exemplar.labels
                for family in open_metrics(text)  # type: ignore[no-untyped-call]
                for sample in family.samples
                if sample.exemplar is not None
            ]
            assert [{"trace_id": TRACE, "span_id": "00f067aa0ba902b7"}] * exemplars == found


def test_address_that_is_taken_is_told() -> None:
    with (
        closing(Serving(Metrics(), "127.0.0.1:0")) as serving,
        pytest.raises(MetricsError, match=f"cannot listen on `127.0.0.1:{serving.port}`"),
    ):
        Serving(Metrics(), f"127.0.0.1:{serving.port}")


def test_address_that_is_taken_is_told_before_another_process_wants_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(policies=Path("p"), metrics_listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(MetricsError, match="cannot listen on"), watched_elsewhere(settings):
            pass
    with watched_elsewhere(settings) as observers:
        assert () == observers


def test_every_metric_is_in_the_table_and_has_a_name_that_prometheus_takes(counting: Counting) -> None:
    assert len(INSTRUMENTS) == len({one.name for one in INSTRUMENTS}) == render_metrics().count("\n") - 2
    assert all(re.fullmatch(r"mcp_acl(\.[a-z]+)+", one.name) and one.meaning.endswith(".") for one in INSTRUMENTS)
    assert all(bool(one.bounds) is (one.kind is Kind.HISTOGRAM) for one in INSTRUMENTS)
    assert [one.prometheus for one in INSTRUMENTS] == [family.name for family in prometheus(text_of(counting.metrics))]
