"""What runs for all tests of gateways: one server behind them, and the service on each host."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateways.commands import FORECASTS
from tests.gateways.engines import HOSTS, Engine, engine
from tests.gateways.upstreams import Upstream, json_list, upstream
from tests.installed import envoy
from tests.runtime.weather import policies_in


@pytest.fixture(scope="session")
def _server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def server(_server: Upstream) -> Upstream:
    """The MCP server behind the gateway, to which nothing has come yet."""
    _server.reset(json_list)
    return _server


@pytest.fixture(scope="session", params=HOSTS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The service, on each host in turn."""
    envoy()
    with engine(request.param, tmp_path_factory.mktemp("engine"), "--mtls-principals") as running:
        yield running


@pytest.fixture(scope="session")
def plain_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The service on the default host, where the host makes no difference."""
    envoy()
    with engine("grpcio", tmp_path_factory.mktemp("engine"), "--mtls-principals") as running:
        yield running


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Policies of one rule, for `mcp-acl gateway`."""
    return policies_in(tmp_path, FORECASTS)
