"""Envoy's external authorization, `envoy.service.auth.v3.Authorization/Check`, to the gate, and back. Translations alone; knows no rules.

It sees requests and no responses. A call is decided; a list passes if nothing in it would be hidden, or where an ext_proc behind this one is
said to filter it, by setting or by the route's word; and what results bring (`RESULT`, `STREAM`: linked resources, `instructions`, what
a server asks of the client) passes unseen, as for any caller of `Check` that does not filter. Nothing is taken out of the request.

The body that is judged is the one packed as bytes. A body that may be cut, replaced or held back is refused by name of the setting.
"""

from collections.abc import Mapping
from typing import Final

from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.facts import FILTERED_EXTENSION, Facts, Sources, Told, facts_from
from mcp_acl.adapters.grpc_api import parsed
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.saying import decision_struct, set_header, text_of
from mcp_acl.adapters.status import ApiError, Code
from mcp_acl.domain import Denial, Http
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_authz_pb2 as pb
from mcp_acl.mcp.exchanges import SESSION, may_carry
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Answer, Gate, Question

SERVICE: Final = "envoy.service.auth.v3.Authorization"

_PARTIAL: Final = "x-envoy-auth-partial-body"
_LENGTH: Final = "content-length"
_SINGLE: Final = ("mcp-method", "mcp-name", "mcp-protocol-version", "content-type", _LENGTH, _PARTIAL)
"""Headers that decide how a message is read, and of which there must be one: joined by a comma, two of them may look like one."""
_MIRRORED_NAME: Final = "mcp-name"
_REPLACED: Final = "!"
"""What Envoy puts for a byte that is not UTF-8 where the interface has text."""
_SAID: Final = {"true": True, "false": False}


def check(gate: Gate, sources: Sources, filtered_behind: bool, metadata: Metadata, body: bytes) -> bytes:
    """`Check`."""
    question, _ = question_from(sources, filtered_behind, metadata, body)
    return reply_for(gate.check(question))


# ---- from the wire ------------------------------------------------------------------------------------------------


def question_from(sources: Sources, filtered_behind: bool, metadata: Metadata, body: bytes) -> tuple[Question, Facts]:
    """What is asked, and where what is believed of it is from. Raises ApiError.

    A route's own metadata is its operator's word, so of two entries of one name it counts before what filters have found out.
    """
    attributes = parsed(pb.AuthorizationRequest, body).attributes
    asked = attributes.request.http
    headers = _headers(asked)
    extensions = dict(attributes.context_extensions)
    told = Told(metadata, _namespaces(attributes), extensions, attributes.source.principal, headers=headers)
    facts = facts_from(sources, told)
    http = Http(asked.method, asked.path, headers, attributes.source.address.socket_address.address)
    question = Question(
        facts.server,
        _message(asked, headers),
        facts.claims,
        facts.token,
        http=http,
        attributes=facts.attributes,
        session_id=_first(headers, SESSION),
        filters_responses=_filtered(extensions, filtered_behind),
        trace=facts.trace,
    )
    return question, facts


def _filtered(extensions: Mapping[str, str], filtered_behind: bool) -> bool:
    said = extensions.get(FILTERED_EXTENSION)
    if said is None:
        return filtered_behind
    if said not in _SAID:
        raise ApiError(f"the context extension `{FILTERED_EXTENSION}` must be `true` or `false`")
    return _SAID[said]


def _namespaces(attributes: pb.Attributes) -> Mapping[str, Struct]:
    if not attributes.HasField("route_metadata_context"):
        return attributes.metadata_context.filter_metadata
    spaces = dict(attributes.metadata_context.filter_metadata)
    for name, of_route in attributes.route_metadata_context.filter_metadata.items():
        merged = Struct()
        merged.MergeFrom(spaces.get(name, merged))
        merged.MergeFrom(of_route)
        spaces[name] = merged
    return spaces


