"""The second host beyond its calls: each of the server's dangerous defaults is closed, and it starts, drains and ends as it must."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest

from mcp_acl.hosts import envoy
from mcp_acl.hosts.envoy import process
from mcp_acl.hosts.listening import Limits, ListenError
from tests.certificates import Certified
from tests.hosts.clients import credentials
from tests.hosts.envoys import (
    NOT_SERVING,
    SECONDS,
    SERVING,
    alive,
    ask,
    code_of,
    engine,
    listener,
    running,
    stop,
)
from tests.hosts.inside import ADMIN, ECHO
from tests.hosts.running import python_of
from tests.installed import ROOT

_engine = cache(engine)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run(scene: Callable[[envoy.Engine], Any], factory: str = "one") -> None:
    """A scene, with the engine that it needs. Skips where there is no Envoy."""
    asyncio.run(scene(_engine(factory)))


async def _never() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(SECONDS)


def _stream(channel: grpc.aio.Channel, path: str = "/test.Stream/Echo") -> Any:
    call: Any = channel.stream_stream(path)
    return call(timeout=SECONDS)


# ---- the defaults ---------------------------------------------------------------------------------------------------


def test_connection_outlives_thousands_of_streams_that_are_reset() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            witness = _stream(one.channel)
            await witness.write(b"x")
            assert b"x" == await witness.read()
            for _ in range(50):
                streams = [_stream(one.channel) for _ in range(100)]
                await asyncio.gather(*(each.write(b"x") for each in streams))
                await asyncio.gather(*(each.read() for each in streams))
                for each in streams:
                    each.cancel()
            await witness.write(b"y")
            assert b"y" == await witness.read()

    run(scene)


def test_stream_may_be_silent_longer_than_every_limit_of_time() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of, limits=Limits(message_seconds=0.5, keepalive_seconds=0.5)) as one:
            silent = _stream(one.channel)
            await silent.write(b"x")
            assert b"x" == await silent.read()
            await asyncio.sleep(2)
            await silent.write(b"y")
            assert b"y" == await silent.read()

    run(scene)


def test_calls_at_the_end_are_answered_or_refused_and_never_cancelled() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            begun = [asyncio.Event() for _ in range(64)]
            clients = [asyncio.ensure_future(one.until_refused(each)) for each in begun]
            await asyncio.gather(*(each.wait() for each in begun))
            slow = [asyncio.ensure_future(one.ask("/test.Echo/Slow")) for _ in range(2)]
            await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
            stop()
            ended = await asyncio.gather(*clients)
            assert [b"x"] * 2 == await asyncio.gather(*slow)
            await one.ended()
        assert {grpc.StatusCode.UNAVAILABLE} == {code for _, code in ended}
        assert all(answered for answered, _ in ended)

    run(scene)


def test_stream_that_waits_for_its_client_is_refused_at_the_end() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            waiting = _stream(one.channel)
            await waiting.write(b"x")
            assert b"x" == await waiting.read()
            stop()
            assert (grpc.StatusCode.UNAVAILABLE, "the service is shutting down") == (
                await waiting.code(),
                await waiting.details(),
            )
            await one.ended()

    run(scene)


@LINUX
def test_what_clients_do_not_read_is_not_kept() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            pid = await one.pid()
            before = _resident(pid)
            channels = [one.open() for _ in range(20)]
            calls = [_stream(channel) for channel in channels]

            async def feed(each: Any) -> None:
                for _ in range(512):
                    await each.write(bytes(64 * 1024))

            feeding = [asyncio.ensure_future(feed(each)) for each in calls]
            await asyncio.wait(feeding, timeout=3)
            assert _resident(pid) - before < 150 * 2**20
            for each in (*calls, *feeding):
                each.cancel()
            await asyncio.gather(*feeding, return_exceptions=True)
            for channel in channels:
                await channel.close()

    run(scene)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("path", ["/test.Echo/%ff", "/test.Echo/Echo?x=1", "/", "/a/b/c", "/test.Echo/Ech%6f", "//"])
def test_path_that_is_none_is_answered(path: str) -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            assert grpc.StatusCode.PERMISSION_DENIED is await code_of(one.channel, path)

    run(scene)


def test_handler_that_returns_nothing_ends_its_call() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            assert grpc.StatusCode.INTERNAL is await code_of(one.channel, "/test.Echo/Nothing")

    run(scene)


def test_address_in_use_is_refused_and_never_shared() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            with pytest.raises(ListenError, match="in use"):
                async with running(listener(one.bound[0]), of=of):
                    pass
            assert b"x" == await one.ask()

    run(scene)


def test_address_that_is_taken_after_the_look_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(of: envoy.Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            monkeypatch.setattr(process, "write_config", _changed(lambda config: _take_port(config, port)))
            with pytest.raises(envoy.EnvoyError, match="ended by itself"):
                async with running(of=of):
                    pass

    run(scene)


# ---- the check at the start -----------------------------------------------------------------------------------------


def _changed(change: Callable[[Any], None]) -> Callable[[Path, Any], None]:
    """Writes another configuration than the one that the host takes itself to have written."""

    def write(file: Path, config: Any) -> None:
        other = json.loads(json.dumps(config))
        change(other)
        file.write_text(json.dumps(other))

    return write


def _take_port(config: Any, port: int) -> None:
    config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port


def _managers(config: Any) -> Iterator[Any]:
    for one in config["static_resources"]["listeners"]:
        yield one["filter_chains"][0]["filters"][0]["typed_config"]


def _without(*names: str) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        for manager in _managers(config):
            inner = manager
            for name in names[:-1]:
                inner = inner[name]
            del inner[names[-1]]

    return change


def _shared_port(config: Any) -> None:
    config["static_resources"]["listeners"][0]["enable_reuse_port"] = True


def _any_path(config: Any) -> None:
    for manager in _managers(config):
        del manager["http_filters"][0]


REMEDIES: dict[str, tuple[Callable[[Any], None], str]] = {
    "status 0": (_without("local_reply_config"), "ended with `0` as its status"),
    "resets": (_without("http2_protocol_options", "stream_reset_burst"), "stream_reset_burst"),
    "reset rate": (_without("http2_protocol_options", "stream_reset_rate"), "stream_reset_rate"),
    "idle": (_without("stream_idle_timeout"), "stream_idle_timeout"),
    "window": (_without("http2_protocol_options", "initial_stream_window_size"), "initial_stream_window_size"),
    "streams": (_without("http2_protocol_options", "max_concurrent_streams"), "max_concurrent_streams"),
    "paths": (_any_path, "http_filters"),
    "port": (_shared_port, "enable_reuse_port"),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_host_does_not_serve_when_a_remedy_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    change, text = REMEDIES[name]
    monkeypatch.setattr(process, "write_config", _changed(change))

    async def scene(of: envoy.Engine) -> None:
        with pytest.raises(envoy.EnvoyError, match=text):
            async with running(of=of):
                pass

    run(scene)


@pytest.mark.parametrize(("factory", "listeners"), [("broken", 1), ("two", 1), ("nowhere", 1)])
def test_service_that_cannot_be_made_ends_the_start(factory: str, listeners: int) -> None:
    async def scene(of: envoy.Engine) -> None:
        with pytest.raises(envoy.EnvoyError, match="ended by itself") as caught:
            async with running(*[listener() for _ in range(listeners)], of=of):
                pass
        assert caught.value.code not in (None, 0)

    run(scene, factory)


# ---- who may call what ----------------------------------------------------------------------------------------------


def test_each_listener_has_its_own_table() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(listener(), listener(), of=of) as one:
            assert grpc.StatusCode.UNIMPLEMENTED is await code_of(one.channel, ADMIN)
            async with one.open(number=1) as people:
                assert (b"x", b"x") == (await ask(people, ADMIN), await ask(people))

    run(scene, "two")


CLIENTS: list[tuple[list[str], str, grpc.StatusCode]] = [
    (["admin.test"], "", grpc.StatusCode.OK),
    (["other.test", "admin.test"], "", grpc.StatusCode.OK),
    (["spiffe://test/admin"], "", grpc.StatusCode.OK),
    (["spiffe://test/other", "admin.test"], "", grpc.StatusCode.OK),
    (["other.test"], "admin.test", grpc.StatusCode.PERMISSION_DENIED),
    (["admin.test.evil", "xadmin.test", "adminxtest"], "", grpc.StatusCode.PERMISSION_DENIED),
    (["*.test", "*"], "", grpc.StatusCode.PERMISSION_DENIED),
    (["spiffe://test/admin/x", "Spiffe://test/admin"], "", grpc.StatusCode.PERMISSION_DENIED),
    (["ADMIN.test"], "", grpc.StatusCode.PERMISSION_DENIED),
    ([], "admin.test", grpc.StatusCode.PERMISSION_DENIED),
    ([], "", grpc.StatusCode.PERMISSION_DENIED),
]


def test_method_with_names_is_for_certificates_that_have_one(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    admins = frozenset({"admin.test", "spiffe://test/admin", "CN=admin.test", ""})
    names = {ECHO: admins, "/test.Echo/Slow": frozenset[str]()}
    secured = listener(certificates=certified.certificates(clients=True), names=names)

    async def scene(of: envoy.Engine) -> None:
        async with running(secured, of=of) as one:
            for shown, subject, code in CLIENTS:
                async with one.open(credentials(certified, *shown, subject=subject)) as channel:
                    assert (shown, code) == (shown, await code_of(channel))
                    assert grpc.StatusCode.OK is await code_of(channel, "/test.Echo/Pid")
                    assert grpc.StatusCode.PERMISSION_DENIED is await code_of(channel, "/test.Echo/Slow")
            async with one.open(certified.credentials()) as channel:
                assert grpc.StatusCode.UNAVAILABLE is await code_of(channel)

    run(scene)


def test_client_of_another_authority_is_not_let_in(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Certified(tmp_path / "other").authority.issue_cert("admin.test")
    chain = b"".join(pem.bytes() for pem in stranger.cert_chain_pems)
    strange = grpc.ssl_channel_credentials(certified.root, stranger.private_key_pem.bytes(), chain)

    async def scene(of: envoy.Engine) -> None:
        secured = listener(certificates=certified.certificates(clients=True))
        async with running(secured, of=of) as one, one.open(strange) as channel:
            assert grpc.StatusCode.UNAVAILABLE is await code_of(channel)

    run(scene)


def test_certificate_is_changed_without_a_restart(tmp_path: Path) -> None:
    certified = Certified(tmp_path)

    async def scene(of: envoy.Engine) -> None:
        trusting = certified.credentials()
        async with running(listener(certificates=certified.certificates(clients=False)), of=of) as one:
            async with one.open(trusting) as channel:
                assert b"x" == await ask(channel)
            pid = await _pid(one.open(trusting))
            before = await asyncio.to_thread(_shown, one.bound[0])
            certified.renew()
            async with asyncio.timeout(SECONDS):
                while before == await asyncio.to_thread(_shown, one.bound[0]):  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.1)
            assert pid == await _pid(one.open(trusting))

    run(scene)


async def _pid(channel: grpc.aio.Channel) -> bytes:
    async with channel:
        return await ask(channel, "/test.Echo/Pid")


def _shown(address: str) -> str:
    import ssl  # noqa: PLC0415 - for this alone

    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_calls_beyond_the_limit_are_refused_over_all_connections() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of, limits=Limits(calls=3)) as one:
            channels = [one.open() for _ in range(3)]
            held = [_stream(channel) for channel in channels]
            for each in held:
                await each.write(b"x")
                assert b"x" == await each.read()
            assert grpc.StatusCode.RESOURCE_EXHAUSTED is await code_of(one.channel)
            held[0].cancel()
            async with asyncio.timeout(SECONDS):
                while await code_of(one.channel) is not grpc.StatusCode.OK:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
            for channel in channels:
                await channel.close()

    run(scene)


def test_unary_call_that_does_not_bring_its_message_is_ended() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of, limits=Limits(message_seconds=0.3)) as one:
            call: Any = one.channel.stream_unary(ECHO)
            begun = call(timeout=SECONDS)
            assert grpc.StatusCode.DEADLINE_EXCEEDED is await begun.code()
            assert "did not arrive in time" in await begun.details()

    run(scene)


# ---- health and the end ---------------------------------------------------------------------------------------------


def test_host_that_drains_answers_and_says_that_it_is_not_serving() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of, drain=60.0) as one:
            watch = one.watch()
            assert (SERVING, SERVING) == (await one.health(), await anext(watch))
            stop()
            assert NOT_SERVING == await anext(watch)
            assert (NOT_SERVING, b"x") == (await one.health(), await one.ask())
            assert [] == [status async for status in watch]
            stop()
            await one.ended()

    run(scene)


@LINUX
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_host_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, sign: signal.Signals) -> None:
    async def scene(of: envoy.Engine) -> None:
        with tempfile.TemporaryDirectory() as directory:
            monkeypatch.setattr(tempfile, "tempdir", directory)
            async with running(of=of) as one:
                pid = await one.pid()
                (runtime,) = _names(directory)
                assert 0o700 == stat.S_IMODE(os.lstat(f"{directory}/{runtime}").st_mode)
                stop(sign)
                await one.ended()
                assert not alive(pid)
                assert [] == _names(directory)

    run(scene)


def _names(directory: str) -> list[str]:
    return [one.name for one in Path(directory).iterdir()]


@LINUX
def test_envoy_that_dies_is_told() -> None:
    async def scene(of: envoy.Engine) -> None:
        async with running(of=of) as one:
            os.kill(await one.pid(), signal.SIGKILL)
            with pytest.raises(envoy.EnvoyError) as caught:
                await one.ended()
            assert -signal.SIGKILL == caught.value.code

    run(scene)


@LINUX
def test_envoy_does_not_outlive_the_process_outside(tmp_path: Path) -> None:
    python = python_of("envoy")
    runtime = tempfile.mkdtemp()
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT)])
    with (tmp_path / "log").open("wb") as log:
        outside = subprocess.Popen(
            [python, "-m", "tests.hosts.service", "envoy", "{}"],
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": runtime},
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
        )
    assert outside.stdout is not None
    assert outside.stdout.readline().startswith(b"listening on ")
    (inside,) = _children(outside.pid)
    outside.kill()
    outside.wait()
    outside.stdout.close()

    async def scene() -> None:
        async with asyncio.timeout(SECONDS):
            while alive(inside):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)

    asyncio.run(scene())
    assert [] == _names(runtime)
    Path(runtime).rmdir()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


# ---- socket files ---------------------------------------------------------------------------------------------------


def test_socket_file_is_served_by_its_mode_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "acl.sock"

    async def scene(of: envoy.Engine) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(file))
        async with running(listener(f"unix:{file}", socket_mode=0o660), of=of) as one:
            assert b"x" == await one.ask()
            assert 0o660 == stat.S_IMODE(file.stat().st_mode)
            with pytest.raises(ListenError, match="in use"):
                async with running(listener(f"unix:{file}"), of=of):
                    pass
            assert b"x" == await one.ask()
        assert not file.exists()

    run(scene)


@pytest.mark.parametrize("path", ["nowhere/acl.sock", "file", "file/acl.sock"])
def test_socket_file_that_cannot_be_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("kept")

    async def scene(of: envoy.Engine) -> None:
        with pytest.raises(ListenError):
            async with running(listener(f"unix:{tmp_path}/{path}"), of=of):
                pass

    run(scene)
    assert "kept" == (tmp_path / "file").read_text()
