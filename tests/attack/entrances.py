"""What the corpus is asked of: the library, the service on a host, the command line. All say the same of an exchange."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import grpc
import msgspec
from typer.testing import CliRunner

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.attack.cases import Answer, Corpus, Exchange, Step, read_corpus
from mcp_acl.cli import app
from mcp_acl.domain import Http, Json, TaskFact, TokenState
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.runtime.gate import Gate, Question
from mcp_acl.runtime.memory import Memory

SECONDS = 20.0
TOKENS = {"anonymous": TokenState.NONE, "invalid": TokenState.INVALID}


class Said(NamedTuple):
    """Whether the message passes, what the client gets, and whether it is an error in the place of a response."""

    allowed: bool
    status: int
    body: bytes
    withheld: bool = False


class Entrance(Protocol):
    """One way to ask."""

    def ask(self, exchange: Exchange) -> Said: ...


@cache
def corpus() -> Corpus:
    return read_corpus()


def claims_of(principal: str) -> Mapping[str, Json]:
    return corpus().claims.get(principal, {})


def token_of(principal: str) -> TokenState:
    return TOKENS.get(principal, TokenState.VALID)


def http_of(exchange: Exchange) -> Http:
    headers = {
        "content-type": ["application/json"],
        **{name.lower(): value for name, value in exchange.headers.items()},
    }
    return Http(exchange.method, "/mcp", {name: value for name, value in headers.items() if value is not None})


class Library:
    """The gate, in this process."""

    def ask(self, exchange: Exchange) -> Said:
        with closing(Memory()) as memory:
            gate = Gate(compile_policies(corpus().policies), memory=memory)
            for name, fact in exchange.tasks.items():
                memory.learn_task(exchange.server, name, fact)
            for step in exchange.before:
                self._exchange(gate, exchange, step)
            own = Step(exchange.principal, exchange.body, exchange.answer)
            return self._exchange(gate, exchange, own, http_of(exchange))

    def _exchange(self, gate: Gate, exchange: Exchange, step: Step, http: Http = Http("POST", "/mcp")) -> Said:  # noqa: B008
        who = step.principal
        question = Question(
            exchange.server, step.body, claims_of(who), token_of(who), http=http, filters_responses=True
        )
        answer = gate.check(question)
        if answer.denial is not None:
            return Said(allowed=False, status=answer.denial.status, body=answer.denial.body)
        if step.answer is None or not answer.context:
            return Said(allowed=True, status=200, body=b"" if step.answer is None else step.answer.body)
        reply = gate.filter(answer.context, step.answer.content_type, step.answer.body, step.answer.status)
        return Said(True, reply.status, reply.filtered.body, reply.filtered.refused != "")


class Service:
    """The real service on a host, by its interface."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def ask(self, exchange: Exchange) -> Said:
        self.remember(exchange.tasks)
        for step in exchange.before:
            self._exchange(exchange, step, Http("POST", "/mcp"))
        return self._exchange(exchange, Step(exchange.principal, exchange.body, exchange.answer), http_of(exchange))

    def remember(self, tasks: Mapping[str, TaskFact]) -> None:
        """What is known of tasks from here on."""
        self._call("/test.Control/Remember", msgspec.json.encode(tasks))

    def load(self) -> None:
        files = {file.name: file.content.decode() for file in corpus().policies}
        self._call("/test.Control/Load", msgspec.json.encode(files))

    def _exchange(self, exchange: Exchange, step: Step, http: Http) -> Said:
        principal = pb.Principal(token=f"TOKEN_STATE_{token_of(step.principal).name}")
        if token_of(step.principal) is TokenState.VALID:
            principal.claims_json = msgspec.json.encode(claims_of(step.principal))
        request = pb.CheckRequest(
            server=exchange.server,
            direction=pb.DIRECTION_CLIENT_TO_SERVER,
            raw=step.body,
            principal=principal,
            http=pb.Http(
                method=http.method,
                path=http.path,
                headers=[pb.Header(name=name, values=values) for name, values in http.headers.items()],
            ),
            filters_responses=True,
        )
        decision = pb.CheckResponse.FromString(self._call(f"/{SERVICE}/Check", request.SerializeToString()))
        if decision.decision != pb.DECISION_ALLOW:
            return Said(allowed=False, status=decision.denial.status, body=decision.denial.body)
        if step.answer is None or not decision.context:
            return Said(allowed=True, status=200, body=b"" if step.answer is None else step.answer.body)
        response = pb.FilterResponseRequest(
            context=decision.context,
            content_type=step.answer.content_type,
            body=step.answer.body,
            status=step.answer.status,
        )
        reply = pb.FilterResponseResponse.FromString(
            self._call(f"/{SERVICE}/FilterResponse", response.SerializeToString())
        )
        return Said(True, reply.status, reply.body, reply.refused != "")

    def _call(self, path: str, request: bytes) -> bytes:
        call: Any = self._channel.unary_unary(path)
        answer: bytes = call(request, timeout=SECONDS, wait_for_ready=True)
        return answer


Run = Callable[[list[str]], tuple[int, bytes]]


def run_here(arguments: list[str]) -> tuple[int, bytes]:
    """The command line in this process: how it ends, and what it prints."""
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, result.stdout_bytes


class LearningService(Service):
    """The service as it is run: nobody can tell it of tasks, it learns of them."""

    def remember(self, tasks: Mapping[str, TaskFact]) -> None:
        assert not tasks


class CommandLine:
    """`mcp-acl decide`, and `mcp-acl filter` for a response. It says no status, and knows nothing of what was before."""

    def __init__(self, run: Run = run_here) -> None:
        self._run = run

    def ask(self, exchange: Exchange) -> Said:
        with self._files(exchange.body, exchange.answer) as (message, response):
            asked = self._asked(exchange, message)
            code, printed = self._run(["decide", *asked, "--json"])
            if code or exchange.answer is None:
                body = b"" if not code else (msgspec.json.decode(printed)["denial"]["body"] or "").encode()
                return Said(allowed=not code, status=0, body=body)
            more = ["--response", f"@{response}", "--content-type", exchange.answer.content_type]
            code, printed = self._run(["filter", *asked, *more])
            return Said(True, 0, printed, withheld=code == 1)

    def _asked(self, exchange: Exchange, message: Path) -> list[str]:
        http = http_of(exchange)
        found = ["--policies", str(message.parent), "--server", exchange.server, "--message", f"@{message}"]
        found += ["--http-method", http.method, "--path", http.path]
        found += [f"--header={name}={value}" for name, values in http.headers.items() for value in values]
        found += [
            f"--task={name}={msgspec.json.encode(fact._asdict()).decode()}" for name, fact in exchange.tasks.items()
        ]
        if exchange.principal == "invalid":
            found += ["--token", "invalid"]
        elif exchange.principal != "anonymous":
            found += ["--claims", msgspec.json.encode(claims_of(exchange.principal)).decode()]
        return found

    @contextmanager
    def _files(self, message: bytes, answer: Answer | None) -> Iterator[tuple[Path, Path]]:
        """A directory with the policy, the message and the response."""
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            for file in corpus().policies:
                (directory / file.name).write_bytes(file.content)
            (directory / "message").write_bytes(message)
            (directory / "response").write_bytes(b"" if answer is None else answer.body)
            yield directory / "message", directory / "response"
