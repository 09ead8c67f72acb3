"""What clients ask by any gateway that has one server and the policy of these tests: a table, and what must hold of it. Knows no gateway."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from tests.gateways import clients
from tests.gateways.upstreams import Answer, Upstream, chunked, event, listing, whole
from tests.runtime.weather import body, call

LIST = body("tools/list")
CALL = call("forecast", city="Oslo")
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
NOTE = body("notifications/initialized", None)
JSON, SSE = "application/json", "text/event-stream"

EXCHANGES: dict[str, tuple[bytes, str, Answer, Any]] = {
    "a list": (LIST, "POST", whole(listing()), ["forecast"]),
    "a list in chunks": (LIST, "POST", chunked([listing()[:9], listing()[9:]], JSON), ["forecast"]),
    "a list as events": (LIST, "POST", chunked([event(listing())], SSE), ["forecast"]),
    "a long list": (LIST, "POST", whole(listing(*(f"tool-{i}" for i in range(9000)), "forecast")), ["forecast"]),
    "a stream": (b"", "GET", chunked([event(listing())[:30], event(listing())[30:]], SSE), ["forecast"]),
    "a call": (CALL, "POST", whole(RESULT), RESULT),
    "a call that is denied": (call("delete"), "POST", whole(RESULT), b"no_matching_rule"),
    "a notification": (NOTE, "POST", whole(b"", "", "202 Accepted"), b""),
    "no message": (b"", "POST", whole(RESULT), b"message_refused"),
    "the end of a session": (b"", "DELETE", whole(b"", ""), b""),
    "a result that is no list": (LIST, "POST", whole(b"[]", JSON), b"withheld"),
}
"""What is asked, how the server answers, and what the client gets of it: names of tools, or what is in the body."""


def tools_in(got: clients.Got) -> list[str]:
    text = got.body.decode()
    (data,) = [line[6:] for line in text.splitlines() if line.startswith("data: ")] or [text]
    return [tool["name"] for tool in json.loads(data)["result"]["tools"]]


def check_exchange(port: int, server: Upstream, name: str) -> None:
    """The client sees what the table says, and the server no more than it should."""
    message, method, answer, expected = EXCHANGES[name]
    server.reset(answer)
    got = clients.ask(port, message, method, accept_encoding="gzip")
    assert not got.broken
    if isinstance(expected, list):
        assert expected == tools_in(got)
    else:
        assert expected in got.body
    reached = (b"refused" not in got.body and b"no_matching_rule" not in got.body) or b"withheld" in got.body
    assert [method] * reached == [one.method for one in server.arrived]
    assert not any("accept-encoding" in one.headers for one in server.arrived)


def check_trailers(port: int, server: Upstream) -> None:
    """What has trailers is decided as what has none; they may be all that ends a request."""
    for trailers in (False, True):
        server.reset(whole(RESULT))
        assert RESULT == clients.over_http2(port, body=CALL, trailers=trailers).body
        assert [CALL] == [one.body for one in server.arrived]
        server.reset(whole(RESULT))
        assert b"no_matching_rule" in clients.over_http2(port, body=call("delete"), trailers=trailers).body
        assert [] == server.arrived
    server.reset(chunked([event(listing())], SSE))
    assert b"message_refused" in clients.over_http2(port, trailers=True).body
    assert [] == server.arrived
    assert ["forecast"] == tools_in(clients.over_http2(port, method="GET", trailers=True))


def check_open_stream(port: int, server: Upstream) -> None:
    """A stream that stays open is filtered event by event."""
    more = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield event(listing("forecast", "delete"))
        more.wait(clients.SECONDS)
        yield event(listing("delete"))

    server.reset(chunked(pieces(), SSE))
    with clients.opened(port, method="GET", last_event_id="1") as response:
        first = response.read1(65536)
        assert b"forecast" in first
        assert b"delete" not in first
        more.set()
        assert b"delete" not in response.read()
    assert "1" == server.arrived[0].headers["last-event-id"]
