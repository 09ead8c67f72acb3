"""Connections of lines: to an address, in time, or an error that says why not. Knows no protocol."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mcp_acl.bench.http2_frames import PeerError
from mcp_acl.runtime.address import AddressError, parse_address

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


class LineError(Exception):
    """A line that cannot be opened. The text says why."""


async def connected(  # noqa: PLR0913 - what a connection is made of
    address: str,
    protocol: Callable[[], _Protocol],
    ready: Callable[[_Protocol], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None,
    seconds: float,
    name: str = "",
) -> _Protocol:
    """A connection that is ready to be asked. `name`: the one in the certificate, where it is not the address's. Raises LineError."""
    try:
        async with asyncio.timeout(seconds):
            transport, made = await _made(address, protocol, tls, name or None)
            try:
                await ready(made)
            except BaseException:
                transport.abort()
                raise
    except AddressError as error:
        raise LineError(str(error)) from None
    except TimeoutError:
        raise LineError(f"`{address}` did not answer within {seconds:g} s") from None
    except (OSError, PeerError) as error:
        raise LineError(f"cannot use `{address}`: {error}") from None
    return made


async def _made(
    address: str, protocol: Callable[[], _Protocol], tls: ssl.SSLContext | None, name: str | None
) -> tuple[asyncio.Transport, _Protocol]:
    at, loop = parse_address(address, insecure=True), asyncio.get_running_loop()
    if at.file:
        name = None if tls is None else name or "localhost"
        return await loop.create_unix_connection(protocol, at.file, ssl=tls, server_hostname=name)
    return await loop.create_connection(
        protocol, at.host, at.port, ssl=tls, server_hostname=None if tls is None else name
    )
