"""The configurations of deploy/envoy in a real Envoy, in front of a real server, with the real service: as they are, but for where things are."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import yaml

from tests.certificates import Certified
from tests.deploy.envoys import DEPLOY, Config, Gateway, Issuer, complaints, find, http_filter, placed, running
from tests.deploy.scene import ANALYST, POLICY, server, service
from tests.peers.running import Peer
from tests.service.started import until

FILES: Final = sorted(path.name for path in (DEPLOY / "envoy").glob("*.yaml"))
FULL: Final = {"envoy.yaml": "", "both.yaml": "", "routes.yaml": "/weather"}
"""Files in which everything is enforced, and the path at which the server `weather` is."""
NOWHERE: Final = ("127.0.0.1", 9)


def written(name: str) -> Config:
    found: Config = yaml.safe_load((DEPLOY / "envoy" / name).read_text())
    return found


of_all = pytest.mark.parametrize("scene", FILES, indirect=True, scope="module")
of_those_that_filter = pytest.mark.parametrize("scene", FULL, indirect=True, scope="module")
of_ext_authz_alone = pytest.mark.parametrize("scene", ["ext-authz.yaml"], indirect=True, scope="module")


class Scene(NamedTuple):
    """A gateway, the server behind it, and who signs tokens."""

    gateway: Gateway
    peer: Peer
    issuer: Issuer
    path: str


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("envoy")
    issuer = Issuer(directory)
    with ExitStack() as stack:
        asked = stack.enter_context(service(directory))
        peer = stack.enter_context(server(directory, "--json"))
        there = {"mcp-acl": asked, "weather": (peer.host, peer.port), "files": (peer.host, peer.port)}
        gateway = stack.enter_context(running(placed(written(request.param), issuer.jwks, there), directory))
        yield Scene(gateway, peer, issuer, FULL.get(request.param, "") + "/mcp")


@pytest.mark.parametrize("name", FILES)
def test_envoy_takes_the_file(name: str, tmp_path: Path) -> None:
    there = dict.fromkeys(("mcp-acl", "weather", "files"), NOWHERE)
    assert "" == complaints(placed(written(name), Issuer(tmp_path).jwks, there), tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_nothing_fails_open(name: str) -> None:
    found = [one["failure_mode_allow"] for one in find(written(name), "failure_mode_allow")]
    assert found
    assert not any(found)


@of_all
def test_what_is_granted_reaches_the_server(scene: Scene) -> None:
    scene.peer.ran()
    reply = scene.gateway.call("echo", path=scene.path, text="hello")
    assert (200, "hello") == (reply.status, reply.message["result"]["content"][0]["text"])
    assert ["echo"] == [one.name for one in scene.peer.ran()]


@of_all
def test_what_is_not_granted_does_not_reach_the_server(scene: Scene) -> None:
    scene.peer.ran()
    for tool in ("add", "secret_delete"):
        reply = scene.gateway.call(tool, path=scene.path)
        assert (200, "access denied by policy") == (reply.status, reply.message["error"]["message"])
    assert [] == scene.peer.ran()


@of_all
def test_claims_of_a_verified_token_count(scene: Scene) -> None:
    scene.peer.ran()
    reply = scene.gateway.call("add", scene.issuer.token(**ANALYST), scene.path, a=1, b=2)
    assert "result" in reply.message
    assert ["add"] == [one.name for one in scene.peer.ran()]


@of_all
def test_token_that_is_no_good_is_answered_401(scene: Scene) -> None:
    scene.peer.ran()
    good = scene.issuer.token(**ANALYST)
    for token in (good[:-8] + "AAAAAAAA", scene.issuer.token(aud="other"), scene.issuer.token(exp=1)):
        reply = scene.gateway.call("echo", token, scene.path)
        assert 401 == reply.status
        assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert [] == scene.peer.ran()


@of_those_that_filter
def test_lists_hold_what_the_principal_may_see(scene: Scene) -> None:
    assert ["echo"] == scene.gateway.tools(path=scene.path)
    assert ["echo", "add"] == scene.gateway.tools(scene.issuer.token(**ANALYST), scene.path)


@of_those_that_filter
def test_answer_that_would_be_encoded_is_filtered(scene: Scene) -> None:
    reply = scene.gateway.ask({"method": "tools/list"}, path=scene.path, **{"Accept-Encoding": "gzip"})
    assert "secret" not in reply.body.decode()
    assert "content-encoding" not in reply.headers


@of_all
def test_headers_of_a_client_name_no_server(scene: Scene) -> None:
    headers = {"x-mcp-acl-server": "other", "mcp-acl-server": "other"}
    reply = scene.gateway.ask({"method": "tools/list"}, path=scene.path, **headers)
    assert 200 == reply.status
    assert "no_policy" not in reply.body.decode()


@of_all
def test_message_that_is_too_long_is_refused(scene: Scene) -> None:
    scene.peer.ran()
    assert 413 == scene.gateway.call("echo", path=scene.path, text="x" * 5_000_000).status
    assert [] == scene.peer.ran()


@of_ext_authz_alone
def test_ext_authz_alone_denies_a_list_that_would_have_to_be_filtered(scene: Scene) -> None:
    for token in ("", scene.issuer.token(**ANALYST)):
        assert "error" in scene.gateway.ask({"method": "tools/list"}, token).message


def test_both_deny_before_the_filters_in_between(tmp_path: Path) -> None:
    """A filter that stands there and answers everything is reached by what may pass alone."""
    config = written("both.yaml")
    (manager,) = find(config, "http_filters")
    between = [one["name"] for one in manager["http_filters"]].index("envoy.filters.http.ext_proc")
    kind = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
    abort = {"@type": kind, "abort": {"http_status": 429, "percentage": {"numerator": 100}}}
    manager["http_filters"].insert(between, {"name": "envoy.filters.http.fault", "typed_config": abort})
    with service(tmp_path) as asked:
        there = {"mcp-acl": asked, "weather": NOWHERE}
        with running(placed(config, Issuer(tmp_path).jwks, there), tmp_path) as gateway:
            assert [429, 200] == [gateway.call(tool).status for tool in ("echo", "add")]


def test_each_route_has_a_server_of_its_own_and_others_none(tmp_path: Path) -> None:
    with service(tmp_path) as asked, server(tmp_path) as peer:
        (tmp_path / "policies" / "examples.yaml").write_text(POLICY.replace("weather, ", ""))
        there = dict.fromkeys(("weather", "files"), (peer.host, peer.port)) | {"mcp-acl": asked}
        with running(placed(written("routes.yaml"), Issuer(tmp_path).jwks, there), tmp_path) as gateway:
            until(lambda: "error" in gateway.call("echo", path="/weather/mcp").message)
            assert "result" in gateway.call("echo", path="/files/mcp").message
            assert "error" in gateway.call("echo", path="/mcp").message
            assert 200 == gateway.get("/healthz").status


@pytest.mark.parametrize("name", FILES)
def test_without_the_service_everything_is_answered_503(name: str, tmp_path: Path) -> None:
    with server(tmp_path) as peer:
        there = dict.fromkeys(("weather", "files"), (peer.host, peer.port)) | {"mcp-acl": NOWHERE}
        with running(placed(written(name), Issuer(tmp_path).jwks, there), tmp_path) as gateway:
            for path in ("/mcp", "/weather/mcp"):
                assert 503 == gateway.call("echo", path=path).status
        assert [] == peer.ran()


# ---- the page -------------------------------------------------------------------------------------------------------


def snippets() -> list[Config]:
    blocks = (DEPLOY / "envoy" / "README.md").read_text().split("```yaml\n")[1:]
    return [yaml.safe_load(block.partition("```")[0]) for block in blocks]


def test_envoy_takes_what_the_page_offers(tmp_path: Path, certified: Certified) -> None:
    keys, tls = snippets()
    config = placed(written("envoy.yaml"), Issuer(tmp_path).jwks, {"weather": NOWHERE, "mcp-acl": NOWHERE})
    (provider,) = http_filter(config, "envoy.filters.http.jwt_authn")["providers"].values()
    provider |= keys
    del provider["local_jwks"]
    clusters = config["static_resources"]["clusters"]
    clusters.append({"name": "login", "type": "STATIC", "load_assignment": {"cluster_name": "login"}})
    (service_cluster,) = [one for one in clusters if one["name"] == "mcp-acl"]
    files = {"tls.crt": certified.cert, "tls.key": certified.key, "ca.crt": certified.client_ca}
    for one in find(tls, "filename"):
        one["filename"] = str(files[Path(one["filename"]).name])
    service_cluster |= tls
    assert "" == complaints(config, tmp_path)
