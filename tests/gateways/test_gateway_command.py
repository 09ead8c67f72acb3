"""`mcp-acl gateway` with a real Envoy: clients through it, tokens, what it refuses, and how it ends."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_acl.cli.demo.everything import everything
from tests.conftest import ROOT
from tests.gateways.commands import FORMS, SECONDS, Gateway, Recording, ask, call, gateway, recording
from tests.gateways.signing import AUDIENCE, ISSUER, Issuer
from tests.gateways.upstreams import upstream, whole
from tests.peers.running import talking

POLICY: Final = """
version: 1
policy: weather
servers: [weather, other, mcp]
rules:
  - {id: forecasts, methods: [tools/list, tools/call], name: forecast}
  - {id: near, methods: [tools/call], name: near, cel: 'request.remote_address == "127.0.0.1"'}
  - {id: history, methods: [tools/list, tools/call], name: history, cel: 'has(claims.sub) && claims.sub == "ann"'}
"""
IN_2100: Final = 4_102_444_800
STEPS: Final = [
    ("tools/list", {}),
    ("tools/call", {"name": "echo", "arguments": {"message": "hello"}}),
    ("tools/call", {"name": "get-env", "arguments": {}}),
]
_KNOWN: Final = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policies")
    (directory / "weather.yaml").write_text(POLICY)
    return directory


@pytest.fixture(scope="module")
def server() -> Iterator[Recording]:
    with recording() as found:
        yield found


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def keys(place: Path, issuer: Issuer) -> str:
    file = place / "jwks.json"
    file.write_text(json.dumps(issuer.keys))
    return str(file)


def tools_of(running: Gateway, path: str, token: str = "") -> list[str]:
    reply = ask(running.port, path, call("tools/list"), token=token).reply
    return [one["name"] for one in reply["result"]["tools"]]


def reason_of(reply: Mapping[str, Any]) -> str:
    return str(reply["error"]["data"]["reason"])


# ---- real clients, a real server ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=FORMS)
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway before the MCP project's server, by a name that has addresses of both kinds."""
    place = tmp_path_factory.mktemp("everything")
    with everything(ROOT / "tests" / "node" / "node_modules") as port:
        upstreams = [f"everything=http://localhost:{port}/mcp"]
        with gateway(place, ROOT / "policies" / "everything", upstreams, form=request.param) as running:
            yield running


@pytest.mark.parametrize("name", ["python", "typescript-1"])
def test_client_sees_and_calls_what_the_policies_say(behind: Gateway, tmp_path: Path, name: str) -> None:
    with talking(name, tmp_path) as client:
        listed, called, denied = client.talk(behind.ready["servers"]["everything"], "none", STEPS)
    assert ["echo", "get-sum"] == [one["name"] for one in listed["result"]["tools"]]
    assert "Echo: hello" == called["result"]["content"][0]["text"]
    assert "The environment of this server holds its secrets." in denied["error"][-1]


def test_decisions_are_shown_as_they_are_made(behind: Gateway, tmp_path: Path) -> None:
    with talking("python", tmp_path) as client:
        client.talk(behind.ready["servers"]["everything"], "none", STEPS)
    assert {"decision": "allow", "reason": "list_filtered", "principal": "anonymous"}.items() <= dict(
        behind.seen("tools/list")
    ).items()
    assert {"decision": "filtered", "shown": 2, "hidden": 11}.items() <= dict(behind.seen("tools/list")).items()
    assert "echo" == behind.seen("tools/call")["target"]
    denied = behind.seen("tools/call")
    assert ("get-env", "deny") == (denied["target"], denied["decision"])
    assert re.fullmatch(r"everything\.yaml:\d+", "{file}:{line}".format(**denied["rules"][0]))


# ---- where requests go ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=FORMS)
def routed(request: pytest.FixtureRequest, place: Path, policies: Path, server: Recording) -> Iterator[Gateway]:
    flags = ("--allow-origin", "https://inspector.example")
    with gateway(place, policies, [f"weather={server.url}"], *flags, form=request.param) as running:
        yield running


