"""agentgateway's MCP guardrails, `agentgateway.dev.ext_mcp.ExtMcp`, to the gate, and back. Translations alone; knows no rules.

As agentgateway's source of 21 August 2026 has it (commit 75b4e6ce, `crates/protos/proto/ext_mcp.proto`). Two calls: one before a request is sent on, one with
its result. Neither has a JSON-RPC id or an envelope, so messages are made whole again from method and `params`, and held to the rules that hold
for any; what the second call lacks, the first hands to it: the answer brings what it was asked about as metadata, and an expression of the
gateway's configuration (`mcpGuardrails.mcp_acl_request`) brings that back. Without it a result is judged by its method and the facts that
come with it, which does for lists, and what acts on something named is refused.

What expressions of the configuration have yielded (`metadata`) is read by name:

    claims    the claims of a token that the gateway has verified: `jwt`
    server    the id of the server, for all backends; without it, it is the name of the backend
    request   `mcpGuardrails.mcp_acl_request`
    any other an attribute of that name

An expression that fails is left out by the gateway, so each fact has one of its own.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from mcp_acl.adapters.facts import NAMESPACE, SETTING, Facts, Sources, Told, facts_from
from mcp_acl.adapters.grpc_api import parsed
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.saying import decision_struct
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import json_of
from mcp_acl.domain import Http, Json, Reason
from mcp_acl.gen import agentgateway_ext_mcp_pb2 as pb
from mcp_acl.mcp.accept import JSON as JSON_TYPE
from mcp_acl.mcp.exchanges import SESSION
from mcp_acl.mcp.methods import MethodClass, method_named
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Answer, Gate, Question
from mcp_acl.runtime.trace import traceparent_in

SERVICE: Final = "agentgateway.dev.ext_mcp.ExtMcp"
CLAIMS: Final = "claims"
SERVER: Final = "server"
REQUEST: Final = "request"
"""Entries of the gateway's `metadata` that are no attributes."""
LEFT: Final = "mcp_acl_request"
"""What the answer to a request leaves for its result: for each backend the context of its decision, in base64."""
TOLD: Final = "mcp_acl"
"""What the answer to a request tells the gateway's later expressions."""

_ID: Final = b'{"jsonrpc":"2.0","id":1,'
"""The id that both messages are given: the gateway keeps its own to itself."""
NOT_SENT_ON: Final = frozenset({
    "accept", "content-encoding", "content-length", "content-type", "mcp-method", "mcp-name", "transfer-encoding",
})  # fmt: skip
"""Headers of the client that say how its own message is read: the gateway has read it, has compared the two that mirror it, and writes a message
and such headers of its own."""
_CODES: Final[Mapping[Reason, pb.GuardError.Code]] = {
    Reason.MESSAGE_REFUSED: pb.GuardError.INVALID,
    Reason.HEADER_MISMATCH: pb.GuardError.INVALID,
    Reason.TARGET_MISSING: pb.GuardError.INVALID,
    Reason.URI_NOT_CANONICAL: pb.GuardError.INVALID,
    Reason.INTERNAL_ERROR: pb.GuardError.UNKNOWN,
    Reason.UNAVAILABLE: pb.GuardError.UNKNOWN,
}
_SEVERAL: Final = "a list of several backends cannot be decided: give each a route of its own, or name one `server` for all in `metadata`"
_WITHOUT_PARAMS: Final = frozenset({Reason.TARGET_MISSING, Reason.MESSAGE_REFUSED})
"""Why a message is denied that names something, if what it names is not there."""
_UNKNOWN_REQUEST: Final = "a result cannot be judged without its request: set `request: mcpGuardrails.mcp_acl_request` in `metadata`, and the phase `full`"


class _Response(msgspec.Struct):
    """What a filtered message holds, byte for byte."""

    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct):
    message: str = "the response was withheld"


class _Asked(NamedTuple):
    """What both calls say."""

    backends: Sequence[str]
    method: str
    context: Struct
    params: bytes | None = None
    headers: Sequence[pb.GuardedHeader] = ()


