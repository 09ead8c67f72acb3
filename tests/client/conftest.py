"""The two clients behind one face, so that each test asks both."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_acl.client import AsyncClient, Client, FilteredResponse, Question, Report, UnavailableError, Verdict
from tests.serving import serving

ROOT = Path(__file__).parents[2]


class Sent(NamedTuple):
    """A response that came in pieces: what was sent of it, and the error that it ended with."""

    status: int
    content_type: str
    body: bytes
    report: Report
    cause: UnavailableError | None
    error: Exception | None


class Asker:
    """The client for threads."""

    kind: Any = Client

    def __init__(self, *args: Any, **options: Any) -> None:
        self.client = self.kind(*args, **options)

    def close(self) -> None:
        self.run(self.client.close())

    def run(self, result: Any) -> Any:
        return result

    def check(self, question: Question) -> Verdict:
        verdict: Verdict = self.run(self.client.check(question))
        return verdict

    def filter(self, *args: Any, **options: Any) -> FilteredResponse:
        filtered: FilteredResponse = self.run(self.client.filter(*args, **options))
        return filtered

    def check_stream(self, questions: Sequence[Question]) -> list[Verdict]:
        return list(self.client.check_stream(questions))

    def filter_stream(self, of: Verdict | bytes, content_type: str, pieces: Any, **options: Any) -> Sent:
        stream = self.client.filter_stream(of, content_type, pieces, **options)
        body, error = [], None
        with closing(stream):
            try:
                for piece in stream:
                    body.append(piece)  # noqa: PERF402 - those before an error count
            except Exception as caught:  # noqa: BLE001 - whatever it is
                error = caught
        return Sent(stream.status, stream.content_type, b"".join(body), stream.report, stream.cause, error)


class AsyncAsker(Asker):
    """The client for asyncio, in a loop of its own."""

    kind = AsyncClient

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        super().close()
        self._runner.close()

    def run(self, result: Any) -> Any:
        return self._runner.run(result)

    def check_stream(self, questions: Sequence[Question]) -> list[Verdict]:
        async def all_of(verdicts: AsyncIterator[Verdict]) -> list[Verdict]:
            return [verdict async for verdict in verdicts]

        return self._runner.run(all_of(self.client.check_stream(questions)))

    def filter_stream(self, of: Verdict | bytes, content_type: str, pieces: Any, **options: Any) -> Sent:
        async def send() -> Sent:
            stream = await self.client.filter_stream(of, content_type, _later(pieces), **options)
            body, error = [], None
            try:
                async for piece in stream:
                    body.append(piece)  # noqa: PERF401 - those before an error count
            except Exception as caught:  # noqa: BLE001 - whatever it is
                error = caught
            await stream.aclose()
            return Sent(stream.status, stream.content_type, b"".join(body), stream.report, stream.cause, error)

        return self._runner.run(send())


async def _later(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Opener:
    """Makes clients of one kind, which are closed when their test ends."""

    def __init__(self, kind: type[Asker]) -> None:
        self._kind = kind
        self._open: list[Asker] = []

    def __call__(self, *args: Any, **options: Any) -> Asker:
        self._open.append(self._kind(*args, **{"timeout": 10.0, **options}))
        return self._open[-1]

    @contextmanager
    def closed(self) -> Iterator["Opener"]:
        try:
            yield self
        finally:
            for one in self._open:
                one.close()


@pytest.fixture(params=[Asker, AsyncAsker], ids=["threads", "asyncio"])
def client(request: pytest.FixtureRequest) -> Iterator[Opener]:
    with Opener(request.param).closed() as opener:
        yield opener


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The real service on the policies of the demo."""
    with serving(ROOT / "policies" / "everything", "--admin-listen", "127.0.0.1:0") as address:
        yield address
