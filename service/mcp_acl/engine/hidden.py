"""What a server says of something it does not have: the words of the official SDKs, as they were measured. Knows no policy.

A row for each kind of server and era: how it writes, and a text for each kind of thing that may be missing, `$name` standing for
the name. What has no text of its own is answered as a method that the server does not have. Measured: the Python SDK 2.3.0
(`MCPServer`), the TypeScript SDK 1.32.2 and the TypeScript server 2.4.0 (`McpServer`), each as it is by default.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from string import Template
from typing import Final, NamedTuple

from mcp_acl.domain import Denial, Http, Json, Message, MessageKind
from mcp_acl.mcp.accept import EVENT_STREAM, JSON, accepted
from mcp_acl.mcp.demands import Demand, demands_of
from mcp_acl.mcp.exchanges import SESSION
from mcp_acl.mcp.methods import METHODS
from mcp_acl.mcp.revisions import Era, era_of, revision_of
from mcp_acl.policy.servers import ServerKind, ServerSettings
from mcp_acl.problems import MessageError


class Missing(StrEnum):
    """What a server may not have."""

    TOOL = "tool"
    TOOL_AS_TASK = "tool as task"
    PROMPT = "prompt"
    RESOURCE = "resource"
    PROMPT_REFERENCE = "prompt reference"
    RESOURCE_REFERENCE = "resource reference"
    TASK_STATUS = "task status"
    TASK = "task"
    METHOD = "method"


class _Said(NamedTuple):
    """One answer: the HTTP status and the JSON text, word for word."""

    status: int
    text: Template


class _Manner(NamedTuple):
    """How a kind of server answers in one era.

    `line_end`: of its event streams; `''` if what is missing is told in JSON. `ascii`: it escapes all that is not ASCII.
    `echoes_session`: it repeats the client's session. `acknowledged`: the headers of the answer to a notification; None: it is
    answered as a request is.
    """

    said: Mapping[Missing, _Said]
    line_end: str = ""
    ascii: bool = False
    echoes_session: bool = True
    acknowledged: tuple[tuple[str, str], ...] | None = ()


# ---- what they say ------------------------------------------------------------------------------------------------


def _error(code: int, message: str, data: str = "", status: int = 200) -> _Said:
    data = f',"data":{data}' if data else ""
    text = f'{{"jsonrpc":"2.0","id":$id,"error":{{"code":{code},"message":"{message}"{data}}}}}'
    return _Said(status, Template(text))


def _python_result(members: str) -> _Said:
    return _Said(200, Template(f'{{"jsonrpc":"2.0","id":$id,"result":{{{members}}}}}'))


_UNKNOWN_TOOL: Final = '"content":[{"text":"Unknown tool: $name","type":"text"}],"isError":true'
_NO_VALUES: Final = '"completion":{"values":[]}'
_COMPLETE: Final = ',"resultType":"complete"$server'
_URI: Final = '{"uri":"$name"}'
_NO_TASK: Final = (
    r"MCP error -32602: Invalid task creation result: [\n  {\n    \"expected\": \"object\",\n    \"code\": \"invalid_type\",\n"
    r"    \"path\": [\n      \"task\"\n    ],\n    \"message\": \"Invalid input: expected object, received undefined\"\n  }\n]"
)
_TYPESCRIPT_2: Final = {
    Missing.TOOL: _error(-32602, "Tool $name not found"),
    Missing.PROMPT: _error(-32602, "Prompt $name not found"),
    Missing.RESOURCE: _error(-32602, "Resource not found: $name", _URI),
    Missing.PROMPT_REFERENCE: _error(-32602, "Prompt $name not found"),
    Missing.RESOURCE_REFERENCE: _error(-32602, "Resource template $name not found"),
}

_MANNERS: Final[Mapping[tuple[ServerKind, Era], _Manner]] = {
    (ServerKind.PYTHON, Era.SESSION): _Manner(
        {
            Missing.TOOL: _python_result(_UNKNOWN_TOOL),
            Missing.PROMPT: _error(0, "Unknown prompt: $name"),
            Missing.RESOURCE: _error(-32602, "Unknown resource: $name", _URI),
            Missing.PROMPT_REFERENCE: _python_result(_NO_VALUES),
            Missing.RESOURCE_REFERENCE: _python_result(_NO_VALUES),
            Missing.METHOD: _error(-32601, "Method not found", '"$name"'),
        },
        line_end="\r\n",
        acknowledged=(("content-type", JSON),),
    ),
    (ServerKind.PYTHON, Era.STATELESS): _Manner(
        {
            Missing.TOOL: _python_result(_UNKNOWN_TOOL + _COMPLETE),
            Missing.PROMPT: _error(-32603, "Internal server error"),
            Missing.RESOURCE: _error(-32602, "Unknown resource: $name", _URI, 400),
            Missing.PROMPT_REFERENCE: _python_result(_NO_VALUES + _COMPLETE),
            Missing.RESOURCE_REFERENCE: _python_result(_NO_VALUES + _COMPLETE),
            Missing.METHOD: _error(-32601, "Method not found", '"$name"', 404),
        },
        ascii=True,
        echoes_session=False,
    ),
    (ServerKind.TYPESCRIPT_1, Era.SESSION): _Manner(
        {
            Missing.TOOL: _Said(
                200,
                Template(
                    '{"result":{"content":[{"type":"text","text":"MCP error -32602: Tool $name not found"}],"isError":true},'
                    '"jsonrpc":"2.0","id":$id}'
                ),
            ),
            Missing.TOOL_AS_TASK: _error(-32602, _NO_TASK),
            Missing.PROMPT: _error(-32602, "MCP error -32602: Prompt $name not found"),
            Missing.RESOURCE: _error(-32602, "MCP error -32602: Resource $name not found"),
            Missing.PROMPT_REFERENCE: _error(-32602, "MCP error -32602: Prompt $name not found"),
            Missing.RESOURCE_REFERENCE: _error(-32602, "MCP error -32602: Resource template $name not found"),
            Missing.TASK_STATUS: _error(-32602, "MCP error -32602: Failed to retrieve task: Task not found"),
            Missing.TASK: _error(-32602, "MCP error -32602: Task not found: $name"),
            Missing.METHOD: _error(-32601, "Method not found"),
        },
        line_end="\n",
    ),
    # It knows nothing of this era and says so of every message.
    (ServerKind.TYPESCRIPT_1, Era.STATELESS): _Manner(
        {
            Missing.METHOD: _Said(
                400,
                Template(
                    '{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Unsupported protocol version: $revision '
                    '(supported versions: 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05, 2024-10-07)"},"id":null}'
                ),
            ),
        },
        echoes_session=False,
        acknowledged=None,
    ),
    (ServerKind.TYPESCRIPT_2, Era.SESSION): _Manner(
        {**_TYPESCRIPT_2, Missing.METHOD: _error(-32601, "Method not found")}, line_end="\n"
    ),
    (ServerKind.TYPESCRIPT_2, Era.STATELESS): _Manner(
        {**_TYPESCRIPT_2, Missing.METHOD: _error(-32601, "Method not found", status=404)}, echoes_session=False
    ),
}

# ---- the answer ---------------------------------------------------------------------------------------------------

_MISSING: Final[Mapping[tuple[str, str], Missing]] = {
    ("tools/call", "tools/call"): Missing.TOOL,
    ("prompts/get", "prompts/get"): Missing.PROMPT,
    ("resources/read", "resources/read"): Missing.RESOURCE,
    ("completion/complete", "prompts/get"): Missing.PROMPT_REFERENCE,
    ("completion/complete", "resources/read"): Missing.RESOURCE_REFERENCE,
    ("tasks/get", "tasks/get"): Missing.TASK_STATUS,
    ("tasks/result", "tasks/result"): Missing.TASK,
    ("tasks/cancel", "tasks/cancel"): Missing.TASK,
}
"""What is missing, by the method of the message and the one that decides what it asks for."""

_STREAM_HEADERS: Final = (
    ("content-type", EVENT_STREAM),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
)
_JSON_HEADERS: Final = (("content-type", JSON),)
_SESSION_ID: Final = re.compile(r"[!-~]{1,512}")
"""Visible ASCII (MCP 2025-03-26, session management)."""


def hidden_answer(message: Message, http: Http, settings: ServerSettings, *, filtered: bool = False) -> Denial:
    """What the server would answer if what the message asks for were not there. Total.

    `filtered`: as it leaves when it has been filtered, which is what the client sees of everything else: lines of event streams end with LF.
    """
    revision = revision_of(message.params, http.headers)
    manner = _MANNERS[settings.kind, era_of(revision)]
    session = _session(http) if manner.echoes_session else ()
    if message.kind is not MessageKind.REQUEST and manner.acknowledged is not None:
        return Denial(202, (*manner.acknowledged, *session) if manner.acknowledged else (), b"")
    missing, name = _what(message, manner)
    said = manner.said[missing]
    text = said.text.substitute(
        id=_json(message.id, manner),
        name=_json(name, manner)[1:-1],
        revision=_json(revision, manner)[1:-1],
        server=_server(settings, manner),
    )
    end = "" if settings.json_responses or not accepted(http.headers).event_stream else manner.line_end
    end = "\n" if end and filtered else end
    framed = f"event: message{end}data: {text}{end}{end}" if end else text
    headers = _STREAM_HEADERS if end else _JSON_HEADERS
    return Denial(said.status, (*headers, *session), framed.encode(errors="backslashreplace"))


def _what(message: Message, manner: _Manner) -> tuple[Missing, str]:
    """What is missing that this kind of server has words for, and its name."""
    demand = next(iter(_demands(message)), None)
    if demand is not None and demand.name is not None:
        missing = _MISSING.get((message.method, demand.method), Missing.METHOD)
        if missing is Missing.TOOL and isinstance(message.params.get("task"), Mapping):
            missing = Missing.TOOL_AS_TASK if Missing.TOOL_AS_TASK in manner.said else missing
        if missing is not Missing.METHOD and missing in manner.said:
            return missing, demand.name
    return Missing.METHOD, message.method


def _demands(message: Message) -> Sequence[Demand]:
    row = METHODS.get(message.method)
    if row is None:
        return ()
    try:
        return demands_of(message, row)
    except MessageError:
        return ()


def _json(value: Json, manner: _Manner) -> str:
    return json.dumps(value, ensure_ascii=manner.ascii)


def _server(settings: ServerSettings, manner: _Manner) -> str:
    """What a Python server says of itself in a result."""
    info = settings.server_info
    if info is None:
        return ""
    name, version = _json(info.name, manner), _json(info.version, manner)
    return f',"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":{name},"version":{version}}}}}'


def _session(http: Http) -> tuple[tuple[str, str], ...]:
    given = http.headers.get(SESSION, ())
    return tuple((SESSION, one) for one in given if len(given) == 1 and _SESSION_ID.fullmatch(one))
