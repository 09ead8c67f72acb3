"""Handlers of many messages for the tests of hosts: echoes, and what goes wrong at each point of a stream."""

import gc
import json
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from mcp_acl.adapters.handlers import Handler, Informed, Metadata, Streaming
from tests.hosts.faults import FAULTS

OPEN: Final[weakref.WeakSet["Echo"]] = weakref.WeakSet()


class Echo:
    """Each message is its answer; a number at the end says how many there were. `fault` is raised for the message `raise`."""

    fed = 0

    is_over = False
    held = 0

    def __init__(self, _: Metadata, fault: Callable[[], BaseException] | None = None) -> None:
        self._fault = fault
        self._count = 0
        OPEN.add(self)

    def feed(self, message: bytes) -> Sequence[bytes]:
        Echo.fed += 1
        self._count += 1
        if self._fault is not None and message == b"raise":
            raise self._fault()
        return (message,)

    def close(self) -> Sequence[bytes]:
        if self._fault is not None:
            raise self._fault()
        return (b"%d" % self._count,)


class Silent(Echo):
    """Takes messages and answers none."""

    def feed(self, message: bytes) -> Sequence[bytes]:
        super().feed(message)
        return ()

    def close(self) -> Sequence[bytes]:
        return ()


class Forgetful(Echo):
    """A bug: returns nothing, not even an empty list."""

    def feed(self, _: bytes) -> Sequence[bytes]:
        return cast("Sequence[bytes]", None)


class Over(Echo):
    """Has nothing more to say after the message `last`, whatever may come."""

    def feed(self, message: bytes) -> Sequence[bytes]:
        self.is_over = message == b"last"
        return super().feed(message)


class Kept(Echo):
    """Keeps what it is fed, and answers which thread it was fed in."""

    def feed(self, message: bytes) -> Sequence[bytes]:
        self.held += len(message)
        return (threading.current_thread().name.encode(),)


class Told(Echo):
    """Answers what came with the call."""

    def __init__(self, metadata: Metadata) -> None:
        super().__init__(metadata)
        self._metadata = metadata

    def feed(self, _: bytes) -> Sequence[bytes]:
        return (_written(self._metadata, b""),)


def _written(metadata: Metadata, _: bytes) -> bytes:
    return json.dumps([*metadata]).encode()


def _never_opened(_: Metadata) -> Echo:
    raise SystemExit(0)


def _open(_: bytes) -> bytes:
    gc.collect()
    return b"%d" % len(OPEN)


def _echo_of(fault: Callable[[], BaseException]) -> Streaming:
    return Streaming(lambda metadata: Echo(metadata, fault))


STREAMS: Final[Mapping[str, Handler]] = {
    "/test.Stream/Echo": Streaming(Echo),
    "/test.Stream/Silent": Streaming(Silent),
    "/test.Stream/Over": Streaming(Over),
    "/test.Stream/Told": Streaming(Told),
    "/test.Stream/Kept": Streaming(Kept),
    "/test.Echo/Told": Informed(_written),
    "/test.Stream/Forgetful": Streaming(Forgetful),
    "/test.Stream/NeverOpened": Streaming(_never_opened),
    **{f"/test.Stream/{name}": _echo_of(fault) for name, fault in FAULTS.items()},
    "/test.Streams/Fed": lambda _: b"%d" % Echo.fed,
    "/test.Streams/Open": _open,
}
