"""What samplers have seen of a process, as stacks of frames that people can read: `module:function`, and the layer that each belongs to.

Reads the text of py-spy and of `perf script`. Paths, addresses and line numbers do not come through: they are the machine's. Knows no process.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

Stack: TypeAlias = tuple[str, ...]
"""Frames, the outermost first."""

TRANSPORT: Final = "transport"
LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    TRANSPORT: ("grpc", "uvloop", "asyncio", "pyvoy", "envoy", "kernel", "selectors", "threading", "contextvars"),
    "host": ("mcp_acl.hosts",),
    "protobuf": ("google", "_message", "mcp_acl.gen", "mcp_acl.adapters.wire"),
    "request": ("mcp_acl.adapters.questions",),
    "MCP": ("mcp_acl.mcp",),
    "deciding": ("mcp_acl.engine", "mcp_acl.policy", "mcp_acl.expr"),
    "context": ("mcp_acl.runtime.context",),
    "answer": ("mcp_acl.adapters", "mcp_acl.runtime"),
}
"""Layers by the modules whose code they are; the first that fits. What is in none, as the interpreter is, belongs to whoever called it."""
MEANS: Final[Mapping[str, str]] = {
    TRANSPORT: "HTTP/2, gRPC, sockets, the event loop, passage between threads",
    "host": "our limits, deadlines, framing, answering together what came together",
    "protobuf": "the request's fields, and the answer's",
    "request": "claims and headers out of their bytes",
    "MCP": "the message, its headers, the method's row",
    "deciding": "rules found, conditions run, what the response needs",
    "context": "what goes back with the response",
    "answer": "the gate around it, ids, the reply",
}


class Sample(NamedTuple):
    """A thread was seen so this many times. `thread` is its number in the operating system, `name` what Python calls it, if it does."""

    thread: int
    stack: Stack
    times: int
    name: str = ""


def layer_of(stack: Stack) -> str:
    """The layer that the innermost frame which has one belongs to. What is in none of them carries something: transport."""
    return next((layer for frame in reversed(stack) if (layer := _layer(frame))), TRANSPORT)


def _layer(frame: str) -> str:
    module = frame.partition(":")[0]
    return next((layer for layer, prefixes in LAYERS.items() if any(_is_in(module, one) for one in prefixes)), "")


def _is_in(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


# ---- one server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been found of one server: µs of CPU an answer of each thread, and what was seen of it.

    `calls`: what part of a thread's CPU the system has counted for itself. py-spy sees calls to it, and not whether the thread runs or is yet to: of all
    places that is where threads wait for a processor.
    """

    host: str
    names: Mapping[int, str]
    costs: Mapping[int, float]
    samples: Sequence[Sample]
    calls: Mapping[int, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """µs an answer."""
        return sum(self.costs.values())

    def stacks(self) -> Iterator[tuple[str, Sample | None, float]]:
        """The thread's name, what was seen, and how much of its time that stands for."""
        for thread, cost in self.costs.items():
            seen = [one for one in self.samples if one.thread == thread]
            name = next((one.name for one in seen if one.name), self.names[thread])
            calling, working = ([one for one in seen if is_call(one.stack) is really] for really in (True, False))
            among = total_of(calling) / total_of(seen) if seen else 0.0
            share = self.calls.get(thread, among) if calling and working else among
            for part, samples in ((share, calling), (1.0 - share, working)):
                total = total_of(samples)
                yield from ((name, one, cost * part * one.times / total) for one in samples)
            if not seen:
                yield name, None, cost


def total_of(samples: Sequence[Sample]) -> int:
    return sum(one.times for one in samples)


def is_call(stack: Stack) -> bool:
    """Whether it ends in a call to the kernel."""
    module, _, name = (stack[-1] if stack else "").partition(":")
    return module == _KERNEL or name in _CALLS


_CALLS: Final = frozenset(
    "epoll_wait epoll_pwait eventfd_write futex poll ppoll pthread_cond_signal pthread_cond_timedwait pthread_cond_wait read readv recv "
    "recvfrom recvmsg select sendmsg sendto syscall write writev".split()
)


def of_python(samples: Sequence[Sample], working: Container[int]) -> list[Sample]:
    """What py-spy has seen of threads whose business Python is."""
    counts: Counter[int] = Counter()
    for one in samples:
        counts[one.thread] += one.times
    most = max(counts.values(), default=0)
    busy = {one for one, count in counts.items() if count > _FEW * most and one in working}
    return [one for one in samples if one.thread in busy]


_FEW: Final = 0.05
"""Of a thread's time, below which what py-spy has seen of it is not what it does: it runs Python now and then."""


# ---- py-spy ---------------------------------------------------------------------------------------------------------


def of_pyspy(text: str) -> Iterator[Sample]:
    """Its format `raw`, with threads: a line for each stack, frames divided by `;`, and how often it was seen."""
    for line in text.splitlines():
        seen, _, count = line.rpartition(" ")
        thread, *frames = seen.split(";")
        number = _THREAD.fullmatch(thread)
        if number and count.isdecimal():
            stack = _from_where_it_differs(_whole(_pyspy_frame(one) for one in frames))
            yield Sample(int(number[1]), stack, int(count), number[2] or "")


def _from_where_it_differs(stack: Stack) -> Stack:
    """Without how the process was started and its event loop run, which is below everything, or was not seen."""
    starts = [at for at, frame in enumerate(stack) if _is_start(frame)]
    return stack[starts[-1] + 1 :] if starts else stack


def _is_start(frame: str) -> bool:
    module, _, name = frame.partition(":")
    return name in _RUNS or any(_is_in(module, one) for one in _STARTS)


_STARTS: Final = (
    *("<frozen runpy>", "runpy", "typer", "threading", "asyncio.runners"),
    *("mcp_acl.__main__", "mcp_acl.cli", "mcp_acl.server", "mcp_acl.runtime.event_loop"),
)
_RUNS: Final = frozenset(
    "EventLoop.new run_until_complete run_forever Loop__run Loop__Loop__run uv_run loop_cb_idle_callback Loop__on_idle Handle__run".split()
)
_PYTHON: Final = "python"
"""Frames of the interpreter, which are left out: they stand between any two."""
_THREAD: Final = re.compile(r"thread \((\d+)\)(?:: (.+))?")
_PYSPY: Final = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(:\d+)?\)")
_UVLOOP: Final = frozenset({"loop", "core", "linux", "async", "stream", "tcp", "udp", "unix", "epoll", "threadpool"})
"""Sources of uvloop and of its libuv, which are seen by their own names."""
_GENERATED: Final[Mapping[str, str]] = {"<condition>": "mcp_acl.expr:a condition", "<string>": "generated"}


