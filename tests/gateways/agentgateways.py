"""A real agentgateway, with the configuration that is shipped, between a client and servers of the MCP SDKs."""

import base64
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.installed import ROOT

VARIABLE: Final = "AGENTGATEWAY_PROGRAM"
SECONDS: Final = 30.0
_KEY: Final = ec.generate_private_key(ec.SECP256R1())
_CLIENT: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def binary() -> str:
    """The program. It is in no package registry, so its tests run where a variable says where it is."""
    found = os.environ.get(VARIABLE)
    if not found:
        pytest.skip(f"no agentgateway: set {VARIABLE} to its program")
    return found


def token(**claims: Any) -> str:
    """A token that the gateway believes."""
    usual = {"iss": "https://issuer.example.org", "aud": "https://mcp.example.org", "exp": int(time.time()) + 3600}
    signed = ".".join(
        _text(json.dumps(part).encode()) for part in ({"alg": "ES256", "kid": "k"}, {**usual, "sub": "ann", **claims})
    )
    r, s = decode_dss_signature(_KEY.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _jwks() -> str:
    numbers = _KEY.public_key().public_numbers()
    x, y = (_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k", "x": x, "y": y}
    return json.dumps({"keys": [key]})


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _free() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Client:
    """A client of the gateway, with a session."""

    def __init__(self, port: int, bearer: str = "") -> None:
        self._port = port
        self._headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if bearer:
            self._headers["authorization"] = f"Bearer {bearer}"
        self.begun = self.ask("initialize", **_CLIENT)

    def ask(self, method: str, **params: Any) -> Any:
        """The JSON-RPC answer to a request."""
        message = {"jsonrpc": "2.0", "id": "one", "method": method, "params": params}
        status, headers, body = self._post(json.dumps(message).encode())
        session = headers.get("mcp-session-id")
        if session:
            self._headers["mcp-session-id"] = session
        data = [line.removeprefix("data:") for line in body.splitlines() if line.startswith("data:")]
        try:
            return json.loads(data[-1] if data else body)
        except ValueError:
            return {"status": status, "body": body}

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            connection.request("POST", "/mcp", body, self._headers)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read().decode()
        finally:
            connection.close()


@contextmanager
def gateway(
    directory: Path, service: str, servers: Mapping[str, str], metadata: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The gateway in front of servers, by name and URL; the port that it listens on. `metadata` adds expressions, '' takes one out."""
    program = binary()
    config = yaml.safe_load((ROOT / "deploy" / "agentgateway" / "config.yaml").read_text())
    config["config"] = {name: f"127.0.0.1:{_free()}" for name in ("adminAddr", "statsAddr", "readinessAddr")}
    bind = config["binds"][0]
    bind["port"] = port = _free()
    route = bind["listeners"][0]["routes"][0]
    route["policies"]["jwtAuth"]["jwks"] = _jwks()
    backend = route["backends"][0]
    backend["mcp"]["targets"] = [{"name": name, "mcp": {"host": url}} for name, url in servers.items()]
    processor = backend["policies"]["mcpGuardrails"]["processors"][0]
    processor["host"] = service
    told = {**processor["metadata"], **(metadata or {})}
    processor["metadata"] = {name: text for name, text in told.items() if text}
    written = directory / "agentgateway.yaml"
    written.write_text(yaml.safe_dump(config))
    with (
        (directory / "agentgateway.log").open("wb") as log,
        subprocess.Popen([program, "-f", str(written)], stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _listens(process, port, Path(log.name))
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


def _listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])
