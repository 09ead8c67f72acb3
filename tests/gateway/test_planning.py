"""From what is given to what is run: what is refused, and what a person is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.cli.sights import configuration
from mcp_acl.gateway import Given, GivenError, advice_on, find_envoy, plan_of, settings_of
from mcp_acl.gateway import finding as gateway_finding
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile

POLICY = b"version: 1\npolicy: w\nservers: [weather]\nrules: []\n"


def given(**fields: Any) -> Given:
    return Given(**{"upstreams": ["http://127.0.0.1:1/mcp"], "policies": Path("p"), "listen": "127.0.0.1:0", **fields})


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "EC"}]}))
    return str(file)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"listen": "unix:/tmp/x"}, "--listen: MCP clients do not use socket files"),
        ({"listen": "8080"}, "--listen: `8080` is not `host:port`"),
        ({"listen": "0.0.0.0:8080"}, "insist with `--insecure`"),
        ({"public_url": "mcp.example.org"}, "--public-url: `mcp.example.org` is no http or https URL"),
        ({"public_url": "https://x/?a"}, "--public-url: `https://x/?a` has a query"),
        ({"issuer": "https://i"}, "--issuer: it says which tokens are believed"),
        ({"audiences": ["a"]}, "--audience: it says which tokens are believed"),
        ({"allow_anonymous": True}, "--allow-anonymous: it says which tokens are believed"),
        ({"jwks": "nowhere.json"}, "--jwks: `nowhere.json` cannot be read"),
        ({"jwks": "http://issuer.example/keys"}, "is not https"),
        ({"origins": ["https://x.example/page"]}, "--allow-origin: `https://x.example/page` has a path"),
        ({"origins": ["x.example"]}, "--allow-origin: `x.example` is no http or https URL"),
        ({"jwks": "https://"}, "--jwks: `https://` names no host"),
        ({"jwks": "https://i/keys", "issuer": "me"}, "--issuer: `me` is no http or https URL"),
        ({"jwks": "https://i/keys", "audiences": [""]}, "--audience: it is empty"),
        ({"upstream_ca": Path("nowhere.pem")}, "--upstream-ca: `nowhere.pem` cannot be read"),
        ({"upstream_ca": Path(__file__)}, "holds no certificate"),
        ({"watched": {"decision_log": Path("-")}}, "--decision-log: the gateway shows decisions on standard output"),
        (
            {"listen": "127.0.0.1:8080", "watched": {"metrics_listen": "[::1]:8080"}},
            "--metrics-listen: `8080` is where clients come",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_flag_and_what_to_do(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(GivenError) as refused:
        plan_of(given(**fields))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no keys"),
        ("[]", "holds no keys"),
        ('{"keys": []}', "holds no keys"),
        ('{"keys": [{"kty": "EC", "d": "x"}]}', "holds a private key"),
    ],
)
def test_file_without_public_keys_is_refused(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)
    with pytest.raises(GivenError, match=says):
        plan_of(given(jwks=str(file)))


def test_insisting_takes_keys_over_http_and_listeners_for_all() -> None:
    plan = plan_of(given(listen="0.0.0.0:0", jwks="http://issuer.example/keys", insecure=True))
    assert plan.tokens is not None


@pytest.mark.parametrize(
    ("fields", "anonymous"), [({}, True), ({"jwks": "k"}, False), ({"jwks": "k", "allow_anonymous": True}, True)]
)
def test_with_keys_a_token_is_required_unless_it_is_said(keys: str, fields: dict[str, Any], anonymous: bool) -> None:
    fields = {name: keys if value == "k" else value for name, value in fields.items()}
    assert anonymous == settings_of(plan_of(given(**fields)), "http://g", "127.0.0.1:1").anonymous


def test_client_is_told_where_to_get_a_token_if_there_is_an_issuer(keys: str) -> None:
    known = "/.well-known/oauth-protected-resource/{server}/mcp"
    plan = plan_of(given(jwks=keys, issuer="https://i"))
    assert f"http://g{known}" == settings_of(plan, "http://g", "127.0.0.1:1").resource_metadata
    assert "" == settings_of(plan_of(given(jwks=keys)), "http://g", "127.0.0.1:1").resource_metadata


def test_service_is_watched_as_is_said_and_one_of_its_own_too() -> None:
    watched = {"decision_log": Path("d.jsonl"), "log_names": False, "log_masked": ("a", "b"), "trace_share": 0.5}
    watched |= {"otlp_endpoint": "http://127.0.0.1:4318"}
    plan = plan_of(given(watched=watched))
    assert watched == settings_of(plan, "http://g", "unix:s").model_dump(include=set(watched))
    flags = "--decision-log d.jsonl --no-log-names --log-masked a --log-masked b --trace-share 0.500000"
    assert f"{flags} --otlp-endpoint http://127.0.0.1:4318\n" in configuration(plan)


def test_advice_says_what_is_perhaps_not_meant(keys: str) -> None:
    policies = compile_policies([SourceFile("w.yaml", POLICY)])
    (anonymous, ungoverned) = advice_on(plan_of(given()), policies)
    assert anonymous.startswith("without `--jwks` everybody is anonymous")
    assert ungoverned.startswith("no policy governs `mcp`, so all of it is denied; they govern `weather`")
    (audience, issuer) = advice_on(plan_of(given(jwks=keys)))
    assert audience.startswith("without `--audience`")
    assert issuer.startswith("without `--issuer`")


def test_nothing_is_said_of_what_is_as_it_should_be(keys: str) -> None:
    policies = compile_policies([SourceFile("w.yaml", POLICY)])
    fields = {"upstreams": ["weather=http://127.0.0.1:1/mcp"], "jwks": keys, "issuer": "https://i", "audiences": ["a"]}
    assert [] == [*advice_on(plan_of(given(**fields)), policies)]


# ---- what is on this machine ----------------------------------------------------------------------------------------


def test_no_envoy_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_finding, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GivenError, match=r"pip install 'mcp-acl\[envoy\]'"):
        find_envoy(None)


def test_envoy_that_is_named_must_be_a_program(tmp_path: Path) -> None:
    with pytest.raises(GivenError, match="no program"):
        find_envoy(tmp_path)
    file = tmp_path / "envoy"
    file.touch(0o755)
    assert file == find_envoy(file)


def test_envoy_of_a_package_comes_before_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "envoy" / "_bin" / "envoy"
    binary.parent.mkdir(parents=True)
    binary.touch(0o755)
    (tmp_path / "envoy" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert binary == find_envoy(None)


def test_system_without_authorities_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_finding, "_trust_files", lambda: iter(["/nowhere"]))
    with pytest.raises(GivenError, match="SSL_CERT_FILE"):
        plan_of(given(upstreams=["https://mcp.example.org/mcp"]))


def test_name_of_a_directory_is_no_part_of_the_configuration(tmp_path: Path) -> None:
    head, *_ = (text := configuration(plan_of(given(policies=tmp_path / "p\nstatic_resources: {}")))).partition("node:")
    assert all(line.startswith("#") for line in head.splitlines())
    assert 1 == text.count("static_resources:\n")
