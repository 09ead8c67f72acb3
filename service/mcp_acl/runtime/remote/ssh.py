"""A repository over ssh, in this process: by one key, to a host that is known. No file of ssh's settings is read, and no agent is asked."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final

import asyncssh
from dulwich.client import SSHVendor

from mcp_acl.runtime.remote.files import UNREACHABLE, refusal

_VERSION: Final = "version=2"


class Ssh(SSHVendor):
    """What git's client connects by."""

    def __init__(self, key: str, known_hosts: str, timeout: float) -> None:
        self._key = key
        self._known_hosts = known_hosts
        self._timeout = timeout

    def run_command(
        self, host: str, command: bytes, username: str | None = None, port: int | None = None, *_: Any, **__: Any
    ) -> Any:
        """Run a command at a host. Raises SourceError."""
        channel = _Channel()
        try:
            channel.open(self._options(host, port, username), command.decode())
        except (asyncssh.Error, asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError, ValueError) as error:
            channel.close()
            raise refusal(UNREACHABLE, f"ssh to {host}: {error or type(error).__name__}") from None
        return channel

    def _options(self, host: str, port: int | None, username: str | None) -> dict[str, Any]:
        return {
            "host": host,
            "port": port or 22,
            "username": username,
            "client_keys": [self._key],
            "known_hosts": self._known_hosts,
            "config": None,
            "agent_path": None,
            "preferred_auth": "publickey",
            "connect_timeout": self._timeout,
            "login_timeout": self._timeout,
        }


class _Channel:
    """A command that runs at the host: what it reads and writes, for a caller that waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._thread.start()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._process: asyncssh.SSHClientProcess[bytes] | None = None

    def open(self, options: dict[str, Any], command: str) -> None:
        self._wait(self._open(options, command))

    async def _open(self, options: dict[str, Any], command: str) -> None:
        self._connection = await asyncssh.connect(**options)
        self._process = await self._connection.create_process(command, encoding=None, env={"GIT_PROTOCOL": _VERSION})

    def read(self, size: int) -> bytes:
        """That many bytes, or what there is before the end."""
        assert self._process is not None
        try:
            return bytes(self._wait(self._process.stdout.readexactly(size)))
        except asyncio.IncompleteReadError as error:
            return bytes(error.partial)

    def write(self, data: bytes) -> None:
        """Send."""
        self._wait(self._send(data))

    async def _send(self, data: bytes) -> None:
        assert self._process is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    def can_read(self) -> bool:
        """Nothing is read before all is sent."""
        return False

    def close(self) -> None:
        """End it, and the thread."""
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