def _headers(asked: pb.HttpRequest) -> dict[str, list[str]]:
    """By name in lower case; of pseudo headers the authority, as `Host`."""
    if asked.HasField("header_map"):
        entries = [(one.key, text_of(one)) for one in asked.header_map.headers]
    else:
        given = asked.headers
        entries = [(name, given[name]) for name in given]
    if len(entries) > MAX_HEADERS:
        raise ApiError(f"there are more than {MAX_HEADERS} headers; refuse such a request")
    headers: dict[str, list[str]] = {}
    authority: list[str] = []
    for name, value in entries:
        if not name.startswith(":"):
            headers.setdefault(name.lower(), []).append(value)
        elif name == ":authority":
            authority.append(value)
    if authority:
        headers.setdefault("host", authority)
    return headers


def _message(asked: pb.HttpRequest, headers: Mapping[str, list[str]]) -> bytes | MessageError:
    """The body, if it is known to be what will be sent on."""
    doubt = _doubt(asked, headers)
    return MessageError("ext_authz", doubt) if doubt else asked.raw_body


def _doubt(asked: pb.HttpRequest, headers: Mapping[str, list[str]]) -> str:
    """Why what Envoy sent may not be what the server will read, or `''`; each names the setting of the filter."""
    if any(value != "false" for value in headers.get(_PARTIAL, ())):
        return "the body is cut; set `allow_partial_message: false`, and `max_request_bytes` to what is to be accepted"
    if asked.body:
        return "the body came as text, in which bytes may have been replaced; set `pack_as_bytes: true`"
    if not asked.raw_body and _has_body(asked, headers):
        return "the body did not come; set `with_request_body`"
    if any(length != str(len(asked.raw_body)) for length in headers.get(_LENGTH, ())):
        return "the body is not as long as `content-length` says; let no filter before this one cut or change it"
    if asked.HasField("header_map"):
        return ""
    joined = next((name for name in _SINGLE if name in headers and "," in headers[name][0]), "")
    if joined:
        return f"`{joined}` came twice, or has a comma; set `encode_raw_headers: true` if it may have one"
    if _REPLACED in _first(headers, _MIRRORED_NAME):
        return (
            f"`{_MIRRORED_NAME}` holds `{_REPLACED}`, which may stand for another byte; set `encode_raw_headers: true`"
        )
    return ""


def _has_body(asked: pb.HttpRequest, headers: Mapping[str, list[str]]) -> bool:
    """Whether there is a body, by the headers; of what must have one, too, if they do not say that it is empty."""
    lengths = headers.get(_LENGTH)
    if "transfer-encoding" in headers:
        return True
    if lengths is None:
        return may_carry(Http(asked.method))
    return lengths != ["0"]


def _first(headers: Mapping[str, list[str]], name: str) -> str:
    values = headers.get(name)
    return values[0] if values else ""


# ---- to the wire --------------------------------------------------------------------------------------------------


def reply_for(answer: Answer) -> bytes:
    """The decision, what the client is answered if it is a denial, and what is told to filters and logs of Envoy."""
    told = pb.AuthorizationResponse(dynamic_metadata=decision_struct(answer)).SerializeToString()
    # One message after another is one message with the fields of both (protobuf encoding, "Last One Wins").
    if answer.decision.allowed:
        return _PERMITTED + told
    assert answer.denial is not None
    status = pb.RpcStatus(code=Code.PERMISSION_DENIED)
    return pb.AuthorizationResponse(status=status, denied=_denied(answer.denial)).SerializeToString() + told


def _denied(denial: Denial) -> pb.Denied:
    """Each header in both forms: Envoy reads one of them, other gateways the other."""
    headers = [set_header(name, value) for name, value in denial.headers]
    return pb.Denied(status=base.HttpStatus(code=denial.status), headers=headers, body=denial.body.decode())


_PERMITTED: Final = pb.AuthorizationResponse(
    status=pb.RpcStatus(code=Code.OK), permitted=pb.Permitted()
).SerializeToString()
