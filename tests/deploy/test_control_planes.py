"""The examples for control planes: what they come to in Envoy, with the real service and a real server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.deploy import rendered
from tests.deploy.envoys import Config, Gateway, Issuer, find, placed, running
from tests.deploy.resources import resources
from tests.deploy.scene import ANALYST, server, service
from tests.peers.running import Peer

NOWHERE: Final = ("127.0.0.1", 9)
IN_PAYLOAD: Final = ("--jwt-metadata", "envoy.filters.http.jwt_authn/payload")
AS_WEATHER: Final = ("--server", "weather")

LUA: Final = """
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("mcp_acl", "server", "weather")
end
"""


class Example(NamedTuple):
    """What becomes of an example, given the keys of tokens, and the flags that its page tells to give to the service."""

    render: Callable[[str], Config]
    flags: tuple[str, ...]


FULL: Final = {
    "istio": Example(lambda keys: rendered.istio(resources("istio/ext-proc.yaml"), keys), IN_PAYLOAD),
    "envoy-gateway": Example(
        lambda keys: rendered.envoy_gateway(resources("envoy-gateway/ext-proc.yaml"), keys), AS_WEATHER
    ),
    "kgateway": Example(
        lambda keys: rendered.kgateway(resources("kgateway/ext-proc.yaml"), keys), (*AS_WEATHER, *IN_PAYLOAD)
    ),
    "kuadrant": Example(lambda keys: rendered.istio(resources("kuadrant/ext-proc.yaml"), keys), ()),
}
PROVIDER: Final = "mcp-acl-weather"
FAULT: Final = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"


def istio_provider() -> Config:
    operator = next(one for one in resources("istio/ext-authz.yaml") if one["kind"] == "IstioOperator")
    (provider,) = operator["spec"]["meshConfig"]["extensionProviders"]
    assert PROVIDER == provider["name"]
    return rendered.istio_ext_authz(provider["envoyExtAuthzGrpc"])


CALLS_ALONE: Final = {
    "istio": Example(lambda _: istio_provider(), AS_WEATHER),
    "kgateway": Example(lambda _: rendered.kgateway_ext_authz(resources("kgateway/ext-authz.yaml")), ()),
}


class Scene(NamedTuple):
    gateway: Gateway
    peer: Peer
    issuer: Issuer


@contextmanager
def scene_of(example: Example, directory: Path) -> Iterator[Scene]:
    issuer = Issuer(directory)
    with ExitStack() as stack:
        asked = stack.enter_context(service(directory, *example.flags))
        peer = stack.enter_context(server(directory))
        config = located(example.render(issuer.keys), issuer, asked, (peer.host, peer.port))
        yield Scene(stack.enter_context(running(config, directory)), peer, issuer)


def located(config: Config, issuer: Issuer, asked: tuple[str, int], peer: tuple[str, int]) -> Config:
    names = [cluster["name"] for cluster in config["static_resources"]["clusters"]]
    return placed(config, issuer.jwks, {**dict.fromkeys(names, asked), rendered.SERVER: peer})


@pytest.fixture(scope="module", params=FULL)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_of(FULL[request.param], tmp_path_factory.mktemp("full")) as scene:
        yield scene


@pytest.fixture(scope="module", params=CALLS_ALONE)
def calls_alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_of(CALLS_ALONE[request.param], tmp_path_factory.mktemp("calls")) as scene:
        yield scene


def test_calls_and_lists_are_as_the_principal_may(full: Scene) -> None:
    full.peer.ran()
    analyst = full.issuer.token(**ANALYST)
    assert "error" in full.gateway.call("add").message
    assert ["echo"] == full.gateway.tools()
    assert [] == full.peer.ran()
    assert ["echo", "add"] == full.gateway.tools(analyst)
    assert all("result" in full.gateway.call(tool, analyst).message for tool in ("echo", "add"))
    assert ["echo", "add"] == [one.name for one in full.peer.ran()]


def test_token_that_is_no_good_reaches_nothing(full: Scene) -> None:
    full.peer.ran()
    assert full.gateway.call("echo", full.issuer.token(aud="other")).status >= 400
    assert [] == full.peer.ran()


def test_with_ext_authz_alone_calls_are_decided_and_lists_denied(calls_alone: Scene) -> None:
    calls_alone.peer.ran()
    assert "result" in calls_alone.gateway.call("echo").message
    assert "error" in calls_alone.gateway.call("add").message
    assert "error" in calls_alone.gateway.ask({"method": "tools/list"}).message
    assert ["echo"] == [one.name for one in calls_alone.peer.ran()]


def test_no_claims_arrive_by_ext_authz_alone(calls_alone: Scene) -> None:
    assert "error" in calls_alone.gateway.call("add", calls_alone.issuer.token(**ANALYST)).message


STATUS: Final = {"kgateway": 500}
"""Where the gateway has no setting for it."""


@pytest.mark.parametrize(
    ("examples", "name"), [(FULL, one) for one in FULL] + [(CALLS_ALONE, one) for one in CALLS_ALONE]
)
def test_without_the_service_nothing_passes(examples: dict[str, Example], name: str, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    with server(tmp_path) as peer:
        config = located(examples[name].render(issuer.keys), issuer, NOWHERE, (peer.host, peer.port))
        with running(config, tmp_path) as gateway:
            expected = STATUS.get(name, 503) if examples is FULL else 503
            assert expected == gateway.call("echo").status
        assert [] == peer.ran()


def test_route_of_istio_without_an_id_is_denied(tmp_path: Path) -> None:
    other = Example(lambda keys: rendered.istio(resources("istio/ext-proc.yaml"), keys, "mcp.other.0"), IN_PAYLOAD)
    with scene_of(other, tmp_path) as scene:
        assert "error" in scene.gateway.call("echo").message
        assert [] == scene.peer.ran()


def test_in_front_of_the_router_of_kuadrant_nothing_else_sees_what_is_denied(tmp_path: Path) -> None:
    """In the place of the router, which stood first before, a filter that answers everything."""
    abort = {"@type": FAULT, "abort": {"http_status": 429, "percentage": {"numerator": 100}}}
    router = [{"name": "envoy.filters.http.fault", "typed_config": abort}]
    made = Example(lambda keys: rendered.istio(resources("kuadrant/ext-proc.yaml"), keys, others=router), ())
    with scene_of(made, tmp_path) as scene:
        assert [429, 200] == [scene.gateway.call(tool).status for tool in ("echo", "add")]


def test_lua_of_envoy_gateway_names_the_server(tmp_path: Path) -> None:
    made = resources("envoy-gateway/ext-proc.yaml")
    (policy,) = [one for one in made if one["kind"] == "EnvoyExtensionPolicy"]
    policy["spec"]["extProc"][0]["metadata"]["accessibleNamespaces"].append("mcp_acl")
    with scene_of(Example(lambda keys: rendered.envoy_gateway(made, keys, LUA), ()), tmp_path) as scene:
        assert ["echo"] == scene.gateway.tools()


def test_nothing_fails_open() -> None:
    for example in [*FULL.values(), *CALLS_ALONE.values()]:
        (found,) = find(example.render("{}"), "failure_mode_allow")
        assert found["failure_mode_allow"] is False
