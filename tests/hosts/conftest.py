"""Channels to hosts: each kind of host is started once for each transport, and ended."""

from collections.abc import Iterator

import grpc
import pytest

from tests.hosts.running import channel_to

HOSTS = ("grpcio", "envoy")


@pytest.fixture(scope="session", params=HOSTS)
def channel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A channel to each kind of host in turn."""
    with channel_to(request.param, "tcp", tmp_path_factory.mktemp("host")) as opened:
        yield opened
