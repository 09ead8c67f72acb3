"""A client of the Python SDK that does what it is told. Run by the environment `.venv-peers`.

A line of standard input is a conversation, `{"url": …, "token": …, "steps": [[method, params], …]}`, and perhaps `"mode"`, as the SDK has it; a
line of standard output says what the client saw of each step: `{"result": …}` or `{"error": [class, code, message]}`; `[{"refused": […]}]` if it could not begin. Steps that are no method:

* `subscribe` {uri}: by `resources/subscribe`, or since 2026-07-28 by a stream that stays open;
* `updates` {touch, until}: make the calls of `touch` until an update of the URI `until` has come; what came, sorted;
* `become` {token}: who asks from now on.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, ClassVar

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference, ResourceTemplateReference

SECONDS = 60
TRIES = 20
PATIENCE = 0.5


def _complete(client: Any, ref: Mapping[str, str], argument: Mapping[str, str]) -> Awaitable[Any]:
    kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
    return client.complete(kind(**ref), argument)  # type: ignore[no-any-return]


def raised(error: Any) -> list[Any]:
    return [type(error).__name__, error.error.code, error.error.message]


class Conversation:
    """One client, and what it has been told of resources."""

    def __init__(self, client: Any, http: Any, opened: AsyncExitStack) -> None:
        self.client, self._http, self._opened = client, http, opened
        self._updated: set[str] = set()
        self._came = asyncio.Event()

    async def hear(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            self._heard(str(message.params.uri))

    def _heard(self, uri: str) -> None:
        self._updated.add(uri)
        self._came.set()

    async def subscribe(self, uri: str) -> dict[str, Any]:
        if self.client.protocol_version < "2026":
            await self.client.subscribe_resource(uri)
        else:
            stream = await self._opened.enter_async_context(self.client.listen(resource_subscriptions=[uri]))
            reading = asyncio.create_task(self._read(stream))
            self._opened.callback(reading.cancel)
        return {}

    async def _read(self, stream: Any) -> None:
        async for event in stream:
            self._heard(str(event.uri))

    async def updates(self, touch: list[Mapping[str, Any]], until: str) -> list[str]:
        for _ in range(TRIES):
            for call in touch:
                await self.client.call_tool(**call)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_come(until), PATIENCE)
                break
        return sorted(self._updated)

    async def _has_come(self, uri: str) -> None:
        while uri not in self._updated:
            self._came.clear()
            await self._came.wait()

    async def become(self, token: str) -> dict[str, Any]:
        self._http.headers["Authorization"] = f"Bearer {token}"
        return {}

    METHODS: ClassVar[Mapping[str, Callable[..., Awaitable[Any]]]] = {
        "tools/list": Client.list_tools,
        "prompts/list": Client.list_prompts,
        "resources/list": Client.list_resources,
        "resources/templates/list": Client.list_resource_templates,
        "tools/call": Client.call_tool,
        "prompts/get": Client.get_prompt,
        "resources/read": Client.read_resource,
        "completion/complete": _complete,
    }
    OTHERS: ClassVar[Mapping[str, Callable[..., Awaitable[Any]]]] = {
        "subscribe": subscribe,
        "updates": updates,
        "become": become,
    }

    async def seen(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if method in self.OTHERS:
                return {"result": await self.OTHERS[method](self, **params)}
            result = await self.METHODS[method](self.client, **params)
        except MCPError as error:
            return {"error": raised(error)}
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}


async def talk(url: str, token: str, steps: list[Any], mode: str = "auto") -> list[dict[str, Any]]:
    hears: list[Conversation] = []

    async def hear(message: Any) -> None:
        for one in hears:
            await one.hear(message)

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http,
        Client(
            streamable_http_client(url, http_client=http),
            read_timeout_seconds=SECONDS,
            mode=mode,
            message_handler=hear,
        ) as client,
        AsyncExitStack() as opened,
    ):
        conversation = Conversation(client, http, opened)
        hears.append(conversation)
        return [await conversation.seen(*step) for step in steps]


def told(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return asyncio.run(talk(**asked))
    except (MCPError, ExceptionGroup) as group:
        error: Any = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if not isinstance(error, MCPError):
            raise
        return [{"refused": raised(error)}]


for line in sys.stdin:
    print(json.dumps(told(json.loads(line))), flush=True)  # noqa: T201 - what it is asked for
