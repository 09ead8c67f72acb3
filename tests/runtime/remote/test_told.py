"""What is wrong where policies come from is told where a refused directory is: by whoever reads that directory, and nothing else."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from mcp_acl.problems import Problem
from mcp_acl.runtime.remote.cache import Cache
from mcp_acl.runtime.remote.state import State, Trouble
from tests.runtime.remote.repositories import BROKEN
from tests.runtime.watched import Watched, fill, policy, replaced
from tests.runtime.weather import NOON

OF_COMMIT = Trouble(NOON, (Problem("remote-signature", "it is not signed"),))
OF_HOST = Trouble(NOON, (Problem("remote-unreachable", "it cannot be reached"),))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path)
    fill(tmp_path / "sets" / "one", {"a": 1})
    made.put("one")
    return made


@pytest.fixture
def watched(cache: Cache) -> Watched:
    found = Watched(cache.current)
    found.settle()
    return found


def test_what_is_not_taken_is_told_while_it_is_so(cache: Cache, watched: Watched) -> None:
    assert [] == watched.refusals()
    for state, code in (
        (State(refused=OF_COMMIT), ["remote-signature"]),
        (State(refused=OF_COMMIT, unknown=OF_HOST), ["remote-unreachable"]),
        (State(refused=OF_COMMIT), ["remote-signature"]),
        (State(), []),
    ):
        cache.keep(state)
        watched.look()
        assert code == watched.refusals()
        assert (not code) == watched.gate.is_current()
        refused = watched.gate.standing.refused
        assert refused is None or refused.time == NOON


def test_set_that_is_put_in_force_meanwhile_is_told_of_too(cache: Cache, watched: Watched) -> None:
    cache.keep(State(unknown=OF_HOST))
    watched.look()
    fill(cache.directory / "sets" / "two", {"a": 2})
    cache.put("two")
    while watched.versions() != {"a": 2}:
        assert ["remote-unreachable"] == watched.refusals()
        watched.look()
    assert ["remote-unreachable"] == watched.refusals()
    cache.keep(State())
    watched.look()
    assert [] == watched.refusals()


def test_commit_of_a_set_is_followed_while_something_is_wrong_elsewhere(cache: Cache, watched: Watched) -> None:
    cache.keep(State(unknown=OF_HOST))
    watched.look()
    two = fill(cache.directory / "sets" / "two", {"a": 1})
    (two / ".commit").write_text("f" * 40)
    cache.put("two")
    watched.settle()
    assert "f" * 12 in watched.gate.policies.revision
    assert ["remote-unreachable"] == watched.refusals()


def test_directory_that_is_refused_itself_comes_first(cache: Cache, watched: Watched) -> None:
    file = cache.current / "a.yaml"
    replaced(file, BROKEN)
    watched.settle()
    assert ["unknown-method"] == watched.refusals()
    cache.keep(State(unknown=OF_HOST))
    watched.look()
    assert ["unknown-method"] == watched.refusals()
    replaced(file, policy("a", 1))
    watched.settle()
    assert ["remote-unreachable"] == watched.refusals()
    cache.keep(replace(State(), version="x"))
    watched.look()
    assert [] == watched.refusals()


def test_state_that_cannot_be_read_is_not_told(cache: Cache, watched: Watched) -> None:
    (cache.directory / "remote.json").write_text('{"unknown": 1}')
    watched.look()
    assert [] == watched.refusals()


def test_file_of_that_name_beside_any_other_directory_means_nothing(tmp_path: Path) -> None:
    watched = Watched(fill(tmp_path / "policies", {"a": 1}))
    Cache(tmp_path).keep(State(unknown=OF_HOST))
    watched.settle()
    assert [] == watched.refusals()
