"""Every scenario through the interfaces of gateways that are not ours: what they carry, both ways, and nothing else, may make a difference.

A scenario is left out where an interface cannot carry it: a message of the server's own, a number that a double does not hold. What is in shadow these
interfaces do not tell: there it is only seen that it changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters import ext_authz, ext_mcp, ext_proc_session
from mcp_acl.adapters.facts import SERVER_METADATA, Sources
from mcp_acl.adapters.handlers import Informed, Streaming
from mcp_acl.adapters.table import Gateways, for_gateways
from mcp_acl.domain import Denial, Direction, TokenState
from mcp_acl.engine.response import Filtered
from mcp_acl.engine.scenarios import Answer, Question, Response, Scenario, Shown, answer_of, run_scenarios
from mcp_acl.gen import agentgateway_ext_mcp_pb2 as mcp
from mcp_acl.gen import envoy_ext_authz_pb2 as authz
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.gate import Answer as GateAnswer
from mcp_acl.runtime.gate import Filtering, Gate, Reply
from mcp_acl.runtime.gate import Question as GateQuestion
from mcp_acl.runtime.memory import Given
from tests.adapters import ext_proc as wire
from tests.corpus import PATHS, file_of, path_id, policies_of, shown_of

PIECE = 50
JWT = "envoy.filters.http.jwt_authn"
EXACT = 2**53


class Recording(Gate):
    """Keeps what it answered, so that it can be held against what came out by the wire."""

    answer: GateAnswer
    replies: list[Filtered]

    def check(self, question: GateQuestion) -> GateAnswer:
        self.replies = []
        self.answer = super().check(question)
        return self.answer

    def filter(self, context: bytes, content_type: str, body: bytes, status: int = 200, **of: str) -> Reply:
        reply = super().filter(context, content_type, body, status, **of)
        self.replies.append(reply.filtered)
        return reply

    def filter_stream(self, context: bytes, content_type: str, status: int = 200, **_: str) -> Filtering:
        filtering = _Recorded(self, context, content_type, status)
        self.replies.append(filtering.head.filtered)
        return filtering


class _Recorded(Filtering):
    def feed(self, piece: bytes) -> Reply:
        return self._kept(super().feed(piece))

    def close(self) -> Reply:
        return self._kept(super().close())

    def _kept(self, reply: Reply) -> Reply:
        gate = self._gate
        assert isinstance(gate, Recording)
        gate.replies.append(reply.filtered)
        return reply


def standing(policies: PolicySet, question: Question, gateways: Gateways) -> tuple[Recording, Any]:
    gate = Recording(policies, memory=Given(question.tasks), clock=lambda: question.time)
    sources = Sources(anonymous=question.token is not TokenState.MISSING)
    return gate, for_gateways(gate, replace(gateways, sources=sources))


def namespaces_of(question: Question) -> Mapping[str, Mapping[str, Any]]:
    if question.token is TokenState.VALID:
        return {JWT: {"jwt_payload": json.loads(question.claims)}}
    if question.token is TokenState.INVALID:
        return {JWT: {"jwt_failure": {"code": 401, "message": "Jwt is expired"}}}
    return {}


def agreed(gate: Recording, denial: Denial | None) -> Answer:
    """What the gate answered, with the denial as it came out by the wire: which must be the gate's."""
    answer = gate.answer
    assert (denial is None) == (answer.denial is None)
    if denial is not None and answer.denial is not None:
        assert answer.denial.body == denial.body
        assert {*answer.denial.headers} <= {*denial.headers}
    return answer_of(answer.decision, denial)


def is_carried(question: Question) -> bool:
    """Whether gateways see such a message, and its facts survive being doubles."""
    if question.direction is not Direction.CLIENT_TO_SERVER:
        return False
    return all(map(is_exact, numbers_in([json.loads(question.claims), json.loads(question.attributes)])))


