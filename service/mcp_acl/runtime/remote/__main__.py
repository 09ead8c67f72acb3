"""One look at where policies come from, as a process of its own: an order on standard input, a reply on standard output.

Of its own, because what is sent there is not ours: whatever it does to the memory, the disk and the time of this process, it does to no
service, which may share a container's memory with it. It writes one directory, and does not say what is in force. With nothing new, only
little is loaded.
"""

import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

import msgspec

from mcp_acl.problems import Problem, SourceError
from mcp_acl.runtime.commit import COMMIT
from mcp_acl.runtime.remote.cache import SETS
from mcp_acl.runtime.remote.files import UNREACHABLE
from mcp_acl.runtime.remote.order import Content, Order, Reply, Version

MEMORY: Final = 2 << 30
FILE: Final = 512 << 20
"""Bytes of address space, and of one file."""
_LEAST: Final = 256 << 20
"""Bytes that it may take however little the container has left: less is not enough for anything."""
_PART: Final = 0.75
"""Of what is left, as much."""
_CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
_PROCESS: Final = Path("/proc/self")
_KILLED_FIRST: Final = "1000"
_LONGEST: Final = 300


def run(order: Order) -> Reply:
    """Look once. Raises nothing: what goes wrong is a reply."""
    found: Version | None = None
    try:
        found = _newest(order)
        if found is None:
            return Reply(order.version, order.etag)
        content = found.load()
        return Reply(found.id, found.etag, _kept(Path(order.directory), content), content.commit, content.note)
    except SourceError as error:
        problems = tuple(one for one in error.problems if not one.is_finding)
    except MemoryError:
        problems = (Problem("remote-content", f"it takes more than {MEMORY:,} bytes of memory, or than is left of it"),)
    except ImportError as error:
        problems = (
            Problem(
                UNREACHABLE, f"there is no `{error.name}`", hint="install the extra `git`: `pip install mcp-acl[git]`"
            ),
        )
    except Exception as error:  # noqa: BLE001 - of libraries that say in many ways that a network is as networks are
        problems = (Problem(UNREACHABLE, f"it cannot be fetched: {_why(error)}"),)
    if found is None or any(one.code == UNREACHABLE for one in problems):
        return Reply(problems=problems)
    return Reply(found.id, found.etag, problems=problems)


def _newest(order: Order) -> Version | None:
    if order.remote.is_git:
        from mcp_acl.runtime.remote import git  # noqa: PLC0415 - its libraries are an extra

        return git.newest(order)
    from mcp_acl.runtime.remote import bundle  # noqa: PLC0415 - as little as is needed

    return bundle.newest(order)


def _why(error: Exception) -> str:
    text = " ".join(f"{error}".split())
    text = "".join(char for char in text if char.isprintable())[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kept(cache: Path, content: Content) -> str:
    """Write a set, compile it as the service does, and give it the name by which it stays. Raises SourceError."""
    from mcp_acl.runtime.store import compile_sources, read_sources  # noqa: PLC0415 - only for what is new

    made = Path(mkdtemp(prefix=".new-", dir=cache))
    try:
        _write(made, {**content.files, **({COMMIT: f"{content.commit}\n".encode()} if content.commit else {})})
        sources = read_sources(made)
        compile_sources(sources)
        name = f"{content.label}-{sources.digest().hex()[:12]}"
        (cache / SETS).mkdir(exist_ok=True)
        if not (cache / SETS / name).is_dir():  # else it is there already: the same commit, and the same bytes
            made.chmod(0o755)
            made.rename(cache / SETS / name)
        return name
    finally:
        rmtree(made, ignore_errors=True)


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        with (directory / name).open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def room() -> int:
    """Bytes of address space that it may have: where a control group has a limit, no more than leaves its other processes theirs."""
    try:
        group = _CONTROL_GROUPS / (_PROCESS / "cgroup").read_text().partition("0::/")[2].partition("\n")[0]
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / "memory.current").read_text()) - int(statistics["inactive_file"])
        left = int((group / "memory.max").read_text()) - used
        taken = int((_PROCESS / "statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, LookupError):  # `max` is no number, and no limit
        return MEMORY
    return min(MEMORY, taken + max(_LEAST, int(left * _PART)))


def bounded(seconds: float) -> None:
    """From here on: no more memory, no larger file, no longer than that; and if there is no memory, it is this process that goes."""
    signal.alarm(int(seconds) + 1)
    with suppress(OSError):
        (_PROCESS / "oom_score_adj").write_text(_KILLED_FIRST)
    for what, most in ((resource.RLIMIT_AS, room()), (resource.RLIMIT_FSIZE, FILE), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def main() -> None:
    """Take the order, and be gone in time, whoever waits."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    bounded(order.remote.timeout)
    os.umask(0o022)
    sys.stdout.buffer.write(msgspec.json.encode(run(order)))


if __name__ == "__main__":
    main()
