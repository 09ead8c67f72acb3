"""`mcp-acl gateway` writes a configuration of the same kind as deploy/envoy: what decides anything is the same in both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_acl.gateway.config import Site, bootstrap
from mcp_acl.gateway.tokens import Tokens
from mcp_acl.gateway.upstreams import upstreams_of
from mcp_acl.hosts.envoy.config import tcp
from tests.deploy.envoys import Config, Issuer, find, http_filter
from tests.deploy.test_envoy import FULL, written

EXT_PROC: Final = "envoy.filters.http.ext_proc"
JWT: Final = "envoy.filters.http.jwt_authn"
ROUTER: Final = "envoy.filters.http.router"

MANAGER: Final = (
    "use_remote_address",
    "internal_address_config",
    "normalize_path",
    "path_with_escaped_slashes_action",
    "stream_idle_timeout",
)
PROCESSOR: Final = (
    "failure_mode_allow",
    "status_on_error",
    "message_timeout",
    "allow_mode_override",
    "processing_mode",
    "request_attributes",
    "response_attributes",
    "metadata_options",
)
PROVIDER: Final = (
    "require_expiration",
    "from_headers",
    "forward",
    "payload_in_metadata",
    "failed_status_in_metadata",
)
HOST: Final = ("request_headers_to_remove", "response_headers_to_remove")


@pytest.fixture
def made(tmp_path: Path) -> Config:
    """As the command writes it, for two servers."""
    upstreams = upstreams_of(["weather=http://127.0.0.1:8000/mcp", "files=http://127.0.0.1:8001/mcp"])
    tokens = Tokens(str(Issuer(tmp_path).jwks), "https://login.example.com", ("https://mcp.example.com",))
    address = tcp("127.0.0.1", 9191)
    return bootstrap(Site("0.0.0.0", 8080, "https://mcp.example.com", upstreams, address, 4_194_304, tokens=tokens))  # noqa: S104


def settings_of(config: Config) -> Iterator[tuple[str, Any]]:
    """What decides anything, by name."""
    (manager,) = find(config, "http_filters")
    yield from ((f"manager.{name}", _seconds(manager.get(name))) for name in MANAGER)
    yield "manager.merge_slashes", manager.get("merge_slashes", False)
    yield "manager.underscores", manager["common_http_protocol_options"]["headers_with_underscores_action"]
    yield "limit", config["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"]
    yield from ((f"host.{name}", manager["route_config"]["virtual_hosts"][0].get(name)) for name in HOST)
    yield "router", http_filter(config, ROUTER)["suppress_envoy_headers"]
    yield from ((f"ext_proc.{name}", _seconds(http_filter(config, EXT_PROC).get(name))) for name in PROCESSOR)
    (provider,) = http_filter(config, JWT)["providers"].values()
    yield from ((f"jwt.{name}", provider.get(name)) for name in PROVIDER)
    (rule,) = http_filter(config, JWT)["rules"]
    yield "jwt.else", rule["requires"]["requires_any"]["requirements"][1]


def _seconds(value: Any) -> Any:
    """`5s` and `5.000s` are one time."""
    is_time = isinstance(value, str) and value.endswith("s") and value[:-1].replace(".", "").isdecimal()
    return float(value[:-1]) if is_time else value


@pytest.mark.parametrize("name", FULL)
def test_file_decides_as_the_command_does(name: str, made: Config) -> None:
    assert dict(settings_of(made)) == dict(settings_of(written(name)))


def test_each_server_has_the_same_name_and_path(made: Config) -> None:
    assert sorted(servers_of(made)) == sorted(servers_of(written("routes.yaml")))


def servers_of(config: Config) -> Iterator[tuple[str, str, str]]:
    """Of each route to a server: its id, its path, and the path of the server."""
    for route in find(config, "typed_per_filter_config"):
        of_processor = route["typed_per_filter_config"][EXT_PROC]
        for one in of_processor.get("overrides", {}).get("grpc_initial_metadata", ()):
            yield one["value"], route["match"]["path"], route["route"]["prefix_rewrite"]
