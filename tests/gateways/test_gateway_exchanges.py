"""Lists, streams and trailers through `mcp-acl gateway`, in both forms; and clients that break off what they began."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_acl.hosts.envoy.config import admin_file
from mcp_acl.hosts.envoy.http import ask
from tests.gateways import clients
from tests.gateways.commands import FORMS, gateway
from tests.gateways.engines import POLICY
from tests.gateways.exchanges import (
    CALL,
    EXCHANGES,
    LIST,
    check_exchange,
    check_open_stream,
    check_trailers,
    tools_in,
)
from tests.gateways.upstreams import Upstream, json_list

MANY = 3000
"""More than any protection of Envoy's against clients that break off lets pass on one connection."""


class Through:
    """A gateway, and what its Envoy counts."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        (self._directory,) = (directory / "tmp").iterdir()

    def stat(self, name: str) -> int:
        text = ask(admin_file(self._directory), "GET", f"/stats?format=json&filter=^{re.escape(name)}$").body
        (found,) = json.loads(text)["stats"]
        return int(found["value"])


@pytest.fixture(scope="module", params=FORMS)
def through(
    request: pytest.FixtureRequest, _server: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Through]:
    place = tmp_path_factory.mktemp("exchanges")
    policies = place / "policies"
    policies.mkdir()
    (policies / "weather.yaml").write_text(POLICY.replace("[weather]", "[mcp]"))
    upstream = f"http://127.0.0.1:{_server.port}/mcp"
    with gateway(place, policies, [upstream], "--public-url", "http://mcp.test", form=request.param) as running:
        yield Through(running.port, place)


@pytest.mark.parametrize("name", EXCHANGES)
def test_client_sees_what_the_table_says(through: Through, server: Upstream, name: str) -> None:
    check_exchange(through.port, server, name)


def test_what_has_trailers_is_decided(through: Through, server: Upstream) -> None:
    check_trailers(through.port, server)


def test_stream_stays_open_and_is_filtered_event_by_event(through: Through, server: Upstream) -> None:
    check_open_stream(through.port, server)


def test_client_that_breaks_off_what_it_began_is_sent_away_and_nobody_else(through: Through, server: Upstream) -> None:
    """Where all is one process the connection by which the service is asked outlives what would end it between strangers."""
    clients.ask(through.port, LIST)
    connections = through.stat("cluster.mcp_acl.upstream_cx_total")
    clients.burst(through.port, CALL, 200)
    assert clients.is_sent_away(through.port, MANY)
    server.reset(json_list)
    assert ["forecast"] == tools_in(clients.ask(through.port, LIST))
    assert connections == through.stat("cluster.mcp_acl.upstream_cx_total")
