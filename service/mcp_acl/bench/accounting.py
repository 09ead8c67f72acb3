"""What processes have used, as the operating system counts it: time of the processor, and memory. Knows no server."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import psutil

_MICRO: Final = 1e6
_MIB: Final = 1024.0 * 1024.0


class Used(NamedTuple):
    """By a process and those it has started: µs of user and system time, by the name of the program, and MiB that are resident."""

    parts: Mapping[str, float]
    memory: float

    @property
    def cpu(self) -> float:
        """µs in all."""
        return sum(self.parts.values())

    def since(self, before: "Used") -> "Used":
        """What was used after `before`; memory as it is now."""
        return Used({name: used - before.parts.get(name, 0.0) for name, used in self.parts.items()}, self.memory)


def used_by(pids: Iterable[int]) -> Used | None:
    """Of processes and all below them; those that have ended count with whoever has waited for them. None if there is none."""
    parts: dict[str, float] = {}
    memory = 0.0
    for process in _below(pids):
        try:
            times, name = process.cpu_times(), process.name()
            spent = times.user + times.system + times.children_user + times.children_system
            parts[name] = parts.get(name, 0.0) + spent * _MICRO
            memory += process.memory_info().rss / _MIB
        except psutil.Error:
            continue
    return Used(parts, memory) if parts else None


def _below(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            first = psutil.Process(pid)
            yield first
            yield from first.children(recursive=True)
        except psutil.Error:
            continue
