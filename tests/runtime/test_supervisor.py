"""Workers are kept running, and none that is not ready, or not wanted any more, is left."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from mcp_acl.runtime import supervisor
from mcp_acl.runtime.silence import QUESTIONS
from mcp_acl.runtime.supervisor import Record, Supervisor, WorkerError

SECONDS = 20.0
WORKER = """
import json, os, signal, sys, threading, time
number, file, *faults = sys.argv[1:]
with open(file, "a") as log:
    log.write(f"{number} {os.getpid()}\\n")
starts = sum(line.startswith(number + " ") for line in open(file))
if "refused" in faults or ("later" in faults and starts == 2):
    sys.exit(2)
if "deaf" in faults:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"number": int(number), "pid": os.getpid(), "starts": starts}), flush=True)
while asked := os.read(0, 100):
    if "answers" in faults:
        os.write(1, b".")
        with open(file + ".asked", "a") as log:
            log.write("?")
"""


class Scene:
    """Workers that do nothing, and what became of them."""

    def __init__(self, directory: Path, *faults: str) -> None:
        self.log = directory / "log"
        self.before: list[Record | None] = []
        self._worker = directory / "worker.py"
        self._worker.write_text(WORKER)
        self._faults = faults

    def command(self, number: int, before: Record | None) -> Sequence[str]:
        self.before.append(before)
        return [sys.executable, str(self._worker), str(number), str(self.log), *self._faults]

    def started(self) -> list[tuple[int, int]]:
        """Number and pid of every worker that was ever started."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(number), int(pid)) for number, pid in map(str.split, lines)]

    def left(self) -> list[int]:
        return [pid for _, pid in self.started() if alive(pid)]

    def run(
        self,
        count: int,
        then: Callable[[Sequence[Record]], Awaitable[None]],
        seconds: float = SECONDS,
        silence: float = 0.0,
    ) -> None:
        async def scene() -> None:
            told: asyncio.Future[Sequence[Record]] = asyncio.get_running_loop().create_future()
            supervised = Supervisor(count, self.command, os.environ, seconds, silence)
            task = asyncio.ensure_future(supervised.run(told.set_result))
            waiting: set[asyncio.Future[object]] = {told, task}  # type: ignore[arg-type]
            await asyncio.wait(waiting, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                await then(told.result())
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(task, SECONDS)

        asyncio.run(scene())

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not fact():  # noqa: ASYNC110 - another process writes a file, and tells nobody
                await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True


async def nothing(_: Sequence[Record]) -> None:
    return


def test_every_worker_runs_until_a_signal_and_none_after(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(told: Sequence[Record]) -> None:
        assert [0, 1, 2] == [one["number"] for one in told]
        assert {one["pid"] for one in told} == set(scene.left())

    scene.run(3, then)
    assert [] == scene.left()


def test_worker_that_is_killed_is_replaced_and_told_what_the_one_before_said(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(told: Sequence[Record]) -> None:
        os.kill(told[1]["pid"], signal.SIGKILL)
        await scene.until(lambda: len(scene.started()) == 3)
        assert 1 == scene.started()[-1][0]
        assert told[1] == scene.before[-1]
        assert alive(told[0]["pid"])

    scene.run(2, then)
    assert [] == scene.left()


def test_worker_that_is_not_ready_again_is_tried_until_it_is(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "later")

    async def then(told: Sequence[Record]) -> None:
        os.kill(told[0]["pid"], signal.SIGKILL)
        await scene.until(lambda: len(scene.started()) == 3)
        await scene.until(lambda: alive(scene.started()[-1][1]))

    scene.run(1, then)


def test_worker_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    usual, broken = scene.command, [True]

    def command(number: int, before: Record | None) -> Sequence[str]:
        return ["/nowhere/at/all"] if before is not None and broken.pop() else usual(number, before)

    scene.command = command  # type: ignore[method-assign]

    async def then(told: Sequence[Record]) -> None:
        os.kill(told[0]["pid"], signal.SIGKILL)
        broken.append(False)
        broken.append(True)
        await scene.until(lambda: len(scene.started()) == 2)

    scene.run(1, then)
    assert [] == scene.left()


def test_what_is_wrong_with_every_worker_is_found_out_by_the_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "refused")
    with pytest.raises(WorkerError, match="ended with code 2 before it was ready") as caught:
        scene.run(3, nothing)
    assert (2, 1) == (caught.value.code, len(scene.started()))


def test_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "deaf")
    scene.run(2, nothing, seconds=0.3)
    assert [] == scene.left()


def test_worker_that_is_silent_is_killed_and_replaced(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(told: Sequence[Record]) -> None:
        os.kill(told[0]["pid"], signal.SIGSTOP)
        await scene.until(lambda: len(scene.started()) == 2)
        assert not alive(told[0]["pid"])

    scene.run(1, then, silence=0.3)
    assert [] == scene.left()


def test_worker_that_answers_is_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "answers")
    asked = Path(f"{scene.log}.asked")

    async def then(_: Sequence[Record]) -> None:
        await scene.until(lambda: asked.exists() and len(asked.read_text()) > 2 * QUESTIONS)

    scene.run(1, then, silence=SECONDS / 10)
    assert 1 == len(scene.started())


def test_signal_before_every_worker_is_ready_ends_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    usual = scene.command

    def command(number: int, before: Record | None) -> Sequence[str]:
        if number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(number, before)

    monkeypatch.setattr(scene, "command", command)
    scene.run(3, nothing)
    assert [] == scene.left()


def test_longest_wait_for_the_next_worker_is_bounded() -> None:
    assert supervisor._FIRST_DELAY < supervisor._LONGEST_DELAY <= supervisor._STEADY


def test_worker_ends_with_whoever_started_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    code = f"""
import asyncio, os, signal, sys
from mcp_acl.runtime.supervisor import Supervisor
command = {json.dumps([sys.executable, str(scene._worker), "0", str(scene.log)])}
asyncio.run(Supervisor(1, lambda *_: command, os.environ, 5.0).run(lambda _: os.kill(os.getpid(), signal.SIGKILL)))
"""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert -signal.SIGKILL == await process.wait()
        await scene.until(lambda: not scene.left())

    asyncio.run(run())
    assert 1 == len(scene.started())
