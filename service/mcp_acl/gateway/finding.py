"""What is on this machine: Envoy, and the authorities it trusts. Starts nothing."""

import importlib.util
import os
import shutil
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mcp_acl.gateway.upstreams import GivenError
from mcp_acl.hosts.envoy import EnvoyMissingError, Installation
from mcp_acl.mcp.quoting import quoted

_TRUST_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/openssl@3/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
)
"""Where systems keep them: Debian and Alpine, Fedora, older ones of its kind, openSUSE, macOS and the BSDs, Homebrew."""
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


def find_envoy(given: Path | None) -> Path:
    """The binary: the one that is named, or that of a package beside this Python, or one on the path. Raises GivenError."""
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            raise GivenError(f"--envoy: {quoted(str(given))} is no program that can be run")
        return given.absolute()
    packaged = _packaged()
    if packaged is not None:
        return packaged
    found = shutil.which("envoy")
    if found is None:
        raise GivenError(
            "there is no Envoy: install it beside this Python with `pip install 'mcp-acl[envoy]'`, or name one with `--envoy`"
        )
    return Path(found)


def find_installation(given: Path | None) -> Installation:
    """The Envoy that has a Python inside, which is this one. Raises GivenError."""
    if given is not None:
        raise GivenError(
            "--envoy: with `--one-process` Envoy is the one that its Python module was made for; leave out one of the two"
        )
    try:
        return Installation.of_this_python()
    except EnvoyMissingError as error:
        raise GivenError(f"--one-process: {error}") from None


def _packaged() -> Path | None:
    """In the package itself, because another one has the same name and shadows its functions."""
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        binary = Path(place, "_bin", "envoy")
        if os.access(binary, os.X_OK):
            return binary
    return None


def trust_file(flag: str, given: Path | None) -> str:
    """A file of authorities: the one that is named, or the system's. Raises GivenError."""
    if given is not None:
        return read_pem(flag, given)
    for place in _trust_files():
        if os.access(place, os.R_OK):
            return place
    raise GivenError(
        f"{flag}: this system has no file of authorities that could be found; name one with the variable `SSL_CERT_FILE`"
    )


def _trust_files() -> Iterator[str]:
    named: Sequence[str | None] = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile)
    yield from (place for place in named if place)
    yield from _TRUST_FILES


def read_pem(flag: str, file: Path) -> str:
    """The path of a file that holds certificates. Raises GivenError."""
    try:
        text = file.read_text(errors="replace")
    except OSError as error:
        raise GivenError(
            f"{flag}: {quoted(str(file))} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None
    if _BEGIN not in text:
        raise GivenError(f"{flag}: {quoted(str(file))} holds no certificate in PEM form")
    return str(file.absolute())
