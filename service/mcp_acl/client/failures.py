"""How a call ended that brought no answer: gRPC's status as an error of ours."""

from typing import Final

import grpc

from mcp_acl.client.values import CutOffError, MisuseError, UnavailableError

AGAIN: Final = frozenset({"UNAVAILABLE", "CANCELLED"})
"""Statuses that say: ask another worker, or again. The second is the end of a worker too, for a call that came at the last moment."""
_LONGEST: Final = 86_400.0
"""Seconds that an answer may be waited for: what is longer is a mistake, and no clock takes any number."""
UNKNOWN_SERVICE: Final = "NOT_FOUND"
"""What health says of a name that it does not know."""


def failure_of(code: grpc.StatusCode, details: str | None) -> MisuseError | UnavailableError:
    """The error for a status: the caller's mistake, or no answer."""
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return MisuseError(details or "the service says that it was misused")
    if code is grpc.StatusCode.OK:
        return ended()
    return UnavailableError(details or "no answer", code.name)


def late(seconds: float) -> UnavailableError:
    """The error for an answer in a stream that did not come in time."""
    return UnavailableError(f"no answer within {seconds} s", grpc.StatusCode.DEADLINE_EXCEEDED.name)


def ended() -> UnavailableError:
    """The error for a call that the service ended properly while an answer was due."""
    return UnavailableError("the service ended the call without an answer", grpc.StatusCode.UNAVAILABLE.name)


def cut_off() -> CutOffError:
    """The error for a response whose end did not come, whenever it is asked for again."""
    return CutOffError("the response was cut off before its end")


def closed() -> UnavailableError:
    """The error for a call of a client that is closed, or was closed meanwhile."""
    return UnavailableError("the client is closed")


def check_timeout(seconds: float) -> float:
    """The seconds. Raises MisuseError for what is no time to wait."""
    if not 0 < seconds <= _LONGEST:
        raise MisuseError(f"`timeout` is {seconds}; give the seconds to wait for an answer, at most {_LONGEST}")
    return seconds
