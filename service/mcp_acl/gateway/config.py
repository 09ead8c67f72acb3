"""What Envoy is told: one listener, who verifies tokens, who is asked about every message, where requests go. Pure: data in, data out.

Each value that is not Envoy's default has its reason beside it: most keep something from passing unseen, or from being read in one way
here and in another by the server. Knows no process.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from mcp_acl.adapters.facts import FAILURE
from mcp_acl.gateway.clusters import KEYS, SERVICE, clusters
from mcp_acl.gateway.routes import EXT_PROC, virtual_hosts
from mcp_acl.gateway.tokens import Tokens
from mcp_acl.gateway.upstreams import Upstream
from mcp_acl.hosts.envoy.config import Config, pipe, seconds, tcp, typed

MAX_STREAMS: Final = 10_000
"""Requests at once. Each asks the service by a stream of its own, and one that listens to a server does for as long as it listens."""
LISTENER: Final = "gateway"
_JWT_NAMESPACE: Final = "envoy.filters.http.jwt_authn"
_JWT_PAYLOAD: Final = "jwt_payload"
_MESSAGE_SECONDS: Final = 5.0
"""How long the service may take for one message, which is answered with an error beyond: conditions are bounded at about a second each."""
_QUIET_SECONDS: Final = 3600.0
"""How long a stream of events may be silent."""
_HEADER_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 60.0
_FETCH_SECONDS: Final = 5.0
_KEYS_SECONDS: Final = 300.0
_NOBODY: Final[Config] = {"address_prefix": "255.255.255.255", "prefix_len": 32}
"""A range that no connection comes from. Without a range Envoy takes every private address, and loopback, for its own people."""
_HEADER_KIB: Final = 60
_HEADERS: Final = 100
_WINDOW: Final = 256 * 1024


class Site(NamedTuple):
    """Where everything is.

    `host` and `port` are listened on, `public_url` is what clients call that, without a slash at the end. `names` are the hosts that it is asked
    as, empty for any; `origins` are those of pages that may ask, beside this machine's. `service` is the address where decisions are made, in this Envoy or elsewhere, `admin` the socket of Envoy's own interface, if it is to have one.
    `max_body`: bytes of a message of a client. `trusted`: a file of authorities, for servers and for what else is asked over TLS.
    """

    host: str
    port: int
    public_url: str
    upstreams: tuple[Upstream, ...]
    service: Config
    max_body: int
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tokens: Tokens | None = None
    trusted: tuple[str, str] = ("", "")
    admin: Path | None = None


def bootstrap(site: Site) -> Config:
    """All of it."""
    config: Config = {
        "node": {"id": "mcp-acl-gateway", "cluster": "mcp-acl-gateway"},
        "static_resources": {"listeners": [_listener(site)], "clusters": _clusters(site)},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": typed(
                        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        {"max_active_downstream_connections": MAX_STREAMS},
                    ),
                }
            ]
        },
    }
    if site.admin is not None:
        config["admin"] = {"address": pipe(str(site.admin), 0o600)}
    return config


def _clusters(site: Site) -> list[Config]:
    jwks = site.tokens.jwks if site.tokens is not None and site.tokens.is_remote else ""
    return clusters(site.upstreams, site.service, jwks, site.trusted, MAX_STREAMS)


def _listener(site: Site) -> Config:
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": _manager(site)}
    return {
        "name": LISTENER,
        "address": tcp(site.host, site.port),
        # So that at the end it alone is drained, and not what decides about the requests that are left.
        "traffic_direction": "INBOUND",
        # Reuse off: with it a forgotten old process goes on answering beside the new one.
        "enable_reuse_port": False,
        # A body is kept until it has been judged; a longer one is answered 413.
        "per_connection_buffer_limit_bytes": site.max_body,
        "filter_chains": [{"filters": [manager], "transport_socket_connect_timeout": seconds(_HEADER_SECONDS)}],
    }


def _manager(site: Site) -> Config:
    filters = [*([_jwt_authn(site.tokens)] if site.tokens is not None else []), _ext_proc(), _router()]
    config: Config = {
        "stat_prefix": LISTENER,
        "codec_type": "AUTO",
        "route_config": {
            "name": LISTENER,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": virtual_hosts(site.upstreams, site.public_url, site.names, site.tokens, site.origins),
        },
        "http_filters": filters,
        # The address that rules see is the one that the connection came from.
        "use_remote_address": True,
        # And nobody is trusted with Envoy's own headers, by which a call would be made several times, for coming from a private one.
        "internal_address_config": {"cidr_ranges": [_NOBODY]},
        # One reading of a path: `..` is resolved here, and what servers read differently is refused.
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            # Some servers take `mcp_method` for `mcp-method`, which is compared with the message.
            "headers_with_underscores_action": "DROP_HEADER",
            "max_headers_count": _HEADERS,
            "idle_timeout": seconds(_QUIET_SECONDS),
        },
        "http2_protocol_options": {
            "max_concurrent_streams": _HEADERS,
            "initial_stream_window_size": _WINDOW,
            "initial_connection_window_size": 4 * _WINDOW,
        },
        "max_request_headers_kb": _HEADER_KIB,
        "stream_idle_timeout": seconds(_QUIET_SECONDS),
        # A request must come in, whole, within a time; how long its answer takes is the server's to say.
        "request_headers_timeout": seconds(_HEADER_SECONDS),
        "request_timeout": seconds(_REQUEST_SECONDS),
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
    }
    return typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", config)


def _jwt_authn(tokens: Tokens) -> Config:
    """Verifies a token if there is one. What follows from none, or from a bad one, is the service's to say: its 401 tells where to get one."""
    provider: Config = {
        # Nowhere else: a token in a URL ends in logs (MCP authorization, access token usage).
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": False,
        "payload_in_metadata": _JWT_PAYLOAD,
        "failed_status_in_metadata": FAILURE,
        # A token that never expires is none (RFC 9068 §2.2).
        "require_expiration": True,
        **_keys(tokens),
    }
    if tokens.issuer:
        provider["issuer"] = tokens.issuer
    if tokens.audiences:
        provider["audiences"] = list(tokens.audiences)
    requires = {"requires_any": {"requirements": [{"provider_name": "tokens"}, {"allow_missing_or_failed": {}}]}}
    config = {"providers": {"tokens": provider}, "rules": [{"match": {"prefix": "/"}, "requires": requires}]}
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": typed("extensions.filters.http.jwt_authn.v3.JwtAuthentication", config),
    }


