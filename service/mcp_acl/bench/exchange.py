"""What is asked, and what asks: the vocabulary of measuring. Knows no wire and no workload."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Judge: TypeAlias = Callable[[bytes], bool]
"""Whether an answer is the one that is right. Called for each: it must cost next to nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """One gRPC call, asked again and again: each of `messages` is sent when the one before it is answered.

    `judges`: one for each message. With `many` one call carries questions without end, each a first message (its answers come in
    order); else each question is a call of its own, which the client ends after the last message.
    """

    path: str
    messages: Sequence[bytes]
    judges: Sequence[Judge]
    metadata: Sequence[tuple[str, str]] = ()
    many: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP request to an MCP endpoint, asked again and again. `judge` is given the body of an answer with the status `status`."""

    path: str
    body: bytes
    judge: Judge
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Exchange: TypeAlias = Call | Post


class Line(Protocol):
    """One connection that asks one exchange. Everything happens on the event loop that opened it."""

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why answers were wrong, and how often."""

    def ask(self, answered: Callable[[bool], None]) -> None:
        """Send the question once more. `answered` is called once, when the answer is whole: whether it was right.

        A line that has broken answers False, at once if need be, and never raises.
        """

    def close(self) -> None:
        """End the connection; what is not answered by then is answered False."""
