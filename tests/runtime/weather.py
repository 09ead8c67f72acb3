"""Policies that the tests of everything above the engine ask."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mcp_acl.domain import TaskFact, TokenState
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.memory import Given

WEATHER = """\
version: 1
policy: weather
servers: [weather]
rules:
  - id: forecasts
    methods: [tools/list, tools/call]
    name: forecast
  - id: history
    methods: [tools/list, tools/call]
    name: history
    cel: 'claims.role == "admin"'
  - id: no-atlantis
    effect: deny
    methods: [tools/call]
    name: forecast
    cel: 'mcp.arguments.city == "Atlantis"'
    message: Atlantis has no weather.
  - id: prompts
    methods: [prompts/list]
"""

SOURCES = [SourceFile("weather.yaml", WEATHER.encode())]
POLICIES = compile_policies(SOURCES)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

TOOLS = ["forecast", "history", "delete"]


def policies_in(parent: Path, text: str = WEATHER) -> Path:
    """A new directory of policies, with one file."""
    directory = parent / "policies"
    directory.mkdir()
    (directory / "weather.yaml").write_text(text)
    return directory


def gate(*, tasks: Mapping[str, TaskFact] | None = None, **options: Any) -> Gate:
    return Gate(POLICIES, **{"clock": lambda: NOON, "memory": Given({} if tasks is None else tasks), **options})


def body(method: str, message_id: str | int | None = 1, **params: object) -> bytes:
    message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
    return msgspec.json.encode(message if message_id is None else {**message, "id": message_id})


def call(tool: str, **arguments: object) -> bytes:
    return body("tools/call", name=tool, arguments=arguments)


def listed(*tools: str) -> bytes:
    result = {"tools": [{"name": tool} for tool in tools]}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": result})


def ask(message: bytes | MessageError, **options: Any) -> Question:
    return Question(**{"server": "weather", "message": message, "filters_responses": True, **options})


def admin(message: bytes, **options: Any) -> Question:
    return ask(message, claims={"sub": "ann", "role": "admin"}, token=TokenState.VALID, **options)
