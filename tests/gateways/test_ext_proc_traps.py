"""Real Envoy, set up wrongly in every way in which something would pass unseen: nothing does, and what is to be set is said.

What no service behind Envoy can close stands at the end, as it is, so that it is known: it is the operator's (docs/ext_proc.md).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gateways import clients
from tests.gateways.engines import Engine
from tests.gateways.envoys import Knobs, gateway
from tests.gateways.upstreams import Answer, Upstream, chunked, event, listing, whole
from tests.runtime.decision_log.test_log import eventually
from tests.runtime.weather import body, call
from tests.serving import answering

LIST = body("tools/list")
CALL = call("forecast", city="Oslo")
DENIED = call("delete")
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
NOTE = body("notifications/initialized", None)
JSON, SSE = "application/json", "text/event-stream"
TRAILERS = b"x-trailer: 1\r\n"
_EXT_PROC = "envoy.filters.http.ext_proc"


def on_route(**overrides: Any) -> Mapping[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
    return {"typed_per_filter_config": {_EXT_PROC: {"@type": kind, "overrides": overrides}}}


MISSET = {
    "no request body": (Knobs(mode={"request_body_mode": "NONE"}), "request_body_mode: BUFFERED"),
    "request body cut": (Knobs(mode={"request_body_mode": "BUFFERED_PARTIAL"}), "request_body_mode: BUFFERED"),
    "request body in pieces": (Knobs(mode={"request_body_mode": "STREAMED"}), "request_body_mode: BUFFERED"),
    "no response body": (Knobs(mode={"response_body_mode": "NONE"}), "response_body_mode: STREAMED"),
    "response body cut": (Knobs(mode={"response_body_mode": "BUFFERED_PARTIAL"}), "response_body_mode: STREAMED"),
    "no body on this route": (
        Knobs(route=on_route(processing_mode={"request_header_mode": "SEND"})),
        "request_body_mode: BUFFERED",
    ),
    "headers kept back": (
        Knobs(ext_proc={"forward_rules": {"allowed_headers": {"patterns": [{"exact": "content-type"}]}}}),
        "forward_rules",
    ),
}


@pytest.mark.parametrize("name", MISSET)
def test_unsafe_set_up_is_denied_and_named(name: str, plain_service: Engine, server: Upstream, tmp_path: Path) -> None:
    knobs, setting = MISSET[name]
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        for message, method in ((CALL, "POST"), (LIST, "POST"), (DENIED, "POST"), (b"", "GET"), (b"", "DELETE")):
            got = clients.ask(running.port, message, method)
            assert (400, JSON) == (got.status, got.headers["content-type"])
            assert setting in json.loads(got.body)["error"]["message"]
    assert [] == server.arrived


def test_request_whose_headers_are_skipped_brings_nothing_back(
    plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    """Envoy sends its headers on at once; what comes back is withheld, and the body never goes."""
    knobs = Knobs(mode={"request_header_mode": "SKIP"})
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        for message, method in ((LIST, "POST"), (DENIED, "POST"), (b"", "GET")):
            got = clients.ask(running.port, message, method)
            assert "request_header_mode: SEND" in json.loads(got.body)["error"]["message"]
    assert not any(DENIED in one.body for one in server.arrived)


def test_only_what_the_gateway_says_itself_passes_where_headers_are_skipped(
    plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    fixed = {"direct_response": {"status": 200, "body": {"inline_string": "{}"}}}
    knobs = Knobs(mode={"request_header_mode": "SKIP"}, route=fixed)
    with gateway(plain_service.address, server.port, tmp_path / "a", knobs) as running:
        assert b"{}" == clients.ask(running.port, DENIED).body
    knobs = Knobs(mode={"request_header_mode": "SKIP"}, route=fixed, ext_proc={"response_attributes": []})
    with gateway(plain_service.address, server.port, tmp_path / "b", knobs) as running:
        assert b"response.code_details" in clients.ask(running.port, DENIED).body
    assert [] == server.arrived


@pytest.mark.parametrize("details", [["response.code_details"], []])
def test_denial_of_an_earlier_filter_passes(
    details: list[str], plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    rbac = {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": {}},
        },
    }
    knobs = Knobs(before=[rbac], ext_proc={"response_attributes": details})
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        got = clients.ask(running.port, CALL)
    assert (403, b"RBAC: access denied") == (got.status, got.body)


@pytest.mark.parametrize("response_mode", ["STREAMED", "BUFFERED"])
@pytest.mark.parametrize(
    "ext_proc", [{"allow_mode_override": False}, {"send_body_without_waiting_for_header_response": True}]
)
def test_override_that_is_not_obeyed_opens_nothing(
    response_mode: str, ext_proc: Mapping[str, Any], plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    long = [b"x" * 1000] * 50
    knobs = Knobs(mode={"response_body_mode": response_mode}, ext_proc=ext_proc)
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        assert b"delete" not in clients.ask(running.port, LIST).body
        assert b"no_matching_rule" in clients.ask(running.port, DENIED).body
        server.reset(chunked([event(listing())], SSE))
        assert b"forecast" in (got := clients.ask(running.port, method="GET").body)
        assert b"delete" not in got
        server.reset(chunked(long, "text/plain"))
        assert b"".join(long) == clients.ask(running.port, NOTE).body


@pytest.mark.parametrize("message", [LIST, NOTE], ids=["list", "notification"])
@pytest.mark.parametrize("response_mode", ["STREAMED", "BUFFERED"])
def test_response_without_its_headers_is_broken_off(
    response_mode: str, message: bytes, plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    knobs = Knobs(mode={"response_header_mode": "SKIP", "response_body_mode": response_mode})
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        got = clients.ask(running.port, message)
        assert (True, b"") == (got.broken, got.body)
        (said,) = running.ended()
    assert "response_header_mode:_SEND" in said["details"]


class Hostile(NamedTuple):
    """A response that is hard to filter: how it comes, and what has to be in what the client gets."""

    answer: Answer
    method: str = "POST"
    says: bytes = b"withheld"


HOSTILE = {
    "gzip": Hostile(whole(b"\x1f\x8b", JSON, "200 OK", "content-encoding: gzip")),
    "br": Hostile(whole(b"\x1f\x8b", SSE, "200 OK", "content-encoding: br"), "GET"),
    "encoded, said twice": Hostile(
        whole(b"\x1f\x8b", JSON, "200 OK", "content-encoding: identity", "content-encoding: gzip")
    ),
    "encoded, but it is not": Hostile(whole(listing(), JSON, "200 OK", "content-encoding: gzip")),
    "another type": Hostile(whole(listing(), "text/plain")),
    "no type": Hostile(whole(listing(), "")),
    "two types": Hostile(whole(listing(), JSON, "200 OK", "content-type: text/event-stream")),
    "an error with a list": Hostile(whole(listing(), JSON, "500 Oops"), says=b"forecast"),
    "a replay": Hostile(chunked([b"id: 7\n" + event(listing())], SSE), "GET", b"forecast"),
    "a list that was not asked for": Hostile(whole(listing(), JSON), "GET", b"forecast"),
    "an event that has no end": Hostile(chunked([b"data: " + listing()], SSE), "GET", b""),
    "trailers after JSON": Hostile(chunked([listing()], JSON, trailers=TRAILERS), says=b""),
    "trailers after events": Hostile(chunked([event(listing())], SSE, trailers=TRAILERS), says=b"forecast"),
    "an interim response": Hostile(
        lambda _: [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", *whole(listing())(_)], says=b"forecast"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "mode",
    [
        {},
        {"response_trailer_mode": "SKIP"},
        {"response_body_mode": "BUFFERED"},
        {"response_body_mode": "FULL_DUPLEX_STREAMED"},
    ],
    ids=["STREAMED", "without trailers", "BUFFERED", "FULL_DUPLEX_STREAMED"],
)
def test_response_that_is_hard_to_filter_shows_nothing(
    name: str, mode: Mapping[str, str], plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    answer, method, says = HOSTILE[name]
    server.reset(answer)
    with gateway(plain_service.address, server.port, tmp_path, Knobs(mode=mode)) as running:
        got = clients.ask(running.port, LIST if method == "POST" else b"", method, last_event_id="1")
    assert b"delete" not in got.body
    assert says in got.body
    assert 1 == len(server.arrived)


@pytest.mark.parametrize("mode", ["STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED"])
def test_notification_brings_no_request_back(
    mode: str, plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    """Nobody judges what comes there, and clients are known that do what it asks for."""
    asks = b'{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}'
    with gateway(plain_service.address, server.port, tmp_path, Knobs(mode={"response_body_mode": mode})) as running:
        for answer in (chunked([event(asks)], SSE), whole(asks)):
            server.reset(answer)
            got = clients.ask(running.port, NOTE)
            assert (202, b"", False) == (got.status, got.body, got.broken)


def test_body_beyond_the_buffer_is_refused_by_envoy(plain_service: Engine, server: Upstream, tmp_path: Path) -> None:
    small = {"per_connection_buffer_limit_bytes": 4096}
    with gateway(plain_service.address, server.port, tmp_path / "a", Knobs(listener=small)) as running:
        assert 413 == clients.ask(running.port, call("delete", city="x" * 10_000)).status
    assert [] == server.arrived
    knobs = Knobs(listener=small, mode={"response_body_mode": "BUFFERED"})
    server.reset(whole(listing(*(f"delete-{i}" for i in range(1000)))))
    with gateway(plain_service.address, server.port, tmp_path / "b", knobs) as running:
        got = clients.ask(running.port, LIST)
    assert (500, False) == (got.status, b"delete" in got.body)


@pytest.mark.parametrize(
    "mode", [{"request_trailer_mode": "SKIP"}, {"request_trailer_mode": "SKIP", "response_body_mode": "BUFFERED"}]
)
def test_trailers_without_a_body_are_decided_where_they_are_skipped(
    mode: Mapping[str, str], plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    with gateway(plain_service.address, server.port, tmp_path, Knobs(mode=mode)) as running:
        assert b"message_refused" in clients.over_http2(running.port, trailers=True).body
        assert [] == server.arrived
        assert b"no_matching_rule" in clients.over_http2(running.port, body=DENIED, trailers=True).body
    assert [] == server.arrived


@pytest.mark.parametrize(
    "ext_proc",
    [{"disable_immediate_response": True}, {"mutation_rules": {"disallow_all": True, "disallow_is_error": True}}],
)
def test_denial_that_envoy_may_not_send_is_an_error(
    ext_proc: Mapping[str, Any], plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    with gateway(plain_service.address, server.port, tmp_path, Knobs(ext_proc=ext_proc)) as running:
        assert clients.ask(running.port, DENIED).status in (500, 503)
    assert [] == server.arrived


def test_mutations_that_envoy_may_not_do_open_nothing(plain_service: Engine, server: Upstream, tmp_path: Path) -> None:
    for mode in ("STREAMED", "BUFFERED"):
        rules = {"mutation_rules": {"disallow_all": True}}
        knobs = Knobs(mode={"response_body_mode": mode}, ext_proc=rules)
        with gateway(plain_service.address, server.port, tmp_path / mode, knobs) as running:
            assert b"delete" not in clients.ask(running.port, LIST, accept_encoding="gzip").body
            assert b"no_matching_rule" in clients.ask(running.port, DENIED).body


def test_server_that_the_gateway_does_not_name_is_denied(
    plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    with gateway(plain_service.address, server.port, tmp_path, Knobs(server="")) as running:
        assert b"no_policy" in clients.ask(running.port, CALL, x_mcp_acl_server="weather").body
    assert [] == server.arrived


# ---- what only the operator can close --------------------------------------------------------------------------------------


def test_envoy_takes_a_call_that_ends_well_for_a_permission(server: Upstream, tmp_path: Path) -> None:
    """Why a session of ours never ends well before its last answer."""

    def silent(_: str, messages: Iterator[bytes]) -> Iterator[bytes]:
        next(messages)
        yield from ()

    server.reset(whole(RESULT))
    with answering(silent) as address, gateway(address, server.port, tmp_path) as running:
        assert RESULT == clients.ask(running.port, DENIED).body
    assert [DENIED] == [one.body for one in server.arrived]


def test_observability_mode_lets_everything_pass_and_is_logged(
    plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    server.reset(whole(RESULT))
    with gateway(plain_service.address, server.port, tmp_path, Knobs(ext_proc={"observability_mode": True})) as running:
        assert RESULT == clients.ask(running.port, DENIED).body
        # The gateway does not wait for the service, so this may come later.
        eventually(lambda: plain_service.log.read_text().count("`observability_mode` is on") == 1)


def test_failure_mode_allow_lets_everything_pass_without_an_engine(server: Upstream, tmp_path: Path) -> None:
    server.reset(whole(RESULT))
    with gateway("127.0.0.1:1", server.port, tmp_path, Knobs(ext_proc={"failure_mode_allow": True})) as running:
        assert RESULT == clients.ask(running.port, DENIED).body


def test_route_without_the_filter_lets_everything_pass(plain_service: Engine, server: Upstream, tmp_path: Path) -> None:
    kind = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
    route = {"typed_per_filter_config": {_EXT_PROC: {"@type": kind, "disabled": True}}}
    server.reset(whole(RESULT))
    with gateway(plain_service.address, server.port, tmp_path, Knobs(route=route)) as running:
        assert RESULT == clients.ask(running.port, DENIED).body


def test_trailers_without_a_body_go_past_where_nothing_may_ask_for_them(
    plain_service: Engine, server: Upstream, tmp_path: Path
) -> None:
    """The request reaches the server; what comes back is withheld."""
    knobs = Knobs(mode={"request_trailer_mode": "SKIP"}, ext_proc={"allow_mode_override": False})
    with gateway(plain_service.address, server.port, tmp_path, knobs) as running:
        assert b"request_trailer_mode: SEND" in clients.over_http2(running.port, trailers=True).body
    assert [("POST", b"")] == [(one.method, one.body) for one in server.arrived]
