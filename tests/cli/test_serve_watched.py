"""`serve` that is watched: every denial that a client was told has its record, whichever host, whatever ends; metrics of each worker."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.gen import acl_pb2 as pb
from tests.cli.conftest import Run
from tests.cli.test_serve import serving
from tests.installed import ROOT, needed
from tests.runtime.weather import body


@pytest.fixture(params=["grpcio", "envoy"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "envoy":
        python = needed(ROOT / ".venv-envoy" / "bin" / "python", "Python with Envoy", "WITHOUT_ENVOY")
        monkeypatch.setattr(sys, "executable", str(python))
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "service"))
    return str(request.param)


def denied(address: str, number: int) -> list[str]:
    """Ids of decisions that denied, as the service told them."""
    raw = body("tools/call", name="nobody-may")
    request = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=raw).SerializeToString()
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/Check")
        answers = [pb.CheckResponse.FromString(call(request, timeout=20, wait_for_ready=True)) for _ in range(number)]
    assert {pb.DECISION_DENY} == {one.decision for one in answers}
    return [one.decision_id for one in answers]


def metrics_of(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    port = next(found[1] for said in process.stderr if (found := re.search(r"metrics on port (\d+)", said)))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def ids_in(file: Path) -> list[str]:
    return [json.loads(line)["id"] for line in file.read_text().splitlines()]


def test_every_denial_has_its_record(host: str, policies: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "decisions.jsonl"
    with serving(policies, "--host", host, "--decision-log", str(file)) as (process, line):
        ids = denied(line.split()[-1], 50)
        process.terminate()
        assert 0 == process.wait(30)
    assert sorted(ids) == sorted(ids_in(file))
    assert 0 == file.stat().st_mode & 0o027, "nobody else reads who did what"
    shown = run("log", "show", ids[7], "--log", file)
    assert (0, True) == (shown.exit_code, "no_matching_rule" in shown.stdout)


def test_no_denial_of_a_killed_worker_is_without_its_record(policies: Path, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    with serving(policies, "--workers", "2", "--json", "--decision-log", str(file)) as (process, line):
        found = json.loads(line)
        ids: list[str] = []
        for pid in found["pids"]:
            ids += [one for address in found["listening"] for one in denied(address, 20)]
            os.kill(pid, signal.SIGKILL)
        ids += [one for address in found["listening"] for one in denied(address, 20)]
        process.terminate()
        assert 0 == process.wait(30)
    assert set(ids) == set(ids_in(file))


def test_standard_output_may_be_the_log(policies: Path) -> None:
    with serving(policies, "--decision-log", "-") as (process, line):
        ids = denied(line.split()[-1], 5)
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert ids == [json.loads(one)["id"] for one in out.splitlines()]


def test_metrics_are_told_on_an_address_of_their_own(host: str, policies: Path) -> None:
    with serving(policies, "--host", host, "--metrics-listen", "127.0.0.1:0") as (process, line):
        denied(line.split()[-1], 3)
        text = metrics_of(process)
    wanted = 'effect="deny",method="tools/call",reason="no_matching_rule",server="weather"} 3.0'
    assert f"mcp_acl_decisions_total{{{wanted}" in text
    assert "mcp_acl_calls_active 0.0" in text


def test_calls_under_way_and_refused_are_told(host: str, policies: Path) -> None:
    flags = ("--host", host, "--metrics-listen", "127.0.0.1:0", "--max-calls", "2")
    with serving(policies, *flags) as (process, line), grpc.insecure_channel(line.split()[-1]) as channel:
        stream: Any = channel.stream_stream(f"/{SERVICE}/CheckStream")
        waiting = threading.Event()
        request = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=body("ping"))

        def messages() -> Iterator[bytes]:
            yield request.SerializeToString()
            waiting.wait(30)

        calls = [stream(messages(), timeout=30) for _ in range(2)]
        for call in calls:
            next(call)
        # A connection of its own: on the other one the client waits by itself.
        with grpc.insecure_channel(line.split()[-1], options=[("grpc.use_local_subchannel_pool", 1)]) as other:
            refused: Any = other.unary_unary(f"/{SERVICE}/Check")
            with pytest.raises(grpc.RpcError) as caught:
                refused(request.SerializeToString(), timeout=20)
        text = metrics_of(process)
        waiting.set()
        assert [0, 0] == [len([*call]) for call in calls]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert [2.0, 2.0, 1.0] == [
        float(re.search(rf"^mcp_acl_{name} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("calls_active", "streams_active", "calls_refused_total")
    ]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--decision-log", "/nowhere/at/all"), "error: --decision-log: `/nowhere/at/all` cannot be written"),
        (("--metrics-listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"), "--metrics-listen: `1` is also an address"),
        (("--metrics-listen", "0.0.0.0:0"), "can be reached from elsewhere"),
    ],
)
def test_what_cannot_be_used_ends_with_2(run: Run, policies: Path, flags: tuple[str, ...], text: str) -> None:
    result = run("serve", "--policies", policies, *flags)
    assert (2, True) == (result.exit_code, text in result.stderr), result.stderr
