"""OPA as a server, beside ours: over its REST API, and over Envoy's ext_authz with its plugin. Each as a target of `mcp_acl.bench`.

* The policy is `acme.rego`, loaded when the server starts. Over REST a question is `{"input": …}` to `/v1/data/acme/allow`, as OPA's documentation
  has it; over ext_authz it is what Envoy sends, byte for byte the one that ours is asked, and the policy reads the message and the verified token from
  where Envoy leaves them.
* Both are programs in Go: `opa` and `opa-envoy`, beside this Python or on the PATH; README.md says how to have them. Logs are at `error`, there is
  no decision log, and nothing is looked up elsewhere.
* More than ours: bundles, data beside policies, decision logs. Less: the message is JSON and no more is known of it (a policy reads what it
  likes), no index over names that are patterns, no lists.
* Tried over REST: `--optimize-store-for-read-speed`, and `/v0`, whose body is the input itself; figures are in README.md.

Servers listen on loopback and are stopped by their process.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import grpc

from mcp_acl.adapters import ext_authz
from mcp_acl.adapters.facts import SERVER_METADATA
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.bench import requests
from mcp_acl.bench.exchange import Call, Post
from mcp_acl.bench.measuring import Target
from mcp_acl.bench.running import running
from mcp_acl.domain import Http, TokenState
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.runtime import gate
from rivals import RivalMissingError, ours
from rivals.scenario import PUBLISH, SERVER, Question, wrong

POLICY: Final = Path(__file__).with_name("acme.rego")
PATH: Final = "/v1/data/acme/allow"
CHECK: Final = f"/{ext_authz.SERVICE}/Check"
GRANTED: Final = b"\x0a\x00"
"""How a CheckResponse of ext_authz begins that grants: field 1, a status of which nothing is set."""

_START_SECONDS: Final = 30.0
_CLAIMS: Final = 'input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload'
_AS_ENVOY_SAYS: Final = {
    "package acme": "package envoy.authz",
    "input.claims": _CLAIMS,
    "input.tool": "input.parsed_body.params.name",
    "input.arguments": "input.parsed_body.params.arguments",
}
_HEADERS: Final = {"content-type": ("application/json",), "accept": ("application/json, text/event-stream",)}


# ---- what is asked --------------------------------------------------------------------------------------------------


@contextmanager
def opa(question: Question = PUBLISH) -> Iterator[tuple[Target, ...]]:
    """OPA over REST. Raises RivalMissingError."""
    with _started("opa", POLICY.read_text()) as (address, pid):
        _hold("OPA", partial(_over_rest, address))
        judge = _is_true if question.allowed else _is_false
        post = Post(PATH, _body(question), judge, {"Content-Type": "application/json"})
        yield (Target("OPA, REST", {"server": "opa", "interface": "rest"}, address, post, (pid,)),)


@contextmanager
def opa_envoy(question: Question = PUBLISH) -> Iterator[tuple[Target, ...]]:
    """OPA with its plugin over ext_authz. Raises RivalMissingError."""
    (port,) = free_ports(1)
    plugin = {"addr": f"127.0.0.1:{port}", "path": "envoy/authz/allow"}
    settings = [f"--set=plugins.envoy_ext_authz_grpc.{name}={value}" for name, value in plugin.items()]
    with _started("opa-envoy", envoy_policy(), settings) as (_, pid):
        address = f"127.0.0.1:{port}"
        _hold("OPA, ext_authz", partial(_over_ext_authz, address))
        yield (_authorizing("OPA, ext_authz", "opa-envoy", address, pid, question),)


@contextmanager
def our_service(
    host: str = "grpcio", question: Question = PUBLISH, python: str = sys.executable
) -> Iterator[tuple[Target, ...]]:
    """Our service, asked the same over ext_authz, and over its own `Check`."""
    with running(host, ours.FILES, python) as service:
        _hold(f"mcp-acl on {host}", partial(_over_ext_authz, service.address))
        yield (
            _authorizing(f"mcp-acl on {host}, ext_authz", host, service.address, service.pid, question),
            _checking(f"mcp-acl on {host}, Check", host, service.address, service.pid, question),
        )


def envoy_policy() -> str:
    """The policy, as it reads what Envoy sends."""
    text = POLICY.read_text()
    for one, other in _AS_ENVOY_SAYS.items():
        text = text.replace(one, other)
    return text


def _authorizing(name: str, server: str, address: str, pid: int, question: Question) -> Target:
    judge = _grants if question.allowed else _denies
    call = Call(CHECK, [_authorization(question)], [judge], ((SERVER_METADATA, SERVER),))
    return Target(name, {"server": server, "interface": "ext_authz"}, address, call, (pid,))


def _checking(name: str, server: str, address: str, pid: int, question: Question) -> Target:
    decision = pb.DECISION_ALLOW if question.allowed else pb.DECISION_DENY
    right = pb.CheckResponse(decision=decision).SerializeToString()
    call = Call(f"/{SERVICE}/Check", [requests.check_request(_question(question))], [lambda one: one.startswith(right)])
    return Target(name, {"server": server, "interface": "unary"}, address, call, (pid,))


def _grants(answer: bytes) -> bool:
    return answer.startswith(GRANTED)


def _denies(answer: bytes) -> bool:
    return not answer.startswith(GRANTED)


def _is_true(answer: bytes) -> bool:
    return answer.rstrip() == b'{"result":true}'


def _is_false(answer: bytes) -> bool:
    return answer.rstrip() == b'{"result":false}'


def _body(question: Question) -> bytes:
    document = {"claims": question.claims, "tool": question.tool, "arguments": question.arguments}
    return json.dumps({"input": document}, separators=(",", ":")).encode()


def _authorization(question: Question) -> bytes:
    """What Envoy asks."""
    return requests.authorization_request(_question(question))


def _question(question: Question) -> gate.Question:
    token = TokenState.VALID if question.claims else TokenState.NONE
    http = Http("POST", "/mcp", _HEADERS, "10.0.0.7")
    return gate.Question(SERVER, ours.body(question), question.claims, token, http=http)


# ---- whether it is answered rightly ---------------------------------------------------------------------------------


def _hold(name: str, ask: Callable[[Question], bool]) -> None:
    """Ask everything once. Raises AssertionError."""
    found = wrong(ask)
    assert not found, f"{name}: wrong answers: {', '.join(found)}"


def _over_rest(address: str, question: Question) -> bool:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}{PATH}", _body(question), headers)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return _is_true(answer.read())


def _over_ext_authz(address: str, question: Question) -> bool:
    with grpc.insecure_channel(address) as channel:
        metadata = ((SERVER_METADATA, SERVER),)
        answer = channel.unary_unary(CHECK)(_authorization(question), metadata=metadata, wait_for_ready=True)
    return _grants(answer)


# ---- the server -----------------------------------------------------------------------------------------------------


@contextmanager
def _started(program: str, policy: str, flags: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    """Run OPA on a free port; its address, and its process."""
    found = shutil.which(program, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        raise RivalMissingError(f"OPA as a server: there is no `{program}`")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / POLICY.name
        file.write_text(policy)
        command = [found, "run", "--server", f"--addr={address}", "--log-level=error", "--skip-version-check"]
        with (Path(made) / "log").open("w+b") as log:
            process = subprocess.Popen([*command, *flags, file], stdout=log, stderr=log)
            try:
                _wait(process, f"http://{address}/health?plugins", Path(log.name))
                yield address, process.pid
            finally:
                process.terminate()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Until it is healthy. Raises AssertionError."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url):  # noqa: S310 - on loopback
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"OPA does not start: {log.read_text(errors='replace')[-1000:]}")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has, so far."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
