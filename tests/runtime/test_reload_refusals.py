"""Reloading: what is refused and told, and that nothing that breaks ends it."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_acl.adapters.health import POLICIES, Health
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime import reload as reload_module
from mcp_acl.runtime import stamps, store
from mcp_acl.runtime.reload import PATIENCE
from mcp_acl.runtime.store import Sources
from tests.runtime.watched import INTERVAL, Watched, fill, policy

WRONG = "version: 1\npolicy: a\nrules:\n  - {id: b, methods: [tools/call], nmae: c}\n"


def rewrite(directory: Path) -> None:
    (directory / "a.yaml").write_text(policy("a", 2))


def test_set_that_is_refused_leaves_the_one_before_in_force_and_is_told(
    watched: Watched, compiled: list[Sources], caplog: pytest.LogCaptureFixture
) -> None:
    before = watched.gate.standing
    (watched.directory / "a.yaml").write_text(WRONG)
    watched.settle()
    assert (before.policies, before.since) == (watched.gate.policies, watched.gate.standing.since)
    assert ["unknown-key"] == watched.refusals()
    assert watched.gate.standing.refused is not None
    assert before.since < watched.gate.standing.refused.time
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    for part in ("1 problems", before.policies.revision, "a.yaml:4:"):
        assert part in record.getMessage()
    watched.look(20)
    assert (1, 1) == (len(compiled), len(caplog.records))


def test_health_says_whether_the_policies_are_those_of_the_directory(watched: Watched) -> None:
    health = Health(watched.gate.is_current)
    request = b"\x0a" + bytes([len(POLICIES)]) + POLICIES.encode()
    serving = health.check(request)
    (watched.directory / "a.yaml").write_text(WRONG)
    watched.settle()
    assert serving != health.check(request)
    fill(watched.directory, {"a": 2})
    watched.settle()
    assert serving == health.check(request)


def test_return_to_what_is_in_force_compiles_nothing(
    watched: Watched, compiled: list[Sources], caplog: pytest.LogCaptureFixture
) -> None:
    before = watched.gate.standing
    (watched.directory / "a.yaml").write_text(WRONG)
    watched.settle()
    fill(watched.directory, {"a": 1})
    with caplog.at_level(logging.INFO):
        watched.settle()
    assert before == watched.gate.standing
    assert 1 == len(compiled)
    assert "again those in force" in caplog.text


def test_findings_are_not_among_the_problems_of_a_refusal(watched: Watched) -> None:
    odd = "version: 1\npolicy: c\nrules: [{id: a, methods: [tools/call], cel: 'true'}]\n"
    (watched.directory / "c.yaml").write_text(odd)
    (watched.directory / "a.yaml").write_text(WRONG)
    watched.settle()
    assert ["unknown-key"] == watched.refusals()


def test_log_line_is_one_line_of_bounded_length(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(200):
        (watched.directory / f"a\n{index}.yaml").write_text(WRONG)
    watched.settle()
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert 200 < len(watched.refusals())
    assert len(record.getMessage()) < 5000


def vanish(directory: Path) -> None:
    directory.rename(directory.parent / "away")


def empty(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()


def dangle(directory: Path) -> None:
    (directory / "a.yaml").unlink()
    (directory / "a.yaml").symlink_to("nowhere")


def loop(directory: Path) -> None:
    (directory / "a.yaml").unlink()
    (directory / "a.yaml").symlink_to("a.yaml")


def pipe(directory: Path) -> None:
    (directory / "a.yaml").unlink()
    os.mkfifo(directory / "a.yaml")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (vanish, "unreadable"),
        (empty, "no-policies"),
        (dangle, "unreadable"),
        (loop, "unreadable"),
        (pipe, "unreadable"),
    ],
)
def test_what_cannot_be_read_is_refused_until_it_can(
    watched: Watched, change: Callable[[Path], None], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(watched.directory)
    watched.look(20)
    assert ({"a": 1, "b": 1}, [code]) == (watched.versions(), watched.refusals())
    assert 1 == len(caplog.records)
    shutil.rmtree(watched.directory, ignore_errors=True)
    fill(watched.directory, {"a": 2, "b": 2})
    watched.settle()
    assert ({"a": 2, "b": 2}, []) == (watched.versions(), watched.refusals())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_file_that_may_not_be_read_is_refused_until_it_may(watched: Watched) -> None:
    rewrite(watched.directory)
    (watched.directory / "a.yaml").chmod(0)
    watched.settle()
    assert ({"a": 1, "b": 1}, ["unreadable"]) == (watched.versions(), watched.refusals())
    (watched.directory / "a.yaml").chmod(0o600)
    watched.settle()
    assert ({"a": 2, "b": 1}, []) == (watched.versions(), watched.refusals())


def test_file_that_can_be_read_again_is_read_though_its_state_is_the_same(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = store._content

    def stale(path: Path) -> tuple[bytes, stamps.Stamp]:
        if path.name == "a.yaml":
            raise PermissionError(13, "Permission denied")
        return content(path)

    rewrite(watched.directory)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_content", stale)
        watched.look(20)
        assert ({"a": 1, "b": 1}, ["unreadable"]) == (watched.versions(), watched.refusals())
    watched.settle()
    assert ({"a": 2, "b": 1}, []) == (watched.versions(), watched.refusals())


def test_files_that_never_settle_are_told_of(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    for version in range(int(2 * PATIENCE / INTERVAL)):
        fill(watched.directory, {"a": 2 + version % 2})
        watched.look()
    assert ({"a": 1, "b": 1}, ["unsettled"]) == (watched.versions(), watched.refusals())
    assert 1 == len(caplog.records)
    fill(watched.directory, {"a": 1})
    watched.settle()
    assert ({"a": 1, "b": 1}, []) == (watched.versions(), watched.refusals())


def test_one_change_is_taken_however_seldom_one_looks(watched: Watched) -> None:
    rewrite(watched.directory)
    for _ in range(2):
        watched.now += 3 * PATIENCE
        watched.reloader.look()
        assert [] == watched.refusals()
    assert {"a": 2, "b": 1} == watched.versions()


def test_refusal_is_told_again_after_the_files_had_not_settled(watched: Watched) -> None:
    (watched.directory / "a.yaml").write_text(WRONG)
    watched.settle()
    for version in range(int(2 * PATIENCE / INTERVAL)):
        fill(watched.directory, {"b": 2 + version % 2})
        watched.look()
    assert ["unsettled"] == watched.refusals()
    fill(watched.directory, {"b": 1})
    watched.settle()
    assert ["unknown-key"] == watched.refusals()


# ---- what breaks ------------------------------------------------------------------------------------------------


class PanicError(BaseException):
    """As a library written in Rust raises them."""


ERRORS = [MemoryError, RecursionError, OSError, RuntimeError, SystemExit, PanicError]


@pytest.mark.parametrize("error", ERRORS)
def test_compiling_that_breaks_is_a_refusal(
    watched: Watched, error: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Sources] = []

    def broken(sources: Sources) -> PolicySet:
        calls.append(sources)
        raise error("unheard of")

    rewrite(watched.directory)
    with monkeypatch.context() as patched:
        patched.setattr(reload_module, "compile_sources", broken)
        watched.look(20)
    assert ({"a": 1, "b": 1}, ["internal-error"], 1) == (watched.versions(), watched.refusals(), len(calls))
    assert 1 == caplog.text.count("Traceback")
    fill(watched.directory, {"a": 3})
    watched.settle()
    assert ({"a": 3, "b": 1}, []) == (watched.versions(), watched.refusals())


@pytest.mark.parametrize("name", ["directory_stamp", "read_sources"])
@pytest.mark.parametrize("error", ERRORS)
def test_looking_that_breaks_is_told_once_and_passes(
    watched: Watched,
    name: str,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise error("unheard of")

    with monkeypatch.context() as patched:
        patched.setattr(reload_module, name, broken)
        rewrite(watched.directory)
        watched.look(20)
        assert ({"a": 1, "b": 1}, ["internal-error"]) == (watched.versions(), watched.refusals())
        assert 1 == caplog.text.count("Traceback")
    watched.settle()
    assert ({"a": 2, "b": 1}, []) == (watched.versions(), watched.refusals())
