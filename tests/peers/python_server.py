"""A canary: a server of the Python SDK that writes down every handler that runs. Run by the environment `.venv-peers`.

`python_server.py RECORD [--json] [--sessions] [--corpus] [--updates]`; the answers are event streams, and there are no sessions, unless told.
--corpus adds what the adversarial corpus names: templates, a tool that calls others, values that are secret, streams that can be taken up again.
--updates adds subscriptions, a tool that says of a resource that it has changed, and values of completions.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.types import Completion, EmptyResult, SubscribeRequestParams

_RECORD = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_MESSAGE: ContextVar[str] = ContextVar("_MESSAGE", default="")


def ran(kind: str, name: str, arguments: Mapping[str, Any]) -> None:
    line = {"kind": kind, "name": name, "arguments": arguments, "message": _MESSAGE.get()}
    os.write(_RECORD, f"{json.dumps(line)}\n".encode())


async def observe(context: Any, go_on: Callable[[Any], Awaitable[Any]]) -> Any:
    """Keep the header that says which message of the test it is, for what runs next."""
    _MESSAGE.set(context.request.headers.get("x-message", ""))
    return await go_on(context)


def given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


# Not one handler insists on an argument: whatever reaches it is written down.


async def echo(text: Any = None) -> str:
    ran("tool", "echo", given(text=text))
    return str(text)


async def add(a: Any = None, b: Any = None) -> str:
    ran("tool", "add", given(a=a, b=b))
    return str((a, b))


async def secret_delete(path: Any = None) -> str:
    ran("tool", "secret_delete", given(path=path))
    return "deleted"


async def secret_transfer(amount: Any = None) -> str:
    ran("tool", "secret_transfer", given(amount=amount))
    return "transferred"


async def greet(who: Any = None) -> str:
    ran("prompt", "greet", given(who=who))
    return f"Greet {who}."


async def secret_prompt(who: Any = None) -> str:
    ran("prompt", "secret_prompt", given(who=who))
    return f"Tell {who}."


async def public() -> str:
    ran("resource", "demo://public/one", {})
    return "public"


async def secret() -> str:
    ran("resource", "demo://secret/one", {})
    return "secret"


async def document(name: str) -> str:
    ran("template", "demo://docs/{name}", {"name": name})
    return name


async def public_document(name: str) -> str:
    ran("template", "demo://public/{name}", {"name": name})
    return name


async def secret_document(name: str) -> str:
    ran("template", "demo://secret/{name}", {"name": name})
    return name


async def call_tool(name: Any = None, arguments: Any = None) -> str:
    ran("tool", "call_tool", given(name=name, arguments=arguments))
    tool = TOOLS[name]
    return await tool(**(arguments or {}))


async def complete(ref: Any, argument: Any, _: object) -> Completion | None:
    name = getattr(ref, "name", None)
    ran("completion", name or ref.uri, {argument.name: argument.value})
    if IS_FOR_UPDATES:
        return Completion(values=[f"{argument.value}{end}" for end in ("one", "two")])
    return Completion(values=["one", "../secret/plan"]) if IS_FOR_CORPUS and not name else None


async def touch(uri: str, context: Context[Any, Any]) -> str:
    """Tell whoever listens, in either era, that a resource has changed."""
    ran("tool", "touch", {"uri": uri})
    await context.notify_resource_updated(uri)
    if uri in SUBSCRIBED.get(session_of(context.request_context), ()):
        await context.session.send_resource_updated(uri)
    return uri


async def subscribe(context: Any, params: Any) -> EmptyResult:
    ran("subscription", params.uri, {})
    SUBSCRIBED.setdefault(session_of(context), set()).add(params.uri)
    return EmptyResult()


def session_of(context: Any) -> str:
    return str(context.request.headers.get("mcp-session-id", ""))


IS_FOR_CORPUS = "--corpus" in sys.argv
IS_FOR_UPDATES = "--updates" in sys.argv
SUBSCRIBED: dict[str, set[str]] = {}
TOOLS = {tool.__name__: tool for tool in (echo, add, secret_delete, secret_transfer)}


class Events(EventStore):  # type: ignore[misc]  # it is in the environment of the peers
    """Every message that was sent: what a client missed is sent again."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        last = int(last_event_id)
        stream = self._sent[last - 1][0]
        for number, (one, message) in enumerate(self._sent[last:], last + 1):
            if one == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def server() -> Any:
    made = MCPServer("canary", log_level="CRITICAL")
    for tool in TOOLS.values():
        made.add_tool(tool)
    for prompt in (greet, secret_prompt):
        made.prompt()(prompt)
    made.resource("demo://public/one")(public)
    made.resource("demo://secret/one")(secret)
    made.resource("demo://docs/{name}")(document)
    if IS_FOR_CORPUS:
        made.add_tool(call_tool)
        made.resource("demo://public/{name}")(public_document)
        made.resource("demo://secret/{name}")(secret_document)
    if IS_FOR_UPDATES:
        made.add_tool(touch)
        # What `MCPServer` has no word for: subscriptions up to 2025-11-25.
        made._lowlevel_server.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    made.completion()(complete)
    made.middleware.append(observe)
    return made


def main() -> None:
    app = server().streamable_http_app(
        json_response="--json" in sys.argv,
        stateless_http="--sessions" not in sys.argv,
        event_store=Events() if IS_FOR_CORPUS else None,
    )
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # said outright, or asyncio leaves Nagle's algorithm on
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    host = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", timeout_keep_alive=600, timeout_graceful_shutdown=1)
    )

    def end() -> None:
        sys.stdin.read()
        host.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)  # noqa: T201 - what it is asked for
    asyncio.run(host.serve([listener]))


if __name__ == "__main__":
    main()
