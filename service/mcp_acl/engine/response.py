"""A response body in, the body to send out: whole (`filter_response`) or in pieces (`ResponseStream`).

JSON is one message; an event stream is filtered event by event. What cannot be read with certainty is not passed on: in its place
goes a JSON-RPC error. What is kept leaves byte for byte as it came, but for the line ends of event streams.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from mcp_acl.domain import Learned, Message, Reason, Request, RuleError
from mcp_acl.engine.denial import withheld
from mcp_acl.engine.messages import MessageFilter, Report
from mcp_acl.engine.streaming import EventFilter
from mcp_acl.mcp.accept import EVENT_STREAM, JSON
from mcp_acl.policy.index import PolicySet
from mcp_acl.policy.servers import DenialStyle
from mcp_acl.problems import MessageError

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes that are kept of a body that has to be whole before anything of it is passed on."""

_CHARSET: Final = re.compile(r"charset\*?\s*=\s*[\"']?([^\s;\"']*)")


@dataclass(frozen=True, slots=True)
class Filtered:
    """The body to send. `hidden` are names, `dropped` what was in doubt, `refused` why all of it was replaced.

    `learned` is what it brought that outlives it.
    """

    content_type: str
    body: bytes
    shown: int = 0
    hidden: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    refused: str = ""
    errors: tuple[RuleError, ...] = ()
    learned: Learned | None = None


def filter_response(policies: PolicySet, request: Request, content_type: str, body: bytes) -> Filtered:
    """Filter the whole response to `request`. Total."""
    report = Report()
    view = policies.view(request.server)
    if view is None:
        return _no_policy(request, content_type)
    messages = MessageFilter(policies, view, request, report)
    try:
        media = _media(content_type)
        if media == EVENT_STREAM:
            out = _stream(messages, body)
        elif not body.strip():
            out = body
        elif media == JSON:
            out = _document(messages, body)
        else:
            raise MessageError("response", f"a response of type `{media[:60]}` cannot be filtered")
    except MessageError as error:
        return refusal(request.message, content_type, Reason.RESPONSE_REFUSED, error.message, view.settings.denials)
    return _filtered(content_type, out, report)


class ResponseStream:
    """Filters the response to one request as it comes, until it is `refused`; then there is nothing more to feed.

    Of an event stream each piece is answered with what it completes; any other body is kept until it is whole. Each piece comes with the
    policies that are in force by then. Total.
    """

    def __init__(self, request: Request, content_type: str) -> None:
        self._request = request
        self._given_type = content_type
        media = _media(content_type)
        self.content_type = content_type if media in (EVENT_STREAM, JSON) else JSON
        """Of what is passed on, whatever that will be: a body of another type may have to be replaced by JSON."""
        self._events = EventFilter() if media == EVENT_STREAM else None
        self._kept = bytearray()

    @property
    def held(self) -> int:
        """Bytes that are kept: of JSON all that has come, of events the one that has not ended."""
        return len(self._kept) if self._events is None else self._events.held

    def feed(self, policies: PolicySet, piece: bytes) -> Filtered:
        """What of the body may be passed on, now that this piece has come."""
        if self._events is not None:
            return self._of_stream(policies, self._events, piece)
        self._kept += piece
        if len(self._kept) > MAX_BODY:
            return self._refused(policies, f"it is larger than {MAX_BODY:,} bytes")
        return Filtered(self.content_type, b"")

    def close(self, policies: PolicySet) -> Filtered:
        """What may be passed on at the end of the body."""
        if self._events is not None:
            return self._of_stream(policies, self._events, None)
        return filter_response(policies, self._request, self._given_type, bytes(self._kept))

    def _of_stream(self, policies: PolicySet, events: EventFilter, piece: bytes | None) -> Filtered:
        report = Report()
        view = policies.view(self._request.server)
        if view is None:
            return _no_policy(self._request, self.content_type)
        messages = MessageFilter(policies, view, self._request, report)
        out = events.close(messages) if piece is None else events.feed(messages, piece)
        filtered = _filtered(self.content_type, out, report)
        if events.broken is None:
            return filtered
        refused = self._refused(policies, events.broken.message)
        return replace(filtered, body=out + refused.body, refused=refused.refused)

    def _refused(self, policies: PolicySet, why: str) -> Filtered:
        style = policies.settings(self._request.server).denials
        return refusal(self._request.message, self.content_type, Reason.RESPONSE_REFUSED, why, style)


class Passing:
    """A response that passes as it is, piece by piece, as a `ResponseStream` that would change nothing."""

    held = 0

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type

    def feed(self, policies: PolicySet, piece: bytes) -> Filtered:  # noqa: ARG002
        """The same piece."""
        return Filtered(self.content_type, piece)

    def close(self, policies: PolicySet) -> Filtered:  # noqa: ARG002
        """Nothing more."""
        return Filtered(self.content_type, b"")


def _filtered(content_type: str, out: bytes, report: Report) -> Filtered:
    return Filtered(
        content_type,
        out,
        report.shown,
        tuple(report.hidden),
        tuple(report.dropped),
        errors=tuple(dict.fromkeys(report.errors)),
        learned=report.learned,
    )


def _no_policy(request: Request, content_type: str) -> Filtered:
    return refusal(request.message, content_type, Reason.NO_POLICY, "no policy governs this server")


def refusal(
    asked: Message | None, content_type: str, reason: Reason, why: str, style: DenialStyle = DenialStyle.EXPLICIT
) -> Filtered:
    """An error in the place of the whole body, in the form of its type. `asked`: the message it answers, if that is known."""
    body = withheld(asked, reason, why, style)
    if _media(content_type) == EVENT_STREAM:
        return Filtered(content_type, b"data: " + body + b"\n\n", refused=why)
    return Filtered(JSON, body, refused=why)


@lru_cache(maxsize=64)
def _media(content_type: str) -> str:
    """The media type in lower case. With another charset than UTF-8 it is a type of its own, which nobody here can read."""
    media = content_type.strip().lower()
    foreign = set(_CHARSET.findall(media)) - {"utf-8", "utf8", "us-ascii"}
    return media if foreign else media.partition(";")[0].strip()


def _document(messages: MessageFilter, body: bytes) -> bytes:
    """One JSON body: exactly one JSON-RPC message."""
    _check_utf8(body)
    out = messages.filtered(body)
    if out is None:
        raise MessageError("response", "the server sent a message that is not permitted")
    return out


def _stream(messages: MessageFilter, body: bytes) -> bytes:
    """A whole event stream."""
    _check_utf8(body)
    events = EventFilter()
    out = events.feed(messages, body)
    out += events.close(messages)
    if events.broken is not None:
        raise events.broken
    return out


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise MessageError("response", "the response is not UTF-8") from None
