"""Honest messages to the peers, in both eras, as bytes and headers. Mutations start from them."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

LEGACY: Final = "2025-11-25"
MODERN: Final = "2026-07-28"

_PREFIX: Final = "io.modelcontextprotocol/"
META: Final[Mapping[str, Any]] = {
    f"{_PREFIX}protocolVersion": MODERN,
    f"{_PREFIX}clientInfo": {"name": "test", "version": "1"},
    f"{_PREFIX}clientCapabilities": {},
}
"""What every message of the modern era brings along."""

Header = tuple[str, bytes]


class Sent(NamedTuple):
    """A message as it is sent: the bytes of the body, the headers beside those of the connection."""

    body: bytes
    headers: tuple[Header, ...]


class Asked(NamedTuple):
    """What a message asks for: its method and params."""

    method: str
    params: Mapping[str, Any]


ALLOWED: Final[Sequence[Asked]] = (
    Asked("tools/call", {"name": "echo", "arguments": {"text": "hello"}}),
    Asked("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2.5}}),
    Asked("prompts/get", {"name": "greet", "arguments": {"who": "Ann"}}),
    Asked("resources/read", {"uri": "demo://public/one"}),
    Asked("resources/read", {"uri": "demo://docs/two"}),
    Asked(
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "A"}},
    ),
    Asked(
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "demo://docs/{name}"}, "argument": {"name": "name", "value": "t"}},
    ),
)
"""What the policy allows, and every peer runs."""

SECRET: Final[Sequence[Asked]] = (
    Asked("tools/call", {"name": "secret_delete", "arguments": {"path": "everything"}}),
    Asked("tools/call", {"name": "secret_transfer", "arguments": {"amount": 1000}}),
    Asked("prompts/get", {"name": "secret_prompt", "arguments": {"who": "Ann"}}),
    Asked("resources/read", {"uri": "demo://secret/one"}),
    Asked(
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "secret_prompt"}, "argument": {"name": "who", "value": "A"}},
    ),
)
"""What the policy does not allow, and every peer would run."""

POLICY: Final = """\
version: 1
policy: canary
servers: [canary]
rules:
  - {id: echo, methods: [tools/call], name: echo}
  - {id: add, methods: [tools/call], name: add}
  - {id: greet, methods: [prompts/get], name: greet}
  - {id: public, methods: [resources/read], name: "demo://public/one"}
  - {id: docs, methods: [resources/read], name: {template: "demo://docs/{name}"}}
"""


def text_of(value: object) -> str:
    """JSON as clients write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def headers_for(asked: Asked, version: str) -> tuple[Header, ...]:
    """The headers of an honest client."""
    mirrored = {"Mcp-Method": asked.method}
    name = asked.params.get("name", asked.params.get("uri"))
    if isinstance(name, str):
        mirrored["Mcp-Name"] = name
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
        **(mirrored if version == MODERN else {}),
    }
    return tuple((name, value.encode()) for name, value in headers.items())


def value_of(asked: Asked, version: str, number: int = 1) -> dict[str, Any]:
    """The message an honest client sends."""
    params = {**asked.params, "_meta": META} if version == MODERN else asked.params
    return {"jsonrpc": "2.0", "id": number, "method": asked.method, "params": deepcopy(params)}


def honest(asked: Asked, version: str) -> Sent:
    return Sent(text_of(value_of(asked, version)).encode(), headers_for(asked, version))