def test_list_is_filtered_and_the_server_is_asked_as_itself(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    assert ["forecast"] == tools_of(routed, "/weather/mcp")
    (arrived,) = server.arrived
    assert ("/mcp", f"127.0.0.1:{server.port}") == (arrived.path, arrived.headers["host"])
    assert not {"accept-encoding", "x-envoy-original-path"} & set(arrived.headers)


def test_call_that_is_denied_does_not_reach_the_server(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    assert "no_matching_rule" == reason_of(ask(routed.port, "/weather/mcp", call("tools/call", name="delete")).reply)
    assert [] == server.arrived


@pytest.mark.parametrize(
    "path",
    [
        "/", "/mcp", "/weather", "/weather/", "/weather/mcp/", "/weather/mcp/x", "/weather/sse", "/other/mcp", "/WEATHER/mcp",
        "//weather/mcp", "/weather//mcp", "/weather/mcp;x", "/x/../mcp", "/weather/mcp%20", "/weather/%6dcp%00",
    ],
)  # fmt: skip
def test_path_of_no_server_leads_nowhere(routed: Gateway, server: Recording, path: str) -> None:
    server.arrived.clear()
    answer = ask(routed.port, path, call("tools/call", name="forecast"))
    assert answer.status in (400, 404)
    assert [] == server.arrived


@pytest.mark.parametrize("path", ["/x/../weather/mcp", "/./weather/mcp", "/weather/%6dcp"])
def test_path_in_another_spelling_is_the_same_or_nothing(routed: Gateway, server: Recording, path: str) -> None:
    server.arrived.clear()
    ask(routed.port, path, call("tools/call", name="forecast"))
    assert {"/mcp"} >= {arrived.path for arrived in server.arrived}


@pytest.mark.parametrize("path", ["/weather%2Fmcp", "/weather/..%2fmcp", "/x%5c..%5cweather/mcp"])
def test_escaped_slashes_are_refused(routed: Gateway, path: str) -> None:
    assert 400 == ask(routed.port, path, call("ping")).status


def test_query_goes_along(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    ask(routed.port, "/weather/mcp?a=b", call("tools/call", name="forecast"))
    assert ["/mcp?a=b"] == [arrived.path for arrived in server.arrived]


@pytest.mark.parametrize("name", ["localhost", "localhost:9", "127.0.0.1", "[::1]", "[::1]:80"])
def test_it_answers_as_loopback(routed: Gateway, name: str) -> None:
    assert 200 == ask(routed.port, "/weather/mcp", call("tools/list"), Host=name).status


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_it_does_not_answer_as_another_host(routed: Gateway, server: Recording, name: str) -> None:
    server.arrived.clear()
    assert 421 == ask(routed.port, "/weather/mcp", call("tools/call", name="forecast"), Host=name).status
    assert [] == server.arrived


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://localhost.evil.example", 403),
        ("http://127.0.0.1:1@evil.example", 403),
        ("http://localhost:6274", 200),
        ("http://[::1]:1", 200),
        ("https://inspector.example", 200),
        ("https://inspector.example.evil.example", 403),
    ],
)
def test_pages_of_other_origins_may_not_ask(routed: Gateway, server: Recording, origin: str, status: int) -> None:
    server.arrived.clear()
    assert status == ask(routed.port, "/weather/mcp", call("tools/call", name="forecast"), Origin=origin).status
    assert (1 if status == 200 else 0) == len(server.arrived)


def test_headers_that_mislead_a_server_do_not_reach_it(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    misleading = {"X_HTTP_Method_Override": "DELETE", "X_Original_URL": "/admin", "X_Mcp_Acl_Server": "other"}
    answer = ask(
        routed.port, "/weather/mcp", call("tools/call", name="forecast"), X_Envoy_Max_Retries="9", **misleading
    )
    (arrived,) = server.arrived
    names = {"x-http-method-override", "x-original-url", "x-mcp-acl-server", "x-envoy-max-retries"}
    assert not names & set(arrived.headers)
    assert "location" not in answer.headers


def test_client_on_this_machine_cannot_have_a_call_made_again(tmp_path: Path, policies: Path) -> None:
    """Envoy obeys `x-envoy-retry-on` of whom it takes for one of its own, which without a range is every private address."""
    with (
        upstream() as failing,
        gateway(tmp_path, policies, [f"weather=http://127.0.0.1:{failing.port}/mcp"]) as running,
    ):
        failing.reset(whole(b"{}", status="503 Oops"))
        again = {"X_Envoy_Retry_On": "5xx", "X_Envoy_Max_Retries": "5", "X_Envoy_Retriable_Status_Codes": "503"}
        assert 503 == ask(running.port, "/weather/mcp", call("tools/call", name="forecast"), **again).status
    (arrived,) = failing.arrived
    assert "x-envoy-internal" not in arrived.headers


def test_address_is_the_one_that_the_connection_came_from(routed: Gateway) -> None:
    answer = ask(routed.port, "/weather/mcp", call("tools/call", name="near"), X_Forwarded_For="10.0.0.1")
    assert "result" in answer.reply


def test_header_with_an_underscore_does_not_reach_it(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    body = json.dumps(call("tools/call", name="forecast")).encode()
    head = f"POST /weather/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    odd = "Content-Type: application/json\r\nMcp_Method: tools/list\r\nMcp_Session_Id: other\r\n\r\n"
    with socket.create_connection(("127.0.0.1", routed.port), SECONDS) as raw:
        raw.sendall(f"{head}{odd}".encode() + body)
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    (arrived,) = server.arrived
    assert not [name for name in arrived.headers if "_" in name]


def test_large_body_is_judged_and_one_that_is_too_large_is_413(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    large = call("tools/call", name="forecast", arguments={"texts": ["x" * 1_000_000] * 4})
    assert 200 == ask(routed.port, "/weather/mcp", large).status
    assert 1 == len(server.arrived)
    raw = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"forecast","x":"' + b"x" * (5 << 20) + b'"}}'
    try:
        status = ask(routed.port, "/weather/mcp", raw).status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # said while the body was still on its way
    assert 413 == status
    assert 1 == len(server.arrived)


def test_several_servers_are_decided_each_by_its_id(tmp_path: Path, policies: Path, server: Recording) -> None:
    with recording("::1") as other:
        upstreams = [f"weather={server.url}", f"unknown=http://[::1]:{other.port}/x"]
        with gateway(tmp_path, policies, upstreams) as running:
            assert ["forecast"] == tools_of(running, "/weather/mcp")
            refused = ask(running.port, "/unknown/mcp", call("ping")).reply
            assert "no_policy" == reason_of(refused)
            assert [] == other.arrived
            assert "no policy governs `unknown`" in running.log


def test_server_without_a_name_keeps_its_paths(tmp_path: Path, policies: Path, server: Recording) -> None:
    with gateway(tmp_path, policies, [server.url]) as running:
        assert f"http://127.0.0.1:{running.port}/mcp" == running.ready["servers"]["mcp"]
        assert ["forecast"] == tools_of(running, "/mcp")
        server.arrived.clear()
        assert 200 == ask(running.port, "/messages?session=1", call("tools/call", name="forecast")).status
        assert ["/messages?session=1"] == [arrived.path for arrived in server.arrived]
        assert "no_matching_rule" == reason_of(ask(running.port, "/messages", call("tools/call", name="delete")).reply)


# ---- tokens ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=FORMS)
def guarded(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    policies: Path,
    server: Recording,
    keys: str,
) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("guarded")
    flags = ("--jwks", keys, "--issuer", ISSUER, "--audience", AUDIENCE, "--public-url", "https://mcp.example")
    with gateway(place, policies, [f"weather={server.url}"], *flags, form=request.param) as running:
        yield running


def test_good_token_is_a_principal_and_is_not_handed_on(guarded: Gateway, server: Recording, issuer: Issuer) -> None:
    assert ["forecast", "history"] == tools_of(guarded, "/weather/mcp", issuer.token())
    assert ["forecast"] == tools_of(guarded, "/weather/mcp", issuer.token(sub="bob"))
    server.arrived.clear()
    ask(guarded.port, "/weather/mcp", call("tools/call", name="history"), token=issuer.token(email="a@b"))
    (arrived,) = server.arrived
    assert "authorization" not in arrived.headers
    assert "ann" == guarded.seen("tools/call")["principal"]


def test_no_token_is_asked_for_one(guarded: Gateway, server: Recording) -> None:
    server.arrived.clear()
    answer = ask(guarded.port, "/weather/mcp", call("tools/list"))
    assert 401 == answer.status
    url = f"https://mcp.example{_KNOWN}/weather/mcp"
    assert f'Bearer resource_metadata="{url}"' == answer.headers["www-authenticate"]
    assert [] == server.arrived
    document = ask(guarded.port, url.removeprefix("https://mcp.example"), Host="mcp.example")
    assert (200, "application/json") == (document.status, document.headers["content-type"])
    assert {
        "resource": "https://mcp.example/weather/mcp",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
    } == document.reply


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "https://mcp.example/other"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"nbf": IN_2100},
    ],
    ids=str,
)
def test_token_that_is_no_good_is_refused(
    guarded: Gateway, server: Recording, issuer: Issuer, claims: dict[str, Any]
) -> None:
    server.arrived.clear()
    answer = ask(guarded.port, "/weather/mcp", call("tools/call", name="forecast"), token=issuer.token(**claims))
    assert 401 == answer.status
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert [] == server.arrived


