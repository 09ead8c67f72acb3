"""What Envoys for tests serve: echoes and faults. Imported inside Envoy, where there is no pytest."""

import os
import time
from typing import cast

from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.hosts import envoy
from tests.hosts.streams import STREAMS

ECHO = "/test.Echo/Echo"
ADMIN = "/test.Admin/Explain"


def _slow(body: bytes) -> bytes:
    time.sleep(0.2)
    return body


TABLE: Table = {
    **STREAMS,
    ECHO: lambda body: body,
    "/test.Echo/Slow": _slow,
    "/test.Echo/Nothing": lambda _: cast("bytes", None),
    "/test.Echo/Large": lambda body: bytes(int(body)),
    "/test.Echo/Pid": lambda _: b"%d" % os.getpid(),
}


def one() -> envoy.Served:
    return envoy.Served([TABLE], Health())


def two() -> envoy.Served:
    return envoy.Served([TABLE, {**TABLE, ADMIN: lambda body: body}], Health())


def broken() -> envoy.Served:
    raise SystemExit(3)
