"""What runs inside Envoy: the applications of all listeners as one, by the root path of each. Importing it starts the service.

(Envoy's module loads an application by name, and calls no function to make it.) Knows no address and no certificate.
"""

import importlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.hosts.asgi import Application, Receive, Scope
from mcp_acl.hosts.asgi_answer import Send
from mcp_acl.hosts.envoy.told import (
    DRAIN,
    END_SECONDS,
    PROBE,
    RAISES,
    RAISES_LATER,
    REFUSE,
    VARIABLE,
    Served,
    Told,
    root,
)

_ASKED_FOR: Final = "the check at the start asks for this error, and that Envoy makes no answer of it; nothing is wrong"


class _Probe:
    """What the process outside calls to see whether Envoy is configured as it must be: errors that nothing here catches."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"]
        if path == RAISES.encode():
            raise _ProbeError(_ASKED_FOR)
        if path == RAISES_LATER.encode():
            headers = [(b"content-type", b"application/grpc")]
            await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
            raise _ProbeError(_ASKED_FOR)
        await self._application(scope, receive, send)


class _ProbeError(Exception):
    """What nothing catches. Envoy's module prints it."""


class _Inside:
    """All of the service, once in a process, however many listeners load it."""

    def __init__(self, told: Told) -> None:
        served = _served(told.factory)
        if len(served.tables) != told.listeners:
            raise ValueError(f"`{told.factory}` serves {len(served.tables)} listeners; there are {told.listeners}")
        self._health = served.health
        self._listeners = [Application(table, told.limits, served.health, served.batch) for table in served.tables]
        self._by_root: Mapping[str, Application | _Probe] = {
            **{root(number): one for number, one in enumerate(self._listeners)},
            PROBE: _Probe(Application(_PROBES, told.limits, Health())),
        }
        threading.Thread(target=self._obey, args=(told.pipe, told.directory), name="outside", daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._by_root[scope["root_path"]](scope, receive, send)
        elif scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})

    def _obey(self, pipe: int, directory: str) -> None:
        """Do what the process outside says. When it is gone, go: a forgotten engine would answer by forgotten policies."""
        while order := os.read(pipe, 1):
            if order == DRAIN:
                self._health.draining = True
            for one in self._listeners:
                {DRAIN: one.drain, REFUSE: one.refuse}[order]()
        shutil.rmtree(directory, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)


def _served(factory: str) -> Served:
    module, _, name = factory.partition(":")
    made: Any = getattr(importlib.import_module(module), name)()
    return Served(*made)


def _exits(_: bytes) -> NoReturn:
    raise SystemExit(_ASKED_FOR)


_PROBES: Final[Table] = {"/mcp_acl.Probe/Exits": _exits}

application: Final = _Inside(Told.from_text(os.environ[VARIABLE]))
