"""ext_authz with a real Envoy, the real service and a server behind: what passes, what is answered, what is refused by which name."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.authz_envoy import AUTHN, SECRET, Answered, Scene, authn, authz, gateway, token
from tests.hosts.running import python_of, running
from tests.runtime.weather import WEATHER, body, call
from tests.serving import serving

FILTER = "envoy.filters.http.ext_authz"
LIST = body("tools/list")
PROMPTS = body("prompts/list")
ROME = call("forecast", city="Rome")
REPLAY = ("last-event-id", "7")


def policies(directory: Path) -> Path:
    written = directory / "policies"
    written.mkdir()
    (written / "weather.yaml").write_text(WEATHER)
    return written


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(policies(tmp_path_factory.mktemp("service")), "--server", "weather") as address:
        yield address


@pytest.fixture(scope="module")
def scene(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """As the documentation has it."""
    with gateway(tmp_path_factory.mktemp("envoy"), service, {"authn": authn(), FILTER: authz()}) as opened:
        yield opened


def passed(scene: Scene, message: bytes | None, *headers: tuple[str, Any], method: str = "POST") -> Answered:
    """The answer to what must have reached the server, as it was sent."""
    before = len(scene.upstream.came)
    answered = scene.ask(message, *headers, method=method)
    assert [(method, message or b"")] == [(came[0], came[2]) for came in scene.upstream.came[before:]], answered
    return answered


def refused(scene: Scene, message: bytes | None, *headers: tuple[str, Any], method: str = "POST") -> Answered:
    """The answer to what must not have reached the server."""
    before = len(scene.upstream.came)
    answered = scene.ask(message, *headers, method=method)
    assert before == len(scene.upstream.came)
    return answered


def bearer(**claims: Any) -> tuple[str, str]:
    return "authorization", f"Bearer {token(**claims)}"


# ---- as it is documented --------------------------------------------------------------------------------------------


def test_what_is_granted_passes_untouched(scene: Scene) -> None:
    assert 200 == passed(scene, ROME, ("accept-encoding", "gzip"), ("x-own", "1")).status
    names = {name.lower() for name, _ in scene.upstream.came[-1][1]}
    assert {"accept-encoding", "x-own"} <= names


def test_what_is_denied_is_answered_as_clients_expect(scene: Scene) -> None:
    answered = refused(scene, call("forecast", city="Atlantis"))
    assert (200, "application/json") == (answered.status, answered.headers["content-type"])
    assert (403, "Atlantis has no weather.") == (answered.error["code"], answered.error["message"])
    assert json.loads(answered.body)["id"] == 1


def test_list_passes_only_if_nothing_would_be_hidden(scene: Scene) -> None:
    passed(scene, PROMPTS)
    assert "list_not_filtered" == refused(scene, LIST).error["data"]["reason"]


def test_streams_open_and_messages_are_not_repeated(scene: Scene) -> None:
    passed(scene, None, method="GET")
    assert 405 == refused(scene, None, REPLAY, method="GET").status


def test_claims_of_a_verified_token_count(scene: Scene) -> None:
    passed(scene, call("history"), bearer(role="admin"))
    refused(scene, call("history"), bearer(role="guest"))
    refused(scene, call("history"))


@pytest.mark.parametrize(
    "bad",
    [
        "Bearer x.y.z",
        f"Bearer {token(key=b'another', role='admin')}",
        f"Bearer {token(exp=5, role='admin')}",
        f"Bearer {token(iss='https://another.test', role='admin')}",
    ],
    ids=["no token", "forged", "expired", "another issuer"],
)
def test_token_that_is_no_good_is_answered_401(scene: Scene, bad: str) -> None:
    answered = refused(scene, ROME, ("authorization", bad))
    assert (401, 'Bearer error="invalid_token"') == (answered.status, answered.headers["www-authenticate"])


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer "], ids=["none", "of another kind", "empty"])
def test_no_token_is_anonymous(scene: Scene, authorization: str | None) -> None:
    passed(scene, ROME, *([("authorization", authorization)] if authorization else ()))


def test_two_tokens_are_no_good(scene: Scene) -> None:
    assert 401 == refused(scene, call("history"), bearer(role="admin"), ("authorization", "Bearer x")).status


def test_token_of_any_provider_counts(tmp_path: Path) -> None:
    flags = ("--server", "weather", "--jwt-metadata", f"{AUTHN}/jwt_payload", "--jwt-metadata", f"{AUTHN}/second")
    filters = {"authn": authn("second"), FILTER: authz()}
    with serving(policies(tmp_path), *flags) as service, gateway(tmp_path, service, filters) as scene:
        passed(scene, call("history"), bearer(role="admin"))
        passed(scene, call("history"), bearer(role="admin", iss="second"))
        assert 401 == refused(scene, ROME, bearer(iss="third")).status
        passed(scene, ROME)


def test_nothing_that_a_client_writes_is_believed(scene: Scene) -> None:
    claims = {"role": "admin"}
    for name in ("x-mcp-acl-claims", "x-jwt-payload", "jwt_payload", "x-mcp-acl-server", "mcp_acl_filtered_behind"):
        refused(scene, call("history"), (name, json.dumps(claims)))
    refused(scene, LIST, ("mcp_acl_filtered_behind", "true"))
    passed(scene, ROME, ("x-mcp-acl-server", "nowhere"))


def test_body_that_is_not_utf8_is_refused(scene: Scene) -> None:
    answered = refused(scene, b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xff"}}')
    assert (400, -32600) == (answered.status, answered.error["code"])


def test_body_that_is_too_large_is_refused_by_envoy(scene: Scene) -> None:
    assert 413 == refused(scene, call("forecast", city="x" * 5000)).status


def test_message_on_a_get_is_refused(scene: Scene) -> None:
    assert 400 == refused(scene, ROME, method="GET").status


@pytest.mark.parametrize("header", ["mcp-method", "mcp-name"])
def test_header_that_mirrors_the_message_comes_once(scene: Scene, header: str) -> None:
    value = {"mcp-method": "tools/call", "mcp-name": "forecast"}[header]
    passed(scene, ROME, (header, value))
    assert -32020 == refused(scene, ROME, (header, value), (header, value)).error["code"]
    assert -32020 == refused(scene, ROME, (header, "other")).error["code"]


def test_filters_and_logs_are_told_of_every_decision(service: str, tmp_path: Path) -> None:
    with gateway(tmp_path, service) as scene:
        passed(scene, ROME)
        refused(scene, call("forecast", city="Atlantis"))
        allowed, denied = scene.told(2)
    assert ("allow", "granted", ["weather/forecasts"]) == (allowed["decision"], allowed["reason"], allowed["rules"])
    assert ("deny", "denied_by_rule") == (denied["decision"], denied["reason"])
    assert ["weather/no-atlantis"] == denied["rules"]
    assert allowed["decision_id"] != denied["decision_id"]
    assert allowed["revision"] == denied["revision"]


# ---- what the configuration says ------------------------------------------------------------------------------------


def of_route(**extensions: str) -> dict[str, Any]:
    settings = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        "check_settings": {"context_extensions": extensions},
    }
    return {"typed_per_filter_config": {FILTER: settings}}


def test_route_says_that_lists_are_filtered_behind(service: str, tmp_path: Path) -> None:
    with gateway(tmp_path, service, route=of_route(mcp_acl_filtered_behind="true")) as scene:
        passed(scene, LIST)
        passed(scene, None, REPLAY, method="GET")
        refused(scene, call("history"))


def test_setting_says_that_lists_are_filtered_behind_and_a_route_that_they_are_not(tmp_path: Path) -> None:
    flags = ("--server", "weather", "--filtered-behind")
    with ExitStack() as stack:
        service = stack.enter_context(serving(policies(tmp_path), *flags))
        for name, route, then in (("a", None, passed), ("b", of_route(mcp_acl_filtered_behind="false"), refused)):
            (tmp_path / name).mkdir()
            then(stack.enter_context(gateway(tmp_path / name, service, route=route)), LIST)


def test_route_names_the_server(service: str, tmp_path: Path) -> None:
    of_metadata = {"metadata": {"filter_metadata": {"mcp_acl": {"server": "nowhere"}}}}
    for name, route in (("a", of_route(mcp_acl_server="nowhere")), ("b", of_metadata)):
        (tmp_path / name).mkdir()
        with gateway(tmp_path / name, service, route=route) as scene:
            assert "no_policy" == refused(scene, ROME).error["data"]["reason"]


def test_grpc_metadata_names_the_server(service: str, tmp_path: Path) -> None:
    grpc = {
        "envoy_grpc": {"cluster_name": "mcp-acl"},
        "initial_metadata": [{"key": "x-mcp-acl-server", "value": "nowhere"}],
    }
    with gateway(tmp_path, service, {FILTER: authz(grpc_service=grpc)}) as scene:
        assert "no_policy" == refused(scene, ROME, ("x-mcp-acl-server", "weather")).error["data"]["reason"]


TOO_LITTLE = {"max_request_bytes": 60, "allow_partial_message": True, "pack_as_bytes": True}
AS_TEXT = {"max_request_bytes": 4096, "pack_as_bytes": False}


@pytest.mark.parametrize(
    ("with_request_body", "named"),
    [(TOO_LITTLE, "allow_partial_message: false"), (AS_TEXT, "pack_as_bytes: true"), (None, "with_request_body")],
    ids=["cut", "text", "none"],
)
def test_body_that_is_not_known_whole_is_refused_by_the_name_of_the_setting(
    service: str, tmp_path: Path, with_request_body: Any, named: str
) -> None:
    with gateway(tmp_path, service, {FILTER: authz(with_request_body=with_request_body)}) as scene:
        answered = refused(scene, call("forecast", city="Rome, the eternal city of seven hills"))
        assert (400, True) == (answered.status, named in answered.error["message"]), answered
        refused(scene, ROME, ("x-envoy-auth-partial-body", "false"))
        passed(scene, None, method="GET")


def test_joined_headers_cannot_hide_that_there_were_two(service: str, tmp_path: Path) -> None:
    with gateway(tmp_path, service, {FILTER: authz(encode_raw_headers=False)}) as scene:
        passed(scene, ROME, ("mcp-name", "forecast"), ("mcp-method", "tools/call"))
        for name, headers in (
            ("a,b", [("mcp-name", "a"), ("mcp-name", "b")]),
            ("a!b", [("mcp-name", b"a\xffb")]),
            ("forecast", [("mcp-method", "tools/call"), ("mcp-method", "tools/call")]),
        ):
            answered = refused(scene, call(name, city="Rome"), *headers)
            assert (400, True) == (answered.status, "encode_raw_headers" in answered.error["message"]), answered


def test_headers_as_they_came_may_hold_what_joined_ones_may_not(service: str, tmp_path: Path) -> None:
    with gateway(tmp_path, service) as scene:
        for name in ("a,b", "a!b"):
            assert 403 == refused(scene, call(name), ("mcp-name", name)).error["code"]
        assert -32020 == refused(scene, call("a,b"), ("mcp-name", "a"), ("mcp-name", "b")).error["code"]
        assert -32020 == refused(scene, call("a!b"), ("mcp-name", b"a\xffb")).error["code"]


def test_service_that_is_down_lets_nothing_pass(tmp_path: Path) -> None:
    with gateway(tmp_path, "127.0.0.1:1") as scene:
        assert 403 == refused(scene, ROME).status
        assert 403 == refused(scene, None, method="GET").status


def test_contradiction_of_the_gateway_is_an_error_that_lets_nothing_pass(service: str, tmp_path: Path) -> None:
    with gateway(tmp_path, service, route=of_route(mcp_acl_filtered_behind="perhaps")) as scene:
        assert 403 == refused(scene, ROME).status


def test_other_host_answers_the_same(tmp_path: Path) -> None:
    command = [python_of("envoy"), "-m", "mcp_acl", "serve", "--host", "envoy", "--listen", "127.0.0.1:0"]
    command += ["--policies", str(policies(tmp_path)), "--server", "weather"]
    with running(command, tmp_path / "log") as service, gateway(tmp_path, service) as scene:
        passed(scene, ROME)
        assert 403 == refused(scene, call("forecast", city="Atlantis")).error["code"]
        assert 400 == refused(scene, b"\xff").status


def test_secret_of_these_tests_is_long_enough() -> None:
    assert len(SECRET) >= 32
