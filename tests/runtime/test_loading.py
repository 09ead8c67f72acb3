"""Where settings come from: which source wins, what each origin is called, and everything that is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_acl.runtime.loading import DEFAULT, Loaded, SettingsError, load_settings
from mcp_acl.runtime.rows import ROWS
from mcp_acl.runtime.settings import Settings

OTHERS = {
    "policies": "p",
    "otlp_endpoint": "http://c",
    "tls_cert": "c",
    "tls_key": "k",
    "tls_client_ca": "a",
    "policies_from": "git+https://h/p",
}
"""What some setting needs beside it."""

SAMPLES: dict[str, tuple[object, str, str]] = {
    "policies": ("a", "b", "c"),
    "host": ("envoy", "grpcio", "envoy"),
    "listen": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    "admin_listen": ("127.0.0.1:1", "unix:x", "127.0.0.1:3"),
    "workers": ("2", "3", "4"),
    "insecure": (True, "false", "true"),
    "tls_cert": ("x", "y", "z"),
    "tls_key": ("x", "y", "z"),
    "tls_client_ca": ("x", "y", "z"),
    "client_names": (["x", "a,b"], "y,spiffe://y", "[z, spiffe://z]"),
    "admin_names": (["x"], "y", "[z]"),
    "socket_mode": ("0660", "640", "0400"),
    "drain": ("1.5", "2", "3e1"),
    "reload": ("0", "0.05", "7"),
    "max_request": ("65536", "65537", "0x10002"),
    "max_calls": ("1", "2", "3"),
    "message_timeout": ("1", "2.5", "3"),
    "keepalive": ("1", "2", "3.5"),
    "server": ("x", "y", "z"),
    "server_attribute": ("x", "y", "z"),
    "jwt_metadata": (["x/y", "a/b,c"], "y/z", "[z/z, y/x]"),
    "mtls_principals": (True, "false", "true"),
    "claims_header": ("x", "y", "z"),
    "anonymous": (False, "true", "false"),
    "attribute_metadata": (["x"], "y", "[z]"),
    "filtered_behind": (True, "false", "true"),
    "early_close": (False, "true", "false"),
    "resource_metadata": ("http://x", "https://y/{server}", "https://z"),
    "store": ("x", "y", "z"),
    "task_memory": ("1", "2.5", "316224000"),
    "tool_memory": ("1", "2.5", "86400"),
    "max_tasks": ("1", "2", "3"),
    "max_tools": ("1", "2", "3"),
    "metrics_listen": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    "metrics_insecure": (True, "false", "true"),
    "otlp_endpoint": ("http://x:1", "http://y", "https://z/a"),
    "otlp_interval": ("1", "2.5", "3"),
    "trace_share": ("0.5", "0.25", "1"),
    "trace_clients": (True, "false", "true"),
    "trace_most": ("0", "1", "2"),
    "decision_log": ("x", "y", "'-'"),
    "log_allowed": ("0", "0.5", "1"),
    "log_claims": (["x"], "y", "[z]"),
    "log_arguments": (True, "false", "true"),
    "log_masked": (["x"], "y", "[z]"),
    "log_names": (False, "true", "false"),
    "log_size": ("65536", "65537", "65538"),
    "log_files": ("0", "1", "2"),
    "policies_from": ("git+https://h/x", "git+file:///y", "http://localhost/z.zip"),
    "policies_ref": ("x", "y", "z"),
    "policies_path": ("x", "y/y", "z"),
    "policies_interval": ("0", "1.5", "60"),
    "policies_timeout": ("1", "2.5", "3"),
    "policies_signers": ("x", "y", "z"),
    "policies_token": ("x", "y", "z"),
    "policies_key": ("x", "y", "z"),
    "policies_known_hosts": ("x", "y", "z"),
    "policies_ca": ("x", "y", "z"),
    "worker_timeout": ("0", "1", "2.5"),
}
"""For each setting what its flag, its variable and the file say."""

VALUES: dict[str, tuple[Any, Any, Any]] = {
    "policies": (Path("a"), Path("b"), Path("c")),
    "workers": (2, 3, 4),
    "insecure": (True, False, True),
    "tls_cert": (Path("x"), Path("y"), Path("z")),
    "tls_key": (Path("x"), Path("y"), Path("z")),
    "tls_client_ca": (Path("x"), Path("y"), Path("z")),
    "client_names": (("x", "a,b"), ("y", "spiffe://y"), ("z", "spiffe://z")),
    "admin_names": (("x",), ("y",), ("z",)),
    "drain": (1.5, 2.0, 30.0),
    "reload": (0.0, 0.05, 7.0),
    "max_request": (65536, 65537, 65538),
    "max_calls": (1, 2, 3),
    "message_timeout": (1.0, 2.5, 3.0),
    "keepalive": (1.0, 2.0, 3.5),
    "jwt_metadata": (("x/y", "a/b,c"), ("y/z",), ("z/z", "y/x")),
    "mtls_principals": (True, False, True),
    "anonymous": (False, True, False),
    "attribute_metadata": (("x",), ("y",), ("z",)),
    "filtered_behind": (True, False, True),
    "early_close": (False, True, False),
    "store": (Path("x"), Path("y"), Path("z")),
    "task_memory": (1.0, 2.5, 316224000.0),
    "tool_memory": (1.0, 2.5, 86400.0),
    "max_tasks": (1, 2, 3),
    "max_tools": (1, 2, 3),
    "metrics_insecure": (True, False, True),
    "otlp_interval": (1.0, 2.5, 3.0),
    "trace_share": (0.5, 0.25, 1.0),
    "trace_clients": (True, False, True),
    "trace_most": (0, 1, 2),
    "decision_log": (Path("x"), Path("y"), Path("-")),
    "log_allowed": (0.0, 0.5, 1.0),
    "log_claims": (("x",), ("y",), ("z",)),
    "log_arguments": (True, False, True),
    "log_masked": (("x",), ("y",), ("z",)),
    "log_names": (False, True, False),
    "log_size": (65536, 65537, 65538),
    "log_files": (0, 1, 2),
    "policies_interval": (0.0, 1.5, 60.0),
    "policies_timeout": (1.0, 2.5, 3.0),
    "worker_timeout": (0.0, 1.0, 2.5),
    **dict.fromkeys(
        ("policies_signers", "policies_token", "policies_key", "policies_known_hosts", "policies_ca"),
        (Path("x"), Path("y"), Path("z")),
    ),
}
"""What that is, where it is not the text itself."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "acl.yaml"


