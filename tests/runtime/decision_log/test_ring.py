"""The queue that outlives its process: what was put comes out once, in order, whatever its size and whoever reads it."""

import errno
import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_acl.runtime.decision_log.ring import Ring, RingError

SIZE = 64
LINE = b"x" * 19 + b"\n"


def emptied(ring: Ring) -> list[bytes]:
    found: list[bytes] = []
    while not ring.is_empty:
        lines, position = ring.waiting(1)
        found += lines.splitlines(keepends=True)
        ring.taken(position)
    return found


LINES = st.text("ab ", max_size=70).map(lambda text: f"{text}\n".encode())
STEPS = st.one_of(LINES, st.sampled_from(["take", "again"]), st.integers(1, 80))


@given(st.lists(STEPS, max_size=60))
def test_ring_is_a_bounded_queue(steps: list[bytes | str | int]) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "ring"
        ring = Ring(file, SIZE)
        held: deque[bytes] = deque()
        for step in steps:
            if step == "again":
                ring.close()
                ring = Ring(file, 0)
            elif isinstance(step, bytes):
                fits = sum(map(len, (*held, step))) <= SIZE
                assert fits is ring.put(step)
                if fits:
                    held.append(step)
            else:
                most = step if isinstance(step, int) else 1
                lines, position = ring.waiting(most)
                found = lines.splitlines(keepends=True)
                assert found == [held.popleft() for _ in found]
                assert len(lines) <= most or len(found) == 1
                assert bool(found) is not ring.is_empty
                ring.taken(position)
        assert [*held] == emptied(ring)
        ring.close()


def test_what_was_not_dealt_with_comes_again(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", SIZE)
    ring.put(b"one\n")
    assert b"one\n" == ring.waiting(100)[0] == ring.waiting(100)[0]


def test_a_share_is_left_to_others(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", SIZE)
    assert [True, True, False] == [ring.put(LINE, reserve=0.25) for _ in range(3)]
    assert ring.put(LINE)
    assert not ring.put(LINE)


def test_what_a_killed_process_put_is_there(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from mcp_acl.runtime.decision_log.ring import Ring;"
        "ring = Ring(Path(sys.argv[1]), 64); ring.put(b'one\\n'); ring.put(b'two\\n'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", code, tmp_path / "ring"], check=False)
    assert -signal.SIGKILL == process.returncode
    assert [b"one\n", b"two\n"] == emptied(Ring(tmp_path / "ring", SIZE))


@pytest.mark.parametrize(
    "content",
    [b"x", b"x" * 100, b"mcpacl2\n" + b"\xff" * 8 + bytes(80), b"mcpacl2\n" + bytes(8) + b"\x01" + bytes(80)],
    ids=["short", "other", "too much", "too little"],
)
def test_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ring").write_bytes(content)
    with pytest.raises(RingError, match="not a queue of records"):
        Ring(tmp_path / "ring", SIZE)


def test_without_room_for_it_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left would take the room from whoever comes next."""

    def full(descriptor: int, data: bytes) -> int:
        monkeypatch.undo()
        os.write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        Ring(tmp_path / "ring", SIZE)
    assert [] == [*tmp_path.iterdir()]


def test_line_without_an_end_is_refused(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", SIZE)
    ring.put(b"abc\n")
    with (tmp_path / "ring").open("r+b") as file:
        file.seek(24)
        file.write(b"abcd")
    with pytest.raises(RingError):
        ring.waiting(100)


def test_it_is_for_its_owner_alone_and_follows_no_link(tmp_path: Path) -> None:
    Ring(tmp_path / "ring", SIZE)
    assert 0o600 == (tmp_path / "ring").stat().st_mode & 0o777
    (tmp_path / "link").symlink_to(tmp_path / "ring")
    with pytest.raises(OSError, match="symbolic links"):
        Ring(tmp_path / "link", SIZE)
