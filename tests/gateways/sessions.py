"""Many sessions at once through a gateway, by raw clients to a raw server, both in this process: what each saw, and what must not be.

Each session belongs to a team and may see and call what begins with the team's letter. The server knows from the session's id whose it is, so
it sees by itself what should not have reached it; the clients see what they should not have been shown. Knows no policy and no gateway.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

TEAMS: Final = ("a", "b", "c")
PATH: Final = "/teams/mcp"
"""Where the gateway has the server."""
EACH: Final = 10
"""Tools of each team."""
SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 0.2
"""What connections are given to close."""
NAMES: Final = tuple(f"{team}_{number}" for team in TEAMS for number in range(EACH))

POLICY: Final = """\
version: 1
policy: teams
servers: [teams]
rules:
  - id: own-tools
    methods: [tools/list, tools/call]
    cel: 'mcp.name.startsWith(claims.team + "_")'
"""


GoesOn = Callable[[], bool]


@dataclass
class Seen:
    """What happened. `wrong` must stay empty; `failed` are answers that are none, by what they were."""

    wrong: list[str] = field(default_factory=list)
    good: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    by_second: Counter[int] = field(default_factory=Counter)
    failed_by_second: Counter[int] = field(default_factory=Counter)
    events: int = 0
    reached: Counter[str] = field(default_factory=Counter)


# ---- HTTP/1.1, as little of it as is needed ---------------------------------------------------------------------------


async def _head(reader: asyncio.StreamReader) -> tuple[str, Mapping[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return lines[0], headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", "0")))
    return b"".join([chunk async for chunk in _chunks(reader)])


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


# ---- the server -------------------------------------------------------------------------------------------------------


class Server:
    """Lists all tools to everybody, as JSON or as events, and runs whatever it is asked."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._numbers = iter(range(10**9))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line, headers = await _head(reader)
                body = await _body(reader, headers)
                if line.startswith("GET"):
                    await self._events(writer)
                    return
                writer.write(self._answer(headers, json.loads(body)))
                await writer.drain()

    def _answer(self, headers: Mapping[str, str], message: Mapping[str, Any]) -> bytes:
        session = headers.get("mcp-session-id", "")
        if "id" not in message:
            return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
        result = self._result(session, message)
        text = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        is_stream = message["id"] % 2 == 1
        body = f"event: message\ndata: {text}\n\n" if is_stream else text
        kind = "text/event-stream" if is_stream else "application/json"
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return f"{head}mcp-session-id: {session or message['params']['clientInfo']['name']}\r\n\r\n{body}".encode()

    def _result(self, session: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        match message["method"]:
            case "tools/list":
                return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]}
            case "tools/call":
                name = message["params"]["name"]
                self._seen.reached["call"] += 1
                if name[0] != session[0]:
                    self._seen.wrong.append(f"the server ran {name} for {session}")
                return {"content": [{"type": "text", "text": f"{name} {message['id']}"}]}
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "s", "version": "1"},
        }

    async def _events(self, writer: asyncio.StreamWriter) -> None:
        """Two events each second: one for everybody, and a list that must not come through as it is."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        tools = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]}
        listed = json.dumps({"jsonrpc": "2.0", "id": "replayed", "result": tools})
        changed = json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        while True:
            for text in (changed, listed):
                event = f"data: {text}\n\n".encode()
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(1)


@asynccontextmanager
async def serving(seen: Seen) -> AsyncIterator[int]:
    """The port of a server that writes down what should not have reached it."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await Server(seen).serve(reader, writer)
        except asyncio.CancelledError:
            pass  # at the end, by what is below
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.sleep(_CLOSE_SECONDS)


# ---- the clients ------------------------------------------------------------------------------------------------------


