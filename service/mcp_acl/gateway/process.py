"""One Envoy that is a gateway: started under its keeper, and ended; and any, asked and drained. Knows not when to do what."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from mcp_acl.gateway import keeper
from mcp_acl.gateway.config import LISTENER
from mcp_acl.hosts.envoy.config import Config, admin_file
from mcp_acl.hosts.envoy.http import ask
from mcp_acl.hosts.envoy.process import write_config

_POLL: Final = 0.05
_DRAIN: Final = "/drain_listeners?graceful&inboundonly"
_ACTIVE: Final = f"/stats?filter=^http\\.{LISTENER}\\.downstream_rq_active$"
FLAGS: Final = ("--component-log-level", "jwt:warning")
"""So that it says why keys cannot be fetched."""
END_SECONDS: Final = 2 * keeper.END_SECONDS


class Envoy:
    """A process, its keeper between it and this one, and the directory of both."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: asyncio.Future[int] | None = None

    async def start(self, config: Config) -> None:
        """Start it; it is not ready yet. In a session of its own, so that the terminal's Ctrl-C is for this process alone."""
        file = self._directory / "envoy.json"
        write_config(file, config)
        command: list[str | Path] = [sys.executable, "-I", "-S", keeper.__file__, self._directory, self._binary]
        command += ["--config-path", file, "--disable-hot-restart", "--concurrency", "1"]
        command += ["--log-level", "error", *FLAGS, "--drain-strategy", "immediate"]
        # Not by the event loop, which forks: gRPC has threads by now, and complains.
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603
            command,
            stdin=subprocess.PIPE,
            # Standard output is for what was decided.
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
        self._ending = asyncio.ensure_future(asyncio.to_thread(self._process.wait))

    async def wait(self) -> int:
        """Wait for its end, and return how it ended."""
        assert self._ending is not None
        return await asyncio.shield(self._ending)

    async def stop(self) -> None:
        """End it, and wait until it has."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), END_SECONDS)
        # Of the whole session: Envoy too, if it was its keeper that was killed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait()
        self._process.stdin.close()


async def is_ready(directory: Path) -> bool:
    """Whether the Envoy of a directory has begun to take requests."""
    try:
        return int((await _admin(directory, "GET", "/ready")).status) == 200
    except (OSError, HTTPException):
        return False


async def drain(directory: Path, seconds: float) -> None:
    """Have it take no more, and wait until nothing is under way, but no longer than that."""
    until = asyncio.get_running_loop().time() + seconds
    with contextlib.suppress(OSError, HTTPException):
        await _admin(directory, "POST", _DRAIN)
        while asyncio.get_running_loop().time() < until:
            if (await _admin(directory, "GET", _ACTIVE)).body.rstrip().endswith(b": 0"):
                return
            await asyncio.sleep(_POLL)


def how(code: int) -> str:
    """How a process ended, in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


async def _admin(directory: Path, method: str, path: str) -> Any:
    return await asyncio.to_thread(ask, admin_file(directory), method, path)
