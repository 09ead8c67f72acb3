"""Records that a collector is sent: whatever a client has written, it keeps no other record waiting."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.runtime.decision_log import Masking
from mcp_acl.runtime.otlp import RecordSink, Source
from tests.collector import collecting, value
from tests.runtime.decision_log.test_log import Logged, call


def nested(depth: int, form: str) -> Any:
    inner: Any = "x"
    for _ in range(depth):
        inner = {"a": inner} if form == "object" else [inner]
    return inner


def innermost(found: Any) -> Any:
    while found != "x":
        found = json.loads(found) if isinstance(found, str) else found["a"] if isinstance(found, dict) else found[0]
    return found


@pytest.mark.parametrize("form", ["object", "array"])
def test_arguments_are_sent_however_deep_they_are(tmp_path: Path, form: str) -> None:
    with collecting() as collector:
        sink = RecordSink(Source(collector.url))
        logged = Logged(tmp_path / "none", Masking(arguments=True), sink=sink)
        asked = call("secret", a=nested(55, form)), call("secret", n=2**60, m=[None, True, 1.5, {}, []])
        ids = [answer.decision_id for answer in logged.asked(*asked)]
        logged.log.close()
        deep, odd = (value(one.body) for one in collector.records)
    assert ids == [deep["id"], odd["id"]]
    assert "x" == innermost(deep["arguments"])
    assert {"n": str(2**60), "m": [None, True, 1.5, {}, []]} == odd["arguments"]
