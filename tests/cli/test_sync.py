"""`sync`, `check --policies-from` and the gateway's flags: policies from a repository, by the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.runtime.remote.repositories import BROKEN, Repository, policy


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    if shutil.which("git") is None:
        pytest.skip("there is no git to make repositories with")
    made = Repository(tmp_path / "repository")
    made.commit({"sub/a.yaml": policy("a")})
    return made


def flags(repository: Repository) -> list[str]:
    return ["--policies-from", repository.url, "--policies-path", "sub"]


def test_sync_fills_a_directory_and_says_what_with(run: Run, repository: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    commit = repository.git("rev-parse", "HEAD")
    result = run("sync", "--policies", cache, *flags(repository))
    assert (0, f"in step: {cache}/current, commit {commit}\n") == (result.exit_code, result.stdout)
    assert policy("a") == (cache / "current" / "a.yaml").read_text()
    assert 0 == run("check", cache / "current").exit_code


def test_sync_that_keeps_what_was_there_ends_with_1(run: Run, repository: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    commit = repository.git("rev-parse", "HEAD")
    run("sync", "--policies", cache, *flags(repository))
    repository.commit({"sub/b.yaml": BROKEN})
    result = run("sync", "--policies", cache, *flags(repository))
    assert (1, f"kept: {cache}/current, commit {commit}\n") == (result.exit_code, result.stdout)
    assert "b.yaml:4:" in result.stderr
    found = json.loads(run("sync", "--policies", cache, "--json", *flags(repository)).stdout)
    assert (str(cache / "current"), commit) == (found["directory"], found["commit"])
    assert ["unknown-method"] == [one["code"] for one in found["problems"]]


def test_sync_that_has_nothing_ends_with_2(run: Run, repository: Repository, tmp_path: Path) -> None:
    repository.commit({"sub/b.yaml": BROKEN})
    result = run("sync", "--policies", tmp_path / "cache", *flags(repository))
    assert (2, "") == (result.exit_code, result.stdout)
    assert "b.yaml:4:" in result.stderr
    assert 2 == run("sync", "--policies", tmp_path / "cache").exit_code


@pytest.mark.parametrize("command", [["check"], ["sync", "--policies", "cache"]])
def test_what_is_wrong_is_said_once(tmp_path: Path, command: list[str]) -> None:
    """By a process, which has no other log."""
    given = [*command, "--policies-from", f"git+file://{tmp_path}/none.git"]
    done = subprocess.run(
        [sys.executable, "-m", "mcp_acl", *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (2, 1) == (done.returncode, (done.stdout + done.stderr).count("it cannot be fetched"))


def test_check_says_whether_a_repository_would_be_accepted(run: Run, repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    result = run("check", *flags(repository))
    assert (0, True) == (result.exit_code, result.stdout.startswith("fine: 1 policy, 1 rule, 0 findings, revision "))
    assert commit[:12] in result.stdout
    repository.commit({"sub/b.yaml": BROKEN})
    result = run("check", *flags(repository))
    assert 2 == result.exit_code
    assert "sub/b.yaml:4:" in result.stdout
    assert "refused: 1 problem" in result.stdout
    assert 0 == run("check", *flags(repository), "--policies-ref", commit).exit_code
    assert "revision" in json.loads(run("check", "--json", *flags(repository), "--policies-ref", commit).stdout)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["DIR", "--policies-from", "git+file:///p"], "give either a directory or `--policies-from`"),
        (["--policies-ref", "main"], "--policies-ref: it needs `policies_from`"),
        (["--policies-interval", "5"], "--policies-from: it is missing"),
        (["--policies-from", "git+http://git.example.org/p.git"], "--policies-from: whoever stands in between"),
        (["--policies-from", "git+file:///nonexistent/p.git"], "it cannot be fetched"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(run: Run, args: list[str], why: str) -> None:
    result = run("check", *args)
    assert 2 == result.exit_code
    assert why in result.stdout + result.stderr


def test_gateway_takes_where_policies_come_from(run: Run, policies: Path) -> None:
    result = run("gateway", "--policies", policies, "--upstream", "http://127.0.0.1:1", "--policies-ref", "main")
    assert 2 == result.exit_code
    assert "--policies-ref: it needs `policies_from`" in result.stderr
