"""A gateway in miniature: the whole of what one does to ask the service. Knows nothing of who the principals are."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from mcp_acl.cli.demo.everything import Answer, Session
from mcp_acl.domain import Json
from mcp_acl.gen import acl_pb2 as acl

_SERVICE = "/mcp_acl.v1.AccessControl"
_SECONDS = 5.0


class AccessControl:
    """The two calls a gateway needs. A failure or a timeout raises `grpc.RpcError`: nothing passes."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._check = channel.unary_unary(
            f"{_SERVICE}/Check", acl.CheckRequest.SerializeToString, acl.CheckResponse.FromString
        )
        self._filter = channel.unary_unary(
            f"{_SERVICE}/FilterResponse",
            acl.FilterResponseRequest.SerializeToString,
            acl.FilterResponseResponse.FromString,
        )

    def check(self, request: acl.CheckRequest) -> acl.CheckResponse:
        """May this message pass."""
        return self._check(request, timeout=_SECONDS)

    def filter_response(self, request: acl.FilterResponseRequest) -> acl.FilterResponseResponse:
        """What of this response may be seen."""
        return self._filter(request, timeout=_SECONDS)


@dataclass(slots=True)
class Timings:
    """How long each kind of step took, in seconds."""

    check: list[float] = field(default_factory=list)
    filter: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message through the gateway: what was decided, and what the client got."""

    decision: acl.CheckResponse
    status: int
    reply: Mapping[str, Json]

    @property
    def allowed(self) -> bool:
        """Whether the message reached the server."""
        return self.decision.decision == acl.DECISION_ALLOW


class Gateway:
    """Stands between one client and the server, and asks before and after."""

    def __init__(self, service: AccessControl, session: Session, claims: Mapping[str, Json], timings: Timings) -> None:
        self._service = service
        self._session = session
        self._timings = timings
        self._principal = acl.Principal(claims_json=json.dumps(claims).encode(), token=acl.TOKEN_STATE_VALID)

    def send(self, message: bytes) -> Exchange:
        """One message from the client to the server and back."""
        started = time.perf_counter()
        decision = self._service.check(
            acl.CheckRequest(
                server="everything",
                direction=acl.DIRECTION_CLIENT_TO_SERVER,
                raw=message,
                principal=self._principal,
                http=acl.Http(method="POST", path="/mcp"),
                filters_responses=True,
            )
        )
        self._timings.check.append(time.perf_counter() - started)
        if decision.decision != acl.DECISION_ALLOW:
            return Exchange(decision, decision.denial.status, json.loads(decision.denial.body or b"{}"))
        return self._pass_on(message, decision)

    def _pass_on(self, message: bytes, decision: acl.CheckResponse) -> Exchange:
        started = time.perf_counter()
        answer = self._session.send(message)
        self._timings.server.append(time.perf_counter() - started)
        if decision.response_needs != acl.RESPONSE_NEEDS_NONE:
            answer = self._filtered(answer, decision.context)
        return Exchange(decision, answer.status, answer.reply)

    def _filtered(self, answer: Answer, context: bytes) -> Answer:
        started = time.perf_counter()
        filtered = self._service.filter_response(
            acl.FilterResponseRequest(
                context=context, content_type=answer.content_type, body=answer.body, status=answer.status
            )
        )
        self._timings.filter.append(time.perf_counter() - started)
        return Answer(filtered.status, filtered.content_type, filtered.body)
