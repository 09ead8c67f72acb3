"""What control planes make of the examples, as far as it decides anything: their resources as a configuration of Envoy.

By the translators of Istio (August 2026), Envoy Gateway 1.9.1 and kgateway (August 2026): the fields that the examples use, with the values that
the control plane gives by itself. Anything else in an example is an error here, so that no line of one goes untried.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.deploy.envoys import Config
from tests.deploy.resources import Json

_TYPE: Final = "type.googleapis.com/envoy."
_FILTERS: Final = f"{_TYPE}extensions.filters.http."
JWT: Final = "envoy.filters.http.jwt_authn"
ROUTER: Final = "envoy.filters.http.router"
MCP_ACL: Final = "mcp-acl"
SERVER: Final = "weather"


def listener(
    filters: Sequence[Json], route: Json | None = None, clusters: Sequence[str] = (), limit: int = 0
) -> Config:
    """A gateway with one route, its filters before the router, and clusters of these names."""
    last = {"name": ROUTER, "typed_config": {"@type": f"{_FILTERS}router.v3.Router"}}
    first = {"match": {"path": "/mcp"}, "route": {"cluster": SERVER, "timeout": "0s"}, **(route or {})}
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mcp",
        "route_config": {"virtual_hosts": [{"name": "mcp", "domains": ["*"], "routes": [first]}]},
        "http_filters": [*filters, last],
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    made: Config = {"name": "mcp", "filter_chains": [{"filters": [network]}]}
    if limit:
        made["per_connection_buffer_limit_bytes"] = limit
    return {"static_resources": {"listeners": [made], "clusters": [_cluster(name) for name in (SERVER, *clusters)]}}


def _cluster(name: str) -> Json:
    endpoints: Json = [{"lb_endpoints": [{"endpoint": {}}]}]
    made: Json = {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}
    if name != SERVER:
        kind = "extensions.upstreams.http.v3.HttpProtocolOptions"
        http2 = {"@type": f"{_TYPE}{kind}", "explicit_http_config": {"http2_protocol_options": {}}}
        made["typed_extension_protocol_options"] = {f"envoy.{kind}": http2}
    return made


def _jwt(provider: Json, keys: str, *, optional: str = "allow_missing") -> Json:
    own = {**provider, "local_jwks": {"inline_string": keys}}
    requires = {"requires_any": {"requirements": [{"provider_name": "one"}, {optional: {}}]}}
    rules = [{"match": {"prefix": "/"}, "requires": requires}]
    config = {"@type": f"{_FILTERS}jwt_authn.v3.JwtAuthentication", "providers": {"one": own}, "rules": rules}
    return {"name": JWT, "typed_config": config}


def _taken(given: Json, rows: Mapping[str, Callable[[Json], Json]]) -> Json:
    """Fields by the table of what becomes of each; one that is not in it is an error."""
    merged: dict[str, Any] = {}
    for name, value in given.items():
        for key, one in rows[name](value).items():
            merged[key] = {**merged[key], **one} if isinstance(merged.get(key), dict) else one
    return merged


def _as(name: str) -> Callable[[Json], Json]:
    return lambda value: {name: value}


def _left_out(_: Json) -> Json:
    return {}


# ---- Istio --------------------------------------------------------------------------------------------------------------


def istio(resources: Sequence[Json], keys: str, route: str = "mcp.weather.0", others: Sequence[Json] = ()) -> Config:
    """`others` stand in the chain before patches are made. `RequestAuthentication` writes claims under `payload`."""
    rules = [rule for one in resources if one["kind"] == "RequestAuthentication" for rule in one["spec"]["jwtRules"]]
    rows = {
        "issuer": _as("issuer"),
        "audiences": _as("audiences"),
        "jwksUri": _left_out,
        "forwardOriginalToken": _as("forward"),
    }
    claims = [_jwt({**_taken(rule, rows), "payload_in_metadata": "payload"}, keys) for rule in rules]
    (filters,) = [one for one in resources if one["kind"] == "EnvoyFilter"]
    chain, own = [*claims, *others], {"name": route}
    for patch in filters["spec"]["configPatches"]:
        _patch(patch, chain, own)
    clusters = sorted({one["envoy_grpc"]["cluster_name"] for one in _services(chain)})
    for one in chain:
        for provider in one["typed_config"].get("providers", {}).values():
            if provider.pop("remote_jwks", None):
                provider["local_jwks"] = {"inline_string": keys}
    return listener(chain, own, clusters)


def _services(chain: Sequence[Json]) -> list[Json]:
    return [one["typed_config"]["grpc_service"] for one in chain if "grpc_service" in one["typed_config"]]


def _patch(patch: Json, chain: list[Json], route: Json) -> None:
    match (patch["applyTo"], patch["patch"]["operation"]):
        case ("HTTP_FILTER", "INSERT_BEFORE"):
            assert ROUTER == patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]
            chain.append(patch["patch"]["value"])
        case ("HTTP_FILTER", "INSERT_FIRST"):
            chain.insert(0, patch["patch"]["value"])
        case ("HTTP_ROUTE", "MERGE"):
            if route["name"] == patch["match"]["routeConfiguration"]["vhost"]["route"]["name"]:
                route |= patch["patch"]["value"]
        case other:
            raise AssertionError(other)


def istio_ext_authz(provider: Json) -> Config:
    """What an `extensionProviders` entry becomes where a policy with the action CUSTOM names it; its filter stands before that of tokens."""
    rows = {
        "service": _left_out,
        "port": _left_out,
        "timeout": lambda value: {"grpc_service": {"timeout": value}},
        "failOpen": _as("failure_mode_allow"),
        "statusOnError": lambda value: {"status_on_error": {"code": int(value)}},
        "includeRequestBodyInCheck": lambda value: {"with_request_body": _taken(value, _BUFFER)},
    }
    return _ext_authz(_taken(provider, rows), None)


_BUFFER: Final = {
    "maxRequestBytes": _as("max_request_bytes"),
    "allowPartialMessage": _as("allow_partial_message"),
    "packAsBytes": _as("pack_as_bytes"),
}


def _ext_authz(config: Json, per_route: Json | None) -> Config:
    service = {"envoy_grpc": {"cluster_name": MCP_ACL}, **config.get("grpc_service", {})}
    kind = {"@type": f"{_FILTERS}ext_authz.v3.ExtAuthz", "transport_api_version": "V3"}
    one = {"name": "ext_authz", "typed_config": {**kind, **config, "grpc_service": service}}
    route = {"typed_per_filter_config": {"ext_authz": per_route}} if per_route else None
    return listener([one], route, [MCP_ACL])


# ---- Envoy Gateway ------------------------------------------------------------------------------------------------------

_EG_MODES: Final = {"Buffered": "BUFFERED", "Streamed": "STREAMED", "FullDuplexStreamed": "FULL_DUPLEX_STREAMED"}


def envoy_gateway(resources: Sequence[Json], keys: str, lua: str = "") -> Config:
    """A header mode is SEND where its side is mentioned. Filters: tokens, Lua, ext_proc. A provider's name is the key of its claims."""
    of = {one["kind"]: one["spec"] for one in resources}
    (provider,) = of["SecurityPolicy"]["jwt"]["providers"]
    rows = {"name": _as("payload_in_metadata"), "issuer": _as("issuer"), "audiences": _as("audiences")}
    claims = {**_taken(provider, {**rows, "remoteJWKS": _left_out}), "forward": True}
    (processor,) = of["EnvoyExtensionPolicy"]["extProc"]
    rows = {
        "backendRefs": _left_out,
        "backendSettings": _left_out,
        "failOpen": _as("failure_mode_allow"),
        "statusOnError": lambda value: {"status_on_error": {"code": value}},
        "messageTimeout": _as("message_timeout"),
        "processingMode": lambda value: _taken(value, _EG_PROCESSING),
        "metadata": lambda value: {
            "metadata_options": {"forwarding_namespaces": {"untyped": value["accessibleNamespaces"]}}
        },
    }
    script = {"@type": f"{_FILTERS}lua.v3.Lua", "default_source_code": {"inline_string": lua}}
    between = [{"name": "envoy.filters.http.lua", "typed_config": script}] if lua else []
    chain = [_jwt(claims, keys), *between, _ext_proc(_taken(processor, rows))]
    assert of["SecurityPolicy"]["jwt"]["optional"]
    limit = {"4Mi": 4 * 1024 * 1024}[of["ClientTrafficPolicy"]["connection"]["bufferLimit"]]
    return listener(chain, None, [MCP_ACL], limit)


