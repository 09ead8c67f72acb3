"""Real Envoy, set up as it should be, and the real service as its ext_proc: what clients see, and what reaches the server."""

import json
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.certificates import Certified
from tests.gateways import clients
from tests.gateways.engines import HOSTS, Engine, engine
from tests.gateways.envoys import Gateway, Knobs, gateway
from tests.gateways.upstreams import Answer, Arrived, Upstream, chunked, event, listing, whole
from tests.runtime.weather import body, call

LIST = body("tools/list")
CALL = call("forecast", city="Oslo")
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
NOTE = body("notifications/initialized", None)
JSON, SSE = "application/json", "text/event-stream"
STREAMS = "cluster.engine.upstream_rq_active"
MODES = {
    "STREAMED": {},
    "BUFFERED": {"response_body_mode": "BUFFERED"},
    "FULL_DUPLEX_STREAMED": {"response_body_mode": "FULL_DUPLEX_STREAMED"},
    "all duplex": {"response_body_mode": "FULL_DUPLEX_STREAMED", "request_body_mode": "FULL_DUPLEX_STREAMED"},
}

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


@pytest.fixture(scope="module", params=MODES)
def running(
    request: pytest.FixtureRequest, service: Engine, _server: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway for each mode, with the service on each host."""
    knobs = Knobs(mode=MODES[request.param])
    with gateway(service.address, _server.port, tmp_path_factory.mktemp("gateway"), knobs) as found:
        yield found


def tools_in(got: clients.Got) -> list[str]:
    text = got.body.decode()
    (data,) = [line[6:] for line in text.splitlines() if line.startswith("data: ")] or [text]
    return [tool["name"] for tool in json.loads(data)["result"]["tools"]]


@pytest.mark.parametrize("name", EXCHANGES)
def test_client_sees_the_same_in_every_mode(running: Gateway, server: Upstream, name: str) -> None:
    message, method, answer, expected = EXCHANGES[name]
    server.reset(answer)
    got = clients.ask(running.port, message, method, accept_encoding="gzip")
    assert not got.broken
    if isinstance(expected, list):
        assert expected == tools_in(got)
    else:
        assert expected in got.body
    reached = (b"refused" not in got.body and b"no_matching_rule" not in got.body) or b"withheld" in got.body
    assert [method] * reached == [one.method for one in server.arrived]
    assert not any("accept-encoding" in one.headers for one in server.arrived)


@pytest.mark.parametrize("trailers", [False, True])
def test_body_before_trailers_is_decided(running: Gateway, server: Upstream, trailers: bool) -> None:
    server.reset(whole(RESULT))
    assert RESULT == clients.over_http2(running.port, body=CALL, trailers=trailers).body
    assert [CALL] == [one.body for one in server.arrived]
    server.reset(whole(RESULT))
    assert b"no_matching_rule" in clients.over_http2(running.port, body=call("delete"), trailers=trailers).body
    assert [] == server.arrived


def test_request_with_trailers_and_no_body_is_decided(running: Gateway, server: Upstream) -> None:
    server.reset(chunked([event(listing())], SSE))
    assert b"message_refused" in clients.over_http2(running.port, trailers=True).body
    assert [] == server.arrived
    assert ["forecast"] == tools_in(clients.over_http2(running.port, method="GET", trailers=True))


def test_stream_stays_open_and_is_filtered_event_by_event(running: Gateway, server: Upstream) -> None:
    more = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield event(listing("forecast", "delete"))
        more.wait(clients.SECONDS)
        yield event(listing("delete"))

    server.reset(chunked(pieces(), SSE))
    with clients.opened(running.port, method="GET", last_event_id="1") as response:
        first = response.read1(65536)
        assert b"forecast" in first
        assert b"delete" not in first
        more.set()
        assert b"delete" not in response.read()
    assert "1" == server.arrived[0].headers["last-event-id"]


def test_burst_of_requests_that_are_cut_off_leaves_nothing_behind(running: Gateway, server: Upstream) -> None:
    clients.burst(running.port, CALL, 200)
    running.until(STREAMS, 0)
    server.reset(whole(listing()))
    assert ["forecast"] == tools_in(clients.ask(running.port, LIST))


def test_decision_is_in_the_access_log(service: Engine, server: Upstream, tmp_path: Path) -> None:
    with gateway(service.address, server.port, tmp_path) as running:
        clients.ask(running.port, CALL)
        clients.ask(running.port, call("delete"))
        allowed, denied = running.ended()
    assert ("allow", ["weather/forecasts"]) == (allowed["said"]["decision"], allowed["said"]["rules"])
    assert "mcp_acl_denied{no_matching_rule}" == denied["details"]
    assert ("deny", "no_matching_rule") == (denied["said"]["decision"], denied["said"]["reason"])


def test_configuration_on_the_page_is_one_that_works(
    plain_service: Engine, server: Upstream, tmp_path: Path, root: Path
) -> None:
    page = (root / "docs" / "ext_proc.md").read_text()
    written = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["typed_config"]
    written["grpc_service"]["envoy_grpc"]["cluster_name"] = "engine"
    with gateway(plain_service.address, server.port, tmp_path, Knobs(ext_proc=written)) as running:
        assert ["forecast"] == tools_in(clients.ask(running.port, LIST))
        assert b"no_matching_rule" in clients.ask(running.port, call("delete")).body
        assert "deny" in [one["said"]["decision"] for one in running.ended()]


def test_claims_are_those_of_the_filter_that_verified_them(service: Engine, server: Upstream, tmp_path: Path) -> None:
    verified = {
        "name": "envoy.filters.http.set_metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
            "metadata": [
                {
                    "metadata_namespace": "envoy.filters.http.jwt_authn",
                    "value": {"jwt_payload": {"sub": "ann", "role": "admin"}},
                }
            ],
        },
    }
    with gateway(service.address, server.port, tmp_path, Knobs(before=[verified])) as running:
        assert ["forecast", "history"] == tools_in(clients.ask(running.port, LIST))


def test_addresses_are_facts(service: Engine, server: Upstream, tmp_path: Path) -> None:
    server.reset(whole(listing("local", "delete")))
    with gateway(service.address, server.port, tmp_path) as running:
        assert ["local"] == tools_in(clients.ask(running.port, LIST))


@pytest.mark.parametrize("name", ["gateway.test", "else.test"])
def test_name_in_a_certificate_that_envoy_verified_is_the_principal(
    service: Engine, server: Upstream, tmp_path: Path, certified: Certified, name: str
) -> None:
    expected = ["forecast", "history"] if name == "gateway.test" else ["forecast"]
    files = {"certificate_chain": {"filename": str(certified.cert)}, "private_key": {"filename": str(certified.key)}}
    tls = {
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [files],
            "validation_context": {"trusted_ca": {"filename": str(certified.client_ca)}},
        },
    }
    client = ssl.create_default_context(cafile=str(certified.client_ca))
    issued = certified.authority.issue_cert(name)
    issued.configure_cert(client)
    with (
        gateway(service.address, server.port, tmp_path, Knobs(downstream_tls=tls)) as running,
        closing(HTTPSConnection("localhost", running.port, context=client, timeout=clients.SECONDS)) as connection,
    ):
        connection.request("POST", "/mcp", LIST, {"content-type": JSON})
        assert expected == tools_in(clients.Got(200, {}, connection.getresponse().read()))


# ---- an engine that ends --------------------------------------------------------------------------------------------------


def slow(more: threading.Event) -> Answer:
    """An answer whose end waits."""

    def answer(_: Arrived) -> Iterator[bytes]:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\n"
        yield head + b"first"
        more.wait(clients.SECONDS)
        yield b"later"

    return answer


@pytest.mark.parametrize("host", HOSTS)
def test_response_that_needs_nothing_frees_its_call_and_outlives_the_engine(
    host: str, server: Upstream, tmp_path: Path
) -> None:
    more = threading.Event()
    server.reset(slow(more))
    with (
        engine(host, tmp_path) as first,
        gateway(first.address, server.port, tmp_path / "gateway") as running,
        clients.opened(running.port, NOTE) as response,
    ):
        running.until(STREAMS, 0)
        first.kill()
        with engine(host, tmp_path, listen=first.address):
            more.set()
            assert b"firstlater" == response.read()
            server.reset(whole(listing()))
            assert ["forecast"] == tools_in(clients.ask(running.port, LIST))


def test_call_is_kept_where_its_end_would_be_an_error(server: Upstream, tmp_path: Path) -> None:
    more = threading.Event()
    server.reset(slow(more))
    with (
        engine("grpcio", tmp_path, "--no-early-close") as running,
        gateway(running.address, server.port, tmp_path / "gateway") as found,
        clients.opened(found.port, NOTE) as response,
    ):
        assert b"first" == response.read(5)
        assert 1 == found.stat(STREAMS)
        more.set()
        assert b"later" == response.read()
        found.until(STREAMS, 0)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_engine_that_ends_takes_what_it_filters_with_it(
    host: str, sign: signal.Signals, server: Upstream, tmp_path: Path
) -> None:
    more = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield event(listing("forecast"))
        more.wait(clients.SECONDS)
        yield event(listing("delete"))

    server.reset(chunked(pieces(), SSE))
    with (
        engine(host, tmp_path) as running,
        gateway(running.address, server.port, tmp_path / "gateway") as found,
        clients.opened(found.port, method="GET") as response,
    ):
        assert b"forecast" in response.read1(65536)
        running.send(sign)
        running.process.wait(clients.SECONDS)
        more.set()
        rest = b""
        # However it is broken off.
        with suppress(OSError, HTTPException):
            while piece := response.read1(65536):
                rest += piece
        assert b"delete" not in rest


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_engine_that_ends_before_the_body_came_denies(
    host: str, sign: signal.Signals, server: Upstream, tmp_path: Path
) -> None:
    with engine(host, tmp_path) as running, gateway(running.address, server.port, tmp_path / "gateway") as found:
        got = _in_two_halves(found, lambda: _end(running, sign))
        assert got.status in (0, 503)
    assert [] == server.arrived


def _end(running: Engine, sign: signal.Signals) -> None:
    running.send(sign)
    running.process.wait(clients.SECONDS)


def _in_two_halves(found: Gateway, between: Callable[[], None]) -> clients.Got:
    """A call whose body stops in the middle while something happens."""
    with socket.create_connection(("127.0.0.1", found.port), clients.SECONDS) as sock:
        head = f"POST /mcp HTTP/1.1\r\nhost: mcp.test\r\ncontent-type: {JSON}\r\ncontent-length: {len(CALL)}\r\n\r\n"
        sock.sendall(head.encode() + CALL[:20])
        found.until(STREAMS, 1)
        between()
        try:
            sock.sendall(CALL[20:])
            answer = sock.recv(65536)
        except OSError:
            answer = b""
        return clients.Got(int(answer[9:12] or b"0"), {}, answer)


def test_engine_that_does_not_answer_in_time_denies(server: Upstream, tmp_path: Path) -> None:
    knobs = Knobs(ext_proc={"message_timeout": "0.2s", "status_on_error": None})
    with (
        engine("grpcio", tmp_path) as running,
        gateway(running.address, server.port, tmp_path / "gateway", knobs) as found,
    ):
        clients.ask(found.port, LIST)
        server.reset(whole(RESULT))
        running.send(signal.SIGSTOP)
        assert 504 == clients.ask(found.port, CALL).status
        assert [] == server.arrived
        running.send(signal.SIGCONT)
        assert RESULT == clients.ask(found.port, CALL).body


def test_no_engine_denies(server: Upstream, tmp_path: Path) -> None:
    with gateway("127.0.0.1:1", server.port, tmp_path) as found:
        assert 503 == clients.ask(found.port, CALL).status
    assert [] == server.arrived
