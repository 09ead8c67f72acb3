"""What happens in the demo: three principals list and call what a real server has. Knows nothing of how it is shown."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from mcp_acl.cli.demo.children import DemoError
from mcp_acl.cli.demo.everything import REVISION, Session
from mcp_acl.cli.demo.gateway import Exchange, Gateway, Timings
from mcp_acl.client import Client
from mcp_acl.domain import Json
from mcp_acl.mcp.methods import METHODS

PRINCIPALS: Final[Mapping[str, Mapping[str, Json]]] = {
    "viewer": {"sub": "vera", "role": "viewer"},
    "analyst": {"sub": "anna", "role": "analyst"},
    "admin": {"sub": "adam", "role": "admin"},
}

LISTS: Final[Mapping[str, int]] = {
    "tools/list": 13,
    "prompts/list": 4,
    "resources/list": 7,
    "resources/templates/list": 2,
}
"""How many entries of each the server has."""


def request(method: str, **params: Json) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to try, and who should succeed."""

    text: str
    message: bytes
    allowed: Sequence[str] = ()


def _tool(text: str, allowed: Sequence[str], name: str, /, **arguments: Json) -> Call:
    return Call(text, request("tools/call", name=name, arguments=arguments), allowed)


def _read(text: str, allowed: Sequence[str], path: str) -> Call:
    return Call(text, request("resources/read", uri=f"demo://resource/{path}"), allowed)


_ALL: Final = tuple(PRINCIPALS)
_ANALYSTS: Final = ("analyst", "admin")
_ADMINS: Final = ("admin",)
_NOBODY: Final = ()
_TWO_NAMES: Final = request("tools/call", name="echo", arguments={}).replace(b'"echo"', b'"echo", "name": "get-env"')

CALLS: Final = (
    _tool("call echo", _ALL, "echo", message="hello"),
    _tool("call get-sum 2 + 40", _ALL, "get-sum", a=2, b=40),
    _tool("call get-sum 2 + 4000", _ANALYSTS, "get-sum", a=2, b=4000),
    _tool("call get-structured-content", _ANALYSTS, "get-structured-content", location="Chicago"),
    _tool("call get-env", _NOBODY, "get-env"),
    _tool("call gzip-file-as-resource data:…", _ADMINS, "gzip-file-as-resource", name="a.gz", data="data:,hello"),
    _tool("call gzip-file-as-resource http:…", _NOBODY, "gzip-file-as-resource", data="http://metadata.internal/"),
    _read("read document features.md", _ALL, "static/document/features.md"),
    _read("read text 7", _ANALYSTS, "dynamic/text/7"),
    _read("read text 7/../../blob/7", _NOBODY, "dynamic/text/7/../../blob/7"),
    _read("read blob 7", _ADMINS, "dynamic/blob/7"),
    Call("get prompt args-prompt", request("prompts/get", name="args-prompt", arguments={"city": "Bern"}), _ANALYSTS),
    Call("call echo and get-env at once", _TWO_NAMES, _NOBODY),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call of one principal."""

    principal: str
    call: Call
    exchange: Exchange

    @property
    def surprises(self) -> Iterator[str]:
        """What is not as it should be."""
        expected = self.principal in self.call.allowed
        if self.exchange.allowed != expected:
            yield f"{self.principal}: `{self.call.text}` should be {'allowed' if expected else 'denied'}"
        elif self.exchange.allowed and "result" not in self.exchange.reply:
            yield f"{self.principal}: `{self.call.text}` passed, and the server answered {dict(self.exchange.reply)}"
        elif not self.exchange.allowed and "error" not in self.exchange.reply:
            yield f"{self.principal}: `{self.call.text}` was denied without an error for the client"


@dataclass(slots=True)
class Story:
    """All that happened."""

    existing: dict[str, Sequence[str]] = field(default_factory=dict)
    """List method → the names the server has."""
    seen: dict[str, dict[str, Sequence[str]]] = field(default_factory=dict)
    """Principal → list method → the names it sees."""
    outcomes: list[Outcome] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)
    revision: str = ""

    @property
    def surprises(self) -> Iterator[str]:
        """What is not as it should be; nothing, if all went well."""
        for method, count in LISTS.items():
            if len(self.existing[method]) != count:
                yield f"{method}: the server has {len(self.existing[method])} entries and not {count}"
        for outcome in self.outcomes:
            yield from outcome.surprises


def tell(service: Client, port: int) -> Story:
    """Let everything happen. Raises `DemoError` if a session or a list cannot be had."""
    story = Story()
    with closing(Session(port)) as session:
        _open(session.send)
        story.existing = {method: _names(method, session.send(request(method)).reply) for method in LISTS}
    for principal, claims in PRINCIPALS.items():
        with closing(Session(port)) as session:
            gateway = Gateway(service, session, claims, story.timings)
            _open(gateway.send)
            story.seen[principal] = {method: _names(method, gateway.send(request(method)).reply) for method in LISTS}
            story.outcomes += [Outcome(principal, call, gateway.send(call.message)) for call in CALLS]
    story.revision = story.outcomes[-1].exchange.verdict.revision
    return story


def _open(send: Callable[[bytes], object]) -> None:
    send(request("initialize", protocolVersion=REVISION, capabilities={}, clientInfo={"name": "demo", "version": "1"}))
    send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode())


def _names(method: str, reply: Mapping[str, Json]) -> Sequence[str]:
    row = METHODS[method]
    result = reply.get("result")
    entries = result.get(row.list_key) if isinstance(result, Mapping) else None
    if not isinstance(entries, Sequence):
        raise DemoError(f"`{method}` was answered without a list: {dict(reply)}")
    return [str(entry[row.list_member]) for entry in entries if isinstance(entry, Mapping)]
