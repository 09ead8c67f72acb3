"""A real Envoy as the gateway, with knobs to set it up wrongly; run by this process, bound to loopback."""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.installed import envoy

SECONDS: Final = 20.0
GOOD: Final[Mapping[str, Any]] = {
    "request_header_mode": "SEND",
    "request_body_mode": "BUFFERED",
    "response_header_mode": "SEND",
    "response_body_mode": "STREAMED",
    "request_trailer_mode": "SEND",
    "response_trailer_mode": "SEND",
}
"""`processing_mode` as it should be."""
_ATTRIBUTES: Final = ["source.address", "connection.uri_san_peer_certificate", "connection.dns_san_peer_certificate"]
_EXT_PROC: Final = "envoy.filters.http.ext_proc"
_TYPES: Final = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Knobs:
    """How Envoy is set up. The defaults are right. What is None is left out of the filter's configuration."""

    mode: Mapping[str, Any] = field(default_factory=dict)
    ext_proc: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[Mapping[str, Any]] = ()
    route: Mapping[str, Any] = field(default_factory=dict)
    action: Mapping[str, Any] = field(default_factory=dict)
    listener: Mapping[str, Any] = field(default_factory=dict)
    manager: Mapping[str, Any] = field(default_factory=dict)
    downstream_tls: Mapping[str, Any] | None = None
    server: str = "weather"


@dataclass(frozen=True)
class Gateway:
    """An Envoy that runs: its address, its process, and its log of requests."""

    port: int
    admin: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def stat(self, name: str) -> int:
        """One of Envoy's counters or gauges."""
        url = f"http://{self.admin}/stats?format=json&filter=^{re.escape(name)}$"
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            (found,) = json.load(answer)["stats"]
            return int(found["value"])

    def until(self, name: str, value: int) -> None:
        """Wait until a gauge has a value."""
        last = -1
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if (last := self.stat(name)) == value:
                return
            time.sleep(0.02)
        raise AssertionError((name, last))

    def ended(self) -> list[dict[str, Any]]:
        """What the access log says of each request, once Envoy has ended."""
        self.process.terminate()
        self.process.wait(SECONDS)
        return self.said()

    def said(self) -> list[dict[str, Any]]:
        """What the access log says of each request, when it is over."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@contextmanager
def gateway(engine: str, upstream: int, directory: Path, knobs: Knobs | None = None) -> Iterator[Gateway]:
    """Run Envoy between its clients, an engine (`host:port`) and an upstream."""
    program = envoy()
    directory.mkdir(parents=True, exist_ok=True)
    access = directory / "access"
    config = directory / "envoy.json"
    admin = directory / "admin"
    config.write_text(json.dumps(_config(engine, upstream, access, knobs or Knobs())))
    command = [str(program), "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
    command += ["--admin-address-path", str(admin)]
    # Envoy's own package must not be shadowed by what this process imports from.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
        try:
            port = _port(process, admin, directory / "log")
            yield Gateway(port, admin.read_text(), process, access)
        finally:
            process.terminate()
            process.wait(SECONDS)


def _port(process: "subprocess.Popen[bytes]", admin: Path, log: Path) -> int:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        if admin.exists() and (address := admin.read_text()):
            with urllib.request.urlopen(f"http://{address}/listeners?format=json", timeout=SECONDS) as answer:
                listeners = json.load(answer).get("listener_statuses")
            if listeners:
                return int(listeners[0]["local_address"]["socket_address"]["port_value"])
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def _config(engine: str, upstream: int, access: Path, knobs: Knobs) -> dict[str, Any]:
    host, _, port = engine.rpartition(":")
    return {
        "admin": {"address": _address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [_listener(access, knobs)],
            "clusters": [
                _cluster("engine", host, int(port), http2=True),
                _cluster("upstream", "127.0.0.1", upstream, http2=False),
            ],
        },
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, host: str, port: int, *, http2: bool) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(host, port)}}
    cluster: dict[str, Any] = {
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    options: dict[str, Any] = (
        {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {"enable_trailers": True}}
    )
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": options,
        }
    }
    return cluster


def _ext_proc(knobs: Knobs) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "@type": f"{_TYPES}.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": "engine"},
            "initial_metadata": [{"key": "x-mcp-acl-server", "value": knobs.server}] if knobs.server else [],
        },
        "processing_mode": {**GOOD, **knobs.mode},
        "allow_mode_override": True,
        "message_timeout": "5s",
        "status_on_error": {"code": 503},
        "request_attributes": _ATTRIBUTES,
        "response_attributes": ["response.code_details"],
        "metadata_options": {
            "forwarding_namespaces": {"untyped": ["envoy.filters.http.jwt_authn"]},
            "receiving_namespaces": {"untyped": ["mcp_acl"]},
        },
        **knobs.ext_proc,
    }
    return {"name": _EXT_PROC, "typed_config": {name: value for name, value in settings.items() if value is not None}}


def _listener(access: Path, knobs: Knobs) -> dict[str, Any]:
    details = {"details": "%RESPONSE_CODE_DETAILS%", "code": "%RESPONSE_CODE%", "said": "%DYNAMIC_METADATA(mcp_acl)%"}
    route = {
        "match": {"prefix": "/"},
        **(
            {}
            if "direct_response" in knobs.route
            else {"route": {"cluster": "upstream", "timeout": "0s", **knobs.action}}
        ),
        **knobs.route,
    }
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_protocol_options": {"enable_trailers": True},
        "http_filters": [
            *knobs.before,
            _ext_proc(knobs),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            },
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
                    "path": str(access),
                    "log_format": {"json_format": details},
                },
            }
        ],
        **knobs.manager,
    }
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if knobs.downstream_tls is not None:
        tls = {"@type": f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext", **knobs.downstream_tls}
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return {"name": "in", "address": _address("127.0.0.1", 0), "filter_chains": [chain], **knobs.listener}
