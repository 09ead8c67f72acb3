"""The corpus to real servers: which there are, cases as they are sent to one, and what came back. Knows no policy."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

from mcp_acl.attack.cases import Case, Exchange
from mcp_acl.attack.reading import is_secret, texts_of
from mcp_acl.attack.running import Tokens
from mcp_acl.attack.sending import Request, Response, Target, send
from tests.peers.messages import LEGACY, Asked, text_of, value_of

SERVERS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "python, events": ("python", ("--sessions", "--corpus")),
    "python, json": ("python", ("--json", "--corpus")),
    "typescript 1, events": ("typescript-1", ("--sessions", "--corpus")),
    "typescript 1, json": ("typescript-1", ("--json", "--corpus")),
    "typescript 2, events": ("typescript-2", ("--corpus",)),
    "typescript 2, json": ("typescript-2", ("--json", "--corpus")),
    "go, events": ("go", ("--sessions", "--corpus")),
    "go, json": ("go", ("--json", "--corpus")),
}
"""The peer and its flags. Those with sessions keep what they sent."""

SPEAK_MODERN: Final = {"python, events", "python, json", "typescript 2, events", "typescript 2, json", "go, json"}

_SECONDS: Final = 20.0
_PATIENCE: Final = (0.3, 3.0, 15.0)
"""Seconds for which a stream that stays open is read: at the first, second and third attempt."""
_TOKENS: Final = Tokens("member", "other")
_USUAL: Final = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_SESSION: Final = "Mcp-Session-Id"
_HELLO: Final = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_WORD: Final = re.compile(r"[^\s\"'`<>\\,]+")


def why_not(case: Case) -> str:
    """Why a case cannot be asked of a server that answers for itself, or `''`."""
    both = (case.attack, case.twin)
    if any(one.server != "demo" for one in both):
        return "another server"
    if any(one.answer or any(step.answer for step in one.before) for one in both):
        return "an answer that no server gives"
    return "tasks of a server that makes none" if any(one.tasks for one in both) else ""


class Reply(NamedTuple):
    """What came back, read: the HTTP status, and the messages, or the bytes that are none."""

    status: int
    messages: Sequence[Any]

    @property
    def is_result(self) -> bool:
        """Whether the server did what was asked."""
        return any(isinstance(one, dict) and "result" in one for one in self.messages)

    def without_secrets(self) -> "Reply":
        """What must come back of it."""
        return Reply(self.status, without_secrets(self.messages))


def reply_of(response: Response) -> Reply:
    """The messages of JSON or of an event stream."""
    text = response.body.decode(errors="replace")
    events = re.findall(r"^data: ?(.+)$", text, re.MULTILINE) if re.match(r"(id|event|data|retry|:)", text) else [text]
    return Reply(response.status, [_json(one) for one in events if one.strip()])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


class Line:
    """Sends what the corpus has, byte for byte, to a gateway or to the server itself.

    `opened` is where sessions are opened if the server wants them: every request has the session of the member then, whoever sends it, and
    a session that a case names is that one.
    """

    def __init__(self, target: Target, opened: Target | None = None) -> None:
        self.target = target
        self._opened = opened
        self._session: str | None = None

    def send(self, exchange: Exchange, mark: str, attempt: int = 0) -> Response:
        """Send one with the header `X-Message`."""
        is_usual = exchange.method == "POST" and b"initialize" not in exchange.body
        given = {**{name: [value] for name, value in _USUAL.items()}, **exchange.headers}
        if self._opened is not None:
            self._session = (is_usual and self._session) or opened(self._opened, "member")
            given[_SESSION] = [self._session]
        headers = [(name, value) for name, values in given.items() for value in values or ()]
        headers += [*(_TOKENS.header(exchange.principal) or ()), ("X-Message", mark)]
        request = Request(exchange.method, headers, exchange.body, exchange.chunked)
        response = send(self.target, request, _PATIENCE[attempt] if stays_open(exchange) else _SECONDS)
        if not is_usual or response.status == 404:
            self._session = None
        return response


def stays_open(exchange: Exchange) -> bool:
    """Whether the answer may be a stream without an end."""
    return exchange.method == "GET" or b"/listen" in exchange.body


def attempts(exchange: Exchange) -> range:
    """What cannot be told from a stream that is late is asked again, with more patience."""
    return range(len(_PATIENCE) if stays_open(exchange) else 1)


def opened(target: Target, token: str) -> str:
    """A session that was just opened by a principal."""
    hello = text_of(value_of(Asked("initialize", _HELLO), LEGACY))
    session = _posted(target, token, hello, {})
    _posted(target, token, text_of({"jsonrpc": "2.0", "method": "notifications/initialized"}), {_SESSION: session})
    return session


def _posted(target: Target, token: str, body: str, headers: Mapping[str, str]) -> str:
    """Post a message, and say the session of the answer."""
    with closing(HTTPConnection(target.host, target.port, timeout=_SECONDS)) as connection:
        connection.request("POST", target.path, body, {**_USUAL, "Authorization": f"Bearer {token}", **headers})
        with connection.getresponse() as response:
            assert response.status in {200, 202}
            response.read()
            return response.headers.get(_SESSION, "")


# ---- what is secret ---------------------------------------------------------------------------------------------------


def without_secrets(value: Any) -> Any:
    """A message without the entries of its lists that are called secret, nor counted, and for nobody else to keep."""
    if isinstance(value, dict):
        found = {name: without_secrets(one) for name, one in value.items()}
        private = {"cacheScope": "private"} if "cacheScope" in value else {}
        total = {"total": len(found["values"])} if "total" in value and found["values"] != value["values"] else {}
        return {**found, **private, **total}
    if isinstance(value, list):
        return [without_secrets(one) for one in value if not is_secret(_name_of(one))]
    return value


def _name_of(entry: Any) -> str:
    if isinstance(entry, dict):
        return " ".join(str(entry.get(name, "")) for name in ("name", "uri", "uriTemplate"))
    return entry if isinstance(entry, str) else ""


def told(response: Response, exchange: Exchange) -> set[str]:
    """Everything secret in a response that whoever asked did not say."""
    return {word for word in _secrets(response.body) if not any(word in text for text in _texts(_sent(exchange)))}


def _sent(exchange: Exchange) -> bytes:
    return b"\n".join([exchange.body, *(str(values).encode() for values in exchange.headers.values())])


def _secrets(body: bytes) -> Iterator[str]:
    yield from (word for text in _texts(body) for word in _WORD.findall(text) if is_secret(word))


def _texts(body: bytes) -> Iterator[str]:
    for text in texts_of(body):
        yield text
        yield _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
