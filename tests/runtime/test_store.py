"""Reading a directory: which files, and what is said of those that cannot be read."""

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import MAX_SIZE, SourceFile
from mcp_acl.problems import SourceError
from mcp_acl.runtime import store
from mcp_acl.runtime.store import load_policies, read_policies, read_scenarios
from tests.runtime.weather import WEATHER


def names(directory: Path) -> list[str]:
    return [file.name for file in read_policies(directory)]


def test_only_yaml_files_of_the_directory_itself_are_policies(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", ".hidden.yaml", "a.scenarios.yaml", "c.yml", "d.yaml.bak", "README.md"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "e.yaml").write_text("x")
    assert ["a.yaml", "b.yaml"] == names(tmp_path)
    assert ["a.scenarios.yaml"] == [file.name for file in read_scenarios(tmp_path)]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path.parent / ".x")])
def test_directory_by_the_name_of_a_policy_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    (tmp_path / ".x").mkdir()
    (tmp_path / "a.yaml").write_text("version: 1\npolicy: p\nservers: [s]\nrules: []\n")
    make(tmp_path / "deny.yaml")
    with pytest.raises(SourceError, match="not a regular file"):
        load_policies(tmp_path)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_bytes(b"content")
    (tmp_path / "a.yaml").symlink_to(Path("..data", "a.yaml"))
    (file,) = read_policies(tmp_path)
    assert ("a.yaml", b"content") == (file.name, file.content)


def test_large_file_is_read_no_further_than_shows_that_it_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as stream:
        stream.truncate(100 * MAX_SIZE)
    (file,) = read_policies(tmp_path)
    assert MAX_SIZE + 1 == len(file.content)
    with pytest.raises(SourceError, match="more than"):
        load_policies(tmp_path)


def problems_of(directory: Path) -> list[tuple[str, str, str]]:
    with pytest.raises(SourceError) as caught:
        read_policies(directory)
    return [(problem.code, problem.message, problem.place.file) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "cannot be read: no such file or directory"), ("file", "cannot be read: not a directory")],
)
def test_directory_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("x")
    assert [("unreadable", message, str(tmp_path / name))] == problems_of(tmp_path / name)


def test_directory_name_that_cannot_be_is_a_problem() -> None:
    assert ["unreadable"] == [code for code, _, _ in problems_of(Path("a\0b"))]


def test_directory_without_policies_is_a_problem(tmp_path: Path) -> None:
    assert ["no-policies"] == [code for code, _, _ in problems_of(tmp_path)]


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "fine.yaml").write_text("x")
    assert [
        ("unreadable", "cannot be read: no such file or directory", "broken.yaml"),
        ("unreadable", "cannot be read: not a regular file", "pipe.yaml"),
    ] == problems_of(tmp_path)


def test_file_that_cannot_be_read_hides_nothing_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 2")
    (tmp_path / "b.yaml").symlink_to("nowhere")
    (tmp_path / "c.yaml").write_text("version: 1\npolicy: c\nrules: [{id: a, methods: [tools/call], cel: 'true'}]")
    with pytest.raises(SourceError) as caught:
        load_policies(tmp_path)
    found = [(problem.place.file, problem.code) for problem in caught.value.problems]
    assert [("a.yaml", "wrong-value"), ("b.yaml", "unreadable"), ("c.yaml", "always-true")] == found


def test_file_that_cannot_be_read_refuses_the_set(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WEATHER)
    (tmp_path / "b.yaml").symlink_to("nowhere")
    with pytest.raises(SourceError) as caught:
        load_policies(tmp_path)
    assert ["unreadable"] == [problem.code for problem in caught.value.problems]


def test_name_that_is_not_utf_8_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("x")
    assert ["\N{REPLACEMENT CHARACTER}.yaml"] == names(tmp_path)


def test_directory_is_compiled_with_its_commit(tmp_path: Path) -> None:
    (tmp_path / "weather.yaml").write_text(WEATHER)
    plain = load_policies(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert ["weather"] == [policy.id for policy in plain.policies]
    assert f"{plain.revision}+git.0123456789ab" == load_policies(tmp_path).revision


@pytest.mark.parametrize("collects", [True, False])
def test_policies_are_compiled_without_the_collector_which_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collects: bool
) -> None:
    seen: list[bool] = []

    def compiled(files: Sequence[SourceFile], commit: str = "") -> PolicySet:
        seen.append(gc.isenabled())
        return compile_policies(files, commit)

    monkeypatch.setattr(store, "compile_policies", compiled)
    was = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        (tmp_path / "p.yaml").write_text("version: 1\npolicy: p\nrules: []\n")
        load_policies(tmp_path)
        (tmp_path / "p.yaml").write_text("")
        with pytest.raises(SourceError):
            load_policies(tmp_path)
        assert ([False, False], collects) == (seen, gc.isenabled())
    finally:
        (gc.enable if was else gc.disable)()