def _side(side: str) -> Callable[[Json], Json]:
    rows = {
        "body": lambda value: {"processing_mode": {f"{side}_body_mode": _EG_MODES[value]}},
        "attributes": _as(f"{side}_attributes"),
    }
    return lambda value: _merged({"processing_mode": {f"{side}_header_mode": "SEND"}}, _taken(value, rows))


def _merged(one: Json, other: Json) -> Json:
    return {**one, **other, "processing_mode": {**one["processing_mode"], **other.get("processing_mode", {})}}


_EG_PROCESSING: Final = {
    "allowModeOverride": _as("allow_mode_override"),
    "request": _side("request"),
    "response": _side("response"),
}


def _ext_proc(config: Json) -> Json:
    service = {"grpc_service": {"envoy_grpc": {"cluster_name": MCP_ACL}}}
    kind = {"@type": f"{_FILTERS}ext_proc.v3.ExternalProcessor"}
    return {"name": "ext_proc", "typed_config": {**kind, **service, **config}}


# ---- kgateway -----------------------------------------------------------------------------------------------------------


def kgateway(resources: Sequence[Json], keys: str) -> Config:
    """Claims are under `payload`. Both filters are inside a composite one, which tells them from filters that a route turns off."""
    extensions = [one["spec"] for one in resources if one["kind"] == "GatewayExtension"]
    (tokens,) = [one["jwt"] for one in extensions if "jwt" in one]
    (processor,) = [one["extProc"] for one in extensions if "extProc" in one]
    (provider,) = tokens["providers"]
    rows = {
        "name": _left_out,
        "issuer": _as("issuer"),
        "audiences": _as("audiences"),
        "forwardToken": _as("forward"),
        "jwks": _left_out,
    }
    assert "AllowMissing" == tokens["validationMode"]
    claims = _jwt({**_taken(provider, rows), "payload_in_metadata": "payload"}, keys)
    rows = {
        "grpcService": _left_out,
        "failOpen": _as("failure_mode_allow"),
        "messageTimeout": _as("message_timeout"),
        "allowProcessingModeOverride": _as("allow_mode_override"),
        "processingMode": lambda value: {"processing_mode": {_snake(name): mode for name, mode in value.items()}},
        "requestAttributes": _as("request_attributes"),
        "metadataOptions": lambda value: {"metadata_options": {"forwarding_namespaces": value["forwarding"]}},
    }
    policy = next(one["spec"] for one in resources if one["kind"] == "ListenerPolicy")
    chain = [_composite(claims), _composite(_ext_proc(_taken(processor, rows)))]
    return listener(chain, None, [MCP_ACL], policy["default"]["perConnectionBufferLimitBytes"])


