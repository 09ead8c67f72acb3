"""`config`, and every setting as a flag of `serve` too: what is in force, where it came from, what is refused."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_acl.cli import config, serve
from mcp_acl.policy.reader import resolve
from mcp_acl.runtime.loading import load_settings
from mcp_acl.runtime.rows import ROWS
from mcp_acl.runtime.settings import Settings
from tests.cli.conftest import Run
from tests.runtime.test_loading import OTHERS, SAMPLES, VALUES


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MCP_ACL_")]:
        monkeypatch.delenv(name)


def as_flags(name: str, value: object) -> Iterator[str]:
    flag = ROWS[name].flag
    for one in value if isinstance(value, list) else [value]:
        yield from (flag if one else f"--no-{flag[2:]}",) if isinstance(one, bool) else (flag, str(one))


def all_flags(name: str) -> list[str]:
    """A setting by its flag, and what it may need."""
    return [part for one in {**OTHERS, name: SAMPLES[name][0]}.items() for part in as_flags(*one)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_a_flag(run: Run, name: str) -> None:
    result = run("config", "--json", *all_flags(name))
    found = json.loads(result.stdout)["settings"]
    assert [*ROWS] == [*found]
    value = VALUES.get(name, SAMPLES[name])[0]
    shown = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    assert {"value": shown, "from": f"flag {ROWS[name].flag}"} == found[name]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_serve_takes_every_flag(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    for one in ("serve", "supervise"):
        monkeypatch.setattr(serve, one, lambda settings, *_: served.append(settings))
    assert 0 == run("serve", *all_flags(name)).exit_code
    (settings,) = served
    assert VALUES.get(name, SAMPLES[name])[0] == getattr(settings, name)


@pytest.mark.parametrize(("flag", "value"), [("--insecure", True), ("--no-insecure", False)])
def test_yes_and_no_are_a_flag_each(run: Run, flag: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_ACL_INSECURE", str(not value).lower())
    found = json.loads(run("config", "--policies", "p", flag, "--json").stdout)["settings"]
    assert {"value": value, "from": "flag --insecure"} == found["insecure"]


def test_people_see_each_setting_its_value_and_its_origin(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "acl.yaml"
    file.write_text("drain: 5\nmax_calls: 7\nadmin_names: [a, 'b c']\ntls_client_ca: ca\ntls_cert: c\ntls_key: k\n")
    monkeypatch.setenv("MCP_ACL_CONFIG", str(file))
    monkeypatch.setenv("MCP_ACL_MAX_CALLS", "8")
    result = run("config", "--policies", "nowhere")
    assert (0, "") == (result.exit_code, result.stderr)
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.stdout.splitlines()}
    assert [*ROWS] == [*rows]
    shown = {name: " ".join(rows[name].split()) for name in ("policies", "drain", "max_calls", "admin_names", "reload")}
    assert {
        "policies": "nowhere flag --policies",
        "drain": f"5.0 file {file}:1",
        "max_calls": "8 environment MCP_ACL_MAX_CALLS",
        "admin_names": f'["a", "b c"] file {file}:3',
        "reload": "0.5 default",
    } == shown


@pytest.mark.parametrize("command", ["config", "serve"])
def test_what_is_wrong_ends_with_2_and_is_told_at_once(
    run: Run, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "acl.yaml"
    file.write_text("drian: 5\n")
    monkeypatch.setenv("MCP_ACL_TLS_CLIENTCA", "x")
    result = run(command, "--config", file, "--policies", "p", "--workers", "0")
    assert (2, "") == (result.exit_code, result.stdout)
    assert [
        "error: --workers: it must be 1 or more, not `0`",
        "error: MCP_ACL_TLS_CLIENTCA: there is no such setting; did you mean `MCP_ACL_TLS_CLIENT_CA`?",
        f"{file}:1:1: problem [setting]: `drian`: there is no such setting",
        "  | drian: 5",
        "  | ^^^^^",
        "  = did you mean `drain`?",
    ] == sorted(result.stderr.splitlines()[:2], reverse=False) + result.stderr.splitlines()[2:]


@pytest.mark.parametrize("command", ["config", "serve"])
def test_what_is_wrong_is_a_record_for_programs(run: Run, command: str) -> None:
    result = run(command, "--listen", "0.0.0.0:1", "--json")
    assert (2, "") == (result.exit_code, result.stderr)
    found: dict[str, Any] = json.loads(result.stdout)
    assert {"--listen", "policies"} == {one["message"].partition(":")[0] for one in found["problems"]}
    assert {("setting", "problem")} == {(one["code"], one["severity"]) for one in found["problems"]}


def test_source_of_an_address_that_cannot_be_listened_on_is_named(
    run: Run, policies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_ACL_LISTEN", "unix:/nowhere/at/all.sock")
    result = run("serve", "--policies", policies)
    assert 2 == result.exit_code
    assert result.stderr.startswith("error: MCP_ACL_LISTEN: ")


# ---- the example --------------------------------------------------------------------------------------------------


def test_example_is_a_file_that_can_be_used(run: Run, tmp_path: Path) -> None:
    result = run("config", "--file-example")
    assert (0, config.file_example()) == (result.exit_code, result.stdout)
    file = tmp_path / "acl.yaml"
    file.write_text(result.stdout)
    assert Settings(policies=Path("/etc/mcp-acl/policies")) == load_settings({}, {}, file).settings


def test_example_shows_every_setting_as_it_is_or_could_be(tmp_path: Path) -> None:
    lines = config.file_example().splitlines()
    shown = [line.removeprefix("# ") for line in lines if line.removeprefix("# ").partition(":")[0] in ROWS]
    assert [*ROWS] == [line.partition(":")[0] for line in shown]
    file = tmp_path / "acl.yaml"
    file.write_text("\n".join(shown))
    settings = load_settings({}, {}, file).settings
    assert {name: row.default for name, row in ROWS.items() if row.default not in (None, "", ())}.items() <= (
        settings.model_dump().items()
    )


@pytest.mark.parametrize(
    "value",
    ["a", "a/b.c", "127.0.0.1:1", "[::1]:1", "0600", "true", "1e3", "a: b", "a #b", "- a", "ü", "a b", "*", "x:"],
)
def test_text_is_shown_as_a_file_would_say_it(value: str) -> None:
    shown = config.as_yaml(value)
    assert value == (json.loads(shown) if shown.startswith('"') else resolve(shown)) == yaml.safe_load(shown)


@pytest.mark.parametrize(("value", "shown"), [(Path("a"), "a"), (("a",), '["a"]'), (0.5, "0.5"), (True, "true")])
def test_value_is_shown_as_a_file_would_say_it(value: object, shown: str) -> None:
    assert shown == config.as_yaml(value)
