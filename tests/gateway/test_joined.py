"""Gateway and service as one Envoy: nothing of either side's configuration is lost, and what they share is closed to everybody else."""

from pathlib import Path
from typing import Any

import pytest

from mcp_acl.gateway import Given, bootstrap, joined, plan_of, settings_of, site_of
from mcp_acl.hosts.envoy.config import RESETS, Site, admin_file, internal, probe_file, tcp
from mcp_acl.hosts.envoy.config import bootstrap as host_bootstrap
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.runtime.address import parse_address
from mcp_acl.server import limits_of

DIRECTORY = Path("/run/acl")
MODULE = Path("/lib/module.so")
PLAN = plan_of(Given(["a=http://127.0.0.1:3001/mcp"], Path("p"), "127.0.0.1:8080"))
SETTINGS = settings_of(PLAN, "http://127.0.0.1:8080", "unix:/run/acl/service.sock")
SITE = site_of(PLAN, "127.0.0.1", 8080, joined.SERVICE)


@pytest.fixture
def config() -> Any:
    return joined.bootstrap(SITE, SETTINGS, DIRECTORY, MODULE)


def listeners_of(config: Any) -> dict[str, Any]:
    return {one["name"]: one for one in config["static_resources"]["listeners"]}


def manager_of(listener: Any) -> Any:
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_gateway_is_the_one_that_stands_beside_a_service(config: Any) -> None:
    beside = bootstrap(SITE._replace(service=tcp("127.0.0.1", 1)))
    assert listeners_of(beside)["gateway"] == listeners_of(config)["gateway"]
    assert beside["overload_manager"] == config["overload_manager"]
    others = [one for one in config["static_resources"]["clusters"] if one["name"] != "mcp_acl"]
    assert others == [one for one in beside["static_resources"]["clusters"] if one["name"] != "mcp_acl"]


def test_service_has_every_remedy_that_it_has_by_itself(config: Any) -> None:
    listener = Listener(parse_address("127.0.0.1:1"), {})
    site = Site(limits_of(SETTINGS), DIRECTORY, MODULE)
    alone = host_bootstrap({"listener_0": (listener, tcp("127.0.0.1", 1))}, site)
    for name, one in listeners_of(alone).items():
        assert one["filter_chains"] == listeners_of(config)[name]["filter_chains"]
    assert alone["layered_runtime"] == config["layered_runtime"]
    assert alone["admin"] == config["admin"]


def test_service_is_reached_from_this_envoy_alone(config: Any) -> None:
    assert ["listener_0", "probe", "gateway"] == [*listeners_of(config)]
    service = listeners_of(config)["listener_0"]
    assert {} == service["internal_listener"]
    assert "address" not in service
    (cluster,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "mcp_acl")
    (found,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert internal("listener_0") == found["endpoint"]["address"]
    assert "envoy.transport_sockets.internal_upstream" == cluster["transport_socket"]["name"]
    assert ["envoy.bootstrap.internal_listener"] == [one["name"] for one in config["bootstrap_extensions"]]
    pipes = [config["admin"]["address"]["pipe"], listeners_of(config)["probe"]["address"]["pipe"]]
    expected = [{"path": str(file(DIRECTORY)), "mode": 0o600} for file in (admin_file, probe_file)]
    assert expected == pipes


def test_health_is_not_asked_for_where_it_cannot_be_heard(config: Any) -> None:
    """Envoy asks by its main thread, which reaches no listener of a worker: everything would be in doubt for ever."""
    assert not any("health_checks" in one for one in config["static_resources"]["clusters"])


def test_connections_from_outside_do_not_take_the_place_of_the_one_inside(config: Any) -> None:
    assert listeners_of(config)["listener_0"]["ignore_global_conn_limit"] is True
    assert "ignore_global_conn_limit" not in listeners_of(config)["gateway"]


def test_clients_may_not_break_off_what_the_gateway_may(config: Any) -> None:
    gateway, service = (manager_of(listeners_of(config)[name]) for name in ("gateway", "listener_0"))
    assert not {"stream_reset_burst", "stream_reset_rate"} & set(gateway["http2_protocol_options"])
    assert RESETS == service["http2_protocol_options"]["stream_reset_burst"]
    assert Limits(calls=10_000).calls == service["http2_protocol_options"]["max_concurrent_streams"]


def test_at_the_end_the_gateway_alone_is_drained(config: Any) -> None:
    directions = {name: one.get("traffic_direction", "") for name, one in listeners_of(config).items()}
    assert {"listener_0": "", "probe": "", "gateway": "INBOUND"} == directions
