"""Where the service is, as grpcio wants to be told: targets, options, credentials. Opens nothing.

Several addresses are workers of one service, which answer alike. What one channel can hold, it holds, and takes turns among those that
answer (`round_robin`); others are channels of their own, of which the client takes turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import quote

import grpc

from mcp_acl.client.values import MisuseError
from mcp_acl.runtime.address import Address, AddressError, parse_address

Pem = bytes | str | Path
"""A PEM file by its path, or what it holds as bytes."""

_CERTIFICATE: Final = b"BEGIN CERTIFICATE"
_KEY: Final = b"PRIVATE KEY"
_OPTIONS: Final = (
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # Answers may be as large as what was sent.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Nobody's proxy is between a gateway and what decides for it, whatever the environment says of HTTP.
    ("grpc.enable_http_proxy", 0),
    # A service that is back is found again within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypt, and know the service by its certificate.

    `authorities`: who may have signed it; None: those that gRPC trusts by default. `certificate` and `key`: this client's own, for a
    service that asks for one. `server_name`: the name that must be in the service's certificate, where that is not the address's host.
    """

    authorities: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = field(default=None, repr=False)
    server_name: str = ""


def targets_of(addresses: str | Sequence[str], tls: Tls | None) -> Sequence[str]:
    """A gRPC target for each turn: one that holds several addresses is there as many times. Raises MisuseError."""
    given = [addresses] if isinstance(addresses, str) else addresses
    if not given:
        raise MisuseError("no address; give at least one, for instance `127.0.0.1:9191`")
    try:
        checked = [parse_address(one, insecure=True) for one in given]
    except AddressError as error:
        raise MisuseError(str(error)) from None
    # A name is checked against the target as a whole, so addresses can share one only if the name is given.
    shares = tls is None or tls.server_name != ""
    schemes = [_scheme_of(one) for one in checked]
    return [
        _target(scheme, [other for other, its in zip(checked, schemes, strict=True) if its == scheme])
        if shares and scheme.startswith("ip")
        else _target(scheme, [one])
        for one, scheme in zip(checked, schemes, strict=True)
    ]


def _scheme_of(address: Address) -> str:
    if address.file:
        return "unix:"
    try:
        return f"ipv{ip_address(address.host).version}:"
    except ValueError:
        return "dns:///"


def _target(scheme: str, addresses: Sequence[Address]) -> str:
    # grpcio takes what follows the scheme for a part of a URI, and decodes it.
    return scheme + (quote(addresses[0].file) or ",".join(one.text for one in addresses))


def options_of(tls: Tls | None) -> list[tuple[str, str | int]]:
    """The options of every channel."""
    name = tls.server_name if tls else ""
    return [*_OPTIONS, *((option, name) for option in ("grpc.ssl_target_name_override",) if name)]


def credentials_of(tls: Tls | None) -> grpc.ChannelCredentials | None:
    """What a channel encrypts with; None: it does not. Reads the files. Raises MisuseError."""
    if tls is None:
        return None
    if (tls.certificate is None) != (tls.key is None):
        raise MisuseError("a client certificate and its key come together; one of them is missing")
    return grpc.ssl_channel_credentials(
        _read(tls.authorities, _CERTIFICATE), _read(tls.key, _KEY), _read(tls.certificate, _CERTIFICATE)
    )


def _read(pem: Pem | None, mark: bytes) -> bytes | None:
    """What a PEM file holds. One that holds nothing is a mistake: gRPC takes no authorities for those that it trusts by default."""
    if pem is None:
        return None
    try:
        content = pem if isinstance(pem, bytes) else Path(pem).read_bytes()
    except (OSError, ValueError) as error:
        raise MisuseError(f"`{pem!s}` cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if mark not in content:
        raise MisuseError(f"a PEM file of `Tls` holds no `{mark.decode()}`")
    return content
