"""The corpus of attacks through `mcp-acl gateway`: a real Envoy, real tokens, and the canary behind it."""

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_acl.attack.cases import DIRECTORY
from mcp_acl.cli import app
from tests.attack.entrances import corpus
from tests.gateways.commands import gateway
from tests.gateways.signing import AUDIENCE, Issuer


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What came of each case."""
    directory = tmp_path_factory.mktemp("corpus")
    issuer = Issuer()
    keys = directory / "jwks.json"
    keys.write_text(json.dumps(issuer.keys))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        canary = f"127.0.0.1:{free.getsockname()[1]}"
    tokens = {who: issuer.token(**claims) for who, claims in corpus().claims.items()}
    flags = ("--jwks", str(keys), "--audience", AUDIENCE, "--allow-anonymous")
    with gateway(directory, DIRECTORY / "policy", [f"demo=http://{canary}/mcp"], *flags) as running:
        target = running.ready["servers"]["demo"]
        said = ("--token", tokens["member"], "--other-token", tokens["other"], "--timeout", "60")
        result = CliRunner().invoke(app, ["attack", "--target", target, "--canary", canary, *said, "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    found = {f"{one['class']}/{one['case']}": one for one in json.loads(result.stdout)["cases"]}
    return {name: one for name, one in found.items() if one["outcome"] != "untried"}


def test_almost_all_cases_can_be_tried(cases: Mapping[str, Mapping[str, Any]]) -> None:
    assert len(cases) > 330


def test_no_attack_gets_through(cases: Mapping[str, Mapping[str, Any]]) -> None:
    assert {} == {name: one["what"] for name, one in cases.items() if one["outcome"] != "blocked"}


def test_every_honest_twin_does(cases: Mapping[str, Mapping[str, Any]]) -> None:
    assert [] == [name for name, one in cases.items() if not one["twin_passed"]]
