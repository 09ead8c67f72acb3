"""Reloading: what is taken, and when."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mcp_acl.problems import SourceError
from mcp_acl.runtime import reload as reload_module
from mcp_acl.runtime import stamps, store
from mcp_acl.runtime.reload import read_settled
from mcp_acl.runtime.store import Sources, read_sources
from tests.runtime.watched import INTERVAL, Watched, config_map, fill, policy, relinked, replaced
from tests.runtime.weather import NOON


def rewrite(directory: Path) -> None:
    (directory / "a.yaml").write_text(policy("a", 2))


def save(directory: Path) -> None:
    replaced(directory / "a.yaml", policy("a", 2))


def remake(directory: Path) -> None:
    shutil.rmtree(directory)
    fill(directory, {"a": 2, "b": 1})


def link(directory: Path) -> None:
    (directory.parent / "elsewhere").write_text(policy("a", 2))
    relinked(directory / "a.yaml", directory.parent / "elsewhere")


@pytest.mark.parametrize("change", [rewrite, save, remake, link])
def test_change_is_taken_when_it_has_been_the_same_for_an_interval(
    watched: Watched, change: Callable[[Path], None]
) -> None:
    change(watched.directory)
    watched.look()
    assert {"a": 1, "b": 1} == watched.versions()
    watched.look()
    assert {"a": 2, "b": 1} == watched.versions()
    assert NOON + timedelta(seconds=watched.now) == watched.gate.standing.since
    assert watched.gate.policies is watched.gate.standing.policies


def test_file_that_comes_or_goes_is_a_change(watched: Watched) -> None:
    fill(watched.directory, {"c": 1})
    watched.settle()
    assert {"a": 1, "b": 1, "c": 1} == watched.versions()
    (watched.directory / "a.yaml").unlink()
    watched.settle()
    assert {"b": 1, "c": 1} == watched.versions()


def test_nothing_is_read_while_the_files_change(watched: Watched) -> None:
    for version in range(2, 9):
        fill(watched.directory, {"a": version})
        watched.look()
        assert {"a": 1, "b": 1} == watched.versions()
    watched.look()
    assert {"a": 8, "b": 1} == watched.versions()


def test_config_map_is_taken_as_a_whole(tmp_path: Path) -> None:
    fill(tmp_path / "..one", {"a": 1, "b": 1})
    config_map(tmp_path, "..one", "ab")
    watched = Watched(tmp_path)
    fill(tmp_path / "..two", {"a": 2, "b": 2})
    relinked(tmp_path / "..data", Path("..two"))
    shutil.rmtree(tmp_path / "..one")
    watched.look(2)
    assert {"a": 2, "b": 2} == watched.versions()


def test_directory_that_is_a_link_may_be_set_to_another(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "one", {"a": 1, "b": 1}), fill(tmp_path / "two", {"a": 2, "b": 2})
    (tmp_path / "current").symlink_to(one)
    watched = Watched(tmp_path / "current")
    relinked(tmp_path / "current", two)
    watched.look(2)
    assert {"a": 2, "b": 2} == watched.versions()


def test_set_that_was_loaded_while_it_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = fill(tmp_path, {"a": 1, "b": 1})
    content = store._content

    def late(path: Path) -> tuple[bytes, stamps.Stamp]:
        found = content(path)
        if path.name == "a.yaml":
            fill(directory, {"a": 2, "b": 2})
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store, "_content", late)
        watched = Watched(directory)
    assert {"a": 1, "b": 2} == watched.versions()
    watched.look(2)
    assert {"a": 2, "b": 2} == watched.versions()


def test_links_that_come_back_while_files_are_read_do_not_pass_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = fill(tmp_path / "one", {"a": 1, "b": 1}), fill(tmp_path / "two", {"a": 2, "b": 2})
    current = tmp_path / "current"
    current.symlink_to(fill(tmp_path / "none", {"a": 0, "b": 0}))
    watched = Watched(current)
    relinked(current, one)
    content = store._content

    def amid(path: Path) -> tuple[bytes, stamps.Stamp]:
        relinked(current, two if path.name == "b.yaml" else one)
        found = content(path)
        relinked(current, one)
        return found

    monkeypatch.setattr(store, "_content", amid)
    watched.look(4)
    assert {"a": 0, "b": 0} == watched.versions()
    monkeypatch.setattr(store, "_content", content)
    watched.look(2)
    assert {"a": 1, "b": 1} == watched.versions()


def test_file_that_is_written_while_it_is_read_is_not_taken(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    check, last = store._check_regular, (watched.directory / "b.yaml").stat().st_ino
    opened: list[int] = []

    def amid(found: os.stat_result) -> None:
        check(found)
        opened.append(found.st_ino)
        if [last, last] == opened[-2:]:  # its path has been looked at, and now it is open
            fill(watched.directory, {"a": 3})
            fill(watched.directory, {"b": 3})

    rewrite(watched.directory)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_check_regular", amid)
        watched.look(2)
    assert {"a": 1, "b": 1} == watched.versions()
    watched.look(2)
    assert {"a": 3, "b": 3} == watched.versions()


def test_time_that_is_set_back_hides_no_change(watched: Watched) -> None:
    file = watched.directory / "a.yaml"
    watched.look(10)
    before = file.stat()
    text = file.read_text().replace("tools/call", "tools/list")
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (before.st_size, before.st_mtime_ns) == (file.stat().st_size, file.stat().st_mtime_ns)
    watched.look(2)
    assert {"tools/list", "tools/call"} == {
        grant.method for _, group in watched.gate.policies.groups for grant in group.grants
    }


def test_change_that_the_clock_of_the_file_system_hides_is_found_by_content(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(found: os.stat_result) -> stamps.Stamp:
        return (found.st_ino,)

    monkeypatch.setattr(stamps, "stamp_from", coarse)
    monkeypatch.setattr(store, "stamp_from", coarse)
    rewrite(watched.directory)
    watched.look(2)
    assert {"a": 2, "b": 1} == watched.versions()
    fill(watched.directory, {"a": 3})
    watched.look()
    assert {"a": 2, "b": 1} == watched.versions()
    watched.look(int(stamps.RESOLUTION / INTERVAL))
    assert {"a": 3, "b": 1} == watched.versions()


def test_files_are_read_once_more_and_then_left_alone(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[float] = []

    def spy(directory: Path) -> Sources:
        readings.append(watched.now)
        return read_sources(directory)

    monkeypatch.setattr(reload_module, "read_sources", spy)
    rewrite(watched.directory)
    changed = watched.now + INTERVAL
    watched.look(40)
    assert [changed + INTERVAL, changed + stamps.RESOLUTION] == readings


def test_what_says_the_same_is_not_compiled(watched: Watched, compiled: list[Sources]) -> None:
    before = watched.gate.policies
    os.utime(watched.directory / "a.yaml")
    replaced(watched.directory / "b.yaml", policy("b", 1))
    watched.settle()
    assert ([], before) == (compiled, watched.gate.policies)
    rewrite(watched.directory)
    watched.settle()
    assert 1 == len(compiled)


def test_scenarios_and_other_files_are_none_of_its_business(watched: Watched, compiled: list[Sources]) -> None:
    for name in ("a.scenarios.yaml", "notes.txt", ".a.yaml.swp"):
        (watched.directory / name).write_text("x")
    watched.settle()
    assert [] == compiled
    assert [] == watched.refusals()


def test_what_was_loaded_is_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    rewrite(watched.directory)
    with caplog.at_level(logging.INFO):
        watched.settle()
    (record,) = caplog.records
    assert f"revision {watched.gate.policies.revision}, 2 policies, 2 rules, 0 findings" in record.getMessage()
    assert logging.INFO == record.levelno


# ---- the commit ------------------------------------------------------------------------------------------------


def commit(directory: Path, digit: str) -> None:
    (directory.parent / ".git").mkdir(exist_ok=True)
    (directory.parent / ".git" / "HEAD").write_text(40 * digit)


def test_revision_follows_the_commit_though_no_file_changes(watched: Watched, compiled: list[Sources]) -> None:
    before = watched.gate.standing
    commit(watched.directory, "a")
    watched.look()
    revision = f"{before.policies.revision}+git.{'a' * 12}"
    assert (revision, before.since) == (watched.gate.policies.revision, watched.gate.standing.since)
    view = watched.gate.policies.view("any")
    assert view is not None
    assert revision == view.revision
    commit(watched.directory, "b")
    watched.look()
    assert f"{before.policies.revision}+git.{'b' * 12}" == watched.gate.policies.revision
    assert [] == compiled


def test_set_in_force_does_not_get_the_commit_of_one_that_was_refused(watched: Watched) -> None:
    (watched.directory / "a.yaml").write_text("rules: []")
    watched.settle()
    before = watched.gate.policies.revision
    commit(watched.directory, "a")
    watched.settle()
    assert before == watched.gate.policies.revision
    fill(watched.directory, {"a": 1})
    watched.settle()
    assert f"{before}+git.{'a' * 12}" == watched.gate.policies.revision


# ---- the start -------------------------------------------------------------------------------------------------------


def test_start_waits_until_young_files_stay_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("half")
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) < 4:
            file.write_text(f"version: {len(naps)}")

    sources = read_settled(tmp_path, sleep=nap)
    assert (b"version: 3", 4) == (sources.files[0].content, len(naps))


def test_start_does_not_wait_for_files_that_are_old(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("old")
    read_settled(tmp_path, sleep=lambda _: pytest.fail("it waits"), now=lambda: time.time() + 3)


def test_start_does_not_wait_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("")

    def grow(_: float) -> None:
        file.write_text(file.read_text() + "x")

    with pytest.raises(SourceError, match="have not stayed the same"):
        read_settled(tmp_path, sleep=grow)


def test_start_without_files_is_refused_by_what_reads_them(tmp_path: Path) -> None:
    assert "no-policies" == read_settled(tmp_path, sleep=lambda _: None).problems[0].code
