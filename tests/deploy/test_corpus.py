"""The corpus of attacks through every example that enforces everything: none reaches the canary, every honest twin does."""

import json
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from typer.testing import CliRunner

from mcp_acl.attack.cases import DIRECTORY
from mcp_acl.cli import app
from tests.attack.entrances import corpus
from tests.deploy import test_control_planes as planes
from tests.deploy import test_envoy as envoy
from tests.deploy.envoys import Config, Gateway, Issuer, placed, running
from tests.serving import serving


class Entrance(NamedTuple):
    """What becomes of an example, given the keys of tokens; the flags of the service; the path of the server."""

    render: Callable[[str], Config]
    flags: tuple[str, ...]
    path: str


def of_file(name: str, path: str) -> Entrance:
    return Entrance(lambda _: envoy.written(name), (), f"{path}/mcp")


EXAMPLES: Final = {
    **{name: Entrance(example.render, example.flags, "/mcp") for name, example in planes.FULL.items()},
    **{name: of_file(name, path) for name, path in envoy.FULL.items()},
}
SERVERS: Final = "[demo, weather, gateway]"


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_attack_gets_through_and_every_honest_twin_does(name: str, tmp_path: Path) -> None:
    cases = attacked(EXAMPLES[name], tmp_path)
    assert len(cases) > 330
    assert {} == {one["case"]: one["what"] for one in cases if one["outcome"] != "blocked"}
    assert [] == [one["case"] for one in cases if not one["twin_passed"]]


def test_what_gets_through_ext_authz_alone_is_in_responses(tmp_path: Path) -> None:
    """Nothing that is denied reaches the server."""
    cases = attacked(of_file("ext-authz.yaml", ""), tmp_path)
    assert len(cases) > 330
    through = [one["what"] for one in cases if one["outcome"] != "blocked"]
    assert through
    assert [] == [what for what in through if not what.endswith("is in the response")]


def attacked(entrance: Entrance, directory: Path) -> list[dict[str, Any]]:
    """What came of each case that could be tried."""
    issuer = Issuer(directory)
    policies = directory / "policies"
    policies.mkdir()
    policy = (DIRECTORY / "policy" / "demo.yaml").read_text()
    (policies / "demo.yaml").write_text(policy.replace("servers: [demo]", f"servers: {SERVERS}"))
    with ExitStack() as stack:
        host, _, port = stack.enter_context(serving(policies, *entrance.flags)).rpartition(":")
        canary = _free()
        config = entrance.render(issuer.keys)
        names = [cluster["name"] for cluster in config["static_resources"]["clusters"]]
        there = dict.fromkeys(names, (host, int(port))) | dict.fromkeys(("weather", "files"), ("127.0.0.1", canary))
        gateway = stack.enter_context(running(placed(config, issuer.jwks, there), directory))
        return _attacked(gateway, entrance.path, canary, issuer)


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _attacked(gateway: Gateway, path: str, canary: int, issuer: Issuer) -> list[dict[str, Any]]:
    who = {one: issuer.token(**{**claims, "iss": issuer.name}) for one, claims in corpus().claims.items()}
    said = ("--target", f"http://127.0.0.1:{gateway.port}{path}", "--canary", f"127.0.0.1:{canary}")
    tokens = ("--token", who["member"], "--other-token", who["other"])
    result = CliRunner().invoke(app, ["attack", *said, *tokens, "--timeout", "60", "--json"])
    assert "cases" in result.stdout, result.output
    return [one for one in json.loads(result.stdout)["cases"] if one["outcome"] != "untried"]
