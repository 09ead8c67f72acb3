"""Envoy's configuration as data: what its defaults get wrong for this service is set here, each with its reason. Pure.

Knows no process and no policy. `envoy.check` reads the same facts back out of a running Envoy.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from mcp_acl.hosts.envoy.secrets import CLIENTS, SERVER, secret_file
from mcp_acl.hosts.envoy.told import PROBE, root
from mcp_acl.hosts.listening import Limits, Listener

Config: TypeAlias = dict[str, Any]

STREAM_WINDOW: Final = 256 * 1024
CONNECTION_WINDOW: Final = 4 * 1024 * 1024
"""HTTP/2 flow control in bytes. Envoy keeps what a client does not read up to the window of its stream, 16 MiB if not told."""
RESETS: Final = 2**53
"""Streams a client may reset, at once and in a second. Envoy closes a connection after a thousand, and for gRPC a reset is an ordinary
end: an ext_proc client ends nearly every stream with it."""
PATH: Final = "/[A-Za-z0-9_.]+/[A-Za-z0-9_]+"
"""The path of a method. Any other may hang: the module raises on what is not UTF-8, and does not answer."""
PROBE_NAME: Final = "probe"
APPLICATION: Final = "mcp_acl.hosts.envoy.inside:application"
_TYPE: Final = "type.googleapis.com/envoy."
_STATUSES: Final = (("EQ", 403, 7), ("EQ", 503, 14), ("GE", 400, 13))
"""The gRPC status of what Envoy answers itself, by its HTTP status, first match. What the module answers when the application raises has
gRPC status 0 otherwise: for a client, OK without a message."""


def name_of(number: int) -> str:
    """The name of a listener, and of its statistics."""
    return f"listener_{number}"


def admin_file(directory: Path) -> Path:
    """The socket of Envoy's admin interface: not a port, because whoever reaches it may end the service."""
    return directory / "admin.sock"


def probe_file(directory: Path) -> Path:
    """The socket of the listener for probes."""
    return directory / "probe.sock"


class Site(NamedTuple):
    """What all listeners have in common. `directory` holds what Envoy reads and where it is asked; `module` is what it loads."""

    limits: Limits
    directory: Path
    module: Path


def bootstrap(listeners: Mapping[str, tuple[Listener, Config]], site: Site) -> Config:
    """All of it. `listeners`: by name, in their order, each with its address as `tcp`, `pipe` or `internal` writes it."""
    made = [
        _listener(name, address, _chain(name, root(number), one, site))
        for number, (name, (one, address)) in enumerate(listeners.items())
    ]
    # As HTTP/1.1: what is probed is the connection manager, and the standard library can ask it.
    manager = _manager(PROBE_NAME, PROBE, {}, site) | {"codec_type": "AUTO"}
    directory = site.directory
    made.append(_listener(PROBE_NAME, pipe(str(probe_file(directory)), 0o600), {"filters": [_network(manager)]}))
    admin = {"address": pipe(str(admin_file(directory)), 0o600)}
    # Without a name of its own Envoy takes no certificate from a file that is watched.
    node = {"id": "mcp-acl", "cluster": "mcp-acl"}
    # A connection on which calls often end before their answer is closed otherwise: deadlines under load are just that.
    layer = {"name": "static", "static_layer": {"overload.premature_reset_total_stream_count": RESETS}}
    runtime = {"layers": [layer]}
    return {"node": node, "admin": admin, "layered_runtime": runtime, "static_resources": {"listeners": made}}


def tcp(host: str, port: int) -> Config:
    """The address of a port. `host` is numeric; with `::`, IPv4 comes too, as it does elsewhere."""
    return {"socket_address": {"address": host, "port_value": port, **({"ipv4_compat": True} if host == "::" else {})}}


def pipe(path: str, mode: int) -> Config:
    """The address of a socket file."""
    return {"pipe": {"path": path, "mode": mode}}


def internal(name: str) -> Config:
    """The address of a listener that is reached from inside the same Envoy alone, by its name."""
    return {"envoy_internal_address": {"server_listener_name": name}}


def is_internal(address: Config) -> bool:
    """Whether an address is one that `internal` writes."""
    return "envoy_internal_address" in address


def _listener(name: str, address: Config, chain: Config) -> Config:
    if is_internal(address):
        # The limit is for connections from outside: whoever takes them all up must not cut off what decides.
        return {"name": name, "internal_listener": {}, "ignore_global_conn_limit": True, "filter_chains": [chain]}
    # Reuse off: with it a forgotten old process goes on answering beside the new one, with its old policies.
    return {"name": name, "address": address, "enable_reuse_port": False, "filter_chains": [chain]}


