"""`mcp-acl gateway` that is watched, in both forms: what a client was denied is in the log, is counted, and is sent to a collector."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.collector import collecting
from tests.gateways.commands import FORMS, ask, call, gateway, until

SERVER = "weather=http://127.0.0.1:1/mcp"
"""Nobody is there: nothing gets to it."""


@pytest.mark.parametrize("form", FORMS)
def test_denial_is_recorded_and_counted_and_sent(tmp_path: Path, policies: Path, form: str) -> None:
    file = tmp_path / "decisions.jsonl"
    with collecting() as collector:
        flags = ("--decision-log", str(file), "--metrics-listen", "127.0.0.1:0", "--no-log-names")
        sent = ("--otlp-endpoint", collector.url, "--otlp-interval", "1")
        with gateway(tmp_path, policies, [SERVER], *flags, *sent, form=form) as running:
            denied = ask(running.port, "/weather/mcp", call("tools/call", name="delete")).reply["error"]["data"]
            assert denied["decision_id"] == running.seen("tools/call")["decision_id"]
            found = re.search(r"metrics on port (\d+)", running.log)
            assert found is not None
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/metrics", timeout=60) as answer:
                text = answer.read().decode()
            until(lambda: "mcp_acl.decisions" in collector.metrics)
    wanted = 'effect="deny",method="tools/call",reason="no_matching_rule",server="weather"} 1.0'
    assert f"mcp_acl_decisions_total{{{wanted}" in text
    assert "mcp_acl_calls_active" in text
    records = {one["id"]: one for one in map(json.loads, file.read_text().splitlines())}
    record = records[denied["decision_id"]]
    assert ("deny", "no_matching_rule", True) == (
        record["effect"],
        record["reason"],
        record["target"].startswith("sha256:"),
    )
