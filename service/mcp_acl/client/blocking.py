"""The client for threads. Carries bytes: what they mean is `wire`'s.

A client may be shared by threads. Streams are asked and answered in turns, in the thread that iterates.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from queue import SimpleQueue
from threading import Timer
from types import TracebackType
from typing import Any, Final

import grpc

from mcp_acl.client import health, wire
from mcp_acl.client.channels import Channels, failed
from mcp_acl.client.failures import AGAIN, closed, cut_off, ended, late
from mcp_acl.client.targets import Tls
from mcp_acl.client.values import (
    CutOffError,
    FilteredResponse,
    Question,
    Report,
    UnavailableError,
    Verdict,
)
from mcp_acl.gen import acl_pb2 as pb

_UNARY: Final = (*(wire.PATHS[name] for name in ("Check", "FilterResponse", "Explain", "GetPolicySet")), health.PATH)


class FilteredStream(Iterator[bytes]):
    """A response that is filtered as it comes: `status` and `content_type` to send first, then its bytes by iteration.

    `report` grows as it goes. `cause`: the service gave no answer at all, and the one piece that comes is an error in the response's place.
    Iterating raises CutOffError if an answer is missing later on. Close it if it is not iterated to its end.
    """

    def __init__(
        self, head: FilteredResponse, pieces: Iterator[tuple[bytes, Report]], close: Callable[[], object] = lambda: None
    ) -> None:
        self.status = head.status
        self.content_type = head.content_type
        self.cause = head.cause
        self.report = head.report
        self._pieces = pieces
        self._close = close
        self._is_cut = False

    def __next__(self) -> bytes:
        if self._is_cut:
            raise cut_off()
        try:
            while True:
                piece, report = next(self._pieces)
                self.report += report
                if piece:
                    return piece
        except StopIteration:
            raise
        except BaseException:
            self._is_cut = True
            raise

    def close(self) -> None:
        """Ask for no more."""
        self._is_cut = True
        self._close()


class Client(AbstractContextManager["Client"]):
    """Asks the service, and waits for its answer.

    `addresses`: where it listens, `host:port`, `[v6]:port` or `unix:path`; of several workers, all of them. `tls`: None does not encrypt.
    `timeout`: the seconds that one answer may take, of which a second attempt is a part. Raises MisuseError for what cannot be used.
    """

    def __init__(
        self, addresses: str | Sequence[str] = "127.0.0.1:9191", *, tls: Tls | None = None, timeout: float = 1.0
    ) -> None:
        self._channels = Channels(addresses, tls, timeout, _UNARY)
        self._ask = self._channels.ask
        self._numbers = count(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls that are begun end without an answer."""
        self._channels.close()

    # ---- decisions --------------------------------------------------------------------------------------------------

    def check(self, question: Question) -> Verdict:
        """May this message pass. No answer is a denial with the reason `unavailable`. Raises MisuseError."""
        request = wire.check_request(question)
        try:
            return wire.verdict_of(question, self._ask(wire.PATHS["Check"], request))
        except UnavailableError as error:
            return wire.denied(question, error)

    def check_stream(self, questions: Iterable[Question]) -> Iterator[Verdict]:
        """A verdict for each question, in order, over one call. The next question is taken when a verdict was.

        A question without an answer is denied as in `check`, and the one after it opens a new call. Raises MisuseError, which ends it.
        """
        turns: _Turns | None = None
        try:
            for question in questions:
                turns, verdict = self._check_in(turns, question)
                yield verdict
        finally:
            if turns is not None:
                turns.close()

    def _check_in(
        self, turns: "_Turns | None", question: Question, *, again: bool = True
    ) -> "tuple[_Turns | None, Verdict]":
        """The verdict, and the call to go on with."""
        sequence = next(self._numbers)
        request = wire.check_request(question, sequence)
        try:
            turns = turns or self._open("CheckStream")
            return turns, wire.verdict_of(question, turns.ask(request), sequence)
        except UnavailableError as error:
            if turns is not None:
                turns.close()
            if again and error.code in AGAIN:
                return self._check_in(None, question, again=False)
            return None, wire.denied(question, error)

    # ---- responses --------------------------------------------------------------------------------------------------

    def filter(
        self, of: Verdict | bytes, content_type: str, body: bytes, status: int = 200, *, report_hidden: bool = False
    ) -> FilteredResponse:
        """What to send instead of this response. No answer withholds it. Raises MisuseError.

        `of`: the verdict on the message it answers, which says whether there is anything to do; or that verdict's `context`. `status`: the
        response's HTTP status. `report_hidden`: name what was taken out.
        """
        response = FilteredResponse(status, content_type, body)
        context = wire.context_for(of, content_type)
        if context is None:
            return response
        request = wire.filter_request(context, response, report_hidden=report_hidden)
        try:
            return wire.filtered_of(of, response, self._ask(wire.PATHS["FilterResponse"], request))
        except UnavailableError as error:
            return wire.withheld(of, response, error)

    def filter_stream(
        self,
        of: Verdict | bytes,
        content_type: str,
        pieces: Iterable[bytes],
        status: int = 200,
        *,
        report_hidden: bool = False,
    ) -> FilteredStream:
        """As `filter`, for a body that comes in pieces. A piece is taken when what is to be sent of the one before was."""
        response = FilteredResponse(status, content_type, b"")
        context = wire.context_for(of, content_type)
        if context is None:
            return FilteredStream(response, ((piece, Report()) for piece in pieces))
        start = wire.start_request(context, response, report_hidden=report_hidden)
        turns: _Turns | None = None
        try:
            turns = self._open("FilterStream")
            head, first = wire.head_of(turns.ask(start))
        except UnavailableError as error:
            if turns is not None:
                turns.close()
            instead = wire.withheld(of, response, error)
            return FilteredStream(instead, iter([(instead.body, Report())]))
        return FilteredStream(head, _filtered(turns, first, pieces), turns.close)

    # ---- for people -------------------------------------------------------------------------------------------------

    def explain(self, question: Question) -> pb.ExplainResponse:
        """The decision, with every rule that governs the server. Raises MisuseError, UnavailableError."""
        answer = self._ask(wire.PATHS["Explain"], wire.explain_request(question))
        return wire.read_answer(pb.ExplainResponse, answer)

    def policy_set(self) -> pb.GetPolicySetResponse:
        """What is being enforced. Raises UnavailableError."""
        return wire.read_answer(pb.GetPolicySetResponse, self._ask(wire.PATHS["GetPolicySet"], b""))

    def healthy(self, service: str = "") -> bool:
        """Whether it is serving. Raises UnavailableError, and MisuseError for the name of a service that is not there."""
        return health.asked(self._channels, service)

    # ---- calls ------------------------------------------------------------------------------------------------------

    def _open(self, method: str) -> "_Turns":
        """Raises UnavailableError if the client is closed: grpcio says so by ValueError."""
        try:
            return _Turns(self._channels.stream(wire.PATHS[method]), self._channels.timeout)
        except ValueError as error:
            raise closed() from error


