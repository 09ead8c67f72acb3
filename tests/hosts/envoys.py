"""Envoys for tests, run by this process: started, reached and ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from mcp_acl.hosts import envoy
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.runtime.address import parse_address
from tests.hosts.inside import ECHO
from tests.hosts.running import python_of
from tests.installed import ROOT

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SECONDS = 20.0
_HEALTH = "/grpc.health.v1.Health"
_FORMS = (health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)


def engine(factory: str = "one") -> envoy.Engine:
    """Of the environment that has Envoy. Skips the test where there is none."""
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT)])
    written = subprocess.run(
        [python_of("envoy"), "-m", "tests.hosts.installed"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    binary, module, environment = json.loads(written.stdout)
    installation = envoy.Installation(Path(binary), Path(module), environment)
    return envoy.Engine(f"tests.hosts.inside:{factory}", installation=installation)


def listener(address: str = "127.0.0.1:0", **fields: Any) -> Listener:
    return Listener(parse_address(address, insecure=True), {}, **fields)


class Running:
    """A host that is running: its task, where it listens, and a channel to its first listener."""

    def __init__(
        self, task: "asyncio.Task[None]", bound: Sequence[str], credentials: grpc.ChannelCredentials | None
    ) -> None:
        self.task = task
        self.bound = bound
        self.channel = self.open(credentials)

    def open(self, credentials: grpc.ChannelCredentials | None = None, number: int = 0) -> grpc.aio.Channel:
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        if credentials is None:
            return grpc.aio.insecure_channel(self.bound[number], options)
        return grpc.aio.secure_channel(self.bound[number], credentials, options)

    async def ask(self, path: str = ECHO, message: bytes = b"x") -> bytes:
        return await ask(self.channel, path, message)

    async def health(self) -> int:
        call = self.channel.unary_unary(f"{_HEALTH}/Check", *_FORMS)
        return int((await call(health_pb2.HealthCheckRequest(), timeout=SECONDS)).status)

    async def watch(self) -> AsyncIterator[int]:
        call = self.channel.unary_stream(f"{_HEALTH}/Watch", *_FORMS)
        async for response in call(health_pb2.HealthCheckRequest(), timeout=SECONDS):
            yield int(response.status)

    async def until_refused(self, begun: asyncio.Event | None = None) -> tuple[int, grpc.StatusCode]:
        """How many calls, one after the other, were answered, and how the first ended that was not. `begun`: the first one has ended."""
        for number in count():
            try:
                await self.ask()
            except grpc.aio.AioRpcError as error:
                return number, error.code()
            finally:
                if begun:
                    begun.set()
        raise AssertionError

    async def pid(self) -> int:
        return int(await self.ask("/test.Echo/Pid"))

    async def ended(self) -> None:
        await asyncio.wait_for(self.task, SECONDS)


async def ask(channel: grpc.aio.Channel, path: str = ECHO, message: bytes = b"x") -> bytes:
    call: Any = channel.unary_unary(path)
    answer: bytes = await call(message, timeout=SECONDS)
    return answer


async def code_of(channel: grpc.aio.Channel, path: str = ECHO) -> grpc.StatusCode:
    """How a call ends."""
    try:
        await ask(channel, path)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@asynccontextmanager
async def running(
    *listeners: Listener,
    of: envoy.Engine,
    limits: Limits | None = None,
    drain: float = 0.0,
    credentials: grpc.ChannelCredentials | None = None,
) -> AsyncIterator[Running]:
    """Raises what the host does, if it does not start."""
    bound: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
    host = envoy.run(listeners or [listener()], limits or Limits(), of, drain, bound.set_result)
    task = asyncio.ensure_future(host)
    waiting: set[asyncio.Future[Any]] = {bound, task}
    await asyncio.wait(waiting, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    scene = Running(task, await bound, credentials)
    try:
        yield scene
    finally:
        await scene.channel.close()
        if not task.done():
            stop()
            stop()
            await scene.ended()


def stop(sign: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), sign)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (sys.platform == "linux" and stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
