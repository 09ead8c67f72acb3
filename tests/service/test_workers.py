"""Several workers behind a real Envoy: even load from one connection, as the page on running the service says."""

import json
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mcp_acl.client import Client, Question
from tests import installed
from tests.runtime.weather import WEATHER, call
from tests.service.started import serving, until

ROOT = Path(__file__).parents[2]
CALLS = 400


def shown_cluster() -> dict[str, Any]:
    (text,) = re.findall(r"```yaml\n# Envoy: a cluster.*?\n(.*?)```", (ROOT / "docs/service.md").read_text(), re.DOTALL)
    cluster: dict[str, Any] = yaml.safe_load(text)
    return cluster


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def configuration(cluster: dict[str, Any], port: int) -> dict[str, Any]:
    http = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": f"type.googleapis.com/{http}",
        "stat_prefix": "grpc",
        "codec_type": "HTTP2",
        "http_filters": [{"name": "router", "typed_config": router}],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster["name"]}}],
                }
            ]
        },
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "grpc", "address": address, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextmanager
def envoy(cluster: dict[str, Any], directory: Path) -> Iterator[str]:
    binary = str(installed.envoy())
    port = free_port()
    (directory / "envoy.json").write_text(json.dumps(configuration(cluster, port)))
    command = [binary, "-c", str(directory / "envoy.json"), "--use-dynamic-base-id", "--concurrency", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def test_workers_share_what_comes_over_one_connection(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "weather.yaml").write_text(WEATHER)
    cluster = shown_cluster()
    with serving(tmp_path / "policies", "--listen", "127.0.0.1:0", "--workers", "2") as (_, told):
        (locality,) = cluster["load_assignment"]["endpoints"]
        for one, address in zip(locality["lb_endpoints"], told["listening"], strict=True):
            one["endpoint"]["address"]["socket_address"]["port_value"] = int(address.rpartition(":")[2])
        with envoy(cluster, tmp_path) as address, Client(address, timeout=5.0) as client:
            question = Question("weather", call("forecast", city="Oslo"))
            until(lambda: client.check(question))
            verdicts = [client.check(question) for _ in range(CALLS)]
    answered = Counter(verdict.decision_id.partition("-")[0] for verdict in verdicts)
    assert all(verdicts)
    assert 2 == len(answered)
    assert CALLS / 4 < min(answered.values())