def kgateway_ext_authz(resources: Sequence[Json]) -> Config:
    """The extension and the policy of a route."""
    of = {one["kind"]: one["spec"]["extAuth"] for one in resources}
    rows = {
        "grpcService": lambda value: {"grpc_service": {"timeout": value["requestTimeout"]}},
        "failOpen": _as("failure_mode_allow"),
        "statusOnError": lambda value: {"status_on_error": {"code": value}},
        "withRequestBody": lambda value: {"with_request_body": _taken(value, _BUFFER)},
    }
    settings = {"context_extensions": of["TrafficPolicy"]["contextExtensions"]}
    per_route = {"@type": f"{_FILTERS}ext_authz.v3.ExtAuthzPerRoute", "check_settings": settings}
    return _ext_authz(_taken(of["GatewayExtension"], rows), per_route)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _composite(one: Json) -> Json:
    space = f"dev.kgateway.disable_{one['name'].rpartition('.')[2]}"
    matching = f"{_TYPE}extensions.matching."
    disabled = {
        "name": "disable",
        "typed_config": {
            "@type": f"{matching}common_inputs.network.v3.DynamicMetadataInput",
            "filter": space,
            "path": [{"key": "disable"}],
        },
    }
    is_not = {
        "name": "envoy.matching.matchers.metadata_matcher",
        "typed_config": {
            "@type": f"{matching}input_matchers.metadata.v3.Metadata",
            "value": {"bool_match": True},
            "invert": True,
        },
    }
    action = {
        "name": "composite-action",
        "typed_config": {
            "@type": f"{_FILTERS}composite.v3.ExecuteFilterAction",
            "typed_config": {"name": one["name"], "typed_config": one["typed_config"]},
        },
    }
    predicate = {"single_predicate": {"input": disabled, "custom_match": is_not}}
    matchers = [{"predicate": predicate, "on_match": {"action": action}}]
    return {
        "name": f"{one['name']}/one",
        "typed_config": {
            "@type": f"{_TYPE}extensions.common.matching.v3.ExtensionWithMatcher",
            "extension_config": {"name": "composite", "typed_config": {"@type": f"{_FILTERS}composite.v3.Composite"}},
            "xds_matcher": {"matcher_list": {"matchers": matchers}},
        },
    }
