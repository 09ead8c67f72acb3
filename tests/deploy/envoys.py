"""Real Envoys for the shipped configurations: placed on free ports, checked, started, asked. Knows no gateway's way of writing them."""

import base64
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.installed import ROOT, envoy

Config = dict[str, Any]

DEPLOY: Final = ROOT / "deploy"
SECONDS: Final = 20.0
_ACCEPTED: Final = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Reply(NamedTuple):
    """What a client gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        """The JSON-RPC message of a JSON body, or of the first event of a stream."""
        text = self.body.decode()
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            text = next(line for line in text.splitlines() if line.startswith("data:")).removeprefix("data:")
        return json.loads(text)


class Issuer:
    """Signs tokens; `jwks` is the file with its key."""

    def __init__(self, directory: Path, name: str = "https://login.example.com") -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        point = {name: _base64(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        self.keys = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one", **point}]})
        self.jwks = directory / "jwks.json"
        self.jwks.write_text(self.keys)

    def token(self, **claims: Any) -> str:
        """A token for the audience of the examples that lives for an hour."""
        usual = {"iss": self.name, "aud": "https://mcp.example.com", "exp": int(time.time()) + 3600}
        parts = ({"alg": "ES256", "kid": "one", "typ": "JWT"}, {**usual, **claims})
        signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        pair = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(b''.join(one.to_bytes(32, 'big') for one in pair))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---- configurations ---------------------------------------------------------------------------------------------------


def placed(config: Config, jwks: Path, clusters: Mapping[str, tuple[str, int]]) -> Config:
    """A configuration with nothing changed but where things are: listeners on free ports of loopback, keys, clusters."""
    config = deepcopy(config)
    config["admin"] = {"address": _tcp("127.0.0.1", 0)}
    for listener in config["static_resources"]["listeners"]:
        listener["address"] = _tcp("127.0.0.1", 0)
    for cluster in config["static_resources"]["clusters"]:
        (group,) = cluster["load_assignment"]["endpoints"]
        (endpoint,) = group["lb_endpoints"]
        endpoint["endpoint"]["address"] = _tcp(*clusters[cluster["name"]])
    for provider in find(config, "local_jwks"):
        if "filename" in provider["local_jwks"]:
            provider["local_jwks"]["filename"] = str(jwks)
    return config


def find(value: Any, key: str) -> Iterator[Any]:
    """Every mapping that has a key, at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from find(one, key)


def http_filter(config: Config, name: str) -> Any:
    """The configuration of a filter of the one listener that there is."""
    (manager,) = find(config, "http_filters")
    return next(one["typed_config"] for one in manager["http_filters"] if one["name"] == name)


def _tcp(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _command(config: Config, directory: Path) -> list[str]:
    file = directory / "envoy.json"
    file.write_text(json.dumps(config))
    return [str(envoy()), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]


def complaints(config: Config, directory: Path) -> str:
    """What Envoy says against a configuration, or `''`."""
    command = [*_command(config, directory), "--mode", "validate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return "" if done.returncode == 0 else done.stderr


# ---- running ----------------------------------------------------------------------------------------------------------


class Gateway:
    """An Envoy that runs."""

    def __init__(self, port: int, admin: int) -> None:
        self.port = port
        self._admin = admin

    def ask(self, message: Any, token: str = "", path: str = "/mcp", **headers: str) -> Reply:
        """Post a message."""
        given = {**_ACCEPTED, **headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        body = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0", "id": 1, **message}).encode()
        return _ask(self.port, "POST", path, body, given)

    def call(self, tool: str, token: str = "", path: str = "/mcp", **arguments: Any) -> Reply:
        """Call a tool."""
        return self.ask({"method": "tools/call", "params": {"name": tool, "arguments": arguments}}, token, path)

    def tools(self, token: str = "", path: str = "/mcp") -> list[str]:
        """The names of the tools that a client is shown."""
        return [tool["name"] for tool in self.ask({"method": "tools/list"}, token, path).message["result"]["tools"]]

    def get(self, path: str, **headers: str) -> Reply:
        """Get what is there."""
        return _ask(self.port, "GET", path, b"", headers)

    def stat(self, name: str) -> int:
        """A counter or gauge of Envoy's, by the end of its name."""
        lines = _ask(self._admin, "GET", "/stats", b"", {}).body.decode().splitlines()
        return next(int(value) for line in lines for one, _, value in [line.partition(": ")] if one.endswith(name))


def _ask(port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body or None, dict(headers))
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@contextmanager
def running(config: Config, directory: Path) -> Iterator[Gateway]:
    """Run an Envoy, and yield it when it is ready."""
    admin = directory / "admin"
    admin.unlink(missing_ok=True)
    command = [*_command(config, directory), "--admin-address-path", str(admin)]
    with (directory / "envoy.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield _ready(process, admin, directory / "envoy.log")
        finally:
            process.kill()
            process.wait(SECONDS)


def _ready(process: "subprocess.Popen[bytes]", admin: Path, log: Path) -> Gateway:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            port = int(admin.read_text().rpartition(":")[2])
            if _ask(port, "GET", "/ready", b"", {}).status == 200:
                return Gateway(_listener(port), port)
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def _listener(admin: int) -> int:
    told = json.loads(_ask(admin, "GET", "/listeners?format=json", b"", {}).body)
    return int(told["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])
