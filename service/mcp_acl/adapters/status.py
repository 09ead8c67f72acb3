"""Which status of a call each error becomes: one table, for every host.

Knows no host. A denial is an answer and not an error, so it is not here: its HTTP status and JSON-RPC code are part of
the decision.
"""

import logging
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from mcp_acl.problems import AclError, EvalError, MessageError, SourceError

_LOG: Final = logging.getLogger("mcp_acl")
_T = TypeVar("_T")


class Code(IntEnum):
    """The gRPC status codes this service uses (gRPC core concepts, status codes)."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Status(NamedTuple):
    """How a call ends: the code, and a text for the developer of the caller."""

    code: Code
    text: str = ""


class ApiError(AclError):
    """The call cannot be answered as it is: the interface was misused, if `code` says nothing else. `text` says what to do."""

    def __init__(self, text: str, code: Code = Code.INVALID_ARGUMENT) -> None:
        self.text = text
        self.code = code
        super().__init__(text)


CODES: Final[Mapping[type[AclError], Code]] = {
    ApiError: Code.INVALID_ARGUMENT,
    MessageError: Code.INVALID_ARGUMENT,
    SourceError: Code.FAILED_PRECONDITION,
    EvalError: Code.INTERNAL,
}
"""Where each error ends that leaves a handler. An MCP message that is refused does not: it is a decision."""

_BUG: Final = Status(Code.INTERNAL, "internal error")


def status_of(error: BaseException) -> Status:
    """The status of a call that ended with an error. What is not an error of ours is a bug: logged here, never told."""
    code = (
        error.code
        if isinstance(error, ApiError)
        else next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), None)
    )
    if code is None:
        _LOG.error("a call failed", exc_info=error)
        return _BUG
    return Status(code, str(error))


def outcome_of(run: Callable[[bytes], _T], request: bytes) -> _T | Status:
    """What a handler gives, or the status that it ends with, whatever error that is: none ends the server, or the call without a status."""
    try:
        return run(request)
    except BaseException as error:  # noqa: BLE001 - SystemExit and a cancelled task included
        try:
            return status_of(error)
        except Exception:  # noqa: BLE001 - there may be no memory to log it
            return _BUG
