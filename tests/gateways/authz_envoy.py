"""A real Envoy in front of a server that says what reached it, asking the real service by ext_authz."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.installed import envoy

SECONDS: Final = 30.0
SECRET: Final = b"a key of tests, which signs tokens that only tests believe"
ISSUER: Final = "https://issuer.test"
AUTHN: Final = "envoy.filters.http.jwt_authn"
_HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http"


# ---- what the configuration is made of ------------------------------------------------------------------------------


def authz(**fields: Any) -> dict[str, Any]:
    """The filter as the documentation has it, but for what is given; None takes a field out."""
    usual: dict[str, Any] = {
        "@type": f"{_HTTP}.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "mcp-acl"}, "timeout": "5s"},
        "with_request_body": {"max_request_bytes": 4096, "allow_partial_message": False, "pack_as_bytes": True},
        "metadata_context_namespaces": [AUTHN],
        "route_metadata_context_namespaces": ["mcp_acl"],
        "failure_mode_allow": False,
        "encode_raw_headers": True,
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


def authn(*others: str) -> dict[str, Any]:
    """Tokens are looked at, and what is wrong with one is told and not answered. `others` are issuers beside the usual one."""
    key = {"kty": "oct", "alg": "HS256", "k": _text(SECRET), "kid": "k"}
    provider = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": json.dumps({"keys": [key]})},
        "payload_in_metadata": "jwt_payload",
        "failed_status_in_metadata": "jwt_failure",
        "forward": False,
    }
    providers = {"p": provider}
    providers |= {name: {**provider, "issuer": name, "payload_in_metadata": name} for name in others}
    requirements: list[dict[str, Any]] = [{"provider_name": name} for name in providers]
    requires = {"requires_any": {"requirements": [*requirements, {"allow_missing_or_failed": {}}]}}
    rules = [{"match": {"prefix": "/"}, "requires": requires}]
    return {"@type": f"{_HTTP}.jwt_authn.v3.JwtAuthentication", "providers": providers, "rules": rules}


def token(*, key: bytes = SECRET, **claims: Any) -> str:
    """A token that `authn` believes, unless it is signed by another key or has expired."""
    body = {"iss": ISSUER, "exp": int(time.time()) + 3600, **claims}
    signed = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "k"}, body))
    return f"{signed}.{_text(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _filter(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": config}


def _configuration(
    directory: Path, service: Mapping[str, Any], upstream: int, filters: Mapping[str, Any], route: Any
) -> Any:
    routed = {
        "match": {"prefix": "/"},
        "route": {"cluster": "server", "timeout": "0s"},
        **(route or {}),
    }
    log = {
        "name": "log",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(directory / "access.log"),
            "log_format": {"json_format": {"told": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%"}},
        },
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "access_log": [log],
        "access_log_options": {"access_log_flush_interval": "1s"},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [routed]}]},
        "http_filters": [
            *(_filter(name, config) for name, config in filters.items()),
            _filter("router", {"@type": f"{_HTTP}.router.v3.Router"}),
        ],
    }
    chain = {"filters": [_filter("envoy.filters.network.http_connection_manager", manager)]}
    listener = {"name": "in", "address": _address("127.0.0.1:0"), "filter_chains": [chain]}
    return {
        # Without a name of its own Envoy takes no endpoints from a file.
        "node": {"id": "envoy", "cluster": "tests"},
        "admin": {"address": _address("127.0.0.1:0")},
        "static_resources": {
            "listeners": [listener],
            "clusters": [service, _cluster("server", f"127.0.0.1:{upstream}")],
        },
    }


def _traced(config: Any, collector: int) -> Any:
    address = f"127.0.0.1:{collector}"
    uri = {"uri": f"http://{address}/v1/traces", "cluster": "collector", "timeout": "1s"}
    tracer = {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "http_service": {"http_uri": uri},
        "service_name": "envoy",
    }
    provider = {"name": "envoy.tracers.opentelemetry", "typed_config": tracer}
    (listener,) = config["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["tracing"] = {"provider": provider}
    config["static_resources"]["clusters"].append(_cluster("collector", address))
    layer = {"name": "static", "static_layer": {"tracing.opentelemetry.flush_interval_ms": 100}}
    return {**config, "layered_runtime": {"layers": [layer]}}


def _address(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _cluster(name: str, address: str, *, grpc: bool = False) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(address)}}]}
    cluster = {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [endpoint]}}
    if not grpc:
        return cluster
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {**cluster, "typed_extension_protocol_options": {key: options}}


# ---- what runs ------------------------------------------------------------------------------------------------------


class Upstream(ThreadingHTTPServer):
    """Takes every request, and keeps what came: method, headers, body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.came: list[tuple[str, list[tuple[str, str]], bytes]] = []