def numbers_in(value: Any) -> Sequence[float]:
    if isinstance(value, Mapping):
        return [number for one in value.values() for number in numbers_in(one)]
    if isinstance(value, list):
        return [number for one in value for number in numbers_in(one)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def is_exact(number: float) -> bool:
    return isinstance(number, int) and abs(number) < EXACT


# ---- ext_proc -------------------------------------------------------------------------------------------------------


class ExtProc:
    """One exchange for each scenario. `mode` is that of both bodies, or of the response's alone."""

    filters = True
    tells_shadow = False

    def __init__(self, mode: pb.ProtocolConfiguration) -> None:
        self._mode = mode
        self._session: Any = None
        self._gate: Any = None

    def check(self, policies: PolicySet, question: Question) -> Answer:
        self._gate, table = standing(policies, question, Gateways())
        handler = table[ext_proc_session.PATH]
        assert isinstance(handler, Streaming)
        self._session = handler.open([(SERVER_METADATA, question.server)])
        http = question.http
        head = wire.request_headers(
            self._mode,
            end=not question.body,
            attributes={**json.loads(question.attributes), "source.address": f"{http.remote_address}:1234"},
            namespaces=namespaces_of(question),
            headers={":method": http.method, ":path": http.path, **http.headers},
        )
        answers = self._say(head)
        if question.body:
            answers += self._say(*self._body_of(question.body))
        denials = [one.immediate_response for one in answers if one.HasField("immediate_response")]
        assert len(denials) <= 1
        denial = Denial(denials[0].status.code, headers_of(denials[0].headers), denials[0].body) if denials else None
        return agreed(self._gate, denial)

    def filter(self, _policies: PolicySet, _question: Question, response: Response) -> Shown:
        (head,) = self._say(wire.response_headers(response.content_type))
        body = response.body
        gate = self._gate
        if head.HasField("immediate_response"):
            out = head.immediate_response
            return shown(gate, dict(headers_of(out.headers))["content-type"], out.body)
        set_now = wire.set_headers(head.response_headers.response.header_mutation)
        if self._session.is_over:
            assert not gate.replies
            return shown(gate, response.content_type, body)
        buffered = self._mode.response_body_mode == pb.BUFFERED and not head.HasField("mode_override")
        cuts = [body] if buffered else [body[at : at + PIECE] for at in range(0, len(body), PIECE)] or [b""]
        messages = [wire.response_body(piece, end=piece is cuts[-1]) for piece in cuts[:-1]]
        sent = self._say(*messages, wire.response_body(cuts[-1], end=True))
        for one in sent:
            set_now |= wire.set_headers(one.response_body.response.header_mutation)
        return shown(gate, set_now.get("content-type", response.content_type), self._out(sent, cuts))

    def _say(self, *messages: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
        """Until the session is over: a host feeds nothing more then."""
        answers: list[pb.ProcessingResponse] = []
        for one in messages:
            if self._session.is_over:
                break
            answers += map(pb.ProcessingResponse.FromString, self._session.feed(one.SerializeToString()))
        return answers

    def _body_of(self, body: bytes) -> list[pb.ProcessingRequest]:
        if self._mode.request_body_mode == pb.BUFFERED:
            return [wire.request_body(body)]
        size = max(PIECE, len(body) // 20)
        cuts = [body[at : at + size] for at in range(0, len(body), size)]
        return [*(wire.request_body(one, end=False) for one in cuts[:-1]), wire.request_body(cuts[-1])]

    def _out(self, sent: Sequence[pb.ProcessingResponse], cuts: Sequence[bytes]) -> bytes:
        """What the client gets of the answers to each piece."""
        if self._mode.response_body_mode == pb.FULL_DUPLEX_STREAMED:
            return b"".join(one.response_body.response.body_mutation.streamed_response.body for one in sent)
        return b"".join(replaced(*pair) for pair in zip(sent, cuts, strict=True))


def replaced(answer: pb.ProcessingResponse, piece: bytes) -> bytes:
    change = answer.response_body.response.body_mutation
    if change.clear_body:
        return b""
    return change.body if change.WhichOneof("mutation") == "body" else piece


def headers_of(mutation: pb.HeaderMutation) -> tuple[tuple[str, str], ...]:
    return tuple((one.header.key, one.header.value) for one in mutation.set_headers)


def shown(gate: Recording, content_type: str, body: bytes) -> Shown:
    return Shown(
        content_type,
        body,
        tuple(name for one in gate.replies for name in one.hidden),
        sum(len(one.dropped) for one in gate.replies),
        any(one.refused for one in gate.replies),
        tuple(dict.fromkeys(str(error.rule) for one in gate.replies for error in one.errors)),
    )


MODES = {"streamed": wire.STREAMED, "buffered": wire.BUFFERED, "full duplex": wire.DUPLEX}


def carried(path: Path) -> list[Scenario]:
    return [one for one in file_of(path).scenarios if is_carried(one.question)]


def test_most_scenarios_can_be_carried() -> None:
    every = sum(len(file_of(path).scenarios) for path in PATHS)
    assert sum(len(carried(path)) for path in PATHS) > 0.85 * every


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_by_ext_proc(path: Path, mode: str) -> None:
    scenarios = [one for one in carried(path) if one.question.filters_responses]
    assert "" == shown_of(run_scenarios(policies_of(path), scenarios, ExtProc(MODES[mode])))


# ---- ext_authz ------------------------------------------------------------------------------------------------------


class ExtAuthz:
    """One call for each scenario; responses are not seen."""

    filters = False
    tells_shadow = False

    def check(self, policies: PolicySet, question: Question) -> Answer:
        gate, table = standing(policies, question, Gateways())
        handler = table[f"/{ext_authz.SERVICE}/Check"]
        assert isinstance(handler, Informed)
        answer = handler.answer([(SERVER_METADATA, question.server)], self._asked(question).SerializeToString())
        reply = authz.AuthorizationResponse.FromString(answer)
        denial = None
        if reply.HasField("denied"):
            out = reply.denied
            headers = tuple((one.header.key, one.header.value) for one in out.headers)
            denial = Denial(out.status.code, headers, out.body.encode())
        assert (denial is None) == (reply.status.code == 0)
        return agreed(gate, denial)

    def filter(self, _policies: PolicySet, _question: Question, _response: Response) -> Shown:
        raise AssertionError

    def _asked(self, question: Question) -> authz.AuthorizationRequest:
        http = question.http
        asked = authz.AuthorizationRequest()
        request = asked.attributes.request.http
        request.method, request.path, request.raw_body = http.method, http.path, question.body
        for name, values in http.headers.items():
            for value in values:
                request.header_map.headers.add(key=name, raw_value=value.encode())
        asked.attributes.source.address.socket_address.address = http.remote_address
        for name, fields in namespaces_of(question).items():
            asked.attributes.metadata_context.filter_metadata[name].CopyFrom(wire.struct(fields))
        return asked


@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_by_ext_authz(path: Path) -> None:
    scenarios = [one for one in carried(path) if one.question.attributes == b"{}"]
    assert "" == shown_of(run_scenarios(policies_of(path), scenarios, ExtAuthz()))


# ---- ExtMcp ---------------------------------------------------------------------------------------------------------


ENVELOPE = {"jsonrpc", "id", "method", "params", "result"}


class _Parts(msgspec.Struct):
    """The parts of a message, byte for byte."""

    method: str = ""
    id: Any = None
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()


def parts_of(text: bytes) -> _Parts | None:
    """None if the gateway's own parser would refuse it, or leave something out of it."""
    try:
        members = json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
        parts = msgspec.json.decode(text, type=_Parts)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return parts if {*members} <= ENVELOPE and len(members) == len({*members}) else None


class ExtMcp:
    """Two calls for each scenario: the gateway keeps the envelope to itself, so it is put back here."""

    filters = True
    tells_shadow = False

    def __init__(self) -> None:
        self._gate: Any = None
        self._table: Any = None
        self._left: Any = None

    def check(self, policies: PolicySet, question: Question) -> Answer:
        self._gate, self._table = standing(policies, question, Gateways())
        parts = parts_of(question.body)
        assert parts is not None
        asked = mcp.GuardedRequest(service_names=[question.server], method=parts.method)
        if bytes(parts.params):
            asked.params = bytes(parts.params)
        for name, values in {":path": [question.http.path], **question.http.headers}.items():
            for value in values:
                asked.headers.add(key=name, value=value.encode())
        asked.metadata_context.CopyFrom(self._context(question))
        verdict = mcp.RequestVerdict.FromString(self._call("CheckRequest", asked.SerializeToString()))
        self._left = verdict.metadata
        denial = self._gate.answer.denial
        assert (denial is None) == verdict.HasField("passed")
        if denial is not None and verdict.error.HasField("payload"):
            assert json.loads(denial.body)["error"] == json.loads(verdict.error.payload)
        return agreed(self._gate, denial)

    def filter(self, _policies: PolicySet, question: Question, response: Response) -> Shown:
        parts, asked = parts_of(response.body), parts_of(question.body)
        assert parts is not None
        assert asked is not None
        result = bytes(parts.result)
        given = mcp.GuardedResponse(service_names=[question.server], method=asked.method, result=result)
        given.metadata_context.CopyFrom(self._context(question))
        given.metadata_context.fields["request"].CopyFrom(self._left.fields[ext_mcp.LEFT])
        verdict = mcp.ResponseVerdict.FromString(self._call("CheckResponse", given.SerializeToString()))
        if verdict.HasField("error"):
            return shown(
                self._gate, response.content_type, b'{"jsonrpc":"2.0","id":1,"error":%b}' % verdict.error.payload
            )
        changed = verdict.mutated if verdict.HasField("mutated") else result
        return shown(self._gate, response.content_type, response.body.replace(result, changed))

    def _call(self, name: str, message: bytes) -> bytes:
        handler = self._table[f"/{ext_mcp.SERVICE}/{name}"]
        assert isinstance(handler, Informed)
        return handler.answer((), message)

    def _context(self, question: Question) -> Struct:
        claims = {"claims": json.loads(question.claims)} if question.token is TokenState.VALID else {"claims": None}
        return wire.struct({**json.loads(question.attributes), **claims})


def is_guarded(scenario: Scenario) -> bool:
    """Whether agentgateway asks about such a message and its result: a request that it can read, answered by one JSON message."""
    question, response = scenario.question, scenario.response
    parts = parts_of(question.body)
    if (
        parts is None
        or parts.id != 1
        or isinstance(parts.id, bool)
        or not parts.method
        or question.http.method != "POST"
    ):
        return False
    if response is not None:
        answer = parts_of(response.body)
        if answer is None or not bytes(answer.result) or response.content_type != "application/json":
            return False
    foreign = {*question.http.headers} & ext_mcp.NOT_SENT_ON
    return (
        not (foreign or question.http.remote_address)
        and question.token is not TokenState.INVALID
        and question.filters_responses
    )


GUARDED = [path for path in PATHS if path.name != "4-intake.yaml"]
"""Without those about the bytes of an envelope, which the gateway keeps to itself."""


@pytest.mark.parametrize("path", GUARDED, ids=path_id)
def test_scenarios_hold_by_ext_mcp(path: Path) -> None:
    scenarios = [one for one in carried(path) if is_guarded(one)]
    assert "" == shown_of(run_scenarios(policies_of(path), scenarios, ExtMcp()))


def test_many_scenarios_are_asked_by_ext_mcp() -> None:
    assert sum(is_guarded(one) for path in GUARDED for one in carried(path)) > 600
