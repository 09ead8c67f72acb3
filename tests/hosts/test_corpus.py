"""Every scenario through every host by every transport: one message to a call, and as streams."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.domain import Denial, Direction, Effect, Reason, ResponseNeeds, TokenState
from mcp_acl.engine.scenarios import Answer, Otherwise, Question, Response, Shown, request_of, run_scenarios
from mcp_acl.engine.shadow import Shadow
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.index import PolicySet
from mcp_acl.runtime.context import read_context, write_context
from tests.corpus import PATHS, file_of, path_id, policies_of, policy_files, shown_of
from tests.hosts.conftest import HOSTS
from tests.hosts.running import TRANSPORTS, channel_to

SECONDS = 20.0
PIECE = 50

DIRECTIONS = {
    Direction.CLIENT_TO_SERVER: pb.DIRECTION_CLIENT_TO_SERVER,
    Direction.SERVER_TO_CLIENT: pb.DIRECTION_SERVER_TO_CLIENT,
}
TOKENS = {
    TokenState.NONE: pb.TOKEN_STATE_NONE,
    TokenState.MISSING: pb.TOKEN_STATE_MISSING,
    TokenState.INVALID: pb.TOKEN_STATE_INVALID,
    TokenState.VALID: pb.TOKEN_STATE_VALID,
}
EFFECTS = {pb.DECISION_ALLOW: Effect.ALLOW, pb.DECISION_DENY: Effect.DENY}
NEEDS = {
    pb.RESPONSE_NEEDS_NONE: ResponseNeeds.NONE,
    pb.RESPONSE_NEEDS_LIST: ResponseNeeds.LIST,
    pb.RESPONSE_NEEDS_RESULT: ResponseNeeds.RESULT,
    pb.RESPONSE_NEEDS_STREAM: ResponseNeeds.STREAM,
}


class Service:
    """The service as a gateway sees it: a call for each message. It hands every response back, what needs nothing as well."""

    filters = True
    tells_shadow = True

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._tasks: object = None
        self._context = b""
        forms = pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
        self._check = channel.unary_unary(f"/{SERVICE}/Check", *forms)
        self._check_stream = channel.stream_stream(f"/{SERVICE}/CheckStream", *forms)
        self._filter = channel.unary_unary(
            f"/{SERVICE}/FilterResponse",
            pb.FilterResponseRequest.SerializeToString,
            pb.FilterResponseResponse.FromString,
        )
        self._filter_stream = channel.stream_stream(
            f"/{SERVICE}/FilterStream",
            pb.FilterStreamRequest.SerializeToString,
            pb.FilterStreamResponse.FromString,
        )

    def check(self, _policies: PolicySet, question: Question) -> Answer:
        if self._tasks != question.tasks:
            self._tasks = question.tasks
            control(self._channel, "Remember", question.tasks)
        reply = self._decision(check_request(question))
        self._context = reply.context
        denial = None
        if reply.HasField("denial"):
            headers = tuple((header.name, value) for header in reply.denial.headers for value in header.values)
            denial = Denial(reply.denial.status, headers, reply.denial.body)
        return Answer(
            EFFECTS[reply.decision],
            Reason(reply.reason),
            rule_names(reply.rules),
            rule_names(error.rule for error in reply.errors),
            NEEDS[reply.response_needs],
            reply.message,
            denial,
            otherwise(reply.shadow) if reply.HasField("shadow") else None,
        )

    def filter(self, policies: PolicySet, question: Question, response: Response) -> Shown:
        """What needs nothing has no context: it is made here."""
        return self._shown(self._context or write_context(request_of(policies, question)), response)

    def _decision(self, request: pb.CheckRequest) -> pb.CheckResponse:
        return self._check(request, timeout=SECONDS)

    def _shown(self, context: bytes, response: Response) -> Shown:
        request = pb.FilterResponseRequest(
            context=context, content_type=response.content_type, body=response.body, report_hidden=True
        )
        reply = self._filter(request, timeout=SECONDS)
        return Shown(
            reply.content_type,
            reply.body,
            tuple(reply.hidden),
            len(reply.dropped),
            reply.refused != "",
            rule_names(error.rule for error in reply.errors),
            shadow_of([reply]),
        )


class Streams(Service):
    """The same by streams: each message twice, each response in small pieces."""

    def _decision(self, request: pb.CheckRequest) -> pb.CheckResponse:
        first, second = self._check_stream(iter([request, request]), timeout=SECONDS)
        assert first.decision_id != second.decision_id
        first.decision_id = second.decision_id
        if second.context:
            # It holds the decision's id.
            assert read_context(first.context) == read_context(second.context)
            first.context = second.context
        first.denial.body = second.denial.body
        if not second.HasField("denial"):
            first.ClearField("denial")
        assert first == second
        return second

    def _shown(self, context: bytes, response: Response) -> Shown:
        start = pb.FilterStreamStart(context=context, content_type=response.content_type, report_hidden=True)
        body = response.body
        pieces = [pb.FilterStreamRequest(piece=body[at : at + PIECE]) for at in range(0, len(body), PIECE)]
        messages = iter([pb.FilterStreamRequest(start=start), *pieces])
        head, *replies = self._filter_stream(messages, timeout=SECONDS)
        return Shown(
            head.head.content_type,
            b"".join(reply.body for reply in (head, *replies)),
            tuple(name for reply in replies for name in reply.hidden),
            sum(len(reply.dropped) for reply in replies),
            any(reply.refused for reply in (head, *replies)),
            tuple(dict.fromkeys(rule_names(error.rule for reply in replies for error in reply.errors))),
            shadow_of(replies),
        )


def control(channel: grpc.Channel, method: str, value: object) -> None:
    """Change what the test's service answers by."""
    call: Any = channel.unary_unary(f"/test.Control/{method}")
    call(json.dumps(value).encode(), timeout=SECONDS, wait_for_ready=True)