def _keys(tokens: Tokens) -> Config:
    if not tokens.is_remote:
        return {"local_jwks": {"filename": tokens.jwks}}
    uri = {"uri": tokens.jwks, "cluster": KEYS, "timeout": seconds(_FETCH_SECONDS)}
    # Fetched before the first token comes, and again before they are too old.
    return {
        "remote_jwks": {
            "http_uri": uri,
            "cache_duration": seconds(_KEYS_SECONDS),
            "async_fetch": {"fast_listener": True},
        }
    }


def _ext_proc() -> Config:
    config: dict[str, Any] = {
        "grpc_service": {"envoy_grpc": {"cluster_name": SERVICE}},
        # No answer is an error, and never leave to pass.
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "message_timeout": seconds(_MESSAGE_SECONDS),
        # Request headers must be sent: else they are on their way before the body has been judged.
        "processing_mode": {
            "request_header_mode": "SEND",
            "request_body_mode": "BUFFERED",
            # A request without a body may have trailers: they are its end, at which it is decided.
            "request_trailer_mode": "SEND",
            "response_header_mode": "SEND",
            "response_body_mode": "STREAMED",
            # The end of a body that has them, at which what was kept of it is due.
            "response_trailer_mode": "SEND",
        },
        # The service lets go of a response that nothing would change.
        "allow_mode_override": True,
        "request_attributes": ["source.address"],
        "response_attributes": ["response.code_details"],
        "metadata_options": {"forwarding_namespaces": {"untyped": [_JWT_NAMESPACE]}},
    }
    return {"name": EXT_PROC, "typed_config": typed("extensions.filters.http.ext_proc.v3.ExternalProcessor", config)}


def _router() -> Config:
    # Envoy's headers would tell the server another path, and the client how long it took.
    config = typed("extensions.filters.http.router.v3.Router", {"suppress_envoy_headers": True})
    return {"name": "envoy.filters.http.router", "typed_config": config}