def test_token_of_another_key_and_what_is_none_are_refused(guarded: Gateway, issuer: Issuer) -> None:
    unsigned = issuer.token().rpartition(".")[0] + "."
    for token in (Issuer().token(), unsigned, "x", "a.b.c"):
        assert 401 == ask(guarded.port, "/weather/mcp", call("tools/list"), token=token).status, token


def test_token_in_a_url_is_none(guarded: Gateway, issuer: Issuer) -> None:
    assert 401 == ask(guarded.port, f"/weather/mcp?access_token={issuer.token()}", call("tools/list")).status


def test_header_of_claims_is_not_believed(guarded: Gateway) -> None:
    claims = {"X_Jwt_Payload": '{"sub":"ann"}', "X_Forwarded_Client_Cert": "Hash=1;URI=spiffe://ann"}
    assert 401 == ask(guarded.port, "/weather/mcp", call("tools/list"), **claims).status


def test_anonymous_is_let_in_if_that_is_said(
    tmp_path: Path, policies: Path, server: Recording, keys: str, issuer: Issuer
) -> None:
    flags = ("--jwks", keys, "--audience", AUDIENCE, "--allow-anonymous")
    with gateway(tmp_path, policies, [f"weather={server.url}"], *flags) as running:
        assert ["forecast"] == tools_of(running, "/weather/mcp")
        assert ["forecast", "history"] == tools_of(running, "/weather/mcp", issuer.token())
        answer = ask(running.port, "/weather/mcp", call("tools/list"), token=issuer.token(exp=1))
        assert 401 == answer.status
        assert "resource_metadata" not in answer.headers["www-authenticate"]
        server.arrived.clear()
        ask(running.port, "/weather/mcp", call("tools/call", name="forecast"), Authorization="Basic YTpi")
        assert all("authorization" not in arrived.headers for arrived in server.arrived)


