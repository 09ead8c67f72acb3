"""Both clients on services that fail: no answer, no good answer, no answer in time. Each is a denial, and never an error alone."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import grpc
import pytest

from mcp_acl.client import AsyncClient, Client, CutOffError, MisuseError, Question, Report, Tls, Verdict
from mcp_acl.client.targets import credentials_of, targets_of
from mcp_acl.domain import Denial, ResponseNeeds
from mcp_acl.gen import acl_pb2 as pb
from tests.client.conftest import Opener
from tests.runtime.weather import body, call, listed
from tests.serving import SECONDS, Handler, Status, answering

JSON = "application/json"
SSE = "text/event-stream"
LIST = listed("secret")
MESSAGE = body("tools/list", "a")
QUESTION = Question("weather", MESSAGE)
ALLOWED = Verdict(QUESTION, allowed=True, reason="granted", response_needs=ResponseNeeds.LIST, context=b"c")
ALLOW = pb.CheckResponse(decision=pb.DECISION_ALLOW)
DENY = pb.CheckResponse(decision=pb.DECISION_DENY, reason="no_matching_rule")
CONTRADICTION = pb.CheckResponse(decision=pb.DECISION_ALLOW, denial=pb.Denial(status=200))
# An enum of proto3 is open, but its Python constructor is not: field 1, varint 7.
UNKNOWN = b"\x08\x07"
NOWHERE = "unix:/nowhere/acl.sock"


def always(answer: bytes) -> Handler:
    def handler(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        for _ in requests:
            yield answer

    return handler


def ending(code: grpc.StatusCode, text: str = "") -> Handler:
    def handler(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        yield from ()
        next(requests)
        raise Status(code, text)

    return handler


def silent(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
    """Never answers, until the client has left."""
    for _ in requests:
        yield from ()
    Event().wait(0.1)
    raise Status(grpc.StatusCode.CANCELLED)


def without_an_answer(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
    next(requests)
    yield from ()


FAILING: dict[str, Handler] = {
    "no decision": always(b""),
    "a decision of the future": always(UNKNOWN),
    "yes and no": always(CONTRADICTION.SerializeToString()),
    "garbage": always(b"\xff\xff\xff"),
    "nothing": without_an_answer,
    **{
        code.name: ending(code, "a text")
        for code in grpc.StatusCode
        if code not in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
    },
}


@pytest.fixture(params=[*FAILING.values()], ids=[*FAILING])
def failing(request: pytest.FixtureRequest) -> Iterator[str]:
    with answering(request.param) as address:
        yield address


def is_denied(verdict: Verdict) -> bool:
    assert verdict.denial is not None
    error = json.loads(verdict.denial.body)
    assert ("a", "unavailable") == (error["id"], error["error"]["data"]["reason"])
    assert (200, (("content-type", JSON),)) == (verdict.denial.status, verdict.denial.headers)
    assert verdict.cause is not None
    assert (False, "unavailable", b"") == (verdict.allowed, verdict.reason, verdict.context)
    return not verdict


def test_no_good_answer_is_a_denial(client: Opener, failing: str) -> None:
    assert is_denied(client(failing).check(QUESTION))


def test_no_good_answer_in_a_stream_is_a_denial_for_each_question(client: Opener, failing: str) -> None:
    assert [True, True] == [is_denied(one) for one in client(failing).check_stream([QUESTION, QUESTION])]


def test_no_good_answer_withholds_the_response(client: Opener, failing: str) -> None:
    filtered = client(failing).filter(ALLOWED, JSON, LIST, 201)
    assert (200, JSON, True, True) == (filtered.status, filtered.content_type, filtered.changed, bool(filtered.cause))
    answer = json.loads(filtered.body)
    assert ("a", -32603, "unavailable") == (answer["id"], answer["error"]["code"], answer["error"]["data"]["reason"])
    assert filtered.report.refused


def test_no_good_head_withholds_the_body(client: Opener, failing: str) -> None:
    sent = client(failing).filter_stream(ALLOWED, JSON, iter(lambda: pytest.fail("nothing is asked for"), None))
    assert (200, JSON, True, None) == (sent.status, sent.content_type, bool(sent.cause), sent.error)
    assert ("a", -32603) == (json.loads(sent.body)["id"], json.loads(sent.body)["error"]["code"])


def test_no_answer_in_time_is_a_denial(client: Opener) -> None:
    with answering(silent) as address:
        asker = client(address, timeout=0.3)
        assert is_denied(asker.check(QUESTION))
        assert [True] == [is_denied(one) for one in asker.check_stream([QUESTION])]
        assert b"withheld" in asker.filter(ALLOWED, JSON, LIST).body
        sent = asker.filter_stream(ALLOWED, JSON, [LIST])
        assert (b"withheld" in sent.body, None) == (True, sent.error)
        assert "DEADLINE_EXCEEDED" == getattr(sent.cause, "code", None)


@pytest.mark.parametrize("address", [NOWHERE, "127.0.0.1:1", "name.invalid:9191"])
def test_service_that_is_not_there_is_a_denial(client: Opener, address: str) -> None:
    asker = client(address)
    assert is_denied(asker.check(QUESTION))
    assert b"withheld" in asker.filter(ALLOWED, JSON, LIST).body


@pytest.mark.parametrize(
    ("message", "status", "has_body"),
    [(b"no JSON", 200, True), (body("notifications/initialized", None), 202, False), (b"\xff" * 100, 200, True)],
)
def test_denial_of_what_has_no_id(client: Opener, message: bytes, status: int, has_body: bool) -> None:
    denial = client(NOWHERE).check(Question("weather", message)).denial
    assert denial is not None
    assert (status, has_body) == (denial.status, denial.body != b"")
    assert not has_body or json.loads(denial.body)["id"] is None


def test_event_stream_is_withheld_as_an_event(client: Opener) -> None:
    asker = client(NOWHERE)
    filtered = asker.filter(ALLOWED, SSE, LIST, 404)
    assert (404, SSE) == (filtered.status, filtered.content_type)
    assert ("a", True) == (json.loads(filtered.body.removeprefix(b"data: "))["id"], filtered.body.endswith(b"\n\n"))
    assert filtered.body == asker.filter_stream(ALLOWED, SSE, [LIST]).body


def test_response_of_which_the_context_alone_is_known_is_withheld(client: Opener) -> None:
    assert json.loads(client(NOWHERE).filter(b"c", JSON, LIST).body)["id"] is None


def test_denial_without_an_answer_to_send_has_one(client: Opener) -> None:
    with answering(always(DENY.SerializeToString())) as address:
        verdict = client(address).check(QUESTION)
    assert (False, "no_matching_rule", None) == (verdict.allowed, verdict.reason, verdict.cause)
    assert verdict.denial is not None
    assert "a" == json.loads(verdict.denial.body)["id"]


@pytest.mark.parametrize("needs", [b"", b"\x38\x09"], ids=["not said", "of the future"])
def test_needs_that_are_not_understood_are_all_of_them(client: Opener, needs: bytes) -> None:
    with answering(always(ALLOW.SerializeToString() + needs)) as address:
        assert client(address).check(QUESTION).response_needs is ResponseNeeds.RESULT


@pytest.mark.parametrize(
    ("content_type", "passes"),
    [(JSON, True), ("Application/JSON ; charset=utf-8", True), (SSE, False), ("", False), ("text/json", False)],
)
def test_where_a_stream_is_needed_json_alone_passes(client: Opener, content_type: str, passes: bool) -> None:
    verdict = Verdict(QUESTION, allowed=True, reason="granted", response_needs=ResponseNeeds.STREAM, context=b"c")
    assert passes == (client(NOWHERE).filter(verdict, content_type, LIST).body == LIST)


def test_misuse_is_never_a_verdict(client: Opener) -> None:
    with answering(ending(grpc.StatusCode.INVALID_ARGUMENT, "say `direction`")) as address:
        asker = client(address)
        for ask in (
            lambda: asker.check(QUESTION),
            lambda: asker.check_stream([QUESTION]),
            lambda: asker.filter(ALLOWED, JSON, LIST),
            lambda: asker.filter_stream(ALLOWED, JSON, [LIST]),
        ):
            with pytest.raises(MisuseError, match="say `direction`"):
                ask()


def until(arrived: Event, then: Handler) -> Handler:
    """Says that a question is there, and then does something else."""

    def handler(path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        first = next(requests)
        arrived.set()
        yield from then(path, chain([first], requests))

    return handler


def test_client_that_is_closed_denies(client: Opener) -> None:
    asker = client(NOWHERE)
    assert is_denied(asker.check(QUESTION))
    asker.run(asker.client.close())
    assert is_denied(asker.check(QUESTION))
    assert [True] == [is_denied(one) for one in asker.check_stream([QUESTION])]
    assert "the client is closed" == str(asker.filter(ALLOWED, JSON, LIST).cause)
    assert "the client is closed" == str(asker.filter_stream(ALLOWED, JSON, [LIST]).cause)


def test_client_that_is_closed_meanwhile_denies() -> None:
    arrived = Event()
    with answering(until(arrived, silent)) as address, ThreadPoolExecutor() as pool:
        asker = Client(address, timeout=SECONDS)
        verdict = pool.submit(asker.check, QUESTION)
        assert arrived.wait(SECONDS)
        asker.close()
        assert is_denied(verdict.result(SECONDS))


@pytest.mark.parametrize("name", ["check", "stream"])
def test_task_that_is_cancelled_stays_so_and_one_whose_client_is_closed_is_denied(name: str) -> None:
    arrived = Event()

    async def ask(asker: AsyncClient) -> Verdict:
        if name == "check":
            return await asker.check(QUESTION)
        return await anext(asker.check_stream([QUESTION]))

    async def scene(address: str) -> None:
        asker = AsyncClient(address, timeout=SECONDS)
        cancelled, denied = asyncio.create_task(ask(asker)), asyncio.create_task(ask(asker))
        await asyncio.to_thread(arrived.wait, SECONDS)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await asker.close()
        assert is_denied(await denied)

    with answering(until(arrived, silent)) as address:
        asyncio.run(scene(address))


@pytest.mark.parametrize("answer", [Status(grpc.StatusCode.INVALID_ARGUMENT), b"\xff", b""], ids=str)
def test_stream_that_brought_no_good_answer_leaves_no_thread(answer: Status | bytes) -> None:
    def handler(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        next(requests)
        if isinstance(answer, Status):
            raise answer
        yield answer

    before = set(enumerate_threads())
    with answering(handler) as address, Client(address, timeout=SECONDS) as asker:
        with suppress(MisuseError):
            asker.filter_stream(ALLOWED, JSON, [LIST])
        with suppress(MisuseError):
            list(asker.check_stream([QUESTION]))
    waiting = [one for one in enumerate_threads() if one not in before]
    for one in waiting:
        one.join(SECONDS)
    assert [] == [one for one in waiting if one.is_alive()]


# ---- in the middle of a stream ---------------------------------------------------------------------------------------

HEAD = pb.FilterStreamResponse(head=pb.FilterStreamHead(content_type=SSE, status=200), body=b"first")


def breaking(error: Handler) -> Handler:
    """Answers the first message, and then does something else."""

    def handler(path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        first = next(requests)
        if path.endswith("/FilterStream"):
            yield HEAD.SerializeToString()
        else:
            sequence = pb.CheckRequest.FromString(first).sequence
            yield pb.CheckResponse(decision=pb.DECISION_ALLOW, sequence=sequence).SerializeToString()
        yield from error(path, requests)

    return handler


@pytest.mark.parametrize("name", [name for name in FAILING if name not in {"no decision", "a decision of the future"}])
def test_response_that_breaks_on_the_way_is_cut_off(client: Opener, name: str) -> None:
    garbage = {"yes and no": "garbage"}
    with answering(breaking(FAILING[garbage.get(name, name)])) as address:
        sent = client(address).filter_stream(ALLOWED, SSE, [LIST, LIST])
    assert isinstance(sent.error, CutOffError)
    assert (b"first", None) == (sent.body, sent.cause)


def test_response_of_which_the_end_does_not_come_is_cut_off(client: Opener) -> None:
    def handler(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        for _ in requests:
            yield HEAD.SerializeToString()
        raise Status(grpc.StatusCode.INTERNAL)

    with answering(handler) as address:
        sent = client(address).filter_stream(ALLOWED, SSE, [LIST])
    assert isinstance(sent.error, CutOffError)
    assert b"firstfirst" == sent.body


def test_response_whose_answer_is_late_is_cut_off(client: Opener) -> None:
    with answering(breaking(silent)) as address:
        sent = client(address, timeout=0.5).filter_stream(ALLOWED, SSE, [LIST])
    assert isinstance(sent.error, CutOffError)
    assert "no answer within 0.5 s" in str(sent.error)


def test_stream_that_is_closed_early_ends_its_call(client: Opener) -> None:
    ended = Event()

    def handler(_path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield HEAD.SerializeToString()
            for _ in requests:
                yield b""
        finally:
            ended.set()

    with answering(handler) as address:
        asker = client(address)
        stream = asker.run(asker.client.filter_stream(ALLOWED, SSE, []))
        asker.run(stream.aclose()) if hasattr(stream, "aclose") else stream.close()
        assert ended.wait(SECONDS)


@pytest.mark.parametrize("name", ["UNAVAILABLE", "nothing"])
def test_question_after_a_stream_has_ended_is_asked_in_a_new_one(client: Opener, name: str) -> None:
    with answering(breaking(FAILING[name])) as address:
        verdicts = client(address).check_stream([QUESTION] * 3)
    assert [True, True, True] == [verdict.allowed for verdict in verdicts]


def test_question_whose_answer_was_none_is_denied_and_the_next_is_not(client: Opener) -> None:
    with answering(breaking(FAILING["INTERNAL"])) as address:
        verdicts = client(address).check_stream([QUESTION] * 4)
    assert [True, False, True, False] == [verdict.allowed for verdict in verdicts]


# ---- several workers -------------------------------------------------------------------------------------------------


class Counting:
    """Workers that count what they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def named(self, name: str, handler: Handler | None = None) -> Handler:
        def handle(path: str, requests: Iterator[bytes]) -> Iterator[bytes]:
            self.asked.append(name)
            yield from (handler or always(ALLOW.SerializeToString()))(path, requests)

        return handle


