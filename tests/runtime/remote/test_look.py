"""A look as a process: what it may take, and that whatever goes wrong in it is a reply."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_acl.problems import Problem
from mcp_acl.runtime.remote import __main__ as look
from mcp_acl.runtime.remote import bundle, git
from mcp_acl.runtime.remote.follower import Follower
from mcp_acl.runtime.remote.order import Content, Order, Reply, Version
from mcp_acl.runtime.remote.source import Remote
from tests.runtime.remote.repositories import BROKEN, policy

REMOTE = Remote("https://localhost/p.zip")


def replied(monkeypatch: pytest.MonkeyPatch, load: Callable[[], Content], directory: Path) -> Reply:
    monkeypatch.setattr(bundle, "newest", lambda _: Version("v", "e", load))
    return look.run(Order(REMOTE, str(directory)))


def content(name: str, text: str) -> Content:
    return Content("label", "", "", {name: text.encode()})


def raising(error: BaseException) -> Callable[..., Content]:
    def load(*_: object) -> Content:
        raise error

    return load


def test_set_is_kept_by_the_name_of_what_is_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = replied(monkeypatch, lambda: content("a.yaml", policy("a")), tmp_path)
    again = replied(monkeypatch, lambda: content("a.yaml", policy("a")), tmp_path)
    other = replied(monkeypatch, lambda: content("a.yaml", policy("b")), tmp_path)
    assert first == again
    assert {first.name, other.name} == {one.name for one in (tmp_path / "sets").iterdir()}
    assert ["sets"] == [one.name for one in tmp_path.iterdir()]


def test_set_that_does_not_compile_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reply = replied(monkeypatch, lambda: content("a.yaml", BROKEN), tmp_path)
    assert ("v", "", ["unknown-method"]) == (reply.version, reply.name, [one.code for one in reply.problems])
    assert [] == [*tmp_path.iterdir()]


def test_set_that_cannot_be_put_in_its_place_is_not_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "rename", raising(OSError(28, "No space left on device")))
    reply = replied(monkeypatch, lambda: content("a.yaml", policy("a")), tmp_path)
    assert ("", ["remote-unreachable"]) == (reply.name, [one.code for one in reply.problems])
    assert [] == [*(tmp_path / "sets").iterdir()]


@pytest.mark.parametrize(
    ("error", "version", "code", "why"),
    [
        (MemoryError(), "v", "remote-content", "it takes more than 2,147,483,648 bytes of memory"),
        (RuntimeError("of\na library\x1b"), "", "remote-unreachable", "RuntimeError: of a library"),
        (ConnectionResetError(), "", "remote-unreachable", "ConnectionResetError"),
        (ModuleNotFoundError("x", name="dulwich"), "", "remote-unreachable", "there is no `dulwich`"),
    ],
    ids=["memory", "library", "network", "extra"],
)
def test_whatever_goes_wrong_is_a_reply(  # noqa: PLR0913, PLR0917 - a table
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, version: str, code: str, why: str
) -> None:
    reply = replied(monkeypatch, raising(error), tmp_path)
    (problem,) = reply.problems
    assert (version, code) == (reply.version, problem.code)
    assert why in problem.message
    assert problem.message.isprintable()


def test_repositories_need_an_extra_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(git, "newest", raising(ModuleNotFoundError("x", name="dulwich")))
    (problem,) = look.run(Order(Remote("git+file:///p.git"), str(tmp_path))).problems
    assert "install the extra `git`: `pip install mcp-acl[git]`" == problem.hint


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("bytearray(3 << 30)", "MemoryError"),
        ("open(sys.argv[1], 'wb').truncate(600 << 20)", "File too large"),
        ("[i for i in iter(int, 1)]", ""),
    ],
    ids=["memory", "disk", "time"],
)
def test_process_takes_no_more_than_it_may(tmp_path: Path, what: str, how: str) -> None:
    code = f"import sys\nfrom mcp_acl.runtime.remote.__main__ import bounded\nbounded(0.0)\n{what}"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=False)
    assert 0 != done.returncode
    assert how in done.stderr


@pytest.mark.parametrize(
    ("most", "current", "left"),
    [
        ("max", 0, 2 << 30),
        (8 << 30, 1 << 30, 2 << 30),
        (1 << 30, 600 << 20, 366 << 20),
        (600 << 20, 500 << 20, 304 << 20),
    ],
    ids=["none", "much", "part", "least"],
)
def test_what_fetches_leaves_the_service_its_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, most: int | str, current: int, left: int
) -> None:
    group = tmp_path / "system.slice" / "mcp-acl.service"
    group.mkdir(parents=True)
    files = {
        "memory.max": most,
        "memory.current": current + (88 << 20),
        "memory.stat": f"anon 1\ninactive_file {88 << 20}",
    }
    for name, content in files.items():
        (group / name).write_text(f"{content}\n")
    process = tmp_path / "process"
    process.mkdir()
    (process / "cgroup").write_text("0::/system.slice/mcp-acl.service\n")
    (process / "statm").write_text(f"{(48 << 20) // resource.getpagesize()} 1 1 1 0 1 0\n")
    monkeypatch.setattr(look, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(look, "_PROCESS", process)
    assert left == look.room()


def test_process_that_ends_without_a_reply_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("mcp_acl.runtime.remote.follower._COMMAND", (sys.executable, "-c", "raise SystemExit(7)"))
    reply = Follower(REMOTE, tmp_path)._asked_for(Order(REMOTE, str(tmp_path)))
    assert Reply(problems=(Problem("remote-unreachable", "it cannot be fetched: what fetches ended with 7"),)) == reply
