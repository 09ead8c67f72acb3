"""A gateway for tests: asks the service about every message, sends on what may pass, and has every response filtered.

It is as small as a gateway can be that forgets nothing: whoever writes one may begin here.
"""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from mcp_acl.client import Client, CutOffError, Question, Verdict
from mcp_acl.domain import Denial, Http, Json, TokenState

SECONDS = 20.0
_NOT_SENT_ON = {"connection", "content-length", "transfer-encoding", "host", "accept-encoding"}
_NOT_SENT_BACK = {"connection", "keep-alive", "content-length", "transfer-encoding", "content-type", "content-encoding"}
_NO_EXCHANGE = Denial(405, (), b"")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    service: Client
    upstream: tuple[str, int]
    known_as: str
    claims: Mapping[str, Mapping[str, Json]]

    def _exchange(self) -> None:
        body = self._body()
        verdict = self.service.check(self._question(body))
        if verdict.denial is not None:
            self._answer(verdict.denial.status, dict(verdict.denial.headers), verdict.denial.body)
        else:
            self._pass_on(verdict, body)

    do_GET = do_POST = do_PUT = do_DELETE = _exchange  # noqa: N815 - the framework's names

    def _pass_on(self, verdict: Verdict, body: bytes) -> None:
        connection = http.client.HTTPConnection(*self.upstream, timeout=SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _NOT_SENT_ON:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            self._send_back(verdict, connection.getresponse())
        except OSError:  # the server or the client is gone: what was not sent is not made up
            self.close_connection = True
        finally:
            connection.close()

    def _send_back(self, verdict: Verdict, response: http.client.HTTPResponse) -> None:
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _NOT_SENT_BACK}
        content_type = response.headers.get("content-type", "")
        if content_type.startswith("text/event-stream"):
            self._stream(verdict, response, headers)
            return
        sent = self.service.filter(verdict, content_type, response.read(), response.status)
        self._answer(
            sent.status, headers | ({"content-type": sent.content_type} if sent.content_type else {}), sent.body
        )

    def _stream(self, verdict: Verdict, response: http.client.HTTPResponse, headers: Mapping[str, str]) -> None:
        """Event by event, as they come. Without the last chunk if it cannot be sent to its end."""
        pieces = iter(lambda: response.read1(65536), b"")
        content_type = response.headers["content-type"]
        with closing(self.service.filter_stream(verdict, content_type, pieces, response.status)) as sent:
            self._head(sent.status, {**headers, "Content-Type": sent.content_type, "Transfer-Encoding": "chunked"})
            with suppress(CutOffError):
                for piece in sent:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

    def _question(self, body: bytes) -> Question:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        claims = self.claims.get(token)
        state = TokenState.VALID if claims else TokenState.INVALID if token else TokenState.NONE
        http_request = Http(self.command, self.path, headers)
        return Question(self.known_as, body, claims, state, http=http_request, filters_responses=True)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def gateway(
    service: str, upstream: tuple[str, int], claims: Mapping[str, Mapping[str, Json]], known_as: str = "demo"
) -> Iterator[str]:
    """Run one before a server, and yield its URL. Claims by token; `known_as`: the id of the server in the policies."""
    with Client(service, timeout=SECONDS) as client:

        class Handler(_Handler):
            pass

        Handler.service, Handler.upstream, Handler.claims, Handler.known_as = client, upstream, claims, known_as
        served: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        served.daemon_threads = True
        thread = Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}/mcp"
        finally:
            served.shutdown()
            served.server_close()
            thread.join()
