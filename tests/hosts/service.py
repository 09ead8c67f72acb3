"""What the tests of hosts serve: the real service on test policies, and handlers that go wrong.

Run as a module it is the default host, on a free port; `app` is the same table for an ASGI server.
"""

import asyncio
import sys
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence

from mcp_acl.adapters.handlers import Handler, Table
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_gateways, for_people
from mcp_acl.hosts import asgi
from tests.runtime.weather import gate

UNREADABLE = "größe: 100 % \n second line \x00"


def _raising(error: Callable[[], BaseException]) -> Handler:
    def handler(_: bytes) -> bytes:
        raise error()

    return handler


def _slow(body: bytes) -> bytes:
    time.sleep(0.4)
    return body


FAULTS: Mapping[str, Callable[[], BaseException]] = {
    "Exception": lambda: RuntimeError("a secret"),
    "SystemExit": lambda: SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": CancelledError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
}


def table() -> Table:
    return {
        **for_gateways(gate()),
        **for_people(gate()),
        **{f"/test.Fault/{name}": _raising(error) for name, error in FAULTS.items()},
        "/test.Fault/Misuse": _raising(lambda: ApiError(UNREADABLE)),
        "/test.Echo/Slow": _slow,
        "/test.Echo/Echo": lambda body: body,
    }


app = asgi.application(table())

if __name__ == "__main__":
    from mcp_acl.adapters.health import Health
    from mcp_acl.hosts import grpcio
    from mcp_acl.hosts.listening import Limits, Listener
    from mcp_acl.runtime.address import parse_address

    def ready(bound: Sequence[str]) -> None:
        sys.stdout.write(f"listening on {bound[0]}\n")
        sys.stdout.flush()

    asyncio.run(grpcio.run([Listener(parse_address("127.0.0.1:0"), table())], Limits(), Health(), 0.0, ready))