def check_request(gate: Gate, sources: Sources, metadata: Metadata, body: bytes) -> bytes:
    """`CheckRequest`: what goes to several backends must be permitted for each."""
    answers = [gate.check(question) for question, _ in questions_from(sources, metadata, body)]
    refused = next((answer for answer in answers if not answer.decision.allowed), None)
    if refused is not None:
        return pb.RequestVerdict(error=_denied(refused)).SerializeToString()
    left = [Value(string_value=base64.b64encode(answer.context).decode()) for answer in answers]
    told = Struct(fields={TOLD: Value(struct_value=decision_struct(answers[0]))})
    told.fields[LEFT].list_value.CopyFrom(ListValue(values=left))
    return pb.RequestVerdict(passed=pb.Pass(), metadata=told).SerializeToString()


def check_response(gate: Gate, sources: Sources, metadata: Metadata, body: bytes) -> bytes:
    """`CheckResponse`: a result passes as it is, or in part, or not at all."""
    given = parsed(pb.GuardedResponse, body)
    asked = _Asked(given.service_names, given.method, _said(given.metadata_context))
    try:
        _one_value(given.result, "the result")
        contexts = _contexts(gate, sources, metadata, asked)
        result = _filtered(gate, contexts, given.result, traceparent_in(metadata))
    except _RefusedError as refused:
        return pb.ResponseVerdict(error=refused.error).SerializeToString()
    except MessageError as error:
        told = pb.GuardError(code=pb.GuardError.INVALID, reason=error.message)
        return pb.ResponseVerdict(error=told).SerializeToString()
    if result == given.result:
        return pb.ResponseVerdict(passed=pb.Pass()).SerializeToString()
    return pb.ResponseVerdict(mutated=result).SerializeToString()


class _RefusedError(Exception):
    """A result that is not passed on, and what is said instead."""

    def __init__(self, error: pb.GuardError) -> None:
        self.error = error
        super().__init__(error.reason)


# ---- requests -----------------------------------------------------------------------------------------------------


def questions_from(sources: Sources, metadata: Metadata, body: bytes) -> Sequence[tuple[Question, Facts]]:
    """What is asked, for each server, and where what is believed of it is from. Raises ApiError."""
    given = parsed(pb.GuardedRequest, body)
    params = given.params if given.HasField("params") else None
    asked = _Asked(given.service_names, given.method, _said(given.metadata_context), params, given.headers)
    return [*_questions(sources, metadata, asked)]


def _questions(sources: Sources, metadata: Metadata, asked: _Asked) -> Iterator[tuple[Question, Facts]]:
    headers, http = _http(asked.headers)
    context = asked.context
    space = Struct(fields={name: value for name, value in context.fields.items() if name in (CLAIMS, SERVER)})
    told = Told(metadata, {NAMESPACE: space}, attributes=_attributes(context), headers=headers)
    named = facts_from(replace(sources, jwt=((NAMESPACE, CLAIMS),)), told)
    message = _message(asked, is_named=named.origins["server"] != SETTING)
    for server, origin in _servers(named, asked.backends):
        facts = named._replace(server=server, origins={**named.origins, "server": origin})
        session = next(iter(headers.get(SESSION, ())), "")
        question = Question(
            server,
            message,
            facts.claims,
            facts.token,
            http=http,
            attributes=facts.attributes,
            session_id=session,
            filters_responses=True,
            trace=facts.trace,
        )
        yield question, facts


def _servers(named: Facts, backends: Sequence[str]) -> Sequence[tuple[str, str]]:
    """By id, each with where it is from: one that is named for all, be it a bad one, else each backend, else that of the setting."""
    origin = named.origins["server"]
    if origin != SETTING:
        return [(named.server, origin)]
    return [(backend, "backend") for backend in backends] or [(named.server, origin)]


def _message(asked: _Asked, *, is_named: bool) -> bytes | MessageError:
    """The message as it is sent on. Nothing but one value may get in by `params`."""
    row = method_named(asked.method)
    is_list = row is not None and row.method_class is MethodClass.LIST
    if is_list and len(asked.backends) > 1 and not is_named:
        return MessageError("backends", _SEVERAL)
    start = _ID + b'"method":' + msgspec.json.encode(asked.method)
    if asked.params is None:
        return start + b"}"
    try:
        _one_value(asked.params, "`params`")
    except MessageError as error:
        return error.settled()
    return start + b',"params":' + asked.params + b"}"


def _one_value(text: bytes, what: str) -> None:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MessageError("json", f"{what} must be one JSON value") from None


