"""What is newest takes the place of what was in force, unless it is unfit: then that stays, and is told."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from msgspec.structs import replace

from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.commit import commit_of
from mcp_acl.runtime.remote.cache import KEPT
from mcp_acl.runtime.remote.follower import Follower
from mcp_acl.runtime.remote.follower import followed as following
from mcp_acl.runtime.remote.source import Remote
from mcp_acl.runtime.remote.state import Trouble
from tests.runtime.remote.conftest import codes, followed, names
from tests.runtime.remote.repositories import BROKEN, Repository, policy
from tests.runtime.weather import NOON


@contextmanager
def unreachable(repository: Repository) -> Iterator[None]:
    away = repository.bare.with_name("away.git")
    repository.bare.rename(away)
    try:
        yield
    finally:
        away.rename(repository.bare)


def errors(logged: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in logged.records if one.levelno >= logging.ERROR]


def test_broken_policy_in_the_newest_commit_leaves_the_one_before_and_is_told_once(
    repository: Repository, cache: Path, logged: pytest.LogCaptureFixture
) -> None:
    follower = followed(Remote(repository.url), cache)
    good = commit_of(cache / "current")
    repository.commit({"b.yaml": BROKEN})
    for _ in range(3):
        follower.look()
        assert (["unknown-method"], good) == (codes(follower), commit_of(cache / "current"))
    (line,) = errors(logged)
    assert "b.yaml:4:" in line
    assert repository.url in line
    commit = repository.commit({"b.yaml": policy("b")})
    follower.look()
    assert ([], commit) == (codes(follower), commit_of(cache / "current"))
    assert "are again what is in force" in logged.text


def test_broken_commit_is_fetched_once(repository: Repository, cache: Path) -> None:
    follower = followed(Remote(repository.url), cache)
    repository.commit({"b.yaml": BROKEN})
    follower.look()
    first = follower.cache.state()
    # What would have to be fetched anew cannot be.
    objects = repository.bare / "objects"
    objects.rename(objects.with_name("objects.away"))
    objects.mkdir()
    (objects / "pack").mkdir()
    follower.look()
    assert first == follower.cache.state()


def test_remote_that_cannot_be_reached_leaves_what_is_in_force_and_is_told_once(
    repository: Repository, cache: Path, logged: pytest.LogCaptureFixture
) -> None:
    follower = followed(Remote(repository.url), cache)
    with unreachable(repository):
        for _ in range(2):
            follower.look()
            assert (["remote-unreachable"], ["a.yaml"]) == (codes(follower), names(cache))
        since = follower.cache.state().trouble
        follower.look()
        assert since == follower.cache.state().trouble
    assert 1 == len(errors(logged))
    follower.look()
    assert [] == codes(follower)
    assert 1 == logged.text.count("policies fetched")


@pytest.mark.usefixtures("of_its_own")
def test_restart_without_the_remote_serves_what_was_last_good(repository: Repository, cache: Path) -> None:
    remote = Remote(repository.url)
    followed(remote, cache)
    repository.commit({"b.yaml": BROKEN})
    followed(remote, cache)
    with unreachable(repository):
        follower = followed(remote, cache)
        assert (["a.yaml"], "remote-unreachable") == (names(cache), codes(follower)[0])


@pytest.mark.parametrize("other", [{"ref": "release"}, {"path": "sub"}])
def test_restart_without_the_remote_does_not_serve_what_was_fetched_from_elsewhere(
    repository: Repository, cache: Path, other: dict[str, Any]
) -> None:
    followed(Remote(repository.url), cache)
    with unreachable(repository), pytest.raises(SourceError, match="it cannot be fetched"):
        followed(Remote(repository.url, **other), cache)
    followed(Remote(repository.url), cache)


def test_commit_that_was_refused_is_looked_at_again_after_a_restart(repository: Repository, cache: Path) -> None:
    """The program may have learned to read it."""
    remote = Remote(repository.url)
    first = followed(remote, cache)
    commit = repository.commit({"b.yaml": policy("b")})
    refused = replace(first.cache.state(), version=commit, refused=Trouble(NOON, (Problem("new-in-2", "unknown"),)))
    first.cache.keep(refused)
    first.look()
    assert (["new-in-2"], ["a.yaml"]) == (codes(first), names(cache))
    assert ([], ["a.yaml", "b.yaml"]) == (codes(followed(remote, cache)), names(cache))


def test_force_push_is_followed_and_told(repository: Repository, cache: Path, logged: pytest.LogCaptureFixture) -> None:
    follower = followed(Remote(repository.url, "main"), cache)
    repository.commit({"b.yaml": policy("b")})
    repository.commit({"c.yaml": policy("c")})
    follower.look()
    assert "history" not in logged.text
    repository.git("reset", "--quiet", "--hard", "HEAD~2")
    commit = repository.commit({"d.yaml": policy("d")})
    follower.look()
    assert (["a.yaml", "d.yaml"], commit) == (names(cache), commit_of(cache / "current"))
    assert logged.text.endswith("history was rewritten\n")


def test_commits_beyond_what_is_fetched_are_said_to_be_either(
    repository: Repository, cache: Path, logged: pytest.LogCaptureFixture
) -> None:
    follower = followed(Remote(repository.url), cache)
    for _ in range(55):
        repository.git("commit", "--quiet", "--allow-empty", "-m", "x")
    repository.push("HEAD:main")
    follower.look()
    assert "history was rewritten, or went on by more than 50 commits" in logged.text


def test_commit_that_changes_no_policy_is_the_one_that_is_reported(repository: Repository, cache: Path) -> None:
    follower = followed(Remote(repository.url), cache)
    commit = repository.commit({"README.md": "other"})
    follower.look()
    assert (commit, ["a.yaml"]) == (commit_of(cache / "current"), names(cache))


def test_last_few_sets_are_kept(repository: Repository, cache: Path) -> None:
    follower = followed(Remote(repository.url), cache)
    commits = [repository.git("rev-parse", "HEAD")]
    os.utime((cache / "current").resolve(), (1, 1))
    for number in range(KEPT + 1):
        commits.append(repository.commit({"a.yaml": policy(f"a{number}")}))
        follower.look()
        os.utime((cache / "current").resolve(), (2 + number, 2 + number))
    assert set(commits[-KEPT:]) == {one.name[:40] for one in (cache / "sets").iterdir()}
    assert commits[-1] == commit_of(cache / "current")


def test_what_an_earlier_process_left_is_removed(repository: Repository, cache: Path) -> None:
    for name in (".new-x", ".fetch-x"):
        (cache / name).mkdir(parents=True)
        (cache / name / "a.yaml").write_text("x")
    followed(Remote(repository.url), cache)
    assert {".lock", "current", "remote.json", "sets"} == {one.name for one in cache.iterdir()}


def test_state_that_cannot_be_read_is_made_anew(repository: Repository, cache: Path) -> None:
    followed(Remote(repository.url), cache)
    (cache / "remote.json").write_text("{")
    follower = followed(Remote(repository.url), cache)
    assert ([], ["a.yaml"]) == (codes(follower), names(cache))


def test_link_that_was_removed_is_set_again(repository: Repository, cache: Path) -> None:
    follower = followed(Remote(repository.url), cache)
    (cache / "current").unlink()
    follower.look()
    assert ["a.yaml"] == names(cache)


def test_directory_that_cannot_be_written_to_is_said(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="cannot be kept in step"):
        followed(Remote(repository.url), tmp_path / "file" / "cache")


@pytest.mark.usefixtures("of_its_own")
def test_host_that_says_nothing_is_waited_for_no_longer_than_it_may_take(cache: Path) -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"git+http://127.0.0.1:{silent.getsockname()[1]}/p.git"
        with pytest.raises(SourceError, match="it cannot be fetched"):
            followed(Remote(url, timeout=1.0), cache)


@pytest.mark.usefixtures("of_its_own")
def test_follower_that_is_stopped_leaves_what_is_known(cache: Path, repository: Repository) -> None:
    """Though it is in the middle of a look."""
    followed(Remote(repository.url), cache)
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"git+http://127.0.0.1:{silent.getsockname()[1]}/p.git"
        follower = Follower(Remote(url), cache)
        before = follower.cache.state()
        follower.start(0.01)
        connection, _ = silent.accept()
        with connection:
            follower.stop()
        assert before == follower.cache.state()
    assert "follow" not in {one.name for one in threading.enumerate()}


@pytest.mark.usefixtures("of_its_own")
def test_two_that_follow_into_one_directory_take_turns(repository: Repository, cache: Path) -> None:
    remote = Remote(repository.url)
    followers = [followed(remote, cache), followed(remote, cache)]
    commit = repository.commit({"b.yaml": policy("b")})
    threads = [threading.Thread(target=one.look) for one in followers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (commit, [], []) == (commit_of(cache / "current"), *map(codes, followers))


@pytest.mark.usefixtures("of_its_own")
def test_directory_is_kept_in_step_while_it_is_followed(repository: Repository, cache: Path) -> None:
    with following(Remote(repository.url), cache, 0.05) as current:
        assert cache / "current" == current
        commit = repository.commit({"b.yaml": policy("b")})
        while commit != commit_of(current):
            pass
    repository.commit({"c.yaml": policy("c")})
    assert commit == commit_of(current)
