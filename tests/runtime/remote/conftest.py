"""What tests of policies from elsewhere start from."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_acl.runtime.remote.__main__ import run
from mcp_acl.runtime.remote.follower import Follower
from mcp_acl.runtime.remote.source import Remote
from tests.certificates import Certified
from tests.runtime.remote.hosting import Host, hosting
from tests.runtime.remote.repositories import Repository, new_key, policy, public

_ASKED_FOR = Follower._asked_for


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With one commit, which nobody has signed."""
    if shutil.which("git") is None:
        pytest.skip("there is no git to make repositories with")
    made = Repository(tmp_path / "repository")
    made.commit({"a.yaml": policy("a"), "README.md": "text"})
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen to sign with")
    return new_key(tmp_path / "keys", "signer")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    file = tmp_path / "allowed_signers"
    file.write_text(f"# who may\na@example.org,b@example.org {public(key)}\n")
    return file


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    (tmp_path / "tls").mkdir()
    return Certified(tmp_path / "tls")


@pytest.fixture
def host(tmp_path: Path, certified: Certified) -> Iterator[Host]:
    """Over TLS. Its repositories are those of the test."""
    with hosting(tmp_path / "repository", certified) as made:
        yield made


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "mcp_acl")
    return caplog


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are made in this process, which is sooner done; `of_its_own` takes that back."""
    monkeypatch.setattr(Follower, "_asked_for", lambda _, order: run(order))


@pytest.fixture
def of_its_own(in_process: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - comes after it
    monkeypatch.setattr(Follower, "_asked_for", _ASKED_FOR)


def followed(remote: Remote, cache: Path) -> Follower:
    """What has looked for the first time."""
    follower = Follower(remote, cache)
    follower.begin()
    return follower


def names(cache: Path) -> list[str]:
    """The policy files in force."""
    return sorted(one.name for one in (cache / "current").glob("*.yaml"))


def codes(follower: Follower) -> list[str]:
    """What is wrong with what is newest."""
    trouble = follower.cache.state().trouble
    return [] if trouble is None else [one.code for one in trouble.problems]