class Session:
    """One client: it says hello, then lists and calls, now and then what it may not."""

    def __init__(self, seen: Seen, port: int, number: int, tokens: Mapping[str, str]) -> None:
        self._seen = seen
        self._port = port
        self._team = TEAMS[number % len(TEAMS)]
        self._name = f"{self._team}-{number}"
        self._token = tokens[self._team]
        self._random = random.Random(number)  # noqa: S311 - a load that is the same each time
        self._listens = number % 10 == 0
        self._id = number
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, goes_on: GoesOn, pause: float, started: float) -> None:
        """Ask as long as it goes on, with a pause of that many seconds on average between questions."""
        await asyncio.sleep(self._random.random() * pause)
        listening = asyncio.create_task(self._listen(goes_on)) if self._listens else None
        while goes_on():
            what, method, params = self._question()
            second = int(time.monotonic() - started)
            try:
                async with asyncio.timeout(SECONDS):
                    status, answer = await self._ask(method, params)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self._end()
                status, answer = 0, type(error).__name__
            self._judge(what, status, answer, second)
            await asyncio.sleep(self._random.random() * 2 * pause)
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        self._end()

    def _question(self) -> tuple[str, str, Mapping[str, Any]]:
        kind = self._random.choice(["list", "list", "own", "own", "other"])
        if kind == "list":
            return "list", "tools/list", {}
        team = self._team if kind == "own" else self._random.choice([one for one in TEAMS if one != self._team])
        return f"{kind} {team}", "tools/call", {"name": f"{team}_{self._random.randrange(EACH)}", "arguments": {}}

    async def _ask(self, method: str, params: Mapping[str, Any]) -> tuple[int, Any]:
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        self._id += 2 if self._random.random() < 0.5 else 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        writer.write(self._head("POST", len(body)) + body)
        line, headers = await _head(reader)
        text = (await _body(reader, headers)).decode()
        if headers.get("connection") == "close":
            self._end()
        is_events = headers.get("content-type", "").startswith("text/event-stream")
        found = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")] if is_events else [text]
        answer = json.loads(found[0]) if found and found[0].startswith("{") else text
        return int(line.split()[1]), answer

    def _head(self, method: str, length: int) -> bytes:
        return (
            f"{method} {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nauthorization: Bearer {self._token}\r\n"
            f"mcp-session-id: {self._name}\r\naccept: application/json, text/event-stream\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ).encode()

    def _judge(self, what: str, status: int, answer: Any, second: int) -> None:
        """Whether an answer is right, wrong, or none: an error of the gateway is none."""
        self._seen.by_second[second] += 1
        if isinstance(answer, dict) and answer.get("id") == self._id and status == 200:
            right = self._is_right(what, answer)
            if right is None:
                self._seen.failed[f"{what.partition(' ')[0]}: {answer['error']['message'][:80]}"] += 1
                self._seen.failed_by_second[second] += 1
            elif right:
                self._seen.good[what.partition(" ")[0]] += 1
            else:
                self._seen.wrong.append(f"{self._name} asked for {what} and got {answer}"[:300])
            return
        for name in NAMES:
            if name[0] != self._team and name in str(answer):
                self._seen.wrong.append(f"{self._name} got {answer}"[:300])
                break
        self._seen.failed[f"{status} {answer}"[:80]] += 1
        self._seen.failed_by_second[second] += 1

    def _is_right(self, what: str, answer: Mapping[str, Any]) -> bool | None:
        error = answer.get("error")
        if error is not None and error["code"] == -32603:
            return None
        if what == "list":
            names = [tool["name"] for tool in answer.get("result", {}).get("tools", ())]
            return names == [name for name in NAMES if name[0] == self._team]
        if what.startswith("own"):
            return error is None and answer["result"]["content"][0]["text"].startswith(self._team)
        return error is not None and error["code"] == 403

    async def _listen(self, goes_on: GoesOn) -> None:
        """Keep a stream open, and open another when it ends."""
        while goes_on():
            with suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(self._head("GET", 0))
                    line, headers = await _head(reader)
                    if " 200 " in line and "chunked" in headers.get("transfer-encoding", ""):
                        async for chunk in _chunks(reader):
                            self._hear(chunk.decode())
                finally:
                    writer.close()
            await asyncio.sleep(0.5)

    def _hear(self, text: str) -> None:
        self._seen.events += text.count("data:")
        if any(name[0] != self._team and f'"{name}"' in text for name in NAMES):
            self._seen.wrong.append(f"{self._name} was told {text}"[:300])

    def _end(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None


async def sessions(  # noqa: PLR0913
    seen: Seen, port: int, number: int, *, goes_on: GoesOn, pause: float, tokens: Mapping[str, str]
) -> None:
    """So many sessions for as long as it goes on. `tokens`: of each team."""
    started = time.monotonic()
    await asyncio.gather(*(Session(seen, port, one, tokens).run(goes_on, pause, started) for one in range(number)))
