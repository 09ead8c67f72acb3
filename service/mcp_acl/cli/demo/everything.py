"""The real MCP server of the demo: a child process on loopback, and sessions with it over Streamable HTTP.

Knows nothing of access control.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from mcp_acl.cli.demo.children import DemoError, listening
from mcp_acl.domain import Json
from mcp_acl.mcp.sse import SseReader

REVISION: Final = "2025-11-25"
SERVER: Final = Path("@modelcontextprotocol", "server-everything", "dist", "index.js")
LOOPBACK: Final = Path("..", "loopback.cjs")
ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered over HTTP. The body of an accepted notification is empty."""

    status: int
    content_type: str
    body: bytes

    @property
    def reply(self) -> Mapping[str, Json]:
        """The JSON-RPC message in the body: alone, or the last of an event stream. Empty if there is none."""
        texts = [self.body.decode()]
        if self.content_type.startswith("text/event-stream"):
            reader = SseReader()
            texts = [event.data or "" for event in (*reader.feed(self.body), *reader.close())]
        reply: Mapping[str, Json] = json.loads(next((text for text in reversed(texts) if text), "{}"))
        return reply


class Session:
    """One client's MCP session with the server."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

    def send(self, message: bytes) -> Answer:
        """Post one message and read the whole answer. The first answer opens the session."""
        self._connection.request("POST", "/mcp", message, self._headers)
        response = self._connection.getresponse()
        session_id = response.getheader("Mcp-Session-Id")
        if session_id:
            self._headers |= {"Mcp-Session-Id": session_id, "MCP-Protocol-Version": REVISION}
        return Answer(response.status, response.getheader("Content-Type", ""), response.read())

    def close(self) -> None:
        """End the session and the connection."""
        if "Mcp-Session-Id" in self._headers:
            self._connection.request("DELETE", "/mcp", headers=self._headers)
            self._connection.getresponse().read()
        self._connection.close()


@contextmanager
def everything(node_modules: Path) -> Iterator[int]:
    """Run the server and yield its port. It has ended when this has. Raises `DemoError` if it does not start."""
    program, loopback = node_modules / SERVER, node_modules / LOOPBACK
    if not program.exists():
        raise DemoError(f"`{program}` is not there: `make demo` installs it")
    command = [_node(), "--require", str(loopback.resolve()), str(program), "streamableHttp"]
    environment = {"PATH": os.environ.get("PATH", ""), "PORT": "0"}
    with listening("the MCP server", command, environment) as address:
        yield int(address.rpartition(":")[2])


def _node() -> str:
    """Node from this environment (it comes as a Python package), or else from the path."""
    found = shutil.which("node", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise DemoError("there is no `node`: `make demo` installs it")
    return found