class _Turns:
    """A call in which a request and its answer take turns."""

    def __init__(self, call: Any, timeout: float) -> None:
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self._answers = call(iter(self._requests.get, None))
        self._timeout = timeout
        self._is_late = False

    def ask(self, request: bytes) -> bytes:
        """The answer to a request. A call without one is closed. Raises MisuseError, UnavailableError."""
        try:
            self._requests.put(request)
            answer = self._next()
            if answer is None:
                raise ended()
        except BaseException:
            self.close()
            raise
        return answer

    def end(self) -> Iterator[bytes]:
        """The answers that are due after the last request. Raises UnavailableError."""
        self._requests.put(None)
        while (answer := self._next()) is not None:
            yield answer

    def close(self) -> None:
        self._requests.put(None)
        self._answers.cancel()

    def _next(self) -> bytes | None:
        timer = Timer(self._timeout, self._expire)
        timer.daemon = True
        timer.start()
        try:
            answer: bytes | None = next(self._answers, None)
        except grpc.RpcError as error:
            raise (late(self._timeout) if self._is_late else failed(error)) from error
        finally:
            timer.cancel()
        return answer

    def _expire(self) -> None:
        self._is_late = True
        self._answers.cancel()


def _filtered(turns: _Turns, first: tuple[bytes, Report], pieces: Iterable[bytes]) -> Iterator[tuple[bytes, Report]]:
    """What is to be sent of each piece, up to the end or to a refusal, which has its error with it."""
    try:
        yield first
        for answer in _answers(turns, first, pieces):
            yield answer
            if answer[1].refused:
                return
    except UnavailableError as error:
        raise CutOffError(f"cut the response off, its end did not come: {error}") from error
    finally:
        turns.close()


def _answers(turns: _Turns, first: tuple[bytes, Report], pieces: Iterable[bytes]) -> Iterator[tuple[bytes, Report]]:
    if first[1].refused:
        return
    for piece in pieces:
        for request in wire.piece_requests(piece):
            yield wire.piece_of(turns.ask(request))
    yield from map(wire.piece_of, turns.end())
