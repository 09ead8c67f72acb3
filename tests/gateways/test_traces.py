"""A call through a real Envoy as a collector sees it: its spans, ours, the record and the exemplar are of one trace."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import Collector, attributes, collecting, value
from tests.gateways.authz_envoy import Scene, authn, authz, gateway, token
from tests.gateways.test_ext_authz import FILTER, policies
from tests.hosts.running import python_of
from tests.installed import ROOT
from tests.runtime.decision_log.test_log import eventually
from tests.runtime.weather import call
from tests.serving import serving

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = ("traceparent", f"00-{TRACE}-{CLIENT}-01")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(params=["grpcio", "envoy"])
def scene(
    request: pytest.FixtureRequest, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setattr("sys.executable", python_of(request.param))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "service"))
    flags = ("--host", request.param, "--server", "weather", "--otlp-endpoint", collector.url, "--otlp-interval", "1")
    with (
        serving(policies(tmp_path), *flags, "--decision-log", "otlp") as service,
        gateway(tmp_path, service, {"authn": authn(), FILTER: authz()}, collector=collector.server_port) as opened,
    ):
        yield opened


def test_spans_of_both_the_record_and_the_exemplar_are_joined(scene: Scene, collector: Collector) -> None:
    bearer = ("authorization", f"Bearer {token(sub='ann', role='admin')}")
    denied = scene.ask(call("nobody-may"), bearer, SAMPLED)
    eventually(lambda: {"envoy", "mcp-acl"} <= {service for service, _ in collector.spans})
    eventually(lambda: bool(collector.records) and "mcp_acl.decision.duration" in collector.metrics)
    by_id = {span.span_id.hex(): (service, span) for service, span in collector.spans}
    (ours,) = [span for service, span in collector.spans if service == "mcp-acl"]
    assert TRACE == ours.trace_id.hex()
    chain = [ours]
    while chain[-1].parent_span_id.hex() in by_id:
        chain.append(by_id[chain[-1].parent_span_id.hex()][1])
    assert CLIENT == chain[-1].parent_span_id.hex()
    assert len(chain) > 1, "under a span of Envoy's"
    assert {TRACE} == {span.trace_id.hex() for span in chain}
    said = attributes(ours.attributes)
    decision_id = json.loads(denied.body)["error"]["data"]["decision_id"]
    assert ("deny", "no_matching_rule", "weather", "tools/call", "nobody-may", decision_id) == tuple(
        said[name]
        for name in (
            "mcp_acl.effect",
            "mcp_acl.reason",
            "mcp_acl.server",
            "mcp.method.name",
            "gen_ai.tool.name",
            "mcp_acl.decision.id",
        )
    )
    (record,) = [one for one in collector.records if value(one.body)["id"] == decision_id]
    assert (TRACE, "WARN", "ann") == (
        record.trace_id.hex(),
        record.severity_text,
        value(record.body)["principal"]["sub"],
    )
    histogram = collector.metrics["mcp_acl.decision.duration"].histogram
    assert not any(point.HasField("min") or point.HasField("max") for point in histogram.data_points)
    assert {TRACE} == {one.trace_id.hex() for point in histogram.data_points for one in point.exemplars}
    (counted,) = collector.metrics["mcp_acl.decisions"].sum.data_points
    assert {"effect": "deny", "reason": "no_matching_rule", "server": "weather", "method": "tools/call"} == attributes(
        counted.attributes
    )


def test_trace_that_is_not_sampled_is_no_span_but_in_the_record(scene: Scene, collector: Collector) -> None:
    scene.ask(call("forecast"), ("traceparent", f"00-{TRACE}-{CLIENT}-00"))
    eventually(lambda: bool(collector.records))
    assert (TRACE, 0) == (collector.records[0].trace_id.hex(), collector.records[0].flags & 1)
    assert [] == [span for service, span in collector.spans if service == "mcp-acl"]


def test_collector_that_takes_nothing_loses_no_denial(scene: Scene, collector: Collector) -> None:
    collector.status = 400
    answers = [scene.ask(call("nobody-may"), SAMPLED) for _ in range(5)]
    ids = [json.loads(one.body)["error"]["data"]["decision_id"] for one in answers]
    eventually(lambda: collector.refused > 1)
    assert [] == collector.records
    collector.status = 200
    eventually(lambda: set(ids) == {value(one.body)["id"] for one in collector.records})
