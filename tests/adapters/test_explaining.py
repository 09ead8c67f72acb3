"""`Explain` of what other gateways ask: the same decision as they get, and where what was believed is from."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters import ext_authz, ext_mcp, ext_proc_session
from mcp_acl.adapters.explaining import explain
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.status import ApiError
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.gen import agentgateway_ext_mcp_pb2 as ext_mcp_pb
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_authz_pb2 as ext_authz_pb
from mcp_acl.gen import envoy_ext_proc_pb2 as ext_proc_pb
from tests.runtime.weather import body, call, gate

SOURCES = Sources(server="weather", jwt=(("jwt", "claims"),), claims_header="x-claims")
AUTHN = base.Metadata(filter_metadata={"jwt": ParseDict({"claims": {"sub": "ann", "role": "admin"}}, Struct())})
HISTORY = call("history")
PSEUDO = {":method": "POST", ":path": "/mcp", ":authority": "mcp.test", "content-type": "application/json"}
WHOLE = ext_proc_pb.ProtocolConfiguration(
    request_body_mode=ext_proc_pb.BUFFERED, response_body_mode=ext_proc_pb.STREAMED
)


def entries(more: dict[str, str]) -> base.HeaderMap:
    return base.HeaderMap(
        headers=[base.HeaderValue(key=name, raw_value=text.encode()) for name, text in (PSEUDO | more).items()]
    )


def by_ext_authz(message: bytes, **fields: Any) -> bytes:
    http = ext_authz_pb.HttpRequest(method="POST", path="/mcp", raw_body=message, header_map=entries({}))
    received = ext_authz_pb.Received(http=http)
    usual: dict[str, Any] = {"request": received, "metadata_context": AUTHN}
    return ext_authz_pb.AuthorizationRequest(
        attributes=ext_authz_pb.Attributes(**{**usual, **fields})
    ).SerializeToString()


def by_ext_proc(message: bytes) -> list[bytes]:
    headers = ext_proc_pb.ProcessingRequest(
        request_headers=ext_proc_pb.HttpHeaders(headers=entries({})), protocol_config=WHOLE, metadata_context=AUTHN
    )
    whole = ext_proc_pb.ProcessingRequest(request_body=ext_proc_pb.HttpBody(body=message, end_of_stream=True))
    return [headers.SerializeToString(), whole.SerializeToString()]


def by_ext_mcp(method: str, params: bytes | None, *names: str) -> bytes:
    context = ParseDict({"claims": {"sub": "ann", "role": "admin"}}, Struct())
    asked = ext_mcp_pb.GuardedRequest(service_names=names, method=method, metadata_context=context)
    if params is not None:
        asked.params = params
    return asked.SerializeToString()


def explained(metadata: dict[str, str] | None = None, *, filtered: bool = False, **foreign: Any) -> pb.ExplainResponse:
    headers = [pb.Header(name=name, values=[value]) for name, value in (metadata or {}).items()]
    asked = pb.ExplainRequest(foreign=pb.ForeignQuestion(metadata=headers, **foreign))
    return pb.ExplainResponse.FromString(explain(gate(), SOURCES, filtered, asked.SerializeToString()))


def facts(response: pb.ExplainResponse) -> dict[str, tuple[Any, str]]:
    return {fact.name: (json.loads(fact.value), fact.origin) for fact in response.facts}


@pytest.mark.parametrize(
    "foreign",
    [
        {"ext_authz": by_ext_authz(HISTORY)},
        {"ext_proc": pb.ExtProcMessages(messages=by_ext_proc(HISTORY))},
        {"ext_mcp": by_ext_mcp("tools/call", b'{"name":"history"}', "weather")},
    ],
    ids=lambda foreign: next(iter(foreign)),
)
def test_question_of_a_gateway_is_explained_with_what_was_believed(foreign: dict[str, Any]) -> None:
    response = explained(**foreign)
    assert ["history"] == [trial.rule.rule for trial in response.trials if trial.applies]
    assert (pb.DECISION_ALLOW, "granted") == (response.decision.decision, response.decision.reason)
    told = facts(response)
    origin = "metadata `mcp_acl/claims`" if "ext_mcp" in foreign else "metadata `jwt/claims`"
    assert ("valid", origin) == told["token"]
    assert ({"sub": "ann", "role": "admin"}, origin) == told["claims"]
    assert ("weather", "backend" if "ext_mcp" in foreign else "setting `server`") == told["server"]


def test_grpc_metadata_of_the_gateways_call_counts() -> None:
    response = explained({"X-MCP-ACL-Server": "nowhere"}, ext_authz=by_ext_authz(HISTORY))
    assert "no_policy" == response.decision.reason
    assert ("nowhere", "gRPC metadata `x-mcp-acl-server`") == facts(response)["server"]


def test_attributes_are_told_each_with_where_it_is_from() -> None:
    response = explained(ext_authz=by_ext_authz(HISTORY, context_extensions={"tenant": "acme"}))
    assert ("acme", "context extension") == facts(response)["attributes.tenant"]


def test_settings_of_the_interface_count() -> None:
    asked = by_ext_authz(body("tools/list"))
    assert "list_not_filtered" == explained(ext_authz=asked).decision.reason
    assert "list_filtered" == explained(filtered=True, ext_authz=asked).decision.reason


def test_of_several_servers_the_one_that_denies_is_shown() -> None:
    response = explained(ext_mcp=by_ext_mcp("ping", None, "weather", "nowhere"))
    assert ("no_policy", "nowhere") == (response.decision.reason, facts(response)["server"][0])
    assert "weather" == facts(explained(ext_mcp=by_ext_mcp("ping", None, "weather", "weather")))["server"][0]


def test_message_that_is_refused_is_explained_too() -> None:
    response = explained(ext_proc=pb.ExtProcMessages(messages=by_ext_proc(b"\xff")))
    assert ("message_refused", 0) == (response.decision.reason, len(response.trials))


def test_gateway_that_is_set_up_wrongly_is_told_so() -> None:
    first = ext_proc_pb.ProcessingRequest(request_headers=ext_proc_pb.HttpHeaders(headers=entries({})))
    response = explained(ext_proc=pb.ExtProcMessages(messages=[first.SerializeToString()]))
    assert "protocol_config" in response.decision.message


def test_native_question_has_facts_too() -> None:
    principal = pb.Principal(claims_json=b'{"sub":"ann"}', token=pb.TOKEN_STATE_VALID)
    check = pb.CheckRequest(
        server="weather",
        direction=pb.DIRECTION_CLIENT_TO_SERVER,
        raw=HISTORY,
        principal=principal,
        attributes=ParseDict({"plan": "gold"}, Struct()),
    )
    asked = pb.ExplainRequest(check=check).SerializeToString()
    response = pb.ExplainResponse.FromString(explain(gate(), SOURCES, False, asked))
    assert {
        "server": ("weather", "`server`"),
        "token": ("valid", "`principal`"),
        "claims": ({"sub": "ann"}, "`principal`"),
        "attributes.plan": ("gold", "`attributes`"),
    } == facts(response)


@pytest.mark.parametrize(
    "asked",
    [
        pb.ExplainRequest(),
        pb.ExplainRequest(foreign=pb.ForeignQuestion()),
        pb.ExplainRequest(foreign=pb.ForeignQuestion(ext_authz=b"\xff")),
        pb.ExplainRequest(foreign=pb.ForeignQuestion(ext_mcp=b"\xff")),
        pb.ExplainRequest(foreign=pb.ForeignQuestion(ext_proc=pb.ExtProcMessages())),
        pb.ExplainRequest(foreign=pb.ForeignQuestion(ext_proc=pb.ExtProcMessages(messages=[b""]))),
        pb.ExplainRequest(foreign=pb.ForeignQuestion(ext_proc=pb.ExtProcMessages(messages=by_ext_proc(b"")[:1]))),
        pb.ExplainRequest(
            foreign=pb.ForeignQuestion(ext_authz=b"", metadata=[pb.Header(name="a")] * (MAX_HEADERS + 1))
        ),
    ],
)
def test_question_that_is_none_is_misuse(asked: pb.ExplainRequest) -> None:
    with pytest.raises(ApiError):
        explain(gate(), SOURCES, False, asked.SerializeToString())


def test_what_is_explained_is_what_the_gateway_is_answered() -> None:
    of = gate()
    own = ext_authz_pb.AuthorizationResponse.FromString(
        ext_authz.check(of, SOURCES, False, (), by_ext_authz(call("forecast", city="Atlantis")))
    )
    shown = explained(ext_authz=by_ext_authz(call("forecast", city="Atlantis"))).decision
    assert own.dynamic_metadata["reason"] == shown.reason == "denied_by_rule"
    questions = [
        ext_authz.question_from(SOURCES, False, (), by_ext_authz(HISTORY))[0],
        ext_proc_session.question_from(of, SOURCES, (), by_ext_proc(HISTORY))[0],
    ]
    assert questions[0].http == questions[1].http
    assert ext_mcp.questions_from(SOURCES, (), by_ext_mcp("ping", None, "weather"))
