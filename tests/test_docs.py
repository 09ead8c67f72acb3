"""The documentation: what it shows is run, what it names exists."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from mcp_acl.bench.measuring import Loop
from mcp_acl.bench.results import Results, write_results
from mcp_acl.cli import app, benching
from mcp_acl.cli.benching import Choice, wanted
from mcp_acl.cli.exits import Exit
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from tests.bench.runs import a_run, hosts_and_interfaces

ROOT = Path(__file__).parents[1]
CLIENTS = ROOT / "docs" / "clients" / "README.md"
MEASURED = a_run(hosts_and_interfaces())
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), CLIENTS]


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(language: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if found[1] == language:
                yield Block(name_of(page), text.count("\n", 0, found.start()) + 1, found[1], found[2])


def policies() -> Iterator[Block]:
    return (block for block in blocks("yaml") if re.search("^version: 1$", block.text, re.MULTILINE))


@pytest.mark.parametrize("block", [*policies()], ids=str)
def test_policy_in_a_page_compiles_without_findings(block: Block) -> None:
    assert () == compile_policies([SourceFile(str(block), block.text.encode())]).findings


def test_policy_shown_with_its_path_is_the_one_at_that_path() -> None:
    shown = {found[1]: block.text for block in policies() if (found := re.match(r"# (\S+\.yaml)\n", block.text))}
    assert shown
    assert shown == {path: (ROOT / path).read_text() for path in shown}


def test_python_in_a_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the page of the clients, which asks a service: `tests/clients` runs it."""
    monkeypatch.chdir(ROOT)
    for block in blocks("python"):
        if block.page == name_of(CLIENTS):
            continue
        code = compile("\n" * block.line + block.text, block.page, "exec")
        exec(code, {"__name__": "example"})  # noqa: S102 - our own page


class Command(NamedTuple):
    """A command line of a page, and the output shown under it; `...` in it stands for anything."""

    block: Block
    line: str
    output: str

    def __str__(self) -> str:
        return f"{self.block} {self.line[:60]}"


_GOES_ON = re.compile(r"mcp-acl (serve|gateway(?!.* --print-config)|bench --target)")


def commands() -> Iterator[Command]:
    """What can be run as it stands: not what goes on until it is stopped or asks what runs, and nothing with a part left out."""
    for block in blocks("console"):
        for found in re.finditer(r"^\$ (mcp-acl (?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            line = found[1].replace("\\\n", " ")
            if "…" not in line and not _GOES_ON.match(line):
                yield Command(block, line, found[2].strip())


@pytest.fixture
def shown_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with the shipped policies, the files that pages show under a comment with their path, and runs of `bench`."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    for block in policies():
        if path := re.match(r"# (\S+\.yaml)\n", block.text):
            (tmp_path / path[1]).write_text(block.text)
    for name in ("flat", "before", "after"):
        write_results(MEASURED, tmp_path / f"{name}.json")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be measured is still made of the flags. `tests/cli` measures."""

    def served(choice: Choice, _loop: Loop, _rounds: int) -> tuple[Results, bool]:
        assert wanted(choice)
        return MEASURED, True

    monkeypatch.setattr(benching, "_served", served)


@pytest.mark.usefixtures("shown_files", "nothing_is_measured")
@pytest.mark.parametrize("command", [*commands()], ids=str)
def test_command_in_a_page_prints_what_is_shown(command: Command) -> None:
    result = CliRunner().invoke(app, shlex.split(command.line, comments=True)[1:])
    assert not isinstance(result.exception, Exception)
    assert Exit.UNUSABLE != result.exit_code, result.output
    shown = ".*".join(re.escape(part) for part in command.output.split("..."))
    assert not command.output or re.fullmatch(shown, result.output.strip(), re.DOTALL), result.output


def test_every_make_target_in_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"(?:`|^\$? ?)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert set() == named - targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_dependency_is_named_with_its_reason() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text().lower()
    project = (ROOT / "pyproject.toml").read_text().partition("\ndependencies = [")[2].partition("]")[0]
    names = re.findall(r'"([A-Za-z0-9-]+)', project)
    assert names
    assert [] == [name for name in names if name.lower() not in text]
