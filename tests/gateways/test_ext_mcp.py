"""agentgateway, with the real one in front of real servers: what passes, what is taken out, what fails closed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gateways.agentgateways import Client, binary, gateway, token
from tests.peers.running import Peer, running
from tests.serving import serving

POLICY = """\
version: 1
policy: canary
servers: [weather]
rules:
  - id: everyone
    methods: [tools/list, tools/call]
    name: [echo, add]
  - id: not-that
    effect: deny
    methods: [tools/call]
    name: echo
    cel: 'mcp.arguments.text == "no"'
    message: That is not said here.
  - id: admins
    methods: [tools/list, tools/call]
    name: secret_delete
    cel: 'claims.role == "admin"'
  - id: public
    methods: [resources/list, resources/read]
    name: "demo://public/one"
  - id: greetings
    methods: [prompts/list, prompts/get]
    name: greet
"""
OTHER = """\
version: 1
policy: other
servers: [second]
rules:
  - id: adding
    methods: [tools/list, tools/call]
    name: add
"""


class Scene(NamedTuple):
    """A service, and a server that says what has run."""

    service: str
    peer: Peer


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    binary()
    directory = tmp_path_factory.mktemp("ext_mcp")
    policies = directory / "policies"
    policies.mkdir()
    (policies / "canary.yaml").write_text(POLICY)
    (policies / "other.yaml").write_text(OTHER)
    with serving(policies) as service, running("python", directory, "--sessions") as peer:
        yield Scene(service, peer)


@pytest.fixture(scope="module")
def port(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The gateway as it is shipped, but for addresses and keys."""
    with gateway(tmp_path_factory.mktemp("gateway"), scene.service, {"weather": scene.peer.url}) as opened:
        yield opened


def names(answer: Any, kind: str, member: str = "name") -> list[str]:
    return [entry[member] for entry in answer["result"][kind]]


def test_session_begins_and_is_alive(port: int) -> None:
    client = Client(port)
    assert "canary" == client.begun["result"]["serverInfo"]["name"]
    assert {} == client.ask("ping")["result"]


def test_granted_call_runs_and_denied_one_does_not(port: int, scene: Scene) -> None:
    client = Client(port)
    scene.peer.ran()
    assert "hi" == client.ask("tools/call", name="echo", arguments={"text": "hi"})["result"]["content"][0]["text"]
    error = client.ask("tools/call", name="secret_delete", arguments={"path": "/"})["error"]
    assert -32001 == error["code"]
    assert (403, "no_matching_rule") == (error["data"]["code"], error["data"]["data"]["reason"])
    assert (
        "That is not said here." == client.ask("tools/call", name="echo", arguments={"text": "no"})["error"]["message"]
    )
    assert ["echo"] == [ran.name for ran in scene.peer.ran()]


def test_claims_of_the_token_count_in_calls_and_lists(port: int) -> None:
    admin, guest = Client(port, token(role="admin")), Client(port, token(role="guest"))
    assert "result" in admin.ask("tools/call", name="secret_delete", arguments={})
    assert "error" in guest.ask("tools/call", name="secret_delete", arguments={})
    assert ["echo", "add", "secret_delete"] == names(admin.ask("tools/list"), "tools")
    assert ["echo", "add"] == names(guest.ask("tools/list"), "tools")


def test_lists_are_filtered_for_everyone(port: int) -> None:
    client = Client(port)
    assert ["echo", "add"] == names(client.ask("tools/list"), "tools")
    assert ["greet"] == names(client.ask("prompts/list"), "prompts")
    assert ["demo://public/one"] == names(client.ask("resources/list"), "resources", "uri")
    assert [] == names(client.ask("resources/templates/list"), "resourceTemplates")


def test_resources_and_prompts_are_decided(port: int) -> None:
    client = Client(port)
    assert "result" in client.ask("resources/read", uri="demo://public/one")
    assert "error" in client.ask("resources/read", uri="demo://secret/one")
    assert "result" in client.ask("prompts/get", name="greet", arguments={"who": "x"})
    assert "error" in client.ask("prompts/get", name="secret_prompt")


def test_answer_to_what_is_not_asked_about_beforehand_is_refused(port: int) -> None:
    asked = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "a"}}
    assert "mcp_acl_request" in Client(port).ask("completion/complete", **asked)["error"]["message"]


def test_without_its_request_a_list_is_still_filtered_and_a_result_refused(scene: Scene, tmp_path: Path) -> None:
    with gateway(tmp_path, scene.service, {"weather": scene.peer.url}, {"request": ""}) as port:
        client = Client(port, token(role="admin"))
        assert ["echo", "add", "secret_delete"] == names(client.ask("tools/list"), "tools")
        assert ["echo", "add"] == names(Client(port).ask("tools/list"), "tools")
        refused = client.ask("tools/call", name="echo", arguments={"text": "hi"})["error"]
        assert "mcp_acl_request" in refused["message"]


def test_several_backends_are_decided_one_by_one_and_lists_are_not(scene: Scene, tmp_path: Path) -> None:
    servers = {"weather": scene.peer.url, "second": scene.peer.url}
    with gateway(tmp_path, scene.service, servers) as port:
        client = Client(port)
        assert "result" in client.ask("tools/call", name="weather_echo", arguments={"text": "hi"})
        assert "error" in client.ask("tools/call", name="second_echo", arguments={"text": "hi"})
        assert "result" in client.ask("tools/call", name="second_add", arguments={"a": 1, "b": 2})
        assert "several backends" in client.ask("tools/list")["error"]["message"]


def test_server_that_nobody_governs_cannot_be_reached(scene: Scene, tmp_path: Path) -> None:
    with gateway(tmp_path, scene.service, {"weather": scene.peer.url}, {"server": '"nowhere"'}) as port:
        assert "no_policy" == Client(port).begun["error"]["data"]["data"]["reason"]


def test_service_that_is_down_lets_nothing_pass(scene: Scene, tmp_path: Path) -> None:
    with gateway(tmp_path, "127.0.0.1:1", {"weather": scene.peer.url}) as port:
        scene.peer.ran()
        assert -32603 == Client(port).begun["error"]["code"]
        assert [] == scene.peer.ran()
