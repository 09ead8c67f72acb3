"""What Envoy is told: every value on which safety hangs, read back out of the configuration."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.gateway import Given, bootstrap, plan_of, settings_of, site_of
from mcp_acl.hosts.envoy.config import tcp
from mcp_acl.mcp.limits import DEFAULT_LIMITS

JWT = "envoy.filters.http.jwt_authn"
EXT_PROC = "envoy.filters.http.ext_proc"


def config_of(*upstreams: str, listen: str = "127.0.0.1:8080", **given: Any) -> Mapping[str, Any]:
    plan = plan_of(Given(upstreams or ("a=http://127.0.0.1:3001/mcp",), Path("p"), listen, **given))
    return bootstrap(site_of(plan, plan.listen.host, plan.listen.port, tcp("127.0.0.1", 9191)))


def manager_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    (listener,) = config["static_resources"]["listeners"]
    found: Mapping[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def filters_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {one["name"]: one["typed_config"] for one in manager_of(config)["http_filters"]}


def routes_of(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for host in manager_of(config)["route_config"]["virtual_hosts"]:
        yield from host["routes"]


def clusters_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {one["name"]: one for one in config["static_resources"]["clusters"]}


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "EC"}]}))
    return str(file)


# ---- who is asked ---------------------------------------------------------------------------------------------------


def test_service_is_asked_of_everything_and_no_answer_is_no_leave() -> None:
    ext_proc = filters_of(config_of())[EXT_PROC]
    assert {
        "request_header_mode": "SEND",
        "request_body_mode": "BUFFERED",
        "request_trailer_mode": "SEND",
        "response_header_mode": "SEND",
        "response_body_mode": "STREAMED",
        "response_trailer_mode": "SEND",
    } == ext_proc["processing_mode"]
    assert ext_proc["failure_mode_allow"] is False
    assert ext_proc["allow_mode_override"] is True
    assert {"code": "ServiceUnavailable"} == ext_proc["status_on_error"]
    assert {"untyped": [JWT]} == ext_proc["metadata_options"]["forwarding_namespaces"]


def test_every_route_to_a_server_names_it_and_every_other_answers_itself(keys: str) -> None:
    config = config_of(
        "a=http://127.0.0.1:1/mcp", "b=http://127.0.0.1:2/mcp", "http://127.0.0.1:3/", jwks=keys, issuer="https://i"
    )
    for route in routes_of(config):
        per_route = route["typed_per_filter_config"][EXT_PROC]
        if "route" in route:
            said = per_route["overrides"]["grpc_initial_metadata"]
            assert [{"key": "x-mcp-acl-server", "value": route["name"]}] == said
            assert f"server_{route['name']}" == route["route"]["cluster"]
        else:
            assert "direct_response" in route
            assert per_route["disabled"] is True


def test_token_is_verified_before_the_service_is_asked(keys: str) -> None:
    assert [JWT, EXT_PROC, "envoy.filters.http.router"] == [*filters_of(config_of(jwks=keys))]


def test_body_that_fits_here_fits_the_service() -> None:
    plan = plan_of(Given(["http://127.0.0.1:1/"], Path("p"), "127.0.0.1:1"))
    limit = settings_of(plan, "http://x", "127.0.0.1:1").max_request
    (listener,) = config_of()["static_resources"]["listeners"]
    assert DEFAULT_LIMITS.size < listener["per_connection_buffer_limit_bytes"] < limit / 2


# ---- where requests go ----------------------------------------------------------------------------------------------


def test_servers_with_names_are_their_endpoints_alone() -> None:
    routes = list(routes_of(config_of("a=http://127.0.0.1:1/mcp", "b=http://127.0.0.1:1/other")))
    assert [{"path": "/a/mcp"}, {"path": "/b/mcp"}] == [one["match"] for one in routes if "route" in one]
    assert ["/mcp", "/other"] == [one["route"]["prefix_rewrite"] for one in routes if "route" in one]
    assert {403, 404, 421} == {one["direct_response"]["status"] for one in routes if "route" not in one}


def test_server_without_a_name_comes_after_those_with_one() -> None:
    routes = routes_of(config_of("http://127.0.0.1:1/mcp", "b=http://127.0.0.1:2/mcp"))
    assert [{"path": "/b/mcp"}, {"prefix": "/"}] == [one["match"] for one in routes if "route" in one]


def test_host_is_the_servers_own() -> None:
    (route,) = (one for one in routes_of(config_of("a=https://mcp.example.org:8443/x")) if "route" in one)
    assert "mcp.example.org:8443" == route["route"]["host_rewrite_literal"]


def test_no_path_is_read_in_two_ways() -> None:
    manager = manager_of(config_of())
    assert manager["normalize_path"] is True
    assert manager["merge_slashes"] is False
    assert "REJECT_REQUEST" == manager["path_with_escaped_slashes_action"]
    assert "DROP_HEADER" == manager["common_http_protocol_options"]["headers_with_underscores_action"]


def test_encodings_and_what_overrides_method_and_path_stay_here() -> None:
    (host, _) = manager_of(config_of())["route_config"]["virtual_hosts"]
    assert {"accept-encoding", "x-http-method-override", "x-original-url"} <= {*host["request_headers_to_remove"]}


def test_stream_of_events_is_not_cut_off() -> None:
    (route,) = (one for one in routes_of(config_of()) if "route" in one)
    assert "0s" == route["route"]["timeout"]
    assert "3600.000s" == manager_of(config_of())["stream_idle_timeout"]


# ---- as which host it is asked --------------------------------------------------------------------------------------


def test_on_loopback_it_answers_as_loopback_alone() -> None:
    hosts = manager_of(config_of())["route_config"]["virtual_hosts"]
    assert [["localhost", "127.0.0.1", "[::1]"], ["*"]] == [one["domains"] for one in hosts]
    assert [421] == [one["direct_response"]["status"] for one in hosts[1]["routes"]]


def test_it_answers_as_what_clients_call_it_too() -> None:
    hosts = manager_of(config_of(public_url="https://MCP.example.org/base"))["route_config"]["virtual_hosts"]
    assert "mcp.example.org" in hosts[0]["domains"]


def test_beyond_loopback_it_answers_as_anything_unless_it_is_told_its_name() -> None:
    (host,) = manager_of(config_of(listen="0.0.0.0:8080", insecure=True))["route_config"]["virtual_hosts"]
    assert ["*"] == host["domains"]
    hosts = manager_of(config_of(listen="0.0.0.0:8080", insecure=True, public_url="https://x.example"))["route_config"]
    assert 2 == len(hosts["virtual_hosts"])


def test_pages_that_may_ask_are_those_of_the_machine_and_those_that_are_named() -> None:
    config = config_of(public_url="https://MCP.example.org:443/base", origins=["http://[fe80::1]:8080"])
    (refusal,) = (one for one in routes_of(config) if one["match"].get("headers"))
    (matcher,) = refusal["match"]["headers"]
    allowed = re.compile(matcher["string_match"]["safe_regex"]["regex"])
    assert (True, 403) == (matcher["invert_match"], refusal["direct_response"]["status"])
    for origin in ("https://mcp.example.org", "http://[fe80::1]:8080", "http://localhost:1", "https://127.0.0.1"):
        assert allowed.fullmatch(origin)
    for origin in ("https://mcp.example.org:8443", "https://mcpxexample.org", "null", "", "http://localhost:1/"):
        assert not allowed.fullmatch(origin)


# ---- tokens ---------------------------------------------------------------------------------------------------------


def test_token_is_looked_for_in_one_header_and_goes_no_further(keys: str) -> None:
    config = config_of(jwks=keys, issuer="https://i.example", audiences=["a", "b"])
    jwt = filters_of(config)[JWT]
    provider = jwt["providers"]["tokens"]
    assert [{"name": "Authorization", "value_prefix": "Bearer "}] == provider["from_headers"]
    assert provider["forward"] is False
    assert provider["require_expiration"] is True
    assert ("https://i.example", ["a", "b"]) == (provider["issuer"], provider["audiences"])
    assert {"filename": keys} == provider["local_jwks"]
    assert ("jwt_payload", "jwt_failure") == (provider["payload_in_metadata"], provider["failed_status_in_metadata"])
    (route,) = (one for one in routes_of(config) if "route" in one)
    assert ["authorization"] == route["request_headers_to_remove"]


def test_without_keys_a_token_is_the_servers_to_look_at() -> None:
    assert JWT not in filters_of(config_of())
    assert all("request_headers_to_remove" not in one for one in routes_of(config_of()))


@pytest.mark.parametrize("url", ["https://issuer.example/jwks", "http://127.0.0.1:9/jwks"])
def test_keys_are_fetched_from_a_cluster_of_their_own(url: str) -> None:
    config = config_of(jwks=url)
    provider = filters_of(config)[JWT]["providers"]["tokens"]
    assert (url, "keys") == (
        provider["remote_jwks"]["http_uri"]["uri"],
        provider["remote_jwks"]["http_uri"]["cluster"],
    )
    assert url.startswith("https") == ("transport_socket" in clusters_of(config)["keys"])


def test_document_says_what_the_resource_is_and_who_issues_tokens(keys: str) -> None:
    config = config_of(
        "a=http://127.0.0.1:1/mcp",
        "http://127.0.0.1:2/x",
        jwks=keys,
        issuer="https://i",
        public_url="https://g.example",
    )
    documents = {
        one["match"]["path"]: json.loads(one["direct_response"]["body"]["inline_string"])["resource"]
        for one in routes_of(config)
        if "path" in one["match"] and "direct_response" in one
    }
    known = "/.well-known/oauth-protected-resource"
    assert {
        f"{known}/a/mcp": "https://g.example/a/mcp",
        f"{known}/x": "https://g.example/x",
        f"{known}/mcp/mcp": "https://g.example/x",
        known: "https://g.example/x",
    } == documents


def test_without_an_issuer_there_is_no_document(keys: str) -> None:
    assert {403, 404, 421} == {
        one["direct_response"]["status"] for one in routes_of(config_of(jwks=keys)) if "direct_response" in one
    }


# ---- servers over TLS -----------------------------------------------------------------------------------------------


def test_server_over_tls_must_show_a_certificate_for_its_name() -> None:
    cluster = clusters_of(config_of("a=https://mcp.example.org/mcp"))["server_a"]
    context = cluster["transport_socket"]["typed_config"]
    validation = context["common_tls_context"]["validation_context"]
    assert "mcp.example.org" == context["sni"]
    assert Path(validation["trusted_ca"]["filename"]).is_file()
    assert [{"san_type": "DNS", "matcher": {"exact": "mcp.example.org"}}] == validation["match_typed_subject_alt_names"]


def test_server_over_tls_at_an_address_must_show_a_certificate_for_that() -> None:
    context = clusters_of(config_of("a=https://[::1]:8443/mcp"))["server_a"]["transport_socket"]["typed_config"]
    assert "sni" not in context
    names = context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert [{"san_type": "IP_ADDRESS", "matcher": {"exact": "::1"}}] == names


def test_name_is_resolved_and_an_address_is_not() -> None:
    clusters = clusters_of(config_of("a=http://localhost:1/mcp", "b=http://[::1]:2/mcp"))
    assert ("LOGICAL_DNS", "STATIC") == (clusters["server_a"]["type"], clusters["server_b"]["type"])
