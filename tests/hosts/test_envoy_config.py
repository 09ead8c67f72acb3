"""Envoy's configuration, its check, its secrets and its addresses, as far as no Envoy is needed for them."""

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.hosts import envoy
from mcp_acl.hosts.envoy import config
from mcp_acl.hosts.envoy.addresses import SocketFile, envoy_address
from mcp_acl.hosts.envoy.check import differences
from mcp_acl.hosts.envoy.config import Site, bootstrap, tcp
from mcp_acl.hosts.envoy.secrets import Secrets
from mcp_acl.hosts.envoy.told import Told
from mcp_acl.hosts.listening import Limits, Listener, ListenError
from mcp_acl.runtime.address import parse_address
from tests.certificates import Certified

DIRECTORY = Path("/run/acl")
SITE = Site(Limits(calls=7, message_seconds=1.5, keepalive_seconds=9), DIRECTORY, Path("/lib/module.so"))
LOCAL = Listener(parse_address("127.0.0.1:9191"), {})


def listeners(*made: Listener) -> list[Any]:
    named = {f"listener_{number}": (one, tcp("127.0.0.1", 0)) for number, one in enumerate(made)}
    found: list[Any] = bootstrap(named, SITE)["static_resources"]["listeners"]
    return found


def manager(listener: Any) -> Any:
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_every_listener_has_every_remedy() -> None:
    for one in listeners(LOCAL, LOCAL):
        found = manager(one)
        assert ("0s", False) == (found["stream_idle_timeout"], one["enable_reuse_port"])
        assert "1.500s" == found["stream_flush_timeout"]
        http2 = found["http2_protocol_options"]
        assert (config.RESETS, config.RESETS) == (http2["stream_reset_burst"], http2["stream_reset_rate"])
        assert (7, 256 * 1024, 4 * 1024 * 1024) == (
            http2["max_concurrent_streams"],
            http2["initial_stream_window_size"],
            http2["initial_connection_window_size"],
        )
        assert ["paths", "pyvoy"] == [each["name"] for each in found["http_filters"]]
        last = found["local_reply_config"]["mappers"][-1]
        assert ("GE", 400) == (
            last["filter"]["status_code_filter"]["comparison"]["op"],
            last["filter"]["status_code_filter"]["comparison"]["value"]["default_value"],
        )
        assert {"key": "grpc-status", "value": "13"} == last["headers_to_add"][0]["header"]


def test_calls_that_end_before_their_answer_do_not_close_their_connection() -> None:
    (layer,) = bootstrap({}, SITE)["layered_runtime"]["layers"]
    assert {"overload.premature_reset_total_stream_count": config.RESETS} == layer["static_layer"]


def test_each_listener_has_a_root_of_its_own() -> None:
    roots = [
        json.loads(manager(one)["http_filters"][-1]["typed_config"]["filter_config"]["value"])["root_path"]
        for one in listeners(LOCAL, LOCAL)
    ]
    assert ["/0", "/1", "/probe"] == roots


def test_admin_and_probe_are_files_of_the_runtime_directory() -> None:
    written = bootstrap({}, SITE)
    assert {"path": "/run/acl/admin.sock", "mode": 0o600} == written["admin"]["address"]["pipe"]
    (probe,) = written["static_resources"]["listeners"]
    assert {"path": "/run/acl/probe.sock", "mode": 0o600} == probe["address"]["pipe"]


def test_names_stand_between_paths_and_the_module() -> None:
    one = Listener(LOCAL.address, {}, names={"/a.B/C": frozenset({"x.test", ""}), "/a.B/D": frozenset()})
    names = manager(listeners(one)[0])["http_filters"][1]
    policies = names["typed_config"]["rules"]["policies"]
    assert ["/a.B/C", "others"] == list(policies)
    assert 2 == len(policies["/a.B/C"]["principals"])
    assert 2 == len(policies["others"]["permissions"][0]["not_rule"]["or_rules"]["rules"])


