"""What processes have used, as the operating system counts it: time of the processor, and memory. Knows no server."""

from collections import Counter
from typing import NamedTuple

import psutil

_MICRO = 1e6
_MIB = 1024.0 * 1024.0


class Used(NamedTuple):
    """By a process and those it has started: µs of user and system time, by the name of the program, and MiB that are resident."""

    parts: dict[str, float]
    memory: float

    @property
    def cpu(self) -> float:
        """µs in all."""
        return sum(self.parts.values())

    def since(self, before: "Used") -> "Used":
        """What was used after `before`; memory as it is now."""
        return Used({name: used - before.parts.get(name, 0.0) for name, used in self.parts.items()}, self.memory)


def used_by(pid: int) -> Used | None:
    """Of a process and all below it; those that have ended count with whoever has waited for them. None if there is none."""
    parts: Counter[str] = Counter()
    memory = 0.0
    try:
        first = psutil.Process(pid)
        processes = [first, *first.children(recursive=True)]
    except psutil.Error:
        return None
    for process in processes:
        try:
            times = process.cpu_times()
            parts[process.name()] += (times.user + times.system + times.children_user + times.children_system) * _MICRO
            memory += process.memory_info().rss / _MIB
        except psutil.Error:
            continue
    return Used(dict(parts), memory) if parts else None
