"""Certificates as the files that Envoy reads them from, replaced whole. In a directory that nobody else may enter."""

import base64
import json
import os
from pathlib import Path
from typing import Any, Final

from mcp_acl.runtime.certificates import Certificates, Pems

SERVER: Final = "server"
CLIENTS: Final = "clients"
"""The names of a listener's two secrets: what it shows, and what it believes."""
_KIND: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def secret_file(directory: Path, listener: str, kind: str) -> Path:
    """Where a secret lies. Each listener has a directory, which Envoy watches."""
    return directory / listener / f"{kind}.json"


class Secrets:
    """The secrets of one listener."""

    def __init__(self, directory: Path, listener: str, certificates: Certificates) -> None:
        self._directory = directory
        self._listener = listener
        self._certificates = certificates
        self._written: Pems | None = None
        (directory / listener).mkdir(mode=0o700)
        self.refresh()

    def refresh(self) -> None:
        """Write what is in force, if it is something else than before. Of two files that are watched the authorities come first."""
        pems = self._certificates.current()
        if pems == self._written:
            return
        if self._certificates.requires_clients:
            self._write(CLIENTS, {"validation_context": {"trusted_ca": _inline(pems.client_authorities)}})
        pair = {"certificate_chain": _inline(pems.chain), "private_key": _inline(pems.key)}
        self._write(SERVER, {"tls_certificate": pair})
        self._written = pems

    def _write(self, kind: str, secret: dict[str, Any]) -> None:
        file = secret_file(self._directory, self._listener, kind)
        new = file.with_suffix(".new")
        resource = {"@type": _KIND, "name": kind, **secret}
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({"resources": [resource]}, stream)
        new.replace(file)


def _inline(pem: bytes) -> dict[str, str]:
    return {"inline_bytes": base64.b64encode(pem).decode()}