def refused(flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, environment, file)
    assert all(problem.message in str(caught.value) for problem in caught.value.problems)
    return [problem.message for problem in caught.value.problems]


def found(loaded: Loaded, name: str) -> tuple[Any, str]:
    return getattr(loaded.settings, name), str(loaded.origins[name])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_source_beats_the_next(name: str, file: Path) -> None:
    by_flag, by_variable, in_file = SAMPLES[name]
    values = VALUES.get(name, SAMPLES[name])
    others = "".join(f"{one}: {text}\n" for one, text in OTHERS.items() if one != name)
    variable = {f"MCP_ACL_{name.upper()}": by_variable}
    flag = {**dict.fromkeys(Settings.model_fields), name: by_flag}
    file.write_text(others)
    if name == "policies":
        assert ["policies: it is missing"] == refused({}, {}, file)
    elif name not in OTHERS:
        assert (Settings.model_fields[name].default, "default") == found(load_settings({}, {}, file), name)
    file.write_text(f"{others}{name}: {in_file}\n")
    line = others.count("\n") + 1
    assert (values[2], f"file {file}:{line}") == found(load_settings({}, {}, file), name)
    assert (values[1], f"environment MCP_ACL_{name.upper()}") == found(load_settings({}, variable, file), name)
    assert (values[0], f"flag --{name.replace('_', '-')}") == found(load_settings(flag, variable, file), name)


@pytest.mark.parametrize("by_flag", [True, False])
def test_flag_says_yes_or_no_whatever_the_variable_says(by_flag: bool) -> None:
    variable = {"MCP_ACL_INSECURE": str(not by_flag).lower()}
    loaded = load_settings({"policies": "p", "insecure": by_flag}, variable, None)
    assert (by_flag, "flag --insecure") == found(loaded, "insecure")


def test_nothing_but_the_policies_must_be_given() -> None:
    loaded = load_settings({"policies": "p"}, {}, None)
    assert Settings(policies=Path("p")) == loaded.settings
    assert {name: DEFAULT for name in ROWS if name != "policies"} == {
        name: origin for name, origin in loaded.origins.items() if name != "policies"
    }
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {}, None)
    (problem,) = caught.value.problems
    assert "give `--policies`, `MCP_ACL_POLICIES`, or `policies` in a file" == problem.hint


# ---- the file -----------------------------------------------------------------------------------------------------