def otherwise(shadow: pb.ShadowDecision) -> Otherwise:
    return Otherwise(EFFECTS[shadow.decision], Reason(shadow.reason), rule_names(shadow.rules))


def shadow_of(replies: Sequence[Any]) -> Shadow:
    """What all replies to one response tell together."""
    told = [reply.shadow for reply in replies if reply.HasField("shadow")]
    hidden, shown = (tuple(name for one in told for name in getattr(one, field)) for field in ("hidden", "shown"))
    assert [len(hidden), len(shown)] == [sum(one.hidden_count for one in told), sum(one.shown_count for one in told)]
    return Shadow(hidden, shown, "".join(one.refused for one in told))


def rule_names(rules: Any) -> tuple[str, ...]:
    return tuple(f"{rule.policy}/{rule.rule}" for rule in rules)


def check_request(question: Question) -> pb.CheckRequest:
    principal = pb.Principal(token=TOKENS[question.token])
    if question.token is TokenState.VALID:
        principal.claims_json = question.claims
    request = pb.CheckRequest(
        server=question.server,
        direction=DIRECTIONS[question.direction],
        raw=question.body,
        principal=principal,
        http=pb.Http(
            method=question.http.method,
            path=question.http.path,
            headers=[pb.Header(name=name, values=values) for name, values in question.http.headers.items()],
            remote_address=question.http.remote_address,
        ),
        attributes=json_format.Parse(question.attributes, Struct()),
        filters_responses=question.filters_responses,
    )
    request.time.FromDatetime(question.time)
    return request


@pytest.fixture(scope="session", params=[(host, one) for host in HOSTS for one in TRANSPORTS], ids="-".join)
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A channel to each host by each transport in turn."""
    host, transport = request.param
    with channel_to(host, transport, tmp_path_factory.mktemp("corpus")) as opened:
        yield opened


@pytest.mark.parametrize("entrance", [Service, Streams])
@pytest.mark.parametrize("path", PATHS, ids=path_id)
def test_scenarios_hold_on_every_host_by_every_transport(
    reached: grpc.Channel, path: Path, entrance: type[Service]
) -> None:
    files = {file.name: file.content.decode("latin-1") for file in policy_files(path)}
    control(reached, "Load", files)
    differences = run_scenarios(policies_of(path), file_of(path).scenarios, entrance(reached))
    assert "" == shown_of(differences)
