"""The command line as a whole: what there is, how it ends, that it starts quickly."""

import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import typer

import mcp_acl.cli
from mcp_acl.cli import COMMANDS, app
from tests.cli.conftest import Run


def test_help_names_every_subcommand(run: Run) -> None:
    result = run("--help")
    assert 0 == result.exit_code
    assert set(COMMANDS) <= set(re.findall(r"\w+", result.output))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_has_help_and_takes_json(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert 0 == result.exit_code
    assert name == "demo" or "--json" in result.output
    assert import_module(f"mcp_acl.cli.{name}").__doc__


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_every_word_that_is_written(run: Run, name: str) -> None:
    shown = " ".join(run(name, "--help").output.split())
    parameters = typer.main.get_command(app).get_command(None, name).params  # type: ignore[attr-defined]
    helps = [one.help for one in parameters if getattr(one, "help", None)]
    assert [] == [text for text in helps if " ".join(text.split()) not in shown]


def test_version_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_acl.cli, "version", lambda _: "1.2.3")
    result = run("--version")
    assert (0, "1.2.3\n") == (result.exit_code, result.stdout)


def test_version_of_a_package_that_is_not_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(mcp_acl.cli, "version", missing)
    assert "not installed\n" == run("--version").stdout


@pytest.mark.parametrize(
    "args", [["unheard-of"], ["decide"], ["check"], ["decide", "--unknown"], ["check", "a", "b"], []]
)
def test_misuse_ends_with_2(run: Run, args: list[str]) -> None:
    assert 2 == run(*args).exit_code


@pytest.mark.parametrize("command", [["-m", "mcp_acl"], ["-c", "from mcp_acl.cli import main; main()"]])
def test_program_ends_with_the_code_of_the_subcommand(command: list[str], policies: Path) -> None:
    ask = ["decide", "--policies", str(policies), "--server", "weather", "--message", "no JSON"]
    ended = subprocess.run([sys.executable, *command, *ask], capture_output=True, check=False)
    assert (1, b"") == (ended.returncode, ended.stderr)
    assert ended.stdout.startswith(b"DENY")


def test_what_a_terminal_cannot_show_is_escaped(policies: Path) -> None:
    ask = ["explain", "--policies", str(policies), "--server", "weather", "--message", '{"jsonrpc":"2.0","method":"ö"}']
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_acl", *ask],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert (1, b"", True) == (ended.returncode, ended.stderr, b"\\u25cb weather/forecasts" in ended.stdout)


def output_of(policies: Path, name: str) -> list[str]:
    ask = ["--policies", str(policies), "--server", "weather", "--message", "{}"]
    args = {"check": [str(policies)], "decide": ask, "explain": [*ask, "--json"], "schema": []}
    return [sys.executable, "-m", "mcp_acl", name, *args.get(name, [])]


a_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@a_full_disk
@pytest.mark.parametrize("name", ["check", "decide", "explain", "schema", "--help"])
def test_output_that_cannot_be_written_ends_with_2(policies: Path, name: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(output_of(policies, name), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (2, b"error: output cannot be written: no space left on device\n") == (ended.returncode, ended.stderr)


@a_full_disk
def test_answer_of_which_nothing_can_be_written_ends_with_2(policies: Path) -> None:
    (policies / "broken.yaml").write_text("rules")
    with Path("/dev/full").open("wb") as full:
        assert 2 == subprocess.run(output_of(policies, "decide"), stdout=full, stderr=full, check=False).returncode


@pytest.mark.parametrize("name", ["check", "decide", "explain", "schema"])
def test_reader_that_has_left_is_told_nothing(policies: Path, name: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(output_of(policies, name), stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (2, b"") == (ended.returncode, ended.stderr)


def test_a_subcommand_loads_no_other_and_neither_grpc_nor_the_wire() -> None:
    program = "import sys, mcp_acl.cli.decide; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert set() == {"grpc", "google.protobuf", "mcp_acl.cli.serve", "mcp_acl.cli.eval"} & set(modules)


def test_naming_the_program_loads_no_subcommand() -> None:
    program = f"import sys, {mcp_acl.cli.__name__}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert set() == {"rich", "pydantic", "lark"} & set(modules)
