"""Workers are kept running, and none that is not ready, or not wanted any more, is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from mcp_acl.runtime import supervisor
from mcp_acl.runtime.silence import QUESTIONS
from mcp_acl.runtime.supervisor import Record, Supervisor, Times, WorkerError

SECONDS = 60.0
PATIENT = Times(SECONDS)
WORKER = """
import json, os, signal, sys, threading, time
number, file, *faults = sys.argv[1:]

def write(what):
    with open(file, "a") as log:
        log.write(f"{what} {number} {os.getpid()}\\n")

def say(**told):
    print(json.dumps(told), flush=True)

def end(*_):
    write("ended")
    if "slow" in faults:
        threading.Timer(3, os._exit, (0,)).start()
        faults.clear()
    else:
        os._exit(0)

write("started")
starts = sum(line.startswith(f"started {number} ") for line in open(file))
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in faults else end)
if "refused" in faults or ("later" in faults and starts == 2):
    sys.exit(2)
if "stuck" in faults and starts == 2:
    sys.stdin.read()
say(loaded=True)
os.read(0, 100)
if "no address" in faults and starts == 2:
    sys.exit(2)
if "stuck at its address" in faults and starts == 2:
    sys.stdin.read()
write("listens")
say(number=int(number), pid=os.getpid(), starts=starts)
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
        return [(number, pid) for what, number, pid in self.happened() if what == "started"]

    def happened(self) -> list[tuple[str, int, int]]:
        """What became of each, in order: what, its number, its pid."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(what, int(number), int(pid)) for what, number, pid in map(str.split, lines)]

    def left(self) -> list[int]:
        return [pid for _, pid in self.started() if alive(pid)]

    def run(
        self,
        count: int,
        then: Callable[[Sequence[Record]], Awaitable[None]],
        times: Times = PATIENT,
    ) -> None:
        async def scene() -> None:
            told: asyncio.Future[Sequence[Record]] = asyncio.get_running_loop().create_future()
            supervised = Supervisor(count, self.command, os.environ, times)
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
    scene.run(2, nothing, Times(0.3))
    assert [] == scene.left()


def test_worker_that_is_silent_is_killed_and_replaced(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(told: Sequence[Record]) -> None:
        os.kill(told[0]["pid"], signal.SIGSTOP)
        await scene.until(lambda: len(scene.started()) == 2)
        assert not alive(told[0]["pid"])

    scene.run(1, then, Times(SECONDS, silence=0.3))
    assert [] == scene.left()


def test_worker_that_answers_is_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "answers")
    asked = Path(f"{scene.log}.asked")

    async def then(_: Sequence[Record]) -> None:
        await scene.until(lambda: asked.exists() and len(asked.read_text()) > 2 * QUESTIONS)

    scene.run(1, then, Times(SECONDS, silence=SECONDS / 10))
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


# ---- other workers in the place of these ----------------------------------------------------------------------------


def ask_for_others() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


def test_workers_are_replaced_one_after_another_and_each_place_is_taken_when_it_is_left(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(told: Sequence[Record]) -> None:
        before = len(scene.happened())
        ask_for_others()
        await scene.until(lambda: len(scene.happened()) == before + 6)
        old = [one["pid"] for one in told]
        new = [pid for _, pid in scene.started()[2:]]
        assert [
            (what, number, pid)
            for number in (0, 1)
            for what, pid in (("started", new[number]), ("ended", old[number]), ("listens", new[number]))
        ] == scene.happened()[before:]
        assert sorted(new) == sorted(scene.left())
        assert [told[0], told[1]] == scene.before[2:]

    scene.run(2, then)
    assert [] == scene.left()


def test_who_asks_again_meanwhile_gets_all_of_them_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def then(_: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: len(scene.started()) == 3)
        ask_for_others()
        await scene.until(lambda: [0, 1, 0, 1] == [number for number, _ in scene.started()][2:])

    scene.run(2, then)
    assert [] == scene.left()


def test_worker_that_does_not_load_leaves_those_that_serve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, "later")

    async def then(told: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: "no more workers are replaced" in caplog.text)
        assert "worker 0 ended with code 2 before it was ready" in caplog.text
        assert sorted(one["pid"] for one in told) == sorted(scene.left())
        ask_for_others()
        await scene.until(lambda: len(scene.started()) >= 4)

    scene.run(2, then)
    assert [] == scene.left()


def test_place_that_could_not_be_taken_is_filled_as_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, "no address")

    async def then(told: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: [0, 1, 0] == [number for what, number, _ in scene.happened() if what == "listens"])
        assert "no more workers are replaced" in caplog.text
        assert [0, 1, 0, 0] == [number for number, _ in scene.started()]
        assert sorted([told[1]["pid"], scene.started()[-1][1]]) == sorted(scene.left())

    scene.run(2, then)
    assert [] == scene.left()


def test_worker_that_dies_while_another_loads_is_replaced_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "stuck")

    async def then(told: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: len(scene.started()) == 2)
        os.kill(told[0]["pid"], signal.SIGKILL)
        await scene.until(lambda: ("listens", 0, scene.started()[-1][1]) in scene.happened()[2:])

    scene.run(1, then)
    assert [] == scene.left()


@pytest.mark.parametrize("fault", ["stuck", "stuck at its address"])
def test_worker_that_hangs_at_its_start_holds_up_nobody_for_ever(tmp_path: Path, fault: str) -> None:
    scene = Scene(tmp_path, fault)

    async def then(_: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: len(scene.started()) == 2)
        stuck = scene.started()[-1][1]
        await scene.until(lambda: not alive(stuck))
        ask_for_others()
        await scene.until(lambda: len(scene.happened()) >= 6 and "listens" == scene.happened()[-1][0])

    scene.run(1, then, Times(SECONDS, start=5.0))
    assert [] == scene.left()


def test_worker_is_asked_while_it_has_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, "answers", "slow")

    async def then(told: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: len(scene.happened()) == 5)
        (_, new) = scene.started()
        assert [("started", *new), ("ended", 0, told[0]["pid"]), ("listens", *new)] == scene.happened()[2:]
        assert "silent" not in caplog.text
        os.kill(new[1], signal.SIGSTOP)
        await scene.until(lambda: len(scene.started()) == 3)
        assert not alive(new[1])

    scene.run(1, then, Times(SECONDS, silence=2.0))
    assert [] == scene.left()


def test_worker_that_was_told_to_end_is_not_hurried_by_the_end_of_all(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "slow")

    async def then(_: Sequence[Record]) -> None:
        ask_for_others()
        await scene.until(lambda: "ended" in [what for what, *_ in scene.happened()])

    scene.run(1, then)
    assert [pid for _, pid in scene.started()] == [pid for what, _, pid in scene.happened() if what == "ended"]
    assert [] == scene.left()


def test_terminal_that_goes_away_ends_the_service(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    code = f"""
import asyncio, os
from mcp_acl.runtime.supervisor import Supervisor, Times
command = {json.dumps([sys.executable, str(scene._worker), "0", str(scene.log)])}
asyncio.run(Supervisor(1, lambda *_: command, os.environ, Times(5.0)).run(lambda _: print("ready", flush=True)))
"""
    terminal, other_end = os.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stdin=other_end, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        os.close(other_end)
        try:
            assert b"ready\n" == process.stdout.readline()
            os.close(terminal)
            process.send_signal(signal.SIGHUP)
            assert 0 == process.wait(SECONDS)
        finally:
            process.kill()
    assert (1, []) == (len(scene.started()), scene.left())


def test_longest_wait_for_the_next_worker_is_bounded() -> None:
    assert supervisor._FIRST_DELAY < supervisor._LONGEST_DELAY <= supervisor._STEADY


def test_worker_ends_with_whoever_started_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    code = f"""
import asyncio, os, signal, sys
from mcp_acl.runtime.supervisor import Supervisor, Times
command = {json.dumps([sys.executable, str(scene._worker), "0", str(scene.log)])}
asyncio.run(Supervisor(1, lambda *_: command, os.environ, Times(5.0)).run(lambda _: os.kill(os.getpid(), signal.SIGKILL)))
"""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert -signal.SIGKILL == await process.wait()
        await scene.until(lambda: not scene.left())

    asyncio.run(run())
    assert 1 == len(scene.started())
