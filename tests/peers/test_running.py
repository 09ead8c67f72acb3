"""Each peer answers honest messages, and writes down what it ran."""

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.peers.running import COMMANDS, Peer, Ran, running

LEGACY = {"MCP-Protocol-Version": "2025-11-25"}
ASKED: dict[str, tuple[dict[str, Any], tuple[str, str, dict[str, Any]]]] = {
    "tools/call": ({"name": "add", "arguments": {"a": 1, "b": 2}}, ("tool", "add", {"a": 1, "b": 2})),
    "prompts/get": ({"name": "greet", "arguments": {"who": "Ann"}}, ("prompt", "greet", {"who": "Ann"})),
    "resources/read": ({"uri": "demo://public/one"}, ("resource", "demo://public/one", {})),
    "completion/complete": (
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "A"}},
        ("completion", "greet", {"who": "A"}),
    ),
}


def asked(peer: Peer, number: int, method: str, params: dict[str, Any]) -> str:
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **LEGACY}
    with urlopen(Request(peer.url, body, {**headers, "X-Message": f"m{number}"}), timeout=20) as answer:  # noqa: S310
        said: bytes = answer.read()
    return said.decode()


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["sse", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_peer_answers_and_writes_down_what_it_ran(name: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    with running(name, tmp_path, *flags) as peer:
        for number, (method, (params, ran)) in enumerate(ASKED.items()):
            assert '"result":' in asked(peer, number, method, params)
            assert [Ran(*ran, f"m{number}")] == peer.ran()
        template = {"uri": "demo://docs/two"}
        assert '"result":' in asked(peer, 9, "resources/read", template)
        assert [Ran("template", "demo://docs/{name}", {"name": "two"}, "m9")] == peer.ran()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_peer_lists_what_it_has(name: str, tmp_path: Path) -> None:
    with running(name, tmp_path, "--json") as peer:
        has = {
            "tools/list": ["echo", "add", "secret_delete", "secret_transfer"],
            "prompts/list": ["greet", "secret_prompt"],
            "resources/list": ["demo://public/one", "demo://secret/one"],
            "resources/templates/list": ["demo://docs/{name}"],
        }
        for method, names in has.items():
            said = asked(peer, 1, method, {})
            assert [] == [one for one in names if json.dumps(one) not in said]
        assert [] == peer.ran()
