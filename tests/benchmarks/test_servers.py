"""What the service is measured against runs, answers rightly, and what is measured of sizes is what is meant."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl.bench.workloads import workload
from mcp_acl.gen import acl_pb2 as pb
from tests.benchmarks.test_soak import module

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent / "service")}


@pytest.mark.parametrize("kind", ["parses", "plain"])
def test_empty_handler_answers_what_the_service_would(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = module("served", monkeypatch)
    (body,) = workload(served.SHAPE, 1).call.messages
    command = [sys.executable, str(BENCHMARKS / "served.py"), kind, "grpcio"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            with grpc.insecure_channel(address) as channel:
                call: Any = channel.unary_unary(served.CHECK)
                answer = call(body, timeout=60.0, wait_for_ready=True)
        finally:
            process.terminate()
    assert pb.CheckResponse.FromString(answer).decision == pb.DECISION_ALLOW


def test_lists_are_matched_by_as_many_rules_whatever_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    sized, work = module("bench_size", monkeypatch), module("workloads", monkeypatch)
    bodies = work.flat_lists(2)
    names = [tool["name"] for body in bodies for tool in json.loads(body)["result"]["tools"]]
    assert len(set(names)) == len(names) == 2 * work.FLAT_ENTRIES
    for size in (10, 100):
        sized.filters(sized.compile_policies(work.flat_policies(size)), bodies)()


def test_what_loading_takes_is_told_of_a_process_of_its_own() -> None:
    command = [sys.executable, str(BENCHMARKS / "bench_size.py"), "--load", "texts", "100"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
    seconds, resident, most = json.loads(done.stdout)
    assert seconds > 0
    assert most >= resident > 0
