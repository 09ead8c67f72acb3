"""A client of the Python SDK that does what it is told. Run by the environment `.venv-peers`.

A line of standard input is a conversation, `{"url": …, "token": …, "steps": [[method, params], …]}`; a line of standard output says what the client
saw of each step: `{"result": …}` or `{"error": [code, message]}`.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference, ResourceTemplateReference


def _complete(client: Any, ref: Mapping[str, str], argument: Mapping[str, str]) -> Awaitable[Any]:
    kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
    return client.complete(kind(**ref), argument)  # type: ignore[no-any-return]


STEPS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "tools/list": Client.list_tools,
    "prompts/list": Client.list_prompts,
    "resources/list": Client.list_resources,
    "resources/templates/list": Client.list_resource_templates,
    "tools/call": Client.call_tool,
    "prompts/get": Client.get_prompt,
    "resources/read": Client.read_resource,
    "completion/complete": _complete,
}


async def seen(client: Any, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        result = await STEPS[method](client, **params)
    except MCPError as error:
        return {"error": [error.error.code, error.error.message]}
    return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}


async def talk(url: str, token: str, steps: list[Any]) -> list[dict[str, Any]]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=20) as client,
    ):
        return [await seen(client, *step) for step in steps]


for line in sys.stdin:
    print(json.dumps(asyncio.run(talk(**json.loads(line)))), flush=True)  # noqa: T201 - what it is asked for
