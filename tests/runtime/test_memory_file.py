"""The file of a memory: what is refused at the start, and that no file, lock or disk is in the way of an answer later."""

import logging
import multiprocessing
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mcp_acl.domain import TaskFact, ToolDefinition
from mcp_acl.runtime.memory import Bounds, Memory, StoreError
from mcp_acl.runtime.memory import file as file_module
from mcp_acl.runtime.memory.file import APPLICATION, VERSION, WAIT
from mcp_acl.runtime.memory.lookup import Recent
from mcp_acl.runtime.memory.review import reviewing
from tests.runtime.remembering import IDS, ROUNDS, claim, fill_up

ANN = TaskFact("https://idp", "ann", "forecast")
SOON = 2.0
"""Seconds that nothing takes, even on a machine that does much else; waiting for SQLite as it comes takes longer."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def memory(file: Path) -> Iterator[Memory]:
    with closing(Memory(file)) as memory:
        memory.learn_task("weather", "t1", ANN)
        memory.learn_tools("weather", {"a": ToolDefinition(b"1", {})})
        yield memory


def forget_recent(memory: Memory) -> None:
    memory._tasks._recent = Recent()


@contextmanager
def soon() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SOON


# ---- the start ------------------------------------------------------------------------------------------------------


def test_file_and_what_is_beside_it_are_their_owners_alone(memory: Memory, file: Path) -> None:
    assert memory.tasks("weather")
    names = {one.name: stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()}
    assert {"memory.db": 0o600, "memory.db-wal": 0o600, "memory.db-shm": 0o600} == names


def test_what_was_remembered_is_there_after_a_restart(memory: Memory, file: Path) -> None:
    memory.close()
    with closing(Memory(file)) as again:
        assert {"t1": ANN} == dict(again.tasks("weather"))
        assert ["a"] == list(again.tools("weather"))


def test_what_was_remembered_is_there_after_an_end_that_nobody_expected(
    memory: Memory, file: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    shutil.copytree(file.parent, crashed, ignore=shutil.ignore_patterns("crashed", "*-shm"))
    with closing(Memory(crashed / "memory.db")) as again:
        assert {"t1": ANN} == dict(again.tasks("weather"))
    assert memory.tasks("weather")


def test_empty_file_is_filled(file: Path) -> None:
    file.touch(0o600)
    with closing(Memory(file)) as memory:
        assert memory.learn_task("weather", "t1", ANN)
        assert "t1" in memory.tasks("weather")


def other_database(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    file.chmod(0o600)


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["CREATE TABLE tasks (x)"], "it is a database of something else"),
        (["PRAGMA user_version = 1"], "it is a database of something else"),
        (["PRAGMA application_id = 7"], "it is a database of something else"),
        (
            [f"PRAGMA application_id = {APPLICATION}", "PRAGMA user_version = 99"],
            f"it is of version 99, and this mcp-acl knows version {VERSION}",
        ),
    ],
)
def test_database_that_is_not_ours_is_refused_and_left_as_it_is(file: Path, statements: list[str], why: str) -> None:
    other_database(file, *statements)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=why):
        Memory(file)
    assert before == file.read_bytes()
    assert [file] == list(file.parent.iterdir())


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 9000])
def test_file_that_is_no_database_is_refused_and_left_as_it_is(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(StoreError, match="cannot be used"):
        Memory(file)
    assert content == file.read_bytes()


def test_damaged_file_is_refused(file: Path) -> None:
    with closing(Memory(file)) as memory:
        for number in range(500):
            memory.learn_task("weather", f"t{number}", ANN)
    content = bytearray(file.read_bytes())
    content[9000:20_000] = b"\xff" * 11_000
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        Memory(file)


def test_what_others_may_use_is_refused(memory: Memory, file: Path) -> None:
    memory.close()
    for mode in (0o604, 0o602, 0o666):
        file.chmod(mode)
        with pytest.raises(StoreError, match="chmod 600"):
            Memory(file)
    file.chmod(0o660)
    Memory(file).close()


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere/memory.db", "no such file"), (".", "it is not a file"), ("a\0b", "null")]
)
def test_place_that_cannot_be_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        Memory(tmp_path / name)


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a b%41'\";.db", "é"])
def test_any_name_is_the_name_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Memory(Path(name))) as memory:
        memory.learn_task("weather", "t1", ANN)
    assert (tmp_path / name).is_file()


def test_file_that_is_held_at_the_start_is_waited_for_and_then_refused(
    memory: Memory, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.close()
    monkeypatch.setattr(file_module, "_PATIENCE", 0.2)
    with closing(sqlite3.connect(file, check_same_thread=False)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            Memory(file)
        monkeypatch.setattr(file_module, "_PATIENCE", 60.0)
        threading.Timer(0.5, holder.close).start()
        with closing(Memory(file)) as again:
            assert "t1" in again.tasks("weather")


# ---- later ----------------------------------------------------------------------------------------------------------


def test_no_question_waits_longer_than_a_twentieth_of_a_second() -> None:
    assert 2 * WAIT < 0.05


def test_file_that_is_locked_stops_nobody(memory: Memory, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as holder, caplog.at_level(logging.ERROR):
        holder.execute("BEGIN EXCLUSIVE")
        forget_recent(memory)
        with soon():
            assert "t1" in memory.tasks("weather")
            assert "a" in memory.tools("weather")
            for number in range(10):
                assert memory.learn_task("weather", f"new{number}", ANN)
                assert f"new{number}" not in memory.tasks("weather")
            assert () == memory.learn_tools("weather", {"b": ToolDefinition(b"1", {})})
        holder.execute("ROLLBACK")
    assert 1 == caplog.text.count("database is locked")
    memory.learn_task("weather", "new0", ANN)
    assert "new0" in memory.tasks("weather")


def test_what_cannot_be_written_waits_once_and_not_each_time(memory: Memory, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with soon():
            for number in range(500):
                memory.learn_task("weather", f"new{number}", ANN)
        holder.execute("ROLLBACK")
    memory.learn_task("weather", "new0", ANN)
    assert "new0" in memory.tasks("weather")


def test_many_questions_wait_once_together(memory: Memory) -> None:
    forget_recent(memory)
    with memory._store._reader._lock, soon():
        assert not any(f"t{number}" in memory.tasks("weather") for number in range(1000))
        assert "a" not in memory.tools("weather")
    until_resumed(memory)
    assert "t1" in memory.tasks("weather")


def until_resumed(memory: Memory) -> None:
    memory._store._resumes = 0.0


def test_faults_are_told_once_a_minute_and_counted(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    writer = memory._store._writer
    writer._connection.execute("PRAGMA query_only = ON")
    with caplog.at_level(logging.ERROR):
        for number in range(5):
            memory.learn_task("weather", f"new{number}", ANN)
        writer._quiet_until = 0.0
        memory.learn_task("weather", "another", ANN)
    assert ["(1 times", "(5 times"] == [record.getMessage()[34:42] for record in caplog.records]


def test_changed_tool_is_not_known_even_if_that_cannot_be_written(memory: Memory, file: Path) -> None:
    changed = {"a": ToolDefinition(b"2", {}), "new": ToolDefinition(b"1", {})}
    memory.learn_tools("weather", {"b": ToolDefinition(b"1", {})})
    memory._store._writer._connection.execute("PRAGMA query_only = ON")
    assert () == memory.learn_tools("weather", changed)
    assert (False, True, ["b"]) == (
        "a" in memory.tools("weather"),
        "b" in memory.tools("weather"),
        list(memory.tools("weather")),
    )
    memory._store._writer._connection.execute("PRAGMA query_only = OFF")
    memory.learn_tools("weather", {"b": ToolDefinition(b"1", {})})
    assert "a" not in memory.tools("weather")
    assert ("a",) == memory.learn_tools("weather", changed)
    with reviewing(file) as review:
        assert review.accept("weather", "a", time.time())
    assert "a" in memory.tools("weather")


def test_tools_of_a_list_that_could_not_be_compared_are_not_known_until_the_next(memory: Memory) -> None:
    with memory._store._reader._lock:
        memory.learn_tools("weather", {"a": ToolDefinition(b"2", {})})
    until_resumed(memory)
    assert "a" not in memory.tools("weather")
    memory.learn_tools("weather", {"a": ToolDefinition(b"1", {})})
    assert "a" in memory.tools("weather")


def test_of_too_many_doubts_none_is_forgotten(file: Path) -> None:
    with closing(Memory(file, Bounds(tools=4))) as memory:
        memory.learn_tools("weather", {"a": ToolDefinition(b"1", {})})
        memory._store._writer._connection.execute("PRAGMA query_only = ON")
        with memory._store._reader._lock:
            memory.learn_tools("bank", {f"t{number}": ToolDefinition(b"1", {}) for number in range(9)})
            memory._store._resumes = 0.0
            memory.learn_tools("bank", {f"u{number}": ToolDefinition(b"1", {}) for number in range(9)})
        until_resumed(memory)
        memory.learn_tools("weather", {"a": ToolDefinition(b"1", {})})
        assert (False, 9) == ("a" in memory.tools("weather"), len(memory._tools._doubted))


def test_disk_that_is_full_stops_nobody(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    connection = memory._store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with caplog.at_level(logging.ERROR):
        for number in range(500):
            assert memory.learn_task("weather", f"new{number:0200}", ANN)
    forget_recent(memory)
    assert "full" in caplog.text
    assert "t1" in memory.tasks("weather")
    assert f"new{499:0200}" not in memory.tasks("weather")
    connection.execute("PRAGMA max_page_count = 100000")
    memory.learn_task("weather", f"new{499:0200}", ANN)
    assert f"new{499:0200}" in memory.tasks("weather")


def test_what_fails_on_the_way_is_undone_whole_and_does_not_stop_the_next(memory: Memory) -> None:
    def work(connection: sqlite3.Connection) -> bool:
        connection.execute("DELETE FROM tasks")
        connection.execute("INSERT INTO tasks VALUES ('weather', 't2', NULL, NULL, NULL, NULL)")
        return True

    assert memory._store.write(work) is None
    forget_recent(memory)
    assert ["t1"] == list(memory.tasks("weather"))
    memory.learn_task("weather", "t2", ANN)
    assert ["t1", "t2"] == sorted(memory.tasks("weather"))


def test_file_that_is_damaged_meanwhile_stops_nobody(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Memory(file)) as memory:
        for number in range(2000):
            memory.learn_task("weather", f"t{number}", ANN)
        memory._store._writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        forget_recent(memory)
        with file.open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xff" * (file.stat().st_size - 4096))
        with caplog.at_level(logging.ERROR):
            for number in range(0, 2000, 50):
                until_resumed(memory)
                assert memory.tasks("weather").get(f"t{number}") in (None, ANN)
                assert memory.learn_task("bank", f"t{number}", ANN)
                assert "a" not in memory.tools("weather")
        assert "malformed" in caplog.text


# ---- processes ------------------------------------------------------------------------------------------------------


def test_file_may_be_made_by_several_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=60)

    def opened(file: Path) -> None:
        together.wait()
        Memory(file).close()

    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            file = tmp_path / f"{number}.db"
            assert [None] * 8 == list(pool.map(opened, [file] * 8))


def test_processes_agree_on_owners_and_each_change_is_told_by_one(file: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(4, spawn) as pool:
        barrier = manager.Barrier(4, timeout=60)
        running = [pool.submit(claim, file, barrier, f"p{number}") for number in range(4)]
        results = [one.result(60) for one in running]
    owners = [one for one, _, _ in results]
    assert not any(went_wrong for _, _, went_wrong in results)
    assert IDS == sorted(owners[0], key=IDS.index)
    assert owners[1:] == owners[:-1]
    assert [f"tool{number}" for number in range(ROUNDS)] == sorted(
        (name for _, told, _ in results for name in told), key=lambda name: int(name[4:])
    )


def test_file_that_may_not_grow_stops_nobody(file: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        known, asked = pool.submit(fill_up, file, 100_000).result(60)
    assert 0 < known < asked
    with closing(Memory(file)) as memory:
        assert "first" in memory.tasks("weather")
