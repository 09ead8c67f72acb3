"""The systemd unit: what it says is what the service has, and systemd takes it. Reads unit files as text; runs no manager."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from mcp_acl.cli import COMMANDS
from mcp_acl.hosts.grpcio import GRACE
from mcp_acl.runtime.decision_log.log import _SHARED_MEMORY
from mcp_acl.runtime.loading import CONFIG, load_settings
from mcp_acl.runtime.rows import PREFIX, ROWS
from mcp_acl.runtime.settings import Settings
from tests.deploy.resources import DEPLOY
from tests.installed import ROOT

UNITS: Final = DEPLOY / "systemd"
UNIT: Final = UNITS / "mcp-acl.service"
DROP_IN: Final = UNITS / "tls.conf"
PROGRAM: Final = "/opt/mcp-acl/current/bin/mcp-acl"
CREDENTIALS: Final = "/run/credentials/mcp-acl.service"
EXPOSURE: Final = {"sockets": 0.5, "tls": 1.2}
"""What `systemd-analyze security` may say at most: 0 is nothing, 10 is everything."""


def lines_of(*files: Path) -> Iterator[tuple[str, str]]:
    """Names and values, those of drop-ins after the unit's."""
    for file in files:
        for line in file.read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                yield name, value


def values(name: str, *files: Path) -> list[str]:
    return [value for one, value in lines_of(*(files or (UNIT,))) if one == name]


def last(name: str, *files: Path) -> str:
    return values(name, *files)[-1]


def variables(*files: Path, instance: str = "") -> Mapping[str, str]:
    found = dict(value.split("=", 1) for value in values("Environment", *files))
    return {name: value.replace("%i", instance).replace("%d", CREDENTIALS) for name, value in found.items()}


def settings(*files: Path, instance: str = "") -> Settings:
    """As the service takes them, with the file of settings that is beside the unit."""
    given = dict(variables(*files, instance=instance))
    assert "/etc/mcp-acl/settings.yaml" == given.pop(CONFIG)
    return load_settings({}, given, UNITS / "settings.yaml").settings


@pytest.mark.parametrize("files", [(UNIT,), (UNIT, DROP_IN)], ids=["sockets", "tls"])
def test_every_variable_is_a_setting(files: tuple[Path, ...]) -> None:
    named = set(variables(*files)) - {CONFIG, "TMPDIR"}
    assert set() == named - {row.variable for row in ROWS.values()}
    assert "MCP_ACL_INSECURE" not in named
    settings(*files)


def test_records_that_wait_are_where_they_outlive_the_unit() -> None:
    """Of a `DynamicUser` systemd removes what is left in /dev/shm (`RemoveIPC`), and all of a private /tmp."""
    assert f"/var/lib/{last('StateDirectory')}" == variables(UNIT)["TMPDIR"]
    assert str(_SHARED_MEMORY) == last("InaccessiblePaths")


def test_nothing_is_said_both_in_the_unit_and_in_the_file() -> None:
    in_file = {f"{PREFIX}{name.upper()}" for name in yaml.safe_load((UNITS / "settings.yaml").read_text())}
    assert set() == in_file & set(variables(UNIT, DROP_IN))


def test_sockets_are_where_callers_may_go_and_where_they_may_not() -> None:
    found = settings(UNIT)
    runtime = f"/run/{last('RuntimeDirectory').replace('%i', '')}"
    people = Path(found.admin_listen.removeprefix("unix:")).parent
    assert runtime == str(Path(found.listen.removeprefix("unix:")).parent)
    assert ("0750", "0660") == (last("RuntimeDirectoryMode"), found.socket_mode)
    assert (Path(runtime), f"/usr/bin/mkdir --parents --mode=0700 {people}") == (
        people.parent,
        last("ExecStartPre").replace("%i", ""),
    )
    assert f"/var/lib/{last('StateDirectory')}" == str(found.store and found.store.parent)
    group = last("Group")
    assert f"g {group}" in (UNITS / "sysusers.conf").read_text().splitlines()


