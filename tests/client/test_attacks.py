"""What an attacker tried on the client, and what must come of it."""

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mcp_acl.client import AsyncClient, Client, CutOffError, MisuseError, Question, Tls
from mcp_acl.client.targets import credentials_of
from mcp_acl.gen import acl_pb2 as pb
from tests.serving import answering

BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s"}}'


def twice(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
    """Says yes twice to whatever is no danger."""
    for body in requests:
        request = pb.CheckRequest.FromString(body)
        denial = pb.Denial(status=403) if b"danger" in request.raw else None
        decision = pb.DECISION_DENY if denial else pb.DECISION_ALLOW
        answer = pb.CheckResponse(decision=decision, denial=denial, sequence=request.sequence).SerializeToString()
        yield from [answer] if denial else [answer, answer]


def late(_: str, requests: Iterator[bytes]) -> Iterator[bytes]:
    """Filters each piece to itself, after a while."""
    for number in count():
        if next(requests, None) is None:
            return
        head = pb.FilterStreamHead(status=200, content_type="text/event-stream")
        if number:
            time.sleep(0.5)
        yield pb.FilterStreamResponse(
            head=None if number else head, body=b"piece" if number else b""
        ).SerializeToString()


def test_answer_too_many_is_not_that_to_the_next_question() -> None:
    questions = [Question("s", BODY % name) for name in (b"ok", b"danger", b"ok", b"danger")]

    async def verdicts(address: str) -> list[bool]:
        async with AsyncClient(address, timeout=5) as client:
            return [bool(verdict) async for verdict in client.check_stream(questions)]

    with answering(twice) as address, Client(address, timeout=5) as client:
        found = [bool(verdict) for verdict in client.check_stream(questions)]
        assert [True, False, True, False] == found == asyncio.run(verdicts(address))


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE\xff"[:5]])
def test_file_that_holds_no_certificate_is_a_misuse(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    for tls in (Tls(file), Tls(content), Tls(certificate=file, key=file)):
        with pytest.raises(MisuseError, match="holds no"):
            credentials_of(tls)


def test_stream_whose_caller_gave_up_never_ends_properly() -> None:
    async def scene(address: str) -> None:
        async with AsyncClient(address, timeout=5) as client:
            stream = await client.filter_stream(b"c", "text/event-stream", [b"data: x\n\n"] * 3)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            with pytest.raises(CutOffError):
                await anext(stream)

    with answering(late) as address:
        asyncio.run(scene(address))


def test_stream_that_was_cut_off_is_cut_off_however_often_it_is_asked() -> None:
    with answering(late) as address, Client(address, timeout=0.3) as client:
        stream = client.filter_stream(b"c", "text/event-stream", [b"data: x\n\n"] * 3)
        for _ in range(3):
            with pytest.raises(CutOffError):
                next(stream)


def test_client_that_is_closed_gives_no_answer() -> None:
    async def scene(address: str) -> str:
        client = AsyncClient(address)
        await client.check(Question("s", BODY))
        await client.close()
        return (await client.check(Question("s", BODY))).reason

    with answering(twice) as address:
        client = Client(address)
        client.close()
        assert "unavailable" == client.check(Question("s", BODY)).reason == asyncio.run(scene(address))


@pytest.mark.parametrize("timeout", [1e300, 86_401.0, 0.0, -1.0, float("nan")])
def test_time_that_nobody_waits_is_a_misuse(timeout: float) -> None:
    with pytest.raises(MisuseError, match="timeout"):
        Client("127.0.0.1:1", timeout=timeout)