def _said(context: Struct) -> Struct:
    """Without what is null: `jwt` is, of a request that brought no token."""
    return Struct(
        fields={name: value for name, value in context.fields.items() if value.WhichOneof("kind") != "null_value"}
    )


def _attributes(context: Struct) -> Mapping[str, Json]:
    own = (CLAIMS, SERVER, REQUEST)
    try:
        return json_of(Struct(fields={name: value for name, value in context.fields.items() if name not in own}))
    except MessageError as error:
        raise ApiError(f"`metadata` cannot be used: {error.message}") from None


def _http(entries: Sequence[pb.GuardedHeader]) -> tuple[Mapping[str, Sequence[str]], Http]:
    if len(entries) > MAX_HEADERS:
        raise ApiError(f"there are more than {MAX_HEADERS} headers; refuse such a request")
    headers: dict[str, list[str]] = {}
    pseudo: dict[str, str] = {}
    for entry in entries:
        name, value = entry.key.lower(), entry.value.decode(errors="replace")
        if name.startswith(":"):
            pseudo[name] = value
        elif name not in NOT_SENT_ON:
            headers.setdefault(name, []).append(value)
    return headers, Http(path=pseudo.get(":path", ""), headers=headers)


# ---- results ------------------------------------------------------------------------------------------------------


def _contexts(gate: Gate, sources: Sources, metadata: Metadata, asked: _Asked) -> Sequence[bytes]:
    """What the request has left, if it was this one; else what can be said of it without. Raises MessageError, _RefusedError."""
    if REQUEST not in asked.context.fields:
        return [*_made(gate, sources, metadata, asked)]
    values = asked.context.fields[REQUEST].list_value.values
    try:
        contexts = [base64.b64decode(value.string_value, validate=True) for value in values]
    except (binascii.Error, ValueError):
        raise MessageError("context", _UNKNOWN_REQUEST) from None
    # Contexts are the gateway's to keep apart; what it says beside one shows when it has not.
    told = {question.server for question, _ in _questions(sources, metadata, asked)}
    requests = [gate.request_of(one) for one in contexts]
    if not contexts or any(one.message.method != asked.method or one.server not in told for one in requests):
        raise MessageError("context", _UNKNOWN_REQUEST)
    return contexts


def _made(gate: Gate, sources: Sources, metadata: Metadata, asked: _Asked) -> Iterator[bytes]:
    for question, _ in _questions(sources, metadata, asked):
        answer = gate.check(question)
        if not answer.decision.allowed:
            error = _denied(answer)
            if answer.decision.reason in _WITHOUT_PARAMS and isinstance(question.message, bytes):
                error.reason = _UNKNOWN_REQUEST
            raise _RefusedError(error)
        yield answer.context


def _filtered(gate: Gate, contexts: Sequence[bytes], result: bytes, trace: str) -> bytes:
    """The result that every server's policies let pass. Raises MessageError, _RefusedError."""
    for context in contexts:
        reply = gate.filter(context, JSON_TYPE, _ID + b'"result":' + result + b"}", trace=trace)
        message = msgspec.json.decode(reply.filtered.body, type=_Response)
        error, kept = bytes(message.error), bytes(message.result)
        if reply.filtered.refused or error or not kept:
            raise _RefusedError(_withheld(error))
        result = kept
    return result


def _withheld(error: bytes) -> pb.GuardError:
    reason = msgspec.json.decode(error, type=_Error).message if error else _Error().message
    return pb.GuardError(code=pb.GuardError.UNKNOWN, reason=reason, payload=error or None)


# ---- to the wire --------------------------------------------------------------------------------------------------


def _denied(answer: Answer) -> pb.GuardError:
    """The denial's own error. The gateway sends a code of its own for `code`, `reason` as message, and the payload as data."""
    assert answer.denial is not None
    payload = bytes(msgspec.json.decode(answer.denial.body, type=_Response).error)
    code = _CODES.get(answer.decision.reason, pb.GuardError.PERMISSION_DENIED)
    if not payload:  # hidden, where a server would answer with a result
        return pb.GuardError(code=code, reason="not found")
    return pb.GuardError(code=code, reason=msgspec.json.decode(payload, type=_Error).message, payload=payload)