def test_file_is_named_by_a_flag_or_by_a_variable(file: Path, tmp_path: Path) -> None:
    file.write_text("policies: p\ndrain: 1\n")
    other = tmp_path / "other.yaml"
    other.write_text("policies: q\n")
    environment = {"MCP_ACL_CONFIG": str(other)}
    assert Path("p") == load_settings({}, {"MCP_ACL_CONFIG": str(file)}, None).settings.policies
    assert Path("p") == load_settings({}, environment, file).settings.policies
    assert ["MCP_ACL_CONFIG: it is empty"] == refused({"policies": "p"}, {"MCP_ACL_CONFIG": ""})


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("drian: 1", "1:1", "`drian`: there is no such setting"),
        ("config: x", "1:1", "`config`: there is no such setting"),
        ("Drain: 1", "1:1", "`Drain`: there is no such setting"),
        ("drain:", "1:7", "`drain`: it is empty"),
        ("drain: ~", "1:8", "`drain`: it is empty"),
        ('listen: ""', "1:9", "`listen`: it is empty"),
        ("admin_listen:", "1:14", "`admin_listen`: it is empty"),
        ("client_names: []", "1:15", "`client_names`: it is empty"),
        ("client_names: [~]", "1:15", "`client_names`: it is empty"),
        ("client_names: a,b", "1:15", "`client_names`: it must be a list"),
        ("client_names: [[a]]", "1:15", "`client_names`: it must be a list"),
        ("drain: [1]", "1:8", "`drain`: it must be one value"),
        ("drain: {a: 1}", "1:8", "`drain`: it must be one value"),
        ("insecure: yes", "1:11", "`insecure`: it must be `true` or `false`, not `yes`"),
        ("drain: 1\ndrain: 2", "2:1", "the key `drain` stands twice in one mapping"),
        ("- drain", "1:1", "a file of settings is `key: value`"),
        ("drain: &a 1", "1:8", "`&` begins a YAML anchor, which is not read here"),
        (
            "tls_cert: c",
            "1:11",
            "`tls_cert`: it needs `tls_key` beside it: a certificate cannot be shown without its key",
        ),
        ("# nothing", "1:1", "the file is empty"),
    ],
)
def test_what_is_wrong_with_a_file_has_its_place(file: Path, text: str, place: str, message: str) -> None:
    file.write_text(f"{text}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings({"policies": "p"}, {}, file)
    (problem,) = caught.value.problems
    assert (f"{file}:{place}", message) == (str(problem.place), problem.message)


def test_file_that_cannot_be_read_is_refused(file: Path) -> None:
    assert ["cannot be read: no such file or directory"] == refused({"policies": "p"}, {}, file)
    assert ["cannot be read: is a directory"] == refused({"policies": "p"}, {}, file.parent)
    file.write_text(f"#{1024 * 1024 * 'x'}\n")
    assert ["cannot be read: it has more than 1,048,576 bytes"] == refused({"policies": "p"}, {}, file)


# ---- the environment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MCP_ACL_TLS_CLIENTCA", "did you mean `MCP_ACL_TLS_CLIENT_CA`?"),
        ("mcp_acl_tls_client_ca", "did you mean `MCP_ACL_TLS_CLIENT_CA`?"),
        ("MCP_ACL_CONFIG_FILE", "did you mean `MCP_ACL_CONFIG`?"),
        ("MCP_ACL_", "unset it"),
        ("MCP_ACL_FLUX_COMPENSATION", "unset it"),
        ("MCP_ACL_SERVICE_HOSTS", None),
        ("MCP_ACL_PORT_HTTP", None),
    ],
)
def test_variable_that_no_setting_has_is_refused(variable: str, hint: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"policies": "p"}, {variable: "x"}, None)
    (problem,) = caught.value.problems
    assert f"{variable}: there is no such setting" == problem.message
    assert hint in {None, problem.hint}


KUBERNETES = {
    "SERVICE_HOST": "10.0.0.11",
    "SERVICE_PORT": "9191",
    "SERVICE_PORT_GRPC": "9191",
    "PORT": "tcp://10.0.0.11:9191",
    "PORT_9191_TCP": "tcp://10.0.0.11:9191",
    "PORT_9191_TCP_PROTO": "tcp",
    "PORT_9191_TCP_PORT": "9191",
    "PORT_9191_TCP_ADDR": "10.0.0.11",
}


@pytest.mark.parametrize("service", ["MCP_ACL", "MCP_ACL_ADMIN"])
def test_what_kubernetes_sets_for_a_service_is_left_alone(service: str) -> None:
    environment = {f"{service}_{name}": value for name, value in KUBERNETES.items()}
    assert load_settings({"policies": "p"}, {}, None) == load_settings({"policies": "p"}, environment, None)


def test_port_that_a_person_sets_is_no_setting() -> None:
    assert ["MCP_ACL_PORT: there is no such setting"] == refused({"policies": "p"}, {"MCP_ACL_PORT": "9191"})


def test_other_variables_are_not_looked_at() -> None:
    environment = {"DRAIN": "x", "MCP_ACLS": "y", "PATH": "/bin"}
    assert load_settings({"policies": "p"}, {}, None) == load_settings({"policies": "p"}, environment, None)


def test_env_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("MCP_ACL_DRAIN=5\n")
    monkeypatch.setenv("MCP_ACL_DRAIN", "7")
    assert 0.0 == load_settings({"policies": "p"}, {}, None).settings.drain


