"""The one table from errors to statuses."""

import importlib
import logging
import pkgutil
from collections.abc import Iterator

import grpc
import pytest

import mcp_acl
from mcp_acl.adapters.status import CODES, ApiError, Code, Status, outcome_of, status_of
from mcp_acl.problems import AclError, EvalError, MessageError, Problem, SourceError


def classes(of: type[AclError]) -> Iterator[type[AclError]]:
    for one in of.__subclasses__():
        yield one
        yield from classes(one)


def test_every_error_of_the_package_has_a_code() -> None:
    for module in pkgutil.walk_packages(mcp_acl.__path__, "mcp_acl."):
        if module.name != "mcp_acl.hosts.envoy.inside":  # which is the service, once it is imported
            importlib.import_module(module.name)
    found = [one for one in classes(AclError) if one.__module__.startswith("mcp_acl.")]
    assert found
    assert [] == [one for one in found if CODES.keys().isdisjoint(one.__mro__)]


def test_codes_are_those_of_grpc() -> None:
    assert {code.name: code.value for code in Code}.items() <= {
        one.name: one.value[0] for one in grpc.StatusCode
    }.items()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError("say which"), Status(Code.INVALID_ARGUMENT, "say which")),
        (MessageError("code", "it is odd"), Status(Code.INVALID_ARGUMENT, "it is odd")),
        (SourceError([Problem("code", "it is wrong")]), Status(Code.FAILED_PRECONDITION, "it is wrong")),
        (EvalError("it broke"), Status(Code.INTERNAL, "it broke")),
    ],
)
def test_error_of_ours_is_told(error: AclError, status: Status) -> None:
    assert status == status_of(error)


@pytest.mark.parametrize("error", [ValueError("a secret"), SystemExit(3), KeyboardInterrupt()])
def test_bug_is_logged_and_not_told(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert Status(Code.INTERNAL, "internal error") == status_of(error)
    assert type(error).__name__ in caplog.text


def test_error_that_cannot_even_be_logged_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(logging.getLogger("mcp_acl"), "error", breaks)
    assert Status(Code.INTERNAL, "internal error") == outcome_of(breaks, b"")
