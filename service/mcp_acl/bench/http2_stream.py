"""What a connection of HTTP/2 keeps of a request, and what it tells it. Knows no connection and no gRPC."""

from abc import ABC, abstractmethod


class Stream(ABC):
    """One request and its answer. What is to be done about it is for those that are made of it."""

    __slots__ = ("id", "is_sent", "pending", "received", "room")

    def __init__(self) -> None:
        self.id = 0
        self.room = 0
        self.received = 0
        self.pending = b""
        self.is_sent = False

    @abstractmethod
    def data(self, payload: bytes) -> None:
        """Take a piece of the answer."""

    @abstractmethod
    def head(self, meaning: str) -> None:
        """Take headers that are not the last."""

    @abstractmethod
    def end(self, meaning: str | None) -> None:
        """Take the end: the trailers, or None where the answer ended without."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """There is no end, and why."""
