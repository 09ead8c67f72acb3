"""Every host serves the same handlers alike, and no error of a handler is ever an answer."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from mcp_acl.adapters.grpc_api import MAX_REQUEST, SERVICE
from mcp_acl.gen import acl_pb2 as pb
from tests.hosts.faults import FAULTS
from tests.hosts.service import UNREADABLE
from tests.runtime.weather import TOOLS, body, call, listed

SECONDS = 20.0


def ask(channel: grpc.Channel, path: str, message: bytes = b"", **options: object) -> bytes:
    call: Any = channel.unary_unary(path)
    answer: bytes = call(message, **{"timeout": SECONDS, "wait_for_ready": True, **options})
    return answer


def failure(channel: grpc.Channel, path: str, message: bytes = b"", **options: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, path, message, **options)
    error = caught.value
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def check(channel: grpc.Channel, message: bytes, **fields: Any) -> pb.CheckResponse:
    request = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=message, **fields)
    return pb.CheckResponse.FromString(ask(channel, f"/{SERVICE}/Check", request.SerializeToString()))


# ---- the service ----------------------------------------------------------------------------------------------------


def test_message_is_allowed(channel: grpc.Channel) -> None:
    assert pb.DECISION_ALLOW == check(channel, call("forecast", city="Oslo")).decision


def test_message_is_denied_with_the_denial_to_send(channel: grpc.Channel) -> None:
    response = check(channel, call("forecast", city="Atlantis"))
    assert (pb.DECISION_DENY, "denied_by_rule", 200) == (response.decision, response.reason, response.denial.status)


def test_bad_message_is_an_answer(channel: grpc.Channel) -> None:
    response = check(channel, b"\xff")
    assert (pb.DECISION_DENY, "message_refused") == (response.decision, response.reason)


def test_list_is_filtered(channel: grpc.Channel) -> None:
    principal = pb.Principal(claims_json=b'{"role":"admin"}', token=pb.TOKEN_STATE_VALID)
    decision = check(channel, body("tools/list"), principal=principal, filters_responses=True)
    request = pb.FilterResponseRequest(context=decision.context, content_type="application/json", body=listed(*TOOLS))
    answer = ask(channel, f"/{SERVICE}/FilterResponse", request.SerializeToString())
    response = pb.FilterResponseResponse.FromString(answer)
    assert ["forecast", "history"] == [tool["name"] for tool in json.loads(response.body)["result"]["tools"]]


@pytest.mark.parametrize(
    ("metadata", "span"), [([], "1" * 16), ([("traceparent", f"00-{'3' * 32}-{'2' * 16}-01")], "2" * 16)]
)
def test_what_watches_is_told_the_span_of_the_gateways_call(
    channel: grpc.Channel, metadata: list[tuple[str, str]], span: str
) -> None:
    header = pb.Header(name="traceparent", values=[f"00-{'3' * 32}-{'1' * 16}-01"])
    fields = {"server": "weather", "direction": pb.DIRECTION_CLIENT_TO_SERVER, "http": pb.Http(headers=[header])}
    asked = pb.CheckRequest(raw=body("tools/list"), filters_responses=True, **fields).SerializeToString()  # type: ignore[arg-type]
    checked = pb.CheckResponse.FromString(ask(channel, "/test.Watched/Check", asked, metadata=metadata))
    response = {"context": checked.context, "content_type": "application/json"}
    whole = pb.FilterResponseRequest(body=listed(*TOOLS), **response).SerializeToString()  # type: ignore[arg-type]
    ask(channel, "/test.Watched/FilterResponse", whole, metadata=metadata)
    begin = pb.FilterStreamRequest(start=pb.FilterStreamStart(**response)).SerializeToString()  # type: ignore[arg-type]
    piece = pb.FilterStreamRequest(piece=listed(*TOOLS)).SerializeToString()
    for name, messages in (("CheckStream", [asked]), ("FilterStream", [begin, piece])):
        many: Any = channel.stream_stream(f"/test.Watched/{name}")
        assert [*many(iter(messages), timeout=SECONDS, metadata=metadata)]
    assert [span] * 4 == json.loads(ask(channel, "/test.Control/Spans"))


def test_decision_is_explained(channel: grpc.Channel) -> None:
    asked = pb.CheckRequest(server="weather", direction=pb.DIRECTION_CLIENT_TO_SERVER, raw=call("history"))
    answer = ask(channel, f"/{SERVICE}/Explain", pb.ExplainRequest(check=asked).SerializeToString())
    response = pb.ExplainResponse.FromString(answer)
    assert 4 == len(response.trials)


def test_policy_set_is_told(channel: grpc.Channel) -> None:
    response = pb.GetPolicySetResponse.FromString(ask(channel, f"/{SERVICE}/GetPolicySet"))
    assert check(channel, body("ping")).revision == response.revision


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_misuse_is_an_invalid_argument_that_says_what_to_do(channel: grpc.Channel) -> None:
    code, text = failure(channel, f"/{SERVICE}/Check", pb.CheckRequest(server="weather").SerializeToString())
    assert (grpc.StatusCode.INVALID_ARGUMENT, True) == (code, "`direction`" in text)


def test_bytes_that_are_no_request_are_an_invalid_argument(channel: grpc.Channel) -> None:
    assert grpc.StatusCode.INVALID_ARGUMENT is failure(channel, f"/{SERVICE}/Check", b"\xff\xff")[0]


def test_text_of_a_status_arrives_whatever_is_in_it(channel: grpc.Channel) -> None:
    assert (grpc.StatusCode.INVALID_ARGUMENT, UNREADABLE) == failure(channel, "/test.Fault/Misuse")


@pytest.mark.parametrize("path", [f"/{SERVICE}/Nothing", "/test.Nothing/Check", f"/{SERVICE}/check"])
def test_method_that_is_not_there_is_unimplemented(channel: grpc.Channel, path: str) -> None:
    assert grpc.StatusCode.UNIMPLEMENTED is failure(channel, path)[0]


@pytest.mark.parametrize("name", FAULTS)
def test_error_of_a_handler_is_never_an_answer_and_ends_nothing(channel: grpc.Channel, name: str) -> None:
    for _ in range(3):
        assert (grpc.StatusCode.INTERNAL, "internal error") == failure(channel, f"/test.Fault/{name}", timeout=5.0)
    assert b"x" == ask(channel, "/test.Echo/Echo", b"x")


def test_request_that_is_too_large_is_refused(channel: grpc.Channel) -> None:
    code, _ = failure(channel, "/test.Echo/Echo", bytes(MAX_REQUEST + 1))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is code
    assert b"x" == ask(channel, "/test.Echo/Echo", b"x")


@pytest.mark.parametrize("path", [f"/{SERVICE}/Check", "/test.Echo/Echo"])
def test_call_without_a_message_ends_with_an_error(channel: grpc.Channel, path: str) -> None:
    call: Any = channel.stream_unary(path)
    with pytest.raises(grpc.RpcError) as caught:
        call(iter([]), timeout=SECONDS, wait_for_ready=True)
    error = caught.value
    assert isinstance(error, grpc.Call)
    assert grpc.StatusCode.INTERNAL is error.code()


def test_client_does_not_wait_longer_than_it_says(channel: grpc.Channel) -> None:
    assert grpc.StatusCode.DEADLINE_EXCEEDED is failure(channel, "/test.Echo/Slow", b"x", timeout=0.1)[0]
    assert b"x" == ask(channel, "/test.Echo/Slow", b"x")


# ---- the carriage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 3_000_000])
def test_message_of_any_size_is_carried(channel: grpc.Channel, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert message == ask(channel, "/test.Echo/Echo", message)


def test_compressed_request_is_read(channel: grpc.Channel) -> None:
    message = b"compress me " * 5000
    assert message == ask(channel, "/test.Echo/Echo", message, compression=grpc.Compression.Gzip)


def test_calls_at_once_are_all_answered(channel: grpc.Channel) -> None:
    messages = [f"message {number}".encode() for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        assert messages == list(pool.map(lambda one: ask(channel, "/test.Echo/Echo", one), messages))
