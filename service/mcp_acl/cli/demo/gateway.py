"""A gateway in miniature: the whole of what one does to ask the service. Knows nothing of who the principals are."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_acl.cli.demo.children import DemoError
from mcp_acl.cli.demo.everything import Answer, Session
from mcp_acl.client import Client, Question, UnavailableError, Verdict
from mcp_acl.domain import Http, Json


@dataclass(slots=True)
class Timings:
    """How long each kind of step took, in seconds."""

    check: list[float] = field(default_factory=list)
    filter: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message through the gateway: what was decided, and what the client got."""

    verdict: Verdict
    status: int
    reply: Mapping[str, Json]

    @property
    def allowed(self) -> bool:
        """Whether the message reached the server."""
        return self.verdict.allowed


class Gateway:
    """Stands between one client and the server, and asks before and after. Raises `DemoError` if there is no answer."""

    def __init__(self, service: Client, session: Session, claims: Mapping[str, Json], timings: Timings) -> None:
        self._service = service
        self._session = session
        self._claims = claims
        self._timings = timings

    def send(self, message: bytes) -> Exchange:
        """One message from the client to the server and back."""
        question = Question("everything", message, self._claims, http=Http("POST", "/mcp"), filters_responses=True)
        started = time.perf_counter()
        verdict = self._service.check(question)
        self._timings.check.append(time.perf_counter() - started)
        _expect(verdict.cause)
        if verdict.denial is not None:
            return Exchange(verdict, verdict.denial.status, json.loads(verdict.denial.body or b"{}"))
        return self._pass_on(message, verdict)

    def _pass_on(self, message: bytes, verdict: Verdict) -> Exchange:
        started = time.perf_counter()
        answer = self._session.send(message)
        received = time.perf_counter()
        self._timings.server.append(received - started)
        filtered = self._service.filter(verdict, answer.content_type, answer.body, answer.status)
        if verdict.context:
            self._timings.filter.append(time.perf_counter() - received)
        _expect(filtered.cause)
        return Exchange(verdict, filtered.status, Answer(filtered.status, filtered.content_type, filtered.body).reply)


def _expect(cause: UnavailableError | None) -> None:
    """A demo without its service is over; a gateway would send the denial."""
    if cause is not None:
        raise DemoError(f"there was no answer: {cause}")
