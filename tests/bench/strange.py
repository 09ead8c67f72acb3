"""Servers of the tests of lines: HTTP/2 that does as it is told, and bytes over a socket; on the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

OK = [("grpc-status", "0")]
HEAD = [(":status", "200"), ("content-type", "application/grpc")]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def socket_of(serve: Serve) -> AsyncIterator[str]:
    """Serve connections, and yield the address."""
    writers: list[asyncio.StreamWriter] = []

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, EOFError, ProtocolError):
            await serve(reader, writer)

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


class Peer:
    """One connection of a server, and what it has seen. `answer` is called with each request that has ended."""

    settings: dict[int, int] | None = None

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.bodies: dict[int, bytes] = {}
        self.headers: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self.most_open = 0
        self.writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        if self.settings:
            self.h2.local_settings = Settings(client=False, initial_values=self.settings)  # type: ignore[arg-type]
            # h2 does not hold its peer to the size that it says at first.
            size = self.settings.get(SettingCodes.HEADER_TABLE_SIZE, 4096)
            self.h2.decoder.max_allowed_table_size = size
        self.h2.initiate_connection()
        self.begun()
        while True:
            writer.write(self.h2.data_to_send())
            await writer.drain()
            data = await reader.read(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                self.events.append(event)
                self.take(event)

    def begun(self) -> None:
        """The preface is said."""

    def take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            assert event.stream_id is not None
            self.headers = [(str(name), str(value)) for name, value in event.headers or ()]
            self.bodies[event.stream_id] = b""
            self.most_open = max(self.most_open, self.h2.open_inbound_streams)
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None
            assert event.flow_controlled_length is not None
            self.bodies[event.stream_id] += event.data or b""
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            self.answer(event.stream_id)

    def answer(self, stream: int) -> None:
        self.say(stream, self.bodies[stream])

    def say(self, stream: int, data: bytes, trailers: list[tuple[str, str]] = OK) -> None:
        self.h2.send_headers(stream, HEAD)
        self.h2.send_data(stream, data)
        self.h2.send_headers(stream, trailers, end_stream=True)
