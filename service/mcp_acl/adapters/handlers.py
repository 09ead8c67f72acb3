"""What a host serves: a table from the path of a method to its handler. Handlers know no host, and do not wait.

A handler that takes one message is a function from bytes to bytes. One that takes many opens a session for each call, a state
machine that is fed messages and gives answers. Both raise `ApiError` if the interface was misused; a host turns that, and
anything else, into a status by `status_of`. The host owns deadlines, cancellation, limits, back-pressure, TLS and the drain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Unary: TypeAlias = Callable[[bytes], bytes]
Metadata: TypeAlias = Sequence[tuple[str, str]]
"""What comes with a call as text (gRPC "Custom-Metadata"): names in lower case, in order, those that came twice twice."""


class Session(Protocol):
    """One call that takes many messages. Answers are sent in order; the next message is fed when they have been taken.

    Once it `is_over`, and its answers are taken, the call ends with OK, whatever else its client may send.
    """

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to say."""

    @property
    def held(self) -> int:
        """Bytes that are kept, to be worked on with what comes: a host does beside its event loop what takes long."""

    def feed(self, message: bytes) -> Sequence[bytes]:
        """The answers to a message."""

    def close(self) -> Sequence[bytes]:
        """The answers that were due at the end of the messages. Nothing is fed any more."""


@dataclass(frozen=True, slots=True)
class Informed:
    """A handler that takes one message, and what came with the call."""

    answer: Callable[[Metadata, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Traced:
    """A handler that takes one message, and of what came with the call the `traceparent` alone, or `''`: all of it costs a host more."""

    answer: Callable[[str, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A handler that takes many messages and gives many answers."""

    open: Callable[[Metadata], Session]


Handler: TypeAlias = Unary | Informed | Traced | Streaming
Table: TypeAlias = Mapping[str, Handler]