def test_instances_have_sockets_of_their_own_and_share_what_they_remember() -> None:
    one, other = (settings(UNIT, instance=name) for name in "12")
    assert not {one.listen, one.admin_listen} & {other.listen, other.admin_listen}
    assert one.store == other.store
    directories = {last("RuntimeDirectory").replace("%i", name) for name in ("", "1", "2")}
    assert len(directories) == 3


def test_commands_are_commands_and_ask_where_it_listens() -> None:
    named = re.findall(rf"{PROGRAM} ([a-z-]+)", UNIT.read_text())
    assert {"serve", "health", "check"} == set(named)
    assert set(named) <= set(COMMANDS)
    assert variables(UNIT)["MCP_ACL_ADMIN_LISTEN"] in last("ExecStartPost").replace("%i", "").split()
    assert f"{PROGRAM} check ${{MCP_ACL_POLICIES}}" == last("ExecReload")


def test_the_signal_is_sent_once_and_there_is_time_to_drain() -> None:
    assert "mixed" == last("KillMode")
    assert float(last("TimeoutStopSec")) >= settings(UNIT).drain + 2 * GRACE


def test_key_is_a_credential_and_is_found_where_credentials_are() -> None:
    loaded = dict(value.split(":") for value in values("LoadCredential", DROP_IN))
    found = settings(UNIT, DROP_IN)
    files = [found.tls_cert, found.tls_key, found.tls_client_ca]
    assert [f"{CREDENTIALS}/{name}" for name in loaded] == [str(file) for file in files]
    assert all(path.startswith("/etc/mcp-acl/tls/") for path in loaded.values())


def test_there_is_a_network_only_with_tls() -> None:
    assert ("yes", ["AF_UNIX"]) == (last("PrivateNetwork"), values("RestrictAddressFamilies"))
    assert "no" == last("PrivateNetwork", UNIT, DROP_IN)
    assert found_families() == {"AF_UNIX", "AF_INET", "AF_INET6"}


def found_families() -> set[str]:
    return {word for value in values("RestrictAddressFamilies", UNIT, DROP_IN) for word in value.split()}


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("there is no systemd-analyze")
    return found


def placed(directory: Path, *files: Path, name: str = "mcp-acl.service") -> Path:
    """The unit with its programs, as far as there are none at those paths here."""
    unit = directory / name
    text = "\n".join(file.read_text() for file in files)
    unit.write_text(text.replace(PROGRAM, "/bin/true"))
    return unit


@pytest.mark.parametrize("name", ["mcp-acl.service", "mcp-acl@1.service"])
@pytest.mark.parametrize("files", [(UNIT,), (UNIT, DROP_IN)], ids=["sockets", "tls"])
def test_systemd_takes_the_unit(analyze: str, files: tuple[Path, ...], name: str, tmp_path: Path) -> None:
    unit = placed(tmp_path, *files, name=name.replace("@1", "@"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", unit.with_name(name)], capture_output=True, text=True, check=False
    )
    assert (0, []) == (done.returncode, [line for line in done.stderr.splitlines() if "mcp-acl" in line])


def test_systemd_finds_what_is_misspelt(analyze: str, tmp_path: Path) -> None:
    unit = placed(tmp_path, UNIT)
    unit.write_text(unit.read_text().replace("PrivateDevices=", "PrivateDevice="))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert "PrivateDevice" in done.stderr


@pytest.mark.parametrize("form", EXPOSURE)
def test_what_it_may_do_is_little(analyze: str, form: str, tmp_path: Path) -> None:
    unit = placed(tmp_path, UNIT, *([DROP_IN] if form == "tls" else []))
    command = [analyze, "security", "--offline=yes", f"--threshold={EXPOSURE[form] * 10:.0f}", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout


def test_page_names_every_file() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert [] == [file.name for file in UNITS.iterdir() if f"deploy/systemd/{file.name}" not in page]
