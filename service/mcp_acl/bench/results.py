"""What a run has found, as it is kept: one JSON file, for the table, the report and the comparison. Does no measuring.

Every figure belongs to a round; a case's figure is the median of its rounds. Times are µs, memory is MiB.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Final, TypeAlias

import msgspec

VERSION: Final = 1

Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""Time, memory or a rate: never less than nothing, and never so much that sums of a few are no number any more."""
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took, in µs; of an open loop from the moment that was planned, not from the one that was kept.

    `histogram`: all of them, as HdrHistogram writes them (V2, compressed, base64).
    """

    p50: Amount
    p90: Amount
    p99: Amount
    p999: Amount
    max: Amount
    histogram: str = ""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One case, measured once. `wrong` are answers that were not right, calls that failed among them.

    `server_cpu`, `client_cpu`: µs of user and system time for each answer, of the server's processes (`parts`: of each by name) and of the
    one that asks; `memory`: MiB resident, of the server's processes, after. None where the operating system does not tell.
    """

    seconds: Amount
    answers: Count
    wrong: Count
    latency: Latency
    server_cpu: Amount | None = None
    client_cpu: Amount | None = None
    memory: Amount | None = None
    parts: dict[str, Amount] = {}

    def __post_init__(self) -> None:
        if self.wrong > self.answers:
            raise ValueError(f"{self.wrong:,} of {self.answers:,} answers cannot be wrong")

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was measured. `facts` are what it differs in from others, by name, for tables and plots.

    `name` identifies it in comparisons. `rate`: questions a second of an open loop; 0 for a closed one. `in_flight`: questions at once
    in a closed loop, connections in an open one. `unit`: what one answer is about, if that is more than one thing: a list of 100 has 100.
    """

    name: str
    facts: dict[str, str | int | float]
    rounds: tuple[Round, ...]
    rate: Amount = 0.0
    in_flight: Count = 1
    unit: Annotated[int, msgspec.Meta(ge=1, le=10**15)] = 1

    def median(self, figure: Callable[[Round], float | None]) -> float | None:
        """The median over rounds; None if a round lacks it."""
        values = [value for value in map(figure, self.rounds) if value is not None]
        return median(values) if len(values) == len(self.rounds) and values else None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. `load`: runnable processes (the average of a minute) before and after, where the system says."""

    system: str
    processor: str
    cores: int
    python: str
    load: tuple[float, ...] = ()


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `versions` of what was measured, by name; `notes` are said beside the figures."""

    made: datetime
    command: tuple[str, ...]
    seed: int
    machine: Machine
    versions: dict[str, str]
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()
    version: int = VERSION


def write_results(results: Results, file: Path) -> None:
    """Write a run. Raises OSError."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def read_results(text: bytes, name: str) -> Results:
    """A run that was written. Raises ResultsError, which says what is wrong with the file of that name."""
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version == VERSION:
            return msgspec.json.decode(text, type=Results)
    except msgspec.MsgspecError as error:
        raise ResultsError(f"`{name}` does not hold the results of a run: {error}") from None
    raise ResultsError(f"`{name}` is of version {version}; this mcp-acl reads version {VERSION}: measure again")


class _Versioned(msgspec.Struct):
    """What is read first: a file of another version has other fields."""

    version: int = VERSION


class ResultsError(Exception):
    """A file that cannot be read as results."""
