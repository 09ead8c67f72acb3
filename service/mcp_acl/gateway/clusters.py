"""Whom Envoy asks: the MCP servers, the service, and who issues tokens for their keys. Pure."""

from collections.abc import Sequence
from typing import Final

from mcp_acl.gateway.upstreams import Origin, Upstream, origin_of
from mcp_acl.hosts.envoy.config import Config, is_internal, seconds, tcp, typed

SERVICE: Final = "mcp_acl"
KEYS: Final = "keys"
_CONNECT_SECONDS: Final = 5.0
_ALIVE_SECONDS: Final = 30.0
_HEALTH_SECONDS: Final = 5.0
_FRAMES: Final = 1_000_000
_IDLE_SECONDS: Final = 4.0
"""How long a connection to a server is kept for another request: less than the five seconds after which Node closes it."""

_RAW: Final = typed("extensions.transport_sockets.raw_buffer.v3.RawBuffer", {})
_INTERNAL: Final[Config] = {
    "name": "envoy.transport_sockets.internal_upstream",
    "typed_config": typed(
        "extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
        {"transport_socket": {"name": "envoy.transport_sockets.raw_buffer", "typed_config": _RAW}},
    ),
}
"""How a listener of the same Envoy is reached. Its health is not asked for: that is done by a thread from which there is no way to it."""


def cluster_name(upstream: Upstream) -> str:
    """The name of a server's cluster."""
    return f"server_{upstream.id}"


def clusters(
    upstreams: Sequence[Upstream], service: Config, jwks: str, trusted: tuple[str, str], streams: int
) -> list[Config]:
    """All of them. `jwks` is the URL of keys, if they are fetched; `trusted` the authorities for servers, and for everything else."""
    found = [_service(service, streams)]
    found += [_asked(cluster_name(one), one.origin, trusted[0], streams) for one in upstreams]
    if jwks:
        found.append(_asked(KEYS, origin_of("--jwks", jwks), trusted[1], streams))
    return found


def _service(address: Config, streams: int) -> Config:
    http2 = {
        "connection_keepalive": {"interval": seconds(_ALIVE_SECONDS), "timeout": seconds(_CONNECT_SECONDS)},
        # By default a thousand frames that end calls, if they wait to be sent, are the end of the connection, and of everybody's calls on
        # it: one client that breaks off what it began would be enough.
        "max_outbound_frames": _FRAMES,
        "max_outbound_control_frames": _FRAMES,
    }
    cluster = {**_cluster(SERVICE, "STATIC", address, streams), **_protocol({"http2_protocol_options": http2}, {})}
    if is_internal(address):
        return cluster | {"transport_socket": _INTERNAL}
    check = {
        "timeout": seconds(_CONNECT_SECONDS),
        "interval": seconds(_HEALTH_SECONDS),
        "no_traffic_interval": seconds(_HEALTH_SECONDS),
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
    return cluster | {"health_checks": [check]}


def _asked(name: str, origin: Origin, trusted: str, streams: int) -> Config:
    """Somebody else's server. Of a name with several addresses one is used, so that a session stays where it is, and the next if it does not answer."""
    kind = "STATIC" if origin.is_address else "LOGICAL_DNS"
    cluster = {
        **_cluster(name, kind, tcp(origin.host, origin.port), streams),
        **_protocol({"http_protocol_options": {}}, {"idle_timeout": seconds(_IDLE_SECONDS)}),
    }
    if not origin.is_address:
        cluster["dns_lookup_family"] = "ALL"
    if origin.is_tls:
        cluster["transport_socket"] = _tls(origin, trusted)
    return cluster


def _cluster(name: str, kind: str, address: Config, streams: int) -> Config:
    thresholds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), streams)
    return {
        "name": name,
        "type": kind,
        "connect_timeout": seconds(_CONNECT_SECONDS),
        "circuit_breakers": {"thresholds": [{**thresholds, "max_retries": 100}]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _protocol(explicit: Config, common: Config) -> Config:
    kind = "extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"explicit_http_config": explicit, **({"common_http_protocol_options": common} if common else {})}
    return {"typed_extension_protocol_options": {f"envoy.{kind}": typed(kind, options)}}


def _tls(origin: Origin, trusted: str) -> Config:
    """The certificate must be the host's, and signed by one of the authorities."""
    kind = "IP_ADDRESS" if origin.is_address else "DNS"
    validation = {
        "trusted_ca": {"filename": trusted},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": origin.host}}],
    }
    common = {
        "alpn_protocols": ["http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
    }
    context = {"common_tls_context": common, **({} if origin.is_address else {"sni": origin.host})}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext", context),
    }
