"""The configuration that `mcp-acl gateway` prints: Envoy takes it, and it is the one that runs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import installed
from tests.conftest import ROOT
from tests.gateways.commands import (
    FORMS,
    SECONDS,
    Recording,
    ask,
    call,
    environment_of_tests,
    free_port,
    gateway,
    recording,
    started,
    until,
)
from tests.gateways.signing import Issuer


@pytest.fixture(scope="module")
def server() -> Iterator[Recording]:
    with recording() as found:
        yield found


def printed(policies: Path, *flags: str, form: str = FORMS[0]) -> str:
    command = [*started(form), "--policies", str(policies), "--print-config", *flags]
    env = environment_of_tests()
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True, env=env).stdout


def test_configuration_is_one_that_envoy_takes(tmp_path: Path, policies: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps(Issuer().keys))
    upstreams = [
        "--upstream",
        "a=https://mcp.example.org/mcp",
        "--upstream",
        "b=http://[::1]:1/x",
        "--upstream",
        "http://localhost:2",
    ]
    for tokens in (
        [],
        ["--jwks", str(tmp_path / "jwks.json"), "--issuer", "https://issuer.example"],
        [
            "--jwks",
            "https://issuer.example/keys",
            "--audience",
            "a",
            "--audience",
            "b",
            "--public-url",
            "https://g.example",
        ],
    ):
        file = tmp_path / "envoy.yaml"
        file.write_text(printed(policies, *upstreams, *tokens))
        command = [str(installed.envoy()), "--mode", "validate", "--config-path", str(file), "--log-level", "error"]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert 0 == asked.returncode, asked.stderr


def test_configuration_of_one_process_is_the_one_that_runs(tmp_path: Path, policies: Path, server: Recording) -> None:
    listen = f"127.0.0.1:{free_port()}"
    flags = ("--upstream", f"weather={server.url}")
    text = printed(policies, *flags, "--listen", listen, form=FORMS[1])
    assert text.startswith("# Envoy's configuration where the service is inside it.")
    with gateway(tmp_path, policies, [f"weather={server.url}"], listen=listen, form=FORMS[1]):
        (file,) = (tmp_path / "tmp").glob("*/envoy.json")
        assert yaml.safe_load(text.replace("/run/mcp-acl", str(file.parent))) == json.loads(file.read_text())


def test_configuration_works_with_the_service_that_it_names(tmp_path: Path, policies: Path, server: Recording) -> None:
    ports = free_port(), free_port()
    text = printed(policies, "--upstream", f"weather={server.url}", "--listen", f"127.0.0.1:{ports[0]}")
    line = next(one for one in text.splitlines() if one.startswith("#   mcp-acl serve "))
    file = tmp_path / "envoy.yaml"
    file.write_text(text.replace("port_value: 9191", f"port_value: {ports[1]}"))
    serve = [
        sys.executable,
        "-P",
        "-m",
        *line.removeprefix("#   ").replace("mcp-acl", "mcp_acl").replace("9191", str(ports[1])).split(),
    ]
    envoy = [str(installed.envoy()), "--config-path", str(file), "--disable-hot-restart", "--log-level", "error"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCP_ACL_")}
    with (
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=clean) as service,
        subprocess.Popen(envoy) as running,
    ):
        try:
            assert service.stdout is not None
            assert service.stdout.readline().startswith("listening on ")
            until(lambda: answers(ports[0]))
            reply = ask(ports[0], "/weather/mcp", call("tools/list")).reply
            assert ["forecast"] == [one["name"] for one in reply["result"]["tools"]]
            service.terminate()
            service.wait(SECONDS)
            assert 503 == ask(ports[0], "/weather/mcp", call("tools/call", name="forecast")).status
        finally:
            running.terminate()
            service.terminate()


def answers(port: int) -> bool:
    try:
        return ask(port, "/weather/mcp", call("tools/list")).status == 200
    except OSError:
        return False


def test_example_of_the_readme_starts(tmp_path: Path, server: Recording) -> None:
    (line,) = (one for one in (ROOT / "README.md").read_text().splitlines() if one.startswith("$ mcp-acl gateway "))
    assert "everything=http://127.0.0.1:3001/mcp" in line
    with gateway(tmp_path, ROOT / "policies" / "everything", [f"everything={server.url}"]) as running:
        assert {"everything": f"http://127.0.0.1:{running.port}/everything/mcp"} == running.ready["servers"]
