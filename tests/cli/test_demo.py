"""The demo from outside: what it shows, how it ends, what it leaves running."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.cli.demo import children

ROOT = Path(__file__).parents[2]
SECONDS = 60


def demo(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mcp_acl", "demo", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def told() -> Mapping[str, Any]:
    ended = demo("--json")
    assert (0, "") == (ended.returncode, ended.stderr)
    story: Mapping[str, Any] = json.loads(ended.stdout)
    return story


def test_every_list_of_the_server_is_whole(told: Mapping[str, Any]) -> None:
    counts = {method: len(names) for method, names in told["existing"].items()}
    assert {"tools/list": 13, "prompts/list": 4, "resources/list": 7, "resources/templates/list": 2} == counts


def test_each_principal_sees_its_own_tools(told: Mapping[str, Any]) -> None:
    seen = {principal: lists["tools/list"] for principal, lists in told["seen"].items()}
    assert ["echo", "get-sum"] == seen["viewer"]
    assert set(seen["viewer"]) < set(seen["analyst"]) < set(seen["admin"])
    assert "get-env" not in seen["admin"]


def test_every_denial_names_its_reason_and_reaches_the_client_as_an_error(told: Mapping[str, Any]) -> None:
    denied = [call for call in told["calls"] if call["decision"] == "deny"]
    assert {"no_matching_rule", "denied_by_rule", "uri_not_canonical", "message_refused"} == {
        call["reason"] for call in denied
    }
    assert all("error" in call["reply"] for call in denied)


def test_tables_are_plain_text_in_a_pipe() -> None:
    ended = demo()
    assert 0 == ended.returncode, ended.stderr
    assert "\x1b" not in ended.stdout
    assert "2 of 13" in ended.stdout
    assert "denied_by_rule: nobody-reads-the-environment" in ended.stdout


LISTS_ALONE = """
version: 1
policy: lists-alone
rules:
  - id: lists
    feature: "*"
    methods: [tools/list, prompts/list, resources/list, resources/templates/list]
"""


def test_what_is_not_as_it_should_be_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(LISTS_ALONE)
    ended = demo("--policies", str(tmp_path), "--json")
    assert 1 == ended.returncode
    assert "viewer: `call echo` should be allowed" in ended.stderr


@pytest.mark.parametrize("options", [("--policies", "nowhere"), ("--node-modules", "nowhere")])
def test_what_cannot_be_used_ends_with_2(options: tuple[str, str]) -> None:
    ended = demo(*options)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "nowhere" in ended.stderr


# ---- servers end with the demo --------------------------------------------------------------------------------------

# A server whose address is its process id.
SERVER = "import os, time; print('listening on', os.getpid(), flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVER}"
DEMO = f"""
import os, sys, time
from mcp_acl.cli.demo.children import listening, unwinding_on_signals
with unwinding_on_signals(), listening("it", [sys.executable, "-c", {SERVER!r}], os.environ) as address:
    print(address, flush=True)
    time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("program", [SERVER, STUBBORN])
def test_a_server_has_ended_when_its_block_has(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "END_SECONDS", 1.0)
    with children.listening("it", [sys.executable, "-c", program], os.environ) as address:
        assert is_running(int(address))
    assert not is_running(int(address))


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(children.DemoError, match="it did not start: no such port"),
        children.listening("it", [sys.executable, "-c", "raise SystemExit('no such port')"], os.environ),
    ):
        pytest.fail("it has not started")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_stopped_takes_its_servers_with_it(sign: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", DEMO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        assert is_running(server)
        process.send_signal(sign)
        assert 0 != process.wait(SECONDS)
    assert not is_running(server)


SERVICE = f"""
import time
from pathlib import Path
from mcp_acl.cli.demo import _service
with _service(Path({str(ROOT / "policies" / "everything")!r})) as address:
    print(address, flush=True)
    time.sleep(60)
"""


def is_served(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_demo_that_is_killed_takes_the_service_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert is_served(address)
        process.kill()
    until = time.monotonic() + SECONDS
    while is_served(address):
        assert time.monotonic() < until
        time.sleep(0.05)
