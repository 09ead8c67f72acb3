"""The connections of the client for threads: one answer to one request. Knows no message.

Workers of one service answer alike, so they take turns, and one that is gone is another's matter.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import grpc

from mcp_acl.client.failures import AGAIN, check_timeout, closed, ended, failure_of
from mcp_acl.client.targets import Tls, credentials_of, options_of, targets_of
from mcp_acl.client.values import UnavailableError


class Channels:
    """One for each turn. `paths` are the methods that are asked by `ask`. Raises MisuseError for what cannot be used."""

    def __init__(self, addresses: str | Sequence[str], tls: Tls | None, timeout: float, paths: Sequence[str]) -> None:
        self.timeout = check_timeout(timeout)
        targets, credentials, options = targets_of(addresses, tls), credentials_of(tls), options_of(tls)
        self._channels = [
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
            for target in targets
        ]
        self._turns = cycle(self._channels)
        self._calls: dict[str, Iterator[Any]] = {
            path: cycle([channel.unary_unary(path) for channel in self._channels]) for path in paths
        }

    def close(self) -> None:
        """Calls that are begun end without an answer."""
        for channel in self._channels:
            channel.close()

    def ask(self, path: str, request: bytes) -> bytes:
        """One answer; asked a second time, of the next worker, if the first is not there. Raises MisuseError, UnavailableError."""
        until = time.monotonic() + self.timeout
        try:
            return self._once(path, request, until)
        except UnavailableError as error:
            if error.code not in AGAIN:
                raise
        return self._once(path, request, until)

    def stream(self, path: str) -> Any:
        """A call of many messages, to be begun. Raises ValueError once it is closed."""
        return next(self._turns).stream_stream(path)

    def _once(self, path: str, request: bytes, until: float) -> bytes:
        try:
            answer: bytes | None = next(self._calls[path])(request, timeout=until - time.monotonic())
        except grpc.RpcError as error:
            raise failed(error) from error
        except ValueError as error:
            raise closed() from error
        if answer is None:
            raise ended()
        return answer


def failed(error: grpc.RpcError) -> Exception:
    """What a call ended with, as an error of ours."""
    assert isinstance(error, grpc.Call)
    return failure_of(error.code(), error.details())