class _Keeping(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.came.append((self.command, self.headers.items(), body))
        answer = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that the library asks for

    def log_message(self, *_: object) -> None:
        pass


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


class Scene(NamedTuple):
    """An Envoy that runs: its address, what came through to the server, and what it logs."""

    address: str
    upstream: Upstream
    directory: Path

    def ask(self, body: bytes | None, *headers: tuple[str, str | bytes], method: str = "POST") -> Answered:
        """Headers are sent as they are, a `content-length` beside them if there is a body."""
        connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
        try:
            connection.putrequest(method, "/mcp", skip_accept_encoding=True)
            if body is not None:
                connection.putheader("content-type", "application/json")
                connection.putheader("content-length", str(len(body)))
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answered(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def stat(self, name: str) -> int:
        """One of Envoy's counters or gauges."""
        address = (self.directory / "admin").read_text()
        (found,) = json.loads(_get(address, f"/stats?format=json&filter=^{re.escape(name)}$"))["stats"]
        return int(found["value"])

    def told(self, count: int) -> list[Any]:
        """What the access log says of the dynamic metadata of each request, when it says it of so many."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            lines = (self.directory / "access.log").read_text().splitlines()
            if len(lines) >= count:
                return [json.loads(line)["told"] for line in lines]
            time.sleep(0.05)
        raise AssertionError(lines)


@contextmanager
def gateway(  # noqa: PLR0913 - what Envoy is told
    directory: Path,
    service: str,
    filters: Mapping[str, Any] | None = None,
    route: Mapping[str, Any] | None = None,
    *,
    collector: int = 0,
    cluster: Mapping[str, Any] | None = None,
) -> Iterator[Scene]:
    """An Envoy that asks a service, and the server behind it. With a collector's port it sends its spans there.

    A cluster, which is called `mcp-acl`, is in the place of one with the service's address alone.
    """
    program = envoy()
    upstream = Upstream()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    filters = {"envoy.filters.http.ext_authz": authz()} if filters is None else filters
    config = directory / "envoy.json"
    asked = _cluster("mcp-acl", service, grpc=True) if cluster is None else cluster
    written = _configuration(directory, asked, upstream.server_port, filters, route)
    config.write_text(json.dumps(_traced(written, collector) if collector else written))
    admin = directory / "admin"
    command = [str(program), "-c", str(config), "--disable-hot-restart", "--concurrency", "1", "--admin-address-path"]
    with (
        (directory / "envoy.log").open("wb") as log,
        subprocess.Popen([*command, str(admin)], stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield Scene(_listening(process, directory), upstream, directory)
        finally:
            process.terminate()
            process.wait(SECONDS)
            upstream.shutdown()
            upstream.server_close()


def _listening(process: "subprocess.Popen[bytes]", directory: Path) -> str:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            address = (directory / "admin").read_text()
            found = json.loads(_get(address, "/listeners?format=json"))["listener_statuses"]
            if _get(address, "/ready").strip() == b"LIVE" and found:
                local = found[0]["local_address"]["socket_address"]
                return f"{local['address']}:{local['port_value']}"
        except (OSError, KeyError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise AssertionError((directory / "envoy.log").read_text()[-3000:])


def _get(address: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
