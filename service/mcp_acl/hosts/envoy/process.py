"""One Envoy: started, asked, told, ended. Knows its files and its pipe, and not when to do what.

It runs in a session of its own, so that the terminal's Ctrl-C is for the process outside alone, and it is never left behind: when that
one is gone, however it went, the pipe closes.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from mcp_acl.hosts.envoy.config import Config, admin_file
from mcp_acl.hosts.envoy.http import ask
from mcp_acl.hosts.envoy.installation import Installation
from mcp_acl.hosts.envoy.told import END_SECONDS, VARIABLE, Told

_POLL: Final = 0.02
_ACTIVE: Final = "downstream_rq_active"
_REQUESTS: Final = f"/stats?filter=^http\\.listener_[0-9]%2B\\.({_ACTIVE}|downstream_rq_total)$"


class EnvoyError(RuntimeError):
    """Envoy did not start, is not as it must be, or ended by itself. `code`: how it ended, as a process says it."""

    def __init__(self, text: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(text)


class Envoy:
    """A process over a runtime directory."""

    def __init__(self, installation: Installation, directory: Path, flags: Sequence[str] = ()) -> None:
        self._installation = installation
        self._directory = directory
        self._flags = flags
        self._process: asyncio.subprocess.Process | None = None
        self._pipe = -1

    async def start(
        self, config: Config, told: Told, environment: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> None:
        """Start it; it is not ready yet. `told`, `environment` and `descriptors` are for the Python inside."""
        file = self._directory / "envoy.json"
        write_config(file, config)
        inside, self._pipe = os.pipe()
        text = replace(told, directory=str(self._directory), pipe=inside).as_text()
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._installation.binary,
                *("--config-path", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"),
                *("--drain-strategy", "immediate", "--drain-time-s", str(int(END_SECONDS)), *self._flags),
                stdin=subprocess.DEVNULL,
                # Standard output is for what the process outside says.
                stdout=sys.stderr.fileno(),
                env={**os.environ, **self._installation.environment, **environment, VARIABLE: text},
                pass_fds=(inside, *descriptors),
                start_new_session=True,
                # Until it is given its mode, a socket file is for this user.
                umask=0o077,
            )
        finally:
            os.close(inside)

    async def ports(self) -> Mapping[str, int] | None:
        """The port of each listener by its name, 0 for a socket file; None while it is not ready."""
        try:
            if (await self._admin("GET", "/ready")).status != 200:
                return None
            statuses = json.loads((await self._admin("GET", "/listeners?format=json")).body)["listener_statuses"]
        except (OSError, HTTPException):
            return None
        return {one["name"]: _port(one["local_address"]) for one in statuses}

    async def wait(self) -> int:
        """Wait for its end, and return how it ended."""
        assert self._process is not None
        return await self._process.wait()

    def tell(self, order: bytes) -> None:
        """Tell the Python inside."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, order)

    async def drain(self) -> None:
        """Let connections go as they fall silent: clients are told to make new calls elsewhere."""
        with contextlib.suppress(OSError, HTTPException):
            await self._admin("POST", "/drain_listeners?graceful")

    async def settled(self, seconds: float) -> None:
        """Wait until calls have neither come nor ended for a while, but no longer than that."""
        before = None
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            requests = await self._requests()
            if requests == before:
                return
            before = requests
            await asyncio.sleep(_POLL)

    async def idle(self, seconds: float) -> None:
        """Wait until there are no calls, but no longer than that."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            if not any(value for name, value in (await self._requests()).items() if name.endswith(_ACTIVE)):
                return
            await asyncio.sleep(_POLL)

    def kill(self) -> None:
        """End it at once, because nothing else does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End it, and wait until it has."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
            self.kill()
            await process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    async def _requests(self) -> Mapping[str, int]:
        """Calls that are there, and that have ever come, by the name of the statistic. None of an Envoy that is gone."""
        try:
            lines = (await self._admin("GET", _REQUESTS)).body.decode().splitlines()
        except (OSError, HTTPException):
            return {}
        return {name: int(value) for name, value in (line.split(": ") for line in lines)}

    async def _admin(self, method: str, path: str) -> Any:
        return await asyncio.to_thread(ask, admin_file(self._directory), method, path)


def write_config(file: Path, config: Config) -> None:
    """Write it where the runtime directory keeps others from it."""
    file.write_text(json.dumps(config))


def _port(address: Mapping[str, Any]) -> int:
    return int(address.get("socket_address", {}).get("port_value", 0))
