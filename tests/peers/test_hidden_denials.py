"""A hidden denial of what a real server has is, byte for byte, what that server answers for what it does not have."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_acl.domain import Http, Reason
from mcp_acl.mcp.methods import REVISIONS
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate, Question
from tests.peers.running import Peer, running

POLICY = """
version: 1
policy: canary
settings: {{denials: hidden, kind: {kind}, json_responses: {json}, server_info: {{name: canary}}}}
rules:
  - {{id: everything, feature: "*", methods: ["*"]}}
  - {{id: no-logging, effect: deny, methods: [logging/setLevel]}}
  - {{id: no-secrets, effect: deny, feature: "*", methods: ["*"], message: It is a secret.,
     name: [{{glob: "secret*"}}, {{glob: "demo://secret/*"}}, {{glob: "demo://docs/*"}}]}}
"""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
MIRRORED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/cancel": "taskId",
}
COMPARED = ("content-type", "cache-control", "x-accel-buffering", "mcp-session-id", "www-authenticate")

SERVERS = [
    ("python", ()),
    ("python", ("--json",)),
    ("python", ("--sessions",)),
    ("python", ("--sessions", "--json")),
    ("typescript-1", ("--tasks",)),
    ("typescript-1", ("--tasks", "--json")),
    ("typescript-1", ("--sessions",)),
    ("typescript-1", ("--sessions", "--json")),
    ("typescript-2", ("--auto",)),
]


class Asked(NamedTuple):
    """A method, and `params` in which `~` is what the server has, or does not have."""

    method: str
    params: Mapping[str, Any] | None
    has: str
    has_not: str


def _completion(**ref: str) -> dict[str, Any]:
    return {"ref": ref, "argument": {"name": "name", "value": "v"}}


ASKED = [
    Asked("tools/call", {"name": "~", "arguments": {"path": "/"}}, "secret_delete", "no_such"),
    Asked("tools/call", {"name": "~"}, "secret_transfer", "nö \"such\" \u2028 'tool'"),
    Asked("prompts/get", {"name": "~"}, "secret_prompt", "no_such"),
    Asked("resources/read", {"uri": "~"}, "demo://secret/one", "demo://public/none?a=b%20c&d"),
    Asked("completion/complete", _completion(type="ref/prompt", name="~"), "secret_prompt", "no_such"),
    Asked("completion/complete", _completion(type="ref/resource", uri="~"), "demo://docs/{name}", "demo://no/{such}"),
    Asked("resources/subscribe", {"uri": "~"}, "demo://secret/one", "demo://public/none"),
]
"""What a rule grants by its pattern, though it is not there; and what is there, and denied."""

ABSENT = [
    Asked("logging/setLevel", {"level": "info"}, "logging/setLevel", "logging/setLevel"),
    Asked(
        "sampling/createMessage", {"messages": [], "maxTokens": 1}, "sampling/createMessage", "sampling/createMessage"
    ),
    Asked("no/such", {}, "no/such", "no/such"),
    Asked("notifications/no/such", None, "", ""),
]
"""What is denied whether it is there or not: here it is not."""

WITH_TASKS = [
    Asked("tools/call", {"name": "~", "task": {}}, "secret_delete", "no_such"),
    Asked("tasks/get", {"taskId": "~"}, "another's", "no_such"),
    Asked("tasks/result", {"taskId": "~"}, "another's", "no_such"),
    Asked("tasks/cancel", {"taskId": "~"}, "another's", "no_such"),
]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: str

    def without(self, name: str) -> "Answer":
        """With a mark in the place of a name."""
        spelled = {json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]} - {""}
        body = self.body
        for one in sorted(spelled):
            body = body.replace(one, "~")
        return self._replace(body=body)


class Client:
    """One client of a peer, in one revision."""

    def __init__(self, peer: Peer, revision: str) -> None:
        self._peer = peer
        self.revision = revision
        self.session: dict[str, str] = {}

    def open(self) -> None:
        """A session, if the server wants one."""
        info = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        opened = self.send(body("initialize", info), {})
        if "mcp-session-id" in opened.headers:
            self.session = {"mcp-session-id": opened.headers["mcp-session-id"]}
            assert (
                202
                == self.send(
                    body("notifications/initialized", None), self.headers("notifications/initialized", None)
                ).status
            )

    def headers(self, method: str, params: Mapping[str, Any] | None) -> dict[str, str]:
        found = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": self.revision,
            **self.session,
        }
        name = (params or {}).get(MIRRORED.get(method, ""), "")
        if self.revision == "2026-07-28":
            found["mcp-method"] = method
            if name:
                found["mcp-name"] = name if name.isascii() else f"=?base64?{b64encode(name.encode()).decode()}?="
        return found

    def send(self, sent: bytes, headers: Mapping[str, str]) -> Answer:
        connection = HTTPConnection(self._peer.host, self._peer.port, timeout=20)
        whole = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
        connection.request("POST", "/mcp", sent, whole)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, {name: lower[name] for name in COMPARED if name in lower}, text)


def body(method: str, params: Mapping[str, Any] | None) -> bytes:
    message = {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})
    return json.dumps(message if method.startswith("notifications/") else {**message, "id": "i1"}).encode()


def filled(asked: Asked, name: str, revision: str) -> Mapping[str, Any] | None:
    if asked.params is None:
        return None
    text = json.dumps(asked.params).replace('"~"', json.dumps(name))
    params: dict[str, Any] = json.loads(text)
    return {**params, "_meta": META} if revision == "2026-07-28" else params


def differences(client: Client, gate: Gate, asked: Asked) -> Iterator[object]:
    """The real answer for what is not there beside the denial of what is, if they differ."""
    absent = filled(asked, asked.has_not, client.revision)
    headers = client.headers(asked.method, absent)
    real = client.send(body(asked.method, absent), headers).without(asked.has_not)
    denied = filled(asked, asked.has, client.revision)
    http = Http(headers={name: [value] for name, value in client.headers(asked.method, denied).items()})
    answer = gate.check(Question("canary", body(asked.method, denied), http=http))
    assert answer.denial is not None, asked
    denial = Answer(answer.denial.status, dict(answer.denial.headers), answer.denial.body.decode()).without(asked.has)
    if real != denial:
        yield asked, client.revision, real, denial


def gate_of(kind: str, flags: tuple[str, ...]) -> Gate:
    text = POLICY.format(kind=kind, json="true" if "--json" in flags else "false")
    return Gate(compile_policies([SourceFile("canary.yaml", text.encode())]))


@pytest.mark.parametrize(("kind", "flags"), SERVERS, ids=["".join((kind, *flags)) for kind, flags in SERVERS])
def test_what_is_denied_cannot_be_told_from_what_is_not_there(
    kind: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    gate = gate_of(kind, flags)
    asked = [*ASKED, *ABSENT, *(WITH_TASKS if "--tasks" in flags else [])]
    with running(kind, tmp_path, *flags) as peer:
        for revision in REVISIONS[:-1] if kind == "typescript-1" and "--sessions" in flags else REVISIONS:
            client = Client(peer, revision)
            if "--sessions" in flags and revision != REVISIONS[-1]:
                client.open()
            assert [] == [found for one in asked for found in differences(client, gate, one)]
        assert [] == [ran for ran in peer.ran() if ran.kind != "completion"]


def test_what_is_not_there_is_granted_and_the_operator_is_told_the_truth() -> None:
    gate = gate_of("python", ())
    for one in ASKED:
        granted = gate.check(Question("canary", body(one.method, filled(one, one.has_not, "2025-11-25"))))
        denied = gate.check(Question("canary", body(one.method, filled(one, one.has, "2025-11-25"))))
        assert (True, Reason.DENIED_BY_RULE) == (granted.decision.allowed, denied.decision.reason)
        assert ("It is a secret.", ["canary/no-secrets"]) == (
            denied.decision.message,
            [str(rule) for rule in denied.decision.rules],
        )