def _chain(name: str, path: str, listener: Listener, site: Site) -> Config:
    chain = {
        "filters": [_network(_manager(name, path, listener.names, site))],
        "transport_socket_connect_timeout": seconds(site.limits.message_seconds),
    }
    if listener.certificates is None:
        return chain
    directory, requires_clients = site.directory, listener.certificates.requires_clients
    tls: Config = {"alpn_protocols": ["h2"], "tls_certificate_sds_secret_configs": [_secret(directory, name, SERVER)]}
    if requires_clients:
        tls["validation_context_sds_secret_config"] = _secret(directory, name, CLIENTS)
    kind = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    context = typed(kind, {"common_tls_context": tls, "require_client_certificate": requires_clients})
    return {**chain, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _secret(directory: Path, listener: str, kind: str) -> Config:
    """A secret in a file, taken again when another file is moved to its place."""
    file = secret_file(directory, listener, kind)
    source = {"path": str(file), "watched_directory": {"path": str(file.parent)}}
    return {"name": kind, "sds_config": {"path_config_source": source, "resource_api_version": "V3"}}


def _network(manager: Config) -> Config:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _manager(name: str, path: str, names: Mapping[str, frozenset[str]], site: Site) -> Config:
    limits = site.limits
    http2 = {
        "max_concurrent_streams": limits.calls,
        "initial_stream_window_size": STREAM_WINDOW,
        "initial_connection_window_size": CONNECTION_WINDOW,
        "stream_reset_burst": RESETS,
        "stream_reset_rate": RESETS,
        "connection_keepalive": {
            "interval": seconds(limits.keepalive_seconds),
            "timeout": seconds(limits.keepalive_seconds),
        },
        # What is wrong with one call ends that call, not the connection.
        "override_stream_error_on_invalid_http_message": True,
    }
    config = {
        "stat_prefix": name,
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"]}]},
        "http2_protocol_options": http2,
        # None: a stream may be silent for as long as its client likes, and an answer that comes late is still wanted.
        "stream_idle_timeout": "0s",
        # But an answer that its client does not take is not kept for ever: it takes memory that no limit on calls counts.
        "stream_flush_timeout": seconds(limits.message_seconds),
        "request_headers_timeout": seconds(limits.message_seconds),
        # Who a client is, nobody but the handshake says.
        "forward_client_cert_details": "SANITIZE",
        "generate_request_id": False,
        "local_reply_config": {"mappers": [_mapper(*row) for row in _STATUSES]},
        "http_filters": [_paths(), *([_names(names)] if names else []), _module(path, site.module)],
    }
    return typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", config)


def _mapper(comparison: str, status: int, code: int) -> Config:
    value = {"default_value": status, "runtime_key": f"mcp_acl.status_{status}"}
    header = {"header": {"key": "grpc-status", "value": str(code)}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": comparison, "value": value}}},
        "headers_to_add": [header],
    }


def _paths() -> Config:
    permission = {"header": {"name": ":path", "string_match": {"safe_regex": {"regex": PATH}}}}
    return _rbac("paths", {"paths": {"permissions": [permission], "principals": [{"any": True}]}})


def _names(names: Mapping[str, frozenset[str]]) -> Config:
    """For each path that has names, the clients that have one of them; for the others, whoever is here."""
    known = {path: [name for name in sorted(allowed) if name] for path, allowed in names.items()}
    policies = {
        path: {"permissions": [_path(path)], "principals": [one for name in allowed for one in _clients(name)]}
        for path, allowed in known.items()
        if allowed
    }
    others = {"not_rule": {"or_rules": {"rules": [_path(path) for path in names]}}}
    return _rbac("names", {**policies, "others": {"permissions": [others], "principals": [{"any": True}]}})


def _path(path: str) -> Config:
    return {"header": {"name": ":path", "string_match": {"exact": path}}}


def _clients(name: str) -> list[Config]:
    """Clients whose verified certificate has the name as a URI or as a DNS name: byte for byte, never its subject (RFC 9525 §2).

    By expressions, because a plain DNS name here also matches a certificate for `*`.
    """
    matcher = {"safe_regex": {"regex": re.escape(name)}}
    return [
        {
            "custom": {
                "name": "envoy.rbac.principals.mtls_authenticated",
                "typed_config": typed(
                    "extensions.rbac.principals.mtls_authenticated.v3.Config",
                    {"san_matcher": {"san_type": kind, "matcher": matcher}},
                ),
            }
        }
        for kind in ("URI", "DNS")
    ]


def _rbac(name: str, policies: Config) -> Config:
    rules = {"rules": {"action": "ALLOW", "policies": policies}, "rules_stat_prefix": f"{name}_"}
    return {"name": name, "typed_config": typed("extensions.filters.http.rbac.v3.RBAC", rules)}


def _module(path: str, module: Path) -> Config:
    told = {"app": APPLICATION, "interface": "asgi", "root_path": path, "worker_threads": 1, "lifespan": True}
    config = {
        "dynamic_module_config": {"module": {"local": {"filename": str(module)}}},
        "filter_name": "pyvoy",
        "terminal_filter": True,
        "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(told)},
    }
    return {
        "name": "pyvoy",
        "typed_config": typed("extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter", config),
    }


def typed(kind: str, config: Config) -> Config:
    """The configuration of an extension, with its type."""
    return {"@type": f"{_TYPE}{kind}", **config}


def seconds(number: float) -> str:
    """A duration."""
    return f"{number:.3f}s"