@pytest.mark.parametrize("kind", ["ports", "files"])
def test_workers_are_asked_in_turns(client: Opener, kind: str, tmp_path: Path) -> None:
    workers = Counting()
    files = kind == "files"
    listen = [f"unix:{tmp_path}/{name}" if files else "127.0.0.1:0" for name in "ab"]
    with (
        answering(workers.named("a"), listen[0]) as one,
        answering(workers.named("b"), listen[1]) as other,
    ):
        asker = client([one, other])
        assert asker.check(QUESTION)
        while len(set(workers.asked)) < 2:  # until there are connections to both
            assert asker.check(QUESTION)
        workers.asked.clear()
        for _ in range(20):
            assert asker.check(QUESTION)
    # Almost: a channel begins its turns anew when a connection changes.
    assert all(workers.asked.count(name) >= 8 for name in "ab"), workers.asked


def test_worker_that_is_shutting_down_is_not_asked_twice(client: Opener, tmp_path: Path) -> None:
    workers = Counting()
    with (
        answering(workers.named("a", ending(grpc.StatusCode.UNAVAILABLE)), f"unix:{tmp_path}/a") as one,
        answering(workers.named("b"), f"unix:{tmp_path}/b") as other,
    ):
        asker = client([one, other])
        verdicts = [asker.check(QUESTION) for _ in range(2)]
    assert [True, True] == [verdict.allowed for verdict in verdicts]
    assert ["a", "b", "a", "b"] == workers.asked


