"""Real Envoy, set up as it should be, and the real service as its ext_proc: what clients see, and what reaches the server."""

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest
import yaml

from tests.certificates import Certified
from tests.gateways import clients
from tests.gateways.engines import HOSTS, Engine, engine
from tests.gateways.envoys import Gateway, Knobs, gateway
from tests.gateways.exchanges import (
    CALL,
    EXCHANGES,
    JSON,
    LIST,
    NOTE,
    RESULT,
    SSE,
    check_exchange,
    check_open_stream,
    check_trailers,
    tools_in,
)
from tests.gateways.upstreams import Answer, Arrived, Upstream, chunked, event, listing, whole
from tests.runtime.weather import call

STREAMS = "cluster.engine.upstream_rq_active"
MODES = {
    "STREAMED": {},
    "BUFFERED": {"response_body_mode": "BUFFERED"},
    "FULL_DUPLEX_STREAMED": {"response_body_mode": "FULL_DUPLEX_STREAMED"},
    "all duplex": {"response_body_mode": "FULL_DUPLEX_STREAMED", "request_body_mode": "FULL_DUPLEX_STREAMED"},
}


@pytest.fixture(scope="module", params=MODES)
def running(
    request: pytest.FixtureRequest, service: Engine, _server: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway for each mode, with the service on each host."""
    knobs = Knobs(mode=MODES[request.param])
    with gateway(service.address, _server.port, tmp_path_factory.mktemp("gateway"), knobs) as found:
        yield found


@pytest.mark.parametrize("name", EXCHANGES)
def test_client_sees_the_same_in_every_mode(running: Gateway, server: Upstream, name: str) -> None:
    check_exchange(running.port, server, name)


def test_what_has_trailers_is_decided(running: Gateway, server: Upstream) -> None:
    check_trailers(running.port, server)


def test_stream_stays_open_and_is_filtered_event_by_event(running: Gateway, server: Upstream) -> None:
    check_open_stream(running.port, server)


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
