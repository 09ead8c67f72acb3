"""mcp-acl: one policy file, which says each rule in the words of MCP.

* What is timed: `decide` on a request made of the question (`make`), on one made before (`ready`), and from the bytes of the message
  (`from_bytes`), whose claims the gateway has read.
* More than asked: the message is checked as JSON-RPC and MCP, and the decision names rule and reason.
* A reader sees the condition on a report's name as a glob, not as a string function: that is what the index is made of.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp_acl.domain import Message, MessageKind, Request, TokenState
from mcp_acl.engine.decision import decide
from mcp_acl.mcp.message import parse_message
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.source import SourceFile
from rivals.scenario import QUESTIONS, SERVER, Question

PACKAGE: Final = "mcp-acl"

POLICY: Final = b"""
version: 1
policy: acme
servers: [acme]
rules:
  - id: everyone
    methods: [tools/list, tools/call]
    name: [echo, clock, search]
    cel: has(claims.sub)
  - id: reports
    methods: [tools/list, tools/call]
    name: {glob: "report_*"}
    cel: '"reporting" in claims.groups'
  - id: publishing
    methods: [tools/list, tools/call]
    name: publish
    cel: 'claims.role == "analyst" && mcp.arguments.amount <= 1000 && mcp.arguments.path.startsWith("/public/")'
  - id: deletions
    methods: [tools/list, tools/call]
    name: {glob: "delete_*"}
    cel: claims.role == "admin"
  - id: no-deletions-by-contractors
    effect: deny
    methods: [tools/list, tools/call]
    name: {glob: "delete_*"}
    cel: claims.contractor
"""

FILES: Final = (SourceFile("acme.yaml", POLICY),)


def params(question: Question) -> Mapping[str, Any]:
    """What a message that calls the tool says."""
    return {"name": question.tool, "arguments": question.arguments}


def body(question: Question) -> bytes:
    """That message, as a client writes it."""
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params(question)}
    return json.dumps(message, separators=(",", ":")).encode()


def make() -> Callable[[Question], bool]:
    """Decide on a message that is read."""
    policies = compile_policies(FILES)

    def ask(question: Question) -> bool:
        message = Message(MessageKind.REQUEST, "tools/call", 7, params(question))
        return decide(policies, Request(SERVER, message, question.claims, _token(question))).allowed

    return ask


def ready() -> Callable[[Question], bool]:
    """Decide on a request that was made before."""
    policies = compile_policies(FILES)
    requests = {question.name: _request(question) for question in QUESTIONS}
    return lambda question: decide(policies, requests[question.name]).allowed


def from_bytes() -> Callable[[Question], bool]:
    """Read the message, and decide."""
    policies: PolicySet = compile_policies(FILES)
    bodies = {question.name: body(question) for question in QUESTIONS}

    def ask(question: Question) -> bool:
        message = parse_message(bodies[question.name])
        return decide(policies, Request(SERVER, message, question.claims, _token(question))).allowed

    return ask


def _request(question: Question) -> Request:
    return Request(SERVER, parse_message(body(question)), question.claims, _token(question))


def _token(question: Question) -> TokenState:
    return TokenState.VALID if question.claims else TokenState.NONE


FORMS: Final = {"": make, "request made before": ready, "from bytes": from_bytes}