def test_without_keys_the_token_is_the_servers(routed: Gateway, server: Recording) -> None:
    server.arrived.clear()
    ask(routed.port, "/weather/mcp", call("tools/call", name="forecast"), token="its own")
    assert ["Bearer its own"] == [arrived.headers["authorization"] for arrived in server.arrived]


# ---- attacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_no_attack_of_the_corpus_gets_through_and_every_twin_does(
    tmp_path: Path, keys: str, issuer: Issuer, form: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        canary = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [sys.executable, "-P", "-m", "mcp_acl", "attack"]
    asked = subprocess.run([*command, "--print-policy"], capture_output=True, text=True, check=True)
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "demo.yaml").write_text(asked.stdout[asked.stdout.index("# The one policy") :])
    flags = ("--jwks", keys, "--issuer", ISSUER, "--audience", AUDIENCE)
    with gateway(tmp_path, policies, [f"demo=http://{canary}/mcp"], *flags, form=form) as running:
        tokens = ["--token", issuer.token(role="member"), "--other-token", issuer.token(sub="bob")]
        target = ["--target", running.ready["servers"]["demo"], "--canary", canary]
        ended = subprocess.run([*command, *target, *tokens, "--strict"], capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stdout
    assert re.search("^all: +[0-9]+ blocked, 0 got through", ended.stdout, re.MULTILINE)
