"""Workers and whole services that are replaced under load behind a real Envoy, set up as the page on deployment says: no request fails."""

import json
import os
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.gateways.authz_envoy import SECONDS, Scene, authz, gateway
from tests.gateways.engines import HOSTS
from tests.gateways.envoys import GOOD
from tests.installed import ROOT
from tests.runtime.weather import call, policies_in
from tests.service.load import meanwhile
from tests.service.started import serving, until

CONNECTIONS: Final = 3
PAUSE: Final = 0.05
"""Seconds between the questions of one connection, so that there is something left for those that start."""
DRAIN: Final = "600"
"""Longer than any test takes: what drains is told a second time when Envoy has left it, so that no machine is too slow."""
LOOKS: Final = "0.25s"
GRANTED: Final = call("forecast", city="Oslo")
DENIED: Final = call("forecast", city="Atlantis")
FLAGS: Final = ("--listen", "127.0.0.1:0", "--server", "weather", "--drain", DRAIN)
_HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http"


def shown(name: str) -> dict[str, Any]:
    """What the page shows, by its first line."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    (text,) = re.findall(rf"```yaml\n# {re.escape(name)}.*?\n(.*?)```", page, re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


class Endpoints:
    """Where services are, told to Envoy by a file: as a control plane tells it, whenever that changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "endpoints"
        self._directory.mkdir()
        self._file = self._directory / "endpoints.json"

    def put(self, addresses: Sequence[str]) -> None:
        places = [
            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
            for host, _, port in (one.rpartition(":") for one in addresses)
        ]
        assignment = {
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": "mcp-acl",
            "endpoints": [{"lb_endpoints": places}],
        }
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"version_info": str(addresses), "resources": [assignment]}))
        new.replace(self._file)

    def cluster(self) -> dict[str, Any]:
        """The cluster of the page, that asks this file for its endpoints, and asks for health more often than one does."""
        cluster = shown("Envoy: the cluster")
        del cluster["load_assignment"]
        (check,) = cluster["health_checks"]
        check |= {"interval": LOOKS, "no_traffic_interval": LOOKS, "timeout": "5s"}
        source = {"path": str(self._file), "watched_directory": {"path": str(self._directory)}}
        config = {"path_config_source": source, "resource_api_version": "V3"}
        return {**cluster, "type": "EDS", "eds_cluster_config": {"eds_config": config}}


def filters() -> dict[str, Any]:
    """Both interfaces, one after the other: each request is asked about twice."""
    asked = shown("Envoy: `grpc_service`")
    processor = {
        "@type": f"{_HTTP}.ext_proc.v3.ExternalProcessor",
        "grpc_service": asked,
        "processing_mode": GOOD,
        "allow_mode_override": True,
        "message_timeout": f"{SECONDS}s",
        "response_attributes": ["response.code_details"],
        "status_on_error": {"code": 503},
    }
    return {
        "envoy.filters.http.ext_authz": authz(grpc_service={**asked, "timeout": f"{SECONDS}s"}),
        "envoy.filters.http.ext_proc": processor,
    }


class Seen:
    """What clients got: how often which answer to which message, and by which processes."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.processes: set[str] = set()

    def add(self, message: bytes, status: int, body: bytes) -> None:
        answer = json.loads(body) if status == 200 else {}
        if "error" in answer and answer["error"]["data"]["reason"] == "denied_by_rule":
            self.processes.add(answer["error"]["data"]["decision_id"].partition("-")[0])
            got = "denied"
        else:
            got = "granted" if "result" in answer else f"{status} {body[:200]!r}"
        asked = "granted" if message == GRANTED else "denied"
        self.answers[got if got == asked else f"{asked}, but: {got}"] += 1


@contextmanager
def load(scene: Scene) -> Iterator[Seen]:
    """Ask steadily on several connections while this lasts."""
    seen = Seen()

    def run(_: int, stop: threading.Event) -> None:
        connection = HTTPConnection(scene.address, timeout=SECONDS)
        while not stop.wait(PAUSE):
            for message in (GRANTED, DENIED):
                connection.request("POST", "/mcp", message, {"content-type": "application/json"})
                response = connection.getresponse()
                seen.add(message, response.status, response.read())
        connection.close()

    with meanwhile(run, CONNECTIONS):
        yield seen


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return policies_in(tmp_path)


def check(scene: Scene, seen: Seen) -> None:
    """Nothing but right answers; what was granted has reached the server once; whatever was asked again was answered in the end."""
    assert {"granted", "denied"} == seen.answers.keys()
    assert seen.answers["granted"] == len(scene.upstream.came)
    given_up = ("upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow")
    assert [0, 0] == [scene.stat(f"cluster.mcp-acl.{name}") for name in given_up]


def more(seen: Seen) -> None:
    """Wait until every connection has got answers to what it asks from here on."""
    total = seen.answers.total()
    until(lambda: seen.answers.total() > total + 20 * CONNECTIONS)


def left(scene: Scene, seen: Seen, healthy: int) -> None:
    """Wait until Envoy asks those alone that are healthy, and so many are."""
    until(lambda: scene.stat("cluster.mcp-acl.membership_healthy") == healthy)
    more(seen)


def ended(process: "subprocess.Popen[str]") -> bool:
    """Tell it once more to end: no signal counts twice that comes before the one before it was taken."""
    process.terminate()
    return process.poll() is not None


@pytest.mark.parametrize("host", HOSTS)
def test_no_request_fails_while_a_worker_is_replaced(host: str, policies: Path, tmp_path: Path) -> None:
    endpoints = Endpoints(tmp_path)
    with serving(policies, *FLAGS, "--workers", "2", host=host) as (process, told):
        endpoints.put(told["listening"])
        with gateway(tmp_path, "", filters(), cluster=endpoints.cluster()) as scene:
            with load(scene) as seen:
                until(lambda: len(seen.processes) == 2)
                process.send_signal(signal.SIGHUP)
                left(scene, seen, healthy=1)
                os.kill(told["pids"][0], signal.SIGTERM)
                left(scene, seen, healthy=2)
                until(lambda: len(seen.processes) == 3)
            check(scene, seen)
        until(lambda: ended(process))


def test_no_request_fails_while_services_are_replaced(policies: Path, tmp_path: Path) -> None:
    endpoints = Endpoints(tmp_path)
    with ExitStack() as services:
        old, before = services.enter_context(serving(policies, *FLAGS))
        endpoints.put(before["listening"])
        with gateway(tmp_path, "", filters(), cluster=endpoints.cluster()) as scene:
            with load(scene) as seen:
                until(lambda: len(seen.processes) == 1)
                _, after = services.enter_context(serving(policies, *FLAGS))
                endpoints.put([*before["listening"], *after["listening"]])
                until(lambda: len(seen.processes) == 2)
                old.terminate()
                endpoints.put(after["listening"])
                left(scene, seen, healthy=1)
                old.terminate()
                assert 0 == old.wait(SECONDS)
                more(seen)
            check(scene, seen)