def test_only_unavailable_is_asked_again(client: Opener) -> None:
    workers = Counting()
    with answering(workers.named("a", ending(grpc.StatusCode.INTERNAL))) as address:
        assert not client(address).check(QUESTION)
    assert ["a"] == workers.asked


@pytest.mark.parametrize(
    ("addresses", "tls", "targets"),
    [
        ("127.0.0.1:1", None, ["ipv4:127.0.0.1:1"]),
        ("[::1]:1", None, ["ipv6:[::1]:1"]),
        ("acl.internal:1", None, ["dns:///acl.internal:1"]),
        ("unix:/a b", None, ["unix:/a%20b"]),
        (["10.0.0.1:1", "10.0.0.2:1"], None, ["ipv4:10.0.0.1:1,10.0.0.2:1"] * 2),
        (["10.0.0.1:1", "10.0.0.2:1"], Tls(server_name="acl"), ["ipv4:10.0.0.1:1,10.0.0.2:1"] * 2),
        (["10.0.0.1:1", "10.0.0.2:1"], Tls(), ["ipv4:10.0.0.1:1", "ipv4:10.0.0.2:1"]),
        (["unix:/a", "h:1", "h:2"], None, ["unix:/a", "dns:///h:1", "dns:///h:2"]),
    ],
)
def test_target(addresses: Any, tls: Tls | None, targets: list[str]) -> None:
    assert targets == targets_of(addresses, tls)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["9191"], {}),
        ([[]], {}),
        (["127.0.0.1:1"], {"timeout": 0}),
        (["127.0.0.1:1"], {"timeout": float("nan")}),
        (["127.0.0.1:1"], {"tls": Tls(certificate=b"x")}),
        (["127.0.0.1:1"], {"tls": Tls(authorities=Path("/nowhere/ca.pem"))}),
    ],
    ids=str,
)
def test_client_of_which_the_options_cannot_be_used(client: Opener, arguments: Any, options: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        client(*arguments, **options)


# ---- values ----------------------------------------------------------------------------------------------------------


def test_verdict_is_true_only_if_it_allows() -> None:
    denial = Denial(200, (), b"")
    assert ALLOWED
    assert not Verdict(QUESTION, allowed=False, reason="no", denial=denial)
    for allowed, one in ((True, denial), (False, None)):
        with pytest.raises(ValueError, match="denial"):
            Verdict(QUESTION, allowed=allowed, reason="no", denial=one)


def test_what_is_printed_tells_no_claims_and_no_message() -> None:
    secret = b"hunter2"
    asked = Question("weather", call(secret.decode()), claims=secret, attributes={"a": secret.decode()})
    shown = f"{asked!r} {Verdict(asked, allowed=True, reason='granted', context=secret)!r} {Tls(key=secret)!r}"
    assert "hunter2" not in shown


def test_reports_of_pieces_add_up() -> None:
    one, other = Report(1, 2, ("a",), revision="r1"), Report(3, 4, ("b",), ("c",), (), "r2", "why")
    assert Report(4, 6, ("a", "b"), ("c",), (), "r2", "why") == one + other
    assert credentials_of(None) is None
