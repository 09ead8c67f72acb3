"""The dashboard: it asks for metrics and labels that there are, each panel says what it shows, and none lies on another."""

import json
import re
from itertools import combinations
from typing import Any

from mcp_acl.runtime.metrics.table import INSTRUMENTS, Kind
from tests.installed import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "mcp-acl.json").read_text())
ENDINGS = {Kind.COUNTER: ("_total",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
LABELS = {
    one.prometheus + ending: {*one.labels, *(["le"] if ending == "_bucket" else [])}
    for one in INSTRUMENTS
    for ending in ENDINGS[one.kind]
}
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_every_metric_and_label_that_is_asked_for_exists() -> None:
    assert EXPRESSIONS
    for expression in EXPRESSIONS:
        (name,) = set(re.findall(r"mcp_acl_\w+", expression))
        grouped = {label for found in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", found)}
        matched = set(re.findall(r"(\w+)=~?\"", expression))
        assert grouped | matched <= LABELS[name], expression


def test_every_metric_but_what_only_details_another_is_shown() -> None:
    shown = {name for expression in EXPRESSIONS for name in re.findall(r"mcp_acl_\w+", expression)}
    missing = {one.name for one in INSTRUMENTS if not any(one.prometheus + end in shown for end in ENDINGS[one.kind])}
    assert {"mcp_acl.response.duration", "mcp_acl.list.size", "mcp_acl.policies.rules"} == missing


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({one["id"] for one in panels}) == len({one["title"] for one in panels}) == len(panels)
    assert all(one["description"].endswith(".") for one in panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
