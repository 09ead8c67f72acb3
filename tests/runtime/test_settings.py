"""The settings model: what a value may be, and what does not go together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mcp_acl.runtime.rows import ROWS
from mcp_acl.runtime.settings import Settings

TLS: dict[str, Any] = {"tls_cert": Path("c"), "tls_key": Path("k")}
MUTUAL: dict[str, Any] = {**TLS, "tls_client_ca": Path("ca")}
KIB = 1024


def settings(**given: Any) -> Settings:
    return Settings(**{"policies": Path("p"), **given})


def refusal(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    (error,) = caught.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", 0),
        ("workers", 257),
        ("workers", True),
        ("host", "apache"),
        ("listen", "9191"),
        ("admin_listen", "unix:"),
        ("drain", -0.1),
        ("drain", float("inf")),
        ("drain", float("nan")),
        ("reload", -1.0),
        ("reload", 0.049),
        ("reload", float("inf")),
        ("max_request", 64 * KIB - 1),
        ("max_request", 256 * KIB * KIB + 1),
        ("max_calls", 0),
        ("message_timeout", 0.09),
        ("drain", 86_401.0),
        ("max_calls", 1_000_001),
        ("message_timeout", float("nan")),
        ("keepalive", 0.9),
        ("task_memory", 0.9),
        ("task_memory", float("nan")),
        ("tool_memory", 3661 * 86_400.0),
        ("max_tasks", 0),
        ("max_tools", 10_000_001),
        ("store", "memory.db"),
        ("socket_mode", "0o600"),
        ("socket_mode", "1777"),
        ("socket_mode", "0688"),
        ("client_names", ("",)),
        ("admin_names", ("a ",)),
        ("insecure", "true"),
        ("jwt_metadata", ("namespace",)),
        ("jwt_metadata", ("/key",)),
        ("jwt_metadata", ("a/b", "namespace/")),
        ("metrics_listen", "9464"),
        ("log_allowed", 1.1),
        ("log_allowed", float("nan")),
        ("log_claims", ("",)),
        ("log_size", 65_535),
        ("log_files", -1),
        ("otlp_endpoint", "collector:4318"),
        ("otlp_endpoint", "http://c/?key=1"),
        ("otlp_interval", 0.5),
        ("trace_share", -0.1),
        ("worker_timeout", 0.9),
        ("trace_most", -1),
    ],
)
def test_value_that_cannot_be_used_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**{name: value})
    assert {name} == {error["loc"][0] for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", 256),
        ("drain", 0),
        ("reload", 0.0),
        ("reload", 0.05),
        ("max_request", 64 * KIB),
        ("max_request", 256 * KIB * KIB),
        ("max_calls", 1),
        ("message_timeout", 0.1),
        ("keepalive", 1.0),
        ("task_memory", 1.0),
        ("tool_memory", 3660 * 86_400.0),
        ("max_tasks", 1),
        ("max_tools", 10_000_000),
        ("socket_mode", "660"),
        ("socket_mode", "0774"),
    ],
)
def test_value_at_the_limit_is_taken(name: str, value: object) -> None:
    assert value == getattr(settings(**{name: value}), name)


def test_nothing_unknown_is_taken_and_nothing_changes() -> None:
    with pytest.raises(ValidationError):
        settings(drian=1.0)
    with pytest.raises(ValidationError):
        settings().drain = 1.0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tls_cert": Path("c")}, "tls_cert: it needs `tls_key`"),
        ({"tls_key": Path("k")}, "tls_key: it needs `tls_cert`"),
        ({"tls_client_ca": Path("ca")}, "tls_client_ca: it needs `tls_cert`"),
        ({**TLS, "client_names": ("a",)}, "client_names: it needs `tls_client_ca`"),
        ({**TLS, "admin_names": ("a",)}, "admin_names: it needs `tls_client_ca`"),
        ({**TLS, "listen": "unix:s"}, "tls_cert: there is no TLS on a socket file"),
        ({**TLS, "listen": "unix:s", "admin_listen": "unix:t"}, "tls_cert: there is no TLS on a socket file"),
        (
            {**MUTUAL, "listen": "unix:s", "admin_listen": "127.0.0.1:1", "client_names": ("a",)},
            "client_names: nobody shows a name on a socket file",
        ),
        ({"listen": "0.0.0.0:1"}, "listen: `0.0.0.0:1` can be reached from elsewhere and has no TLS"),
        ({"admin_listen": "[::]:1"}, "admin_listen: `[::]:1` can be reached from elsewhere and has no TLS"),
        ({**TLS, "admin_listen": "0.0.0.0:1"}, "admin_listen: `0.0.0.0:1` can be reached from elsewhere and shows"),
        ({**MUTUAL, "admin_listen": "0.0.0.0:1"}, "admin_listen: `0.0.0.0:1` can be reached from elsewhere and shows"),
        ({"admin_listen": "127.0.0.1:9191"}, "admin_listen: `9191` is also an address of `listen`"),
        ({"admin_listen": "[::1]:9191"}, "admin_listen: `9191` is also an address of `listen`"),
        ({"admin_listen": "127.0.0.1:9192", "workers": 2}, "admin_listen: `9192` is also an address of `listen`"),
        ({"admin_listen": "127.0.0.1:9189", "workers": 3}, "admin_listen: `9191` is also an address of `listen`"),
        ({"listen": "unix:a/s", "admin_listen": "unix:a/b/../s"}, "admin_listen: `a/s` is also an address"),
        ({"listen": "127.0.0.1:65535", "workers": 2}, "listen: 2 workers from port 65535 on need ports to 65536"),
        ({"admin_listen": "127.0.0.1:65300", "workers": 256}, "admin_listen: 256 workers from port 65300"),
        ({"socket_mode": "0666"}, "socket_mode: `0666` lets everybody on this machine ask"),
        ({"socket_mode": "002"}, "socket_mode: `002` lets everybody"),
        ({"metrics_listen": "unix:s"}, "metrics_listen: `unix:s` is a socket file"),
        ({"metrics_listen": "0.0.0.0:1"}, "metrics_listen: `0.0.0.0:1` can be reached from elsewhere"),
        ({"metrics_listen": "127.0.0.1:9191"}, "metrics_listen: `9191` is also an address of `listen`"),
        ({"decision_log": Path("otlp")}, "decision_log: `otlp` needs `otlp_endpoint`"),
        ({"trace_share": 0.5}, "trace_share: it needs `otlp_endpoint`"),
        ({"decision_log": Path("-"), "workers": 2}, "decision_log: records of several workers would get mixed"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    assert refusal(**given).removeprefix("Value error, ").startswith(why)


@pytest.mark.parametrize(
    "given",
    [
        {**TLS, "listen": "0.0.0.0:1"},
        {**MUTUAL, "listen": "0.0.0.0:1", "client_names": ("a",)},
        {**TLS, "listen": "unix:s", "admin_listen": "127.0.0.1:1"},
        {**MUTUAL, "listen": "127.0.0.1:1", "admin_listen": "unix:s", "client_names": ("a",), "admin_names": ("b",)},
        {**MUTUAL, "admin_listen": "0.0.0.0:1", "admin_names": ("b",)},
        {"listen": "0.0.0.0:1", "admin_listen": "0.0.0.0:2", "insecure": True},
        {**TLS, "admin_listen": "0.0.0.0:2", "insecure": True},
        {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "workers": 3},
        {"listen": "unix:s", "admin_listen": "unix:t", "workers": 3},
        {"listen": "127.0.0.1:9191", "admin_listen": "127.0.0.1:9193", "workers": 2},
        {"socket_mode": "0666", "insecure": True},
        {"metrics_listen": "0.0.0.0:1", "metrics_insecure": True},
        {"decision_log": Path("-"), "log_arguments": True, "log_masked": ("a",)},
        {"decision_log": Path("d"), "workers": 2},
    ],
    ids=" ".join,
)
def test_what_goes_together_is_taken(given: dict[str, Any]) -> None:
    assert given == settings(**given).model_dump(include=set(given))


def test_every_conflict_is_told_at_once() -> None:
    text = refusal(listen="0.0.0.0:1", admin_listen="0.0.0.0:1", socket_mode="666", client_names=("a",))
    assert ["listen: `0", "admin_listen: `0", "socket_mode:", "client_names:", "also"] == [
        part for part in ("listen: `0", "admin_listen: `0", "socket_mode:", "client_names:", "also") if part in text
    ]


def test_every_setting_says_what_it_means_and_has_an_example() -> None:
    assert {*Settings.model_fields} == {*ROWS}
    assert "policies" == next(iter(ROWS))
    assert [] == [row.name for row in ROWS.values() if len(row.meaning) < 30 or not row.meaning.endswith(".")]
    assert [] == [row.name for row in ROWS.values() if row.example in (None, "", ())]
    assert ["policies"] == [row.name for row in ROWS.values() if row.required]
