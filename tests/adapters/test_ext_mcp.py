"""agentgateway's interface: messages as its client writes them, and what it must not be taken in by."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.ext_mcp import check_request, check_response, questions_from
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.status import ApiError
from mcp_acl.domain import TokenState
from mcp_acl.gen import agentgateway_ext_mcp_pb2 as pb
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.policy.source import SourceFile
from mcp_acl.runtime.gate import Gate
from tests.runtime.weather import gate

ADMIN = {"claims": {"sub": "ann", "role": "admin"}}
NOBODY: Mapping[str, Any] = {"claims": None}
SEVERAL = ("weather", "other")


def struct(value: Mapping[str, Any]) -> Struct:
    return ParseDict(dict(value), Struct())


def request(
    method: str,
    params: bytes | None = None,
    *,
    context: Mapping[str, Any] = NOBODY,
    names: Sequence[str] = ("weather",),
    **headers: bytes,
) -> bytes:
    entries = [pb.GuardedHeader(key=":method", value=b"POST"), pb.GuardedHeader(key=":path", value=b"/mcp?a=b")]
    entries += [pb.GuardedHeader(key=key.replace("_", "-"), value=value) for key, value in headers.items()]
    asked = pb.GuardedRequest(service_names=names, method=method, metadata_context=struct(context), headers=entries)
    if params is not None:
        asked.params = params
    return asked.SerializeToString()


def ask(body: bytes, of: Gate | None = None, sources: Sources = Sources()) -> pb.RequestVerdict:  # noqa: B008
    return pb.RequestVerdict.FromString(check_request(of or gate(), sources, (), body))


def call(tool: str, **arguments: Any) -> bytes:
    return json.dumps({"name": tool, "arguments": arguments}).encode()


def left(verdict: pb.RequestVerdict) -> Mapping[str, Any]:
    """What the gateway's expression brings with the result."""
    found: Mapping[str, Any] = {"request": MessageToDict(verdict.metadata)["mcp_acl_request"]}
    return found


def answer(
    method: str,
    result: bytes,
    *,
    context: Mapping[str, Any] = NOBODY,
    names: Sequence[str] = ("weather",),
    of: Gate | None = None,
) -> pb.ResponseVerdict:
    given = pb.GuardedResponse(service_names=names, method=method, metadata_context=struct(context), result=result)
    return pb.ResponseVerdict.FromString(check_response(of or gate(), Sources(), (), given.SerializeToString()))


TOOLS = b'{"tools":[{"name":"forecast", "x": 1.0},{"name":"history"},{"name":"delete"}],"nextCursor":"c"}'


# ---- requests -------------------------------------------------------------------------------------------------------


def test_granted_call_passes_and_leaves_what_it_was() -> None:
    verdict = ask(request("tools/call", call("forecast", city="Rome")))
    assert "passed" == verdict.WhichOneof("verdict")
    told = MessageToDict(verdict.metadata)
    assert ("allow", ["weather/forecasts"]) == (told["mcp_acl"]["decision"], told["mcp_acl"]["rules"])
    assert 1 == len(told["mcp_acl_request"])


def test_denial_is_told_whole() -> None:
    error = ask(request("tools/call", call("forecast", city="Atlantis"))).error
    assert (pb.GuardError.PERMISSION_DENIED, "Atlantis has no weather.") == (error.code, error.reason)
    payload = json.loads(error.payload)
    assert (403, "Atlantis has no weather.") == (payload["code"], payload["message"])
    assert "denied_by_rule" == payload["data"]["reason"]


@pytest.mark.parametrize(
    "params",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"name":"forecast","name":"delete"}',
        b'{"name":"forecast"},"method":"ping"',
        b'{"name":"forecast"}}{"jsonrpc":"2.0","id":1,"method":"ping"',
        b'{"name":"\xff"}',
        b'\xef\xbb\xbf{"name":"forecast"}',
        b"[" * 10_000,
    ],
)
def test_params_that_are_not_one_good_object_are_refused(params: bytes) -> None:
    assert pb.GuardError.INVALID == ask(request("tools/call", params)).error.code


def test_nothing_but_one_value_gets_in_by_params_and_results() -> None:
    more = b'{"name":"forecast"},"x":1'
    assert "`params` must be one JSON value" == json.loads(ask(request("tools/call", more)).error.payload)["message"]
    assert "the result must be one JSON value" == answer("tools/list", b'{"tools":[]},"x":1').error.reason


@pytest.mark.parametrize("method", ["", "tools/Call", 'ping","x":"', "x/unknown", "notifications/unknown"])
def test_method_that_is_not_known_is_refused(method: str) -> None:
    assert "error" == ask(request(method, call("forecast"))).WhichOneof("verdict")


def test_list_passes_because_its_result_is_asked_about() -> None:
    assert "passed" == ask(request("tools/list")).WhichOneof("verdict")


def test_what_goes_to_several_must_be_permitted_for_each() -> None:
    assert "error" == ask(request("ping", names=SEVERAL)).WhichOneof("verdict")
    assert "passed" == ask(request("ping", names=("weather", "weather"))).WhichOneof("verdict")


def test_list_of_several_is_refused_unless_one_server_is_named_for_all() -> None:
    assert "several backends" in ask(request("tools/list", names=("weather", "weather"))).error.reason
    named = {**NOBODY, "server": "weather"}
    assert "passed" == ask(request("tools/list", context=named, names=SEVERAL)).WhichOneof("verdict")