def test_keys_are_not_in_the_configuration(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    made = listeners(Listener(LOCAL.address, {}, certified.certificates(clients=True)))
    text = json.dumps(made)
    assert "PRIVATE" not in text
    assert base64.b64encode(certified.key.read_bytes()).decode() not in text
    context = made[0]["filter_chains"][0]["transport_socket"]["typed_config"]
    assert (True, ["h2"]) == (
        context["require_client_certificate"],
        context["common_tls_context"]["alpn_protocols"],
    )


def test_ipv4_comes_to_the_any_address_of_ipv6() -> None:
    assert (True, None) == tuple(tcp(host, 1)["socket_address"].get("ipv4_compat") for host in ("::", "::1"))


# ---- secrets --------------------------------------------------------------------------------------------------------


def test_secrets_are_written_when_they_change_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    certified = Certified(tmp_path / "tls")
    secrets = Secrets(tmp_path, "listener_0", certified.certificates(clients=True))
    files = sorted((tmp_path / "listener_0").iterdir())
    assert ["clients.json", "server.json"] == [file.name for file in files]
    assert [0o600, 0o600] == [stat.S_IMODE(file.stat().st_mode) for file in files]
    assert 0o700 == stat.S_IMODE((tmp_path / "listener_0").stat().st_mode)
    before = files[1].stat().st_ino
    secrets.refresh()
    assert before == files[1].stat().st_ino
    (secret,) = json.loads(files[1].read_text())["resources"]
    assert certified.cert.read_bytes() == base64.b64decode(
        secret["tls_certificate"]["certificate_chain"]["inline_bytes"]
    )


# ---- the check ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "running"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": "0s"}, {"a": "0s"}),
        ({"a": "1.500s"}, {"a": "1.5s"}),
        ({"a": 2**53}, {"a": str(2**53)}),
        ({"a": "ALLOW", "b": 0}, {}),
        ({"a": False}, {"a": False}),
        ([{"a": 1}], [{"a": 1}]),
    ],
)
def test_what_is_running_is_what_was_written(written: Any, running: Any) -> None:
    assert [] == list(differences(written, running, "x"))


@pytest.mark.parametrize(
    ("written", "running"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": {"b": 1}}, {"a": 1}),
        ({"a": "0s"}, {}),
        ({"a": "1s"}, {"a": "1.001s"}),
        ({"a": True}, {"a": False}),
        ({"a": True}, {}),
        ([1], [1, 1]),
        ([1], [2]),
        ([], None),
        ({"a": "x"}, None),
    ],
)
def test_what_is_not_as_it_was_written_is_named(written: Any, running: Any) -> None:
    (found,) = differences(written, running, "x")
    assert "x" in found


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_what_is_told_arrives() -> None:
    told = Told("a.b:c", Limits(1, 2, 3.5, 4), 2, "/run/acl", 9)
    assert told == Told.from_text(told.as_text())


@pytest.mark.parametrize("text", ["127.0.0.2.3:1", "203.0.113.1:1"])
def test_address_of_another_machine_is_refused(text: str) -> None:
    with pytest.raises(ListenError, match="no address of this machine"):
        envoy_address(Listener(parse_address(text, insecure=True), {}))


def test_name_of_a_host_is_resolved() -> None:
    address = envoy_address(Listener(parse_address("localhost:0"), {}))
    assert address["socket_address"]["address"] in {"127.0.0.1", "::1"}


def test_socket_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "acl.sock"
    file.write_text("ours")
    ours = SocketFile(str(file))
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "other").replace(file)
    ours.remove()
    assert "theirs" == file.read_text()
    SocketFile(str(file)).remove()
    assert not file.exists()
    SocketFile(str(file)).remove()


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvoy", None)
    with pytest.raises(envoy.EnvoyMissingError, match="install `mcp-acl"):
        envoy.Installation.of_this_python()