# ---- what is wrong, whatever the source ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", Settings.model_fields)
def test_empty_value_is_refused_and_not_taken_for_none(name: str, file: Path) -> None:
    others = {"policies": "p"} if name != "policies" else {}
    variable, flag = f"MCP_ACL_{name.upper()}", f"--{name.replace('_', '-')}"
    assert [f"{variable}: it is empty"] == refused(others, {variable: ""})
    assert [f"{flag}: it is empty"] == refused({**others, name: ""}, {})
    file.write_text(f"{name}:\n")
    assert [f"`{name}`: it is empty"] == refused(others, {}, file)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("insecure", "yes", "it must be `true` or `false`, not `yes`"),
        ("insecure", "1", "it must be `true` or `false`, not `1`"),
        ("workers", "two", "it must be a whole number, not `two`"),
        ("workers", "1.5", "it must be a whole number, not `1.5`"),
        ("workers", "true", "it must be a whole number, not `true`"),
        ("workers", "0", "it must be 1 or more, not `0`"),
        ("workers", "257", "it must be 256 or less, not `257`"),
        ("max_request", "1", "it must be 65536 or more, not `1`"),
        ("max_request", "268435457", "it must be 268435456 or less, not `268435457`"),
        ("max_calls", 5000 * "9", f"it must be a whole number, not `{60 * '9'}…`"),
        ("max_calls", " 4", "it must be a whole number, not ` 4`"),
        ("drain", "soon", "it must be a number, not `soon`"),
        ("drain", "false", "it must be a number, not `false`"),
        ("drain", "86401", "it must be 86400 or less, not `86401`"),
        ("drain", "nan", "it must be a number, not `nan`"),
        ("drain", ".nan", "it must be a finite number, not `.nan`"),
        ("drain", "-1", "it must be 0 or more, not `-1`"),
        ("message_timeout", "0", "it must be 0.1 or more, not `0`"),
        ("keepalive", "0.5", "it must be 1 or more, not `0.5`"),
        ("reload", "0.01", "it must be 0 (never) or at least 0.05"),
        ("host", "apache", "it must be 'grpcio' or 'envoy', not `apache`"),
        ("listen", "9191", "`9191` is not `host:port`; write for instance `127.0.0.1:9191`"),
        ("socket_mode", "rw", "it must be three octal digits, for instance `0600`"),
        ("client_names", "a,,b", "it is empty"),
        ("client_names", "a, b", "a name must not be empty, nor begin or end with a space"),
        ("listen", "\udcff", "it is not UTF-8"),
    ],
)
def test_value_that_cannot_be_used_says_why(name: str, text: str, why: str) -> None:
    variable = f"MCP_ACL_{name.upper()}"
    mutual = {key: value for key, value in OTHERS.items() if "tls" in key}
    assert [f"{variable}: {why}"] == refused({"policies": "p", **mutual}, {variable: text})


def test_everything_that_is_wrong_is_told_at_once_each_with_its_source(file: Path) -> None:
    file.write_text("drain: x\nfoo: 1\nmax_calls: 0\n")
    environment = {"MCP_ACL_WORKERS": "0", "MCP_ACL_FLUX": "1", "MCP_ACL_SOCKET_MODE": "0666", "MCP_ACL_TLS_KEY": ""}
    flags = {"listen": "0.0.0.0:1", "max_calls": 7, "tls_cert": "c"}
    assert {
        "policies: it is missing",
        "--listen: `0.0.0.0:1`",
        "MCP_ACL_WORKERS: it must be 1 or more, not `0`",
        "MCP_ACL_FLUX: there is no such setting",
        "MCP_ACL_SOCKET_MODE: `0666` lets everybody on this machine ask",
        "MCP_ACL_TLS_KEY: it is empty",
        "`drain`: it must be a number, not `x`",
        "`foo`: there is no such setting",
    } == {
        text.partition(";")[0].partition(" can be")[0]
        for text in refused({**flags, "tls_cert": None}, environment, file)
    }


def test_nothing_is_made_of_a_setting_that_is_wrong_by_itself() -> None:
    assert ["MCP_ACL_TLS_KEY: it is empty"] == refused({"policies": "p", "tls_cert": "c"}, {"MCP_ACL_TLS_KEY": ""})


def test_conflict_is_told_of_what_was_given() -> None:
    (text,) = refused({"policies": "p", "admin_listen": "127.0.0.1:9191"}, {})
    assert text.startswith("--admin-listen: `9191` is also an address of `listen`")
    (text,) = refused({"policies": "p", "listen": "127.0.0.1:65535"}, {"MCP_ACL_WORKERS": "9"})
    assert text.startswith("--listen: 9 workers from port 65535")