def _pyspy_frame(text: str) -> str:
    found = _PYSPY.fullmatch(text)
    if not found:
        return text.partition(" (")[0]
    name, file = found["name"], found["file"]
    if file in _GENERATED:
        return _GENERATED[file]
    if file.endswith((".c", ".h", ".pyx")):
        stem = file.rpartition("/")[2].partition(".")[0]
        return f"uvloop:{name}" if stem in _UVLOOP else _PYTHON
    return f"{_module(file)}:{name}" if file.endswith(".py") else _named(_module(file), name)


def _module(file: str) -> str:
    """The module of a source file, or a library by its name."""
    path = file.rpartition("-packages/")[2]
    path = path if path != file or not file.startswith("/") else file.rpartition("/")[2]
    if file.endswith(".py"):
        return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    directory, _, library = path.rpartition("/")
    return ".".join(filter(None, (*directory.split("/"), _LIBRARY.sub("", library))))


_LIBRARY: Final = re.compile(r"(?<=.)[.-][\w.-]*$|(?<=libpython).*$")


def _named(module: str, name: str) -> str:
    if module == "libpython":
        return _PYTHON
    return module if name.startswith("0x") else f"{module}:{_short(name)}"


def _short(name: str) -> str:
    """Without what compilers have put there: mangling, templates, parameters."""
    if name.startswith(("_R", "_ZN")):
        return ".".join(_words(name)[-2:])
    for brackets in (_ANGLES, _ROUNDS):
        while (shorter := brackets.sub("", name)) != name:
            name = shorter
    return name.strip()[:_LONGEST]


_ANGLES: Final = re.compile(r"<[^<>]*>")
_ROUNDS: Final = re.compile(r"\([^()]*\)")
_LONGEST: Final = 90


def _words(mangled: str) -> list[str]:
    """The names in a mangled one: each stands behind the number of its letters."""
    text, at, words = _CRATE.sub("C", mangled), 0, []
    while number := _NUMBER.search(text, at):
        start, size = number.end(), int(number[1])
        word = text[start : start + size]
        is_name = size > 1 and len(word) == size and word.isidentifier()
        words += [word] if is_name else []
        at = start + size if is_name else number.start() + 1
    return words or [mangled]


_CRATE: Final = re.compile(r"Cs[0-9A-Za-z]{9,13}_(?=\d)")
_NUMBER: Final = re.compile(r"(\d{1,3})_?")


def _whole(frames: Iterator[str]) -> Stack:
    """One frame where the same stands several times in a row."""
    return tuple(frame for frame, _ in groupby(frame for frame in frames if frame != _PYTHON))


# ---- perf -----------------------------------------------------------------------------------------------------------


def of_perf(text: str) -> Iterator[Sample]:
    """What `perf script -F tid,ip,sym,dso` writes: a thread, then its frames, the innermost first; a sample of each."""
    for block in text.split("\n\n"):
        thread, *lines = block.strip().splitlines() or [""]
        if thread.strip().isdecimal():
            matches = [found for line in reversed(lines) if (found := _PERF.match(line))]
            frames = [_perf_frame(found[1], found[2]) for found in matches if found[2] != "[unknown]"]
            yield Sample(int(thread), _whole(_user_then_kernel(frames)), 1)


_PERF: Final = re.compile(r"\s*[0-9a-f]+ (.*) \((.*)\)$")
_KERNEL: Final = "kernel"
_CALL: Final = re.compile(r"__(?:x64|arm64)_sys_(\w+)")


def _perf_frame(symbol: str, library: str) -> str:
    if library.startswith("[kernel"):
        call = _CALL.match(symbol)
        return f"{_KERNEL}:{call[1]}" if call else _KERNEL
    return _named(_module(library), "0x" if symbol == "[unknown]" else symbol)


def _user_then_kernel(frames: list[str]) -> Iterator[str]:
    """Of the kernel one frame, which names the call if there was one."""
    yield from (frame for frame in frames if not _is_in_kernel(frame))
    inside = [frame for frame in frames if _is_in_kernel(frame)]
    if inside:
        yield max(inside, key=len)


def _is_in_kernel(frame: str) -> bool:
    return frame.partition(":")[0] == _KERNEL