def test_facts_and_where_they_are_from() -> None:
    context = {**ADMIN, "tenant": {"id": 7}, "request": ["x"]}
    body = request("ping", context=context, mcp_session_id=b"s", authorization=b"secret", accept=b"text/event-stream")
    ((question, facts),) = questions_from(Sources(server="unused"), (), body)
    assert ("weather", {"sub": "ann", "role": "admin"}, TokenState.VALID, "s") == (
        question.server,
        question.claims,
        question.token,
        question.session_id,
    )
    assert {"tenant": {"id": 7}} == question.attributes
    assert ("/mcp?a=b", {"mcp-session-id": ["s"], "authorization": ["secret"]}) == (
        question.http.path,
        question.http.headers,
    )
    assert ("backend", "metadata `mcp_acl/claims`") == (facts.origins["server"], facts.origins["token"])


def test_server_is_named_by_context_then_backend_then_setting() -> None:
    def server(**fields: Any) -> tuple[str, str]:
        ((question, facts),) = questions_from(Sources(server="set"), (), request("ping", **fields))
        return question.server, facts.origins["server"]

    assert ("named", "metadata `mcp_acl/server`") == server(context={"server": "named"})
    assert ("backend", "backend") == server(names=["backend"])
    assert ("set", "setting `server`") == server(names=[])


@pytest.mark.parametrize("server", ["", 5, True, {}])
def test_server_that_is_named_badly_is_none_and_not_the_backend(server: Any) -> None:
    assert "error" == ask(request("tools/call", call("forecast", city="Rome"), context={"server": server})).WhichOneof(
        "verdict"
    )


def test_nothing_that_a_client_writes_is_believed() -> None:
    body = request("tools/call", call("history"), claims=b'{"role":"admin"}', server=b"x", x_mcp_acl_server=b"x")
    assert "error" == ask(body).WhichOneof("verdict")


def test_headers_that_the_gateway_writes_anew_do_not_count() -> None:
    body = request("tools/call", call("forecast", city="Rome"), mcp_name=b"weather_forecast", content_encoding=b"br")
    assert "passed" == ask(body).WhichOneof("verdict")


def test_claims_that_are_none_are_misuse() -> None:
    with pytest.raises(ApiError, match="claims"):
        ask(request("ping", context={"claims": "ann"}))


def test_token_may_be_required() -> None:
    assert "token_missing" in ask(request("ping"), sources=Sources(anonymous=False)).error.payload.decode()


def test_hidden_denial_says_nothing_of_why() -> None:
    settings = "settings: {denials: hidden, kind: python}"
    text = f"version: 1\npolicy: p\nservers: [weather]\n{settings}\nrules: []\n"
    hiding = Gate(compile_policies([SourceFile("p.yaml", text.encode())]))
    error = ask(request("tools/call", call("secret")), hiding).error
    assert (b"reason" in error.payload, "policy" in error.reason) == (False, False)


# ---- results --------------------------------------------------------------------------------------------------------


def test_list_is_filtered_for_who_asked() -> None:
    for context, shown in ((NOBODY, ["forecast"]), (ADMIN, ["forecast", "history"])):
        verdict = answer("tools/list", TOOLS, context=left(ask(request("tools/list", context=context))))
        kept = json.loads(verdict.mutated)
        assert (shown, "c") == ([one["name"] for one in kept["tools"]], kept["nextCursor"])
    assert b'{"name":"forecast", "x": 1.0}' in verdict.mutated


def test_result_that_nothing_is_taken_from_passes() -> None:
    context = left(ask(request("tools/call", call("forecast", city="Rome"))))
    result = b'{"content":[{"type":"text","text":"sun"}]}'
    assert "passed" == answer("tools/call", result, context=context).WhichOneof("verdict")


def test_without_its_request_a_list_is_judged_by_the_facts_that_come_with_it() -> None:
    kept = json.loads(answer("tools/list", TOOLS, context=ADMIN).mutated)["tools"]
    assert ["forecast", "history"] == [one["name"] for one in kept]


@pytest.mark.parametrize("method", ["tools/call", "resources/read", "completion/complete", "tasks/get", "x/unknown"])
def test_without_its_request_a_result_is_refused(method: str) -> None:
    assert "error" == answer(method, b"{}").WhichOneof("verdict")


@pytest.mark.parametrize(
    "left_behind",
    [[], "x", ["x"], ["!!"], [7], [base64.b64encode(b"\x02x").decode()], [base64.b64encode(b"\x01x").decode()]],
)
def test_request_that_cannot_be_read_again_withholds_its_result(left_behind: Any) -> None:
    assert "error" == answer("tools/list", TOOLS, context={"request": left_behind}).WhichOneof("verdict")


def test_request_of_another_method_withholds_the_result() -> None:
    context = left(ask(request("tools/list")))
    assert "mcp_acl_request" in answer("prompts/list", b'{"prompts":[]}', context=context).error.reason


def test_request_to_another_server_withholds_the_result() -> None:
    context = left(ask(request("tools/list", context=ADMIN)))
    assert "mcp_acl_request" in answer("tools/list", TOOLS, context=context, names=["other"]).error.reason
    assert "mcp_acl_request" in answer("tools/list", TOOLS, context={**context, "server": "other"}).error.reason


@pytest.mark.parametrize("result", [b"", b"{", b'{},"error":{}', b'{"tools":1}', b'{"tools":[],"tools":[]}', b"\xff"])
def test_result_that_cannot_be_read_with_certainty_is_withheld(result: bytes) -> None:
    context = left(ask(request("tools/list")))
    assert "error" == answer("tools/list", result, context=context).WhichOneof("verdict")


def test_result_of_several_is_what_each_lets_pass() -> None:
    context = left(ask(request("ping", names=("weather", "weather"))))
    assert 2 == len(context["request"])
    assert "passed" == answer("ping", b"{}", context=context, names=SEVERAL).WhichOneof("verdict")
