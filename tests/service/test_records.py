"""Whoever has an answer finds its record, whatever becomes of the process that gave it."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.runtime.decision_log import found_in
from mcp_acl.runtime.settings import Settings
from mcp_acl.runtime.watching import write_what_is_left
from tests.hosts.conftest import HOSTS
from tests.runtime.weather import call, policies_in
from tests.service.started import SECONDS, serving

BURST = 200
"""Questions at once: more than are worked on together."""


def deciding(pid: int) -> int:
    """The process that decides: this one, or the Envoy that it runs."""
    for status in Path("/proc").glob("[0-9]*/status"):
        text = status.read_text()
        if f"\nPPid:\t{pid}\n" in text and "envoy" in text.partition("\n")[0]:
            return int(status.parent.name)
    return pid


@pytest.mark.parametrize("answers", [1, 20, 120])
@pytest.mark.parametrize("host", HOSTS)
def test_what_was_answered_before_a_process_was_killed_is_in_the_log(host: str, answers: int, tmp_path: Path) -> None:
    log, policies = tmp_path / "decisions.jsonl", policies_in(tmp_path)
    questions = [
        pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=call(tool, city="Oslo"))
        for tool in ("forecast", "secret")
    ]
    ids: list[str] = []
    enough = threading.Event()

    def answered(one: Any) -> None:
        if one.code() is grpc.StatusCode.OK:
            ids.append(pb.CheckResponse.FromString(one.result()).decision_id)
            if len(ids) == answers:
                enough.set()

    flags = ["--listen", "127.0.0.1:0", "--decision-log", str(log)]
    with (
        serving(policies, *flags, host=host) as (process, told),
        grpc.insecure_channel(told["listening"][0]) as channel,
    ):
        pid = deciding(told["pids"][0])
        check: Any = channel.unary_unary(f"/{SERVICE}/Check", pb.CheckRequest.SerializeToString)
        for number in range(BURST):
            check.future(questions[number % 2], timeout=SECONDS).add_done_callback(answered)
        assert enough.wait(SECONDS)
        os.kill(pid, signal.SIGKILL)
        process.wait(SECONDS)
    write_what_is_left(Settings(policies=policies, decision_log=log))
    # One that was being written may be there twice, or first in half: that is promised by nobody.
    assert ids
    assert not [one for one in ids if not list(found_in(log, one))]
