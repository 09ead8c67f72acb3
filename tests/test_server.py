"""The composition root: what is served where, and to whom; and how a worker is told what the service was told."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_acl import server
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.table import Gateways, for_gateways, for_people
from mcp_acl.domain import Http
from mcp_acl.runtime.gate import Question
from mcp_acl.runtime.loading import load_settings
from mcp_acl.runtime.observed import Decided, Observer
from mcp_acl.runtime.rows import ROWS
from mcp_acl.runtime.settings import Settings
from mcp_acl.server import gateways_of, in_force, limits_of, listeners_of, memory_of, worker_flags
from tests.certificates import Certified
from tests.runtime.weather import WEATHER, call, gate

GATEWAYS, PEOPLE = set(for_gateways(gate())), set(for_people(gate()))
GW, OPS = frozenset({"gw"}), frozenset({"ops"})


def test_people_are_served_on_their_own_listener_alone() -> None:
    main, admin = listeners_of(Settings(policies=Path("p"), admin_listen="127.0.0.1:9192"), gate())
    assert (GATEWAYS, GATEWAYS | PEOPLE) == (set(main.table), set(admin.table))
    assert ({}, {}) == (main.names, admin.names)
    (only,) = listeners_of(Settings(policies=Path("p")), gate())
    assert f"/{SERVICE}/Explain" not in only.table


def test_clients_with_a_name_are_served_what_it_is_for(certified: Certified) -> None:
    settings = certified.settings(client_names=("gw",), admin_names=("ops",), admin_listen="127.0.0.1:9192")
    main, admin = listeners_of(settings, gate())
    assert GATEWAYS | PEOPLE == main.table.keys() == admin.table.keys()
    assert {**dict.fromkeys(GATEWAYS, GW), **dict.fromkeys(PEOPLE, OPS)} == main.names
    assert dict.fromkeys(GATEWAYS | PEOPLE, OPS) == admin.names
    assert main.certificates is not None
    assert main.certificates is admin.certificates


def test_names_for_people_alone_leave_gateways_as_they_were(certified: Certified) -> None:
    (main,) = listeners_of(certified.settings(admin_names=("ops",)), gate())
    assert dict.fromkeys(PEOPLE, OPS) == main.names


def test_socket_file_has_permissions_in_place_of_names(certified: Certified) -> None:
    settings = certified.settings(admin_names=("ops",), admin_listen="unix:/tmp/a.sock", socket_mode="0660")
    _, admin = listeners_of(settings, gate())
    assert (None, {}, 0o660) == (admin.certificates, admin.names, admin.socket_mode)


def test_limits_are_those_of_the_settings() -> None:
    found = limits_of(Settings(policies=Path("p"), max_request=65536, max_calls=7, message_timeout=1.5, keepalive=2.5))
    assert (65536, 7, 1.5, 2.5) == (found.request, found.calls, found.message_seconds, found.keepalive_seconds)


def test_gateways_are_believed_as_the_settings_say() -> None:
    found = gateways_of(Settings(policies=Path("p"), **GATEWAY_SETTINGS))
    assert Sources("s", "xds.route_name", (("a", "b/c"),), True, "x-claims", False, ("n",)) == found.sources
    assert (True, False) == (found.filtered_behind, found.early_close)
    assert Gateways() == gateways_of(Settings(policies=Path("p")))


class Sampled(Observer):
    """Keeps whether each message is."""

    def __init__(self) -> None:
        self.found: list[bool | None] = []

    def decided(self, every: Sequence[Decided]) -> None:
        self.found += [decided.trace is not None and decided.trace.is_sampled for decided in every]


@pytest.mark.parametrize(("obeys", "is_sampled"), [(False, None), (True, True)])
def test_clients_have_themselves_traced_only_if_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obeys: bool, is_sampled: bool | None
) -> None:
    monkeypatch.setattr(server, "keep_all", lambda: None)
    (tmp_path / "weather.yaml").write_text(WEATHER)
    settings, watcher = Settings(policies=tmp_path, trace_clients=obeys), Sampled()
    headers = {"traceparent": [f"00-{'1' * 32}-{'2' * 16}-01"]}
    with closing(memory_of(settings)) as memory:
        found, _ = in_force(settings, memory, [watcher])
        found.check(Question("weather", call("forecast"), http=Http(headers=headers)))
    assert [is_sampled] == watcher.found


GATEWAY_SETTINGS: dict[str, Any] = {
    "server": "s",
    "server_attribute": "xds.route_name",
    "jwt_metadata": ("a/b/c",),
    "mtls_principals": True,
    "claims_header": "x-claims",
    "anonymous": False,
    "attribute_metadata": ("n",),
    "filtered_behind": True,
    "early_close": False,
}

EVERYTHING = {
    "policies": Path("somewhere"),
    "host": "envoy",
    "listen": "127.0.0.1:7000",
    "admin_listen": "127.0.0.1:8000",
    "workers": 3,
    "insecure": True,
    "tls_cert": Path("cert"),
    "tls_key": Path("key"),
    "tls_client_ca": Path("ca"),
    "client_names": ("a", "b"),
    "admin_names": ("c",),
    "socket_mode": "0640",
    "drain": 1.5,
    "reload": 0.0,
    "max_request": 100_000,
    "max_calls": 5,
    "message_timeout": 2.5,
    "keepalive": 3.5,
    "server": "s",
    "server_attribute": "xds.route_name",
    "jwt_metadata": ("a/b", "c/d"),
    "mtls_principals": True,
    "claims_header": "x-claims",
    "anonymous": False,
    "attribute_metadata": ("n",),
    "filtered_behind": True,
    "early_close": False,
    "resource_metadata": "https://x/{server}",
    "store": Path("memory.db"),
    "task_memory": 10.5,
    "tool_memory": 11.5,
    "max_tasks": 6,
    "max_tools": 7,
    "metrics_listen": "127.0.0.1:9000",
    "metrics_insecure": True,
    "otlp_endpoint": "http://127.0.0.1:4318",
    "otlp_interval": 2.5,
    "trace_share": 0.25,
    "trace_clients": True,
    "trace_most": 9,
    "decision_log": Path("log"),
    "log_allowed": 0.5,
    "log_claims": ("sub", "a"),
    "log_arguments": True,
    "log_masked": ("b", "c"),
    "log_names": False,
    "log_size": 70_000,
    "log_files": 3,
    "policies_from": "git+ssh://git@h:2222/p.git",
    "policies_ref": "main",
    "policies_path": "a/b",
    "policies_interval": 12.5,
    "policies_timeout": 13.5,
    "policies_signers": Path("signers"),
    "policies_token": Path("token"),
    "policies_key": Path("own"),
    "policies_known_hosts": Path("hosts"),
    "policies_ca": Path("roots"),
    "worker_timeout": 14.5,
}


@pytest.mark.parametrize("given", [EVERYTHING, {"policies": Path("p")}, {"policies": Path("p"), "insecure": False}])
def test_worker_is_told_every_setting(given: dict[str, object]) -> None:
    assert EVERYTHING.keys() == ROWS.keys()
    settings = Settings(**given)  # type: ignore[arg-type]
    told = parsed(list(worker_flags(settings, 0, None)))
    assert settings.model_copy(update={"workers": 1}) == load_settings(told, {}, None).settings


def parsed(flags: list[str]) -> dict[str, object]:
    """As the command line reads them."""
    by_flag = {row.flag: row for row in ROWS.values()}
    found: dict[str, object] = {}
    while flags:
        flag = flags.pop(0)
        if flag.startswith("--no-"):
            found[by_flag[f"--{flag[5:]}"].name] = False
        elif by_flag[flag].kind is bool:
            found[by_flag[flag].name] = True
        elif by_flag[flag].kind is tuple:
            listed = found.setdefault(by_flag[flag].name, [])
            assert isinstance(listed, list)
            listed.append(flags.pop(0))
        else:
            found[by_flag[flag].name] = flags.pop(0)
    return found


@pytest.mark.parametrize(
    ("number", "listen", "admin"), [(0, "127.0.0.1:7000", "127.0.0.1:8000"), (2, "127.0.0.1:7002", "127.0.0.1:8002")]
)
def test_worker_listens_on_addresses_of_its_own(number: int, listen: str, admin: str) -> None:
    flags = list(worker_flags(Settings(**EVERYTHING), number, None))  # type: ignore[arg-type]
    assert [listen, admin] == [flags[flags.index(one) + 1] for one in ("--listen", "--admin-listen")]


def test_worker_that_takes_a_place_listens_where_the_one_before_did() -> None:
    settings = Settings(policies=Path("p"), listen="127.0.0.1:0", workers=2)
    flags = list(worker_flags(settings, 1, {"listening": ["127.0.0.1:41234"]}))
    assert "127.0.0.1:41234" == flags[flags.index("--listen") + 1]
