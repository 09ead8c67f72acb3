"""Questions as the bytes of each interface. Knows no workload; the one module here that knows protobuf."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.wire import encode_json
from mcp_acl.client import values as client
from mcp_acl.client.wire import check_request as write_check
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_authz_pb2 as authz
from mcp_acl.gen import envoy_ext_proc_pb2 as proc
from mcp_acl.runtime.gate import Question

_JWT: Final = Sources().jwt[0]
"""Namespace and key of a verified token's claims, where nothing else is set."""
_MODES: Final = proc.ProtocolConfiguration(request_body_mode=proc.BUFFERED, response_body_mode=proc.STREAMED)

_DECISIONS: Final = tuple(
    pb.CheckResponse(decision=one).SerializeToString() for one in (pb.DECISION_ALLOW, pb.DECISION_DENY)
)
_STATUSES: Final = (b"\n\x00", b"\n\x02\x08")
"""Beginnings of what ext_authz is answered: the status OK, which is empty, and another one."""


class Decisions:
    """What was answered, yes or no. As a judge: either is right."""

    def __init__(self, yes: bytes, no: bytes) -> None:
        self.yes = self.no = 0
        self._yes, self._no = yes, no

    def __call__(self, answer: bytes) -> bool:
        """Count it. False: it is neither."""
        if answer.startswith(self._yes):
            self.yes += 1
            return True
        if answer.startswith(self._no):
            self.no += 1
            return True
        return False


def check_request(question: Question) -> bytes:
    """`Check` of a message as it came."""
    claims = encode_json(question.claims) if question.claims else None
    asked = client.Question(
        question.server,
        _body(question),
        claims,
        question.token,
        http=question.http,
        filters_responses=question.filters_responses,
    )
    return write_check(asked)


def decisions() -> Decisions:
    """What `Check` answers."""
    return Decisions(*_DECISIONS)


def filter_request(context: bytes, body: bytes) -> bytes:
    """`FilterResponse` of a JSON body."""
    return pb.FilterResponseRequest(context=context, content_type="application/json", body=body).SerializeToString()


def authorization_request(question: Question) -> bytes:
    """What Envoy's ext_authz filter asks, with the body as bytes."""
    http = authz.HttpRequest(
        method=question.http.method, path=question.http.path, raw_body=_body(question), headers=_headers(question)
    )
    attributes = authz.Attributes(request=authz.Received(http=http), metadata_context=_metadata(question))
    return authz.AuthorizationRequest(attributes=attributes).SerializeToString()


def authorizations() -> Decisions:
    """What Envoy's ext_authz filter is answered."""
    return Decisions(*_STATUSES)


def exchange_messages(question: Question) -> tuple[bytes, ...]:
    """What Envoy's ext_proc filter says of one HTTP exchange: the request's headers and body, the response's headers."""
    first = proc.ProcessingRequest(
        request_headers=_http_headers(_headers(question)), protocol_config=_MODES, metadata_context=_metadata(question)
    )
    body = proc.ProcessingRequest(request_body=proc.HttpBody(body=_body(question), end_of_stream=True))
    answered = {":status": "200", "content-type": "application/json"}
    response = proc.ProcessingRequest(response_headers=_http_headers(answered))
    return tuple(message.SerializeToString() for message in (first, body, response))


def _body(question: Question) -> bytes:
    assert isinstance(question.message, bytes)
    return question.message


def _headers(question: Question) -> dict[str, str]:
    pseudo = {":method": question.http.method, ":path": question.http.path, ":authority": "mcp.test"}
    return pseudo | {name: ", ".join(values) for name, values in question.http.headers.items()}


def _http_headers(headers: Mapping[str, str]) -> proc.HttpHeaders:
    entries = [base.HeaderValue(key=name, raw_value=value.encode()) for name, value in headers.items()]
    return proc.HttpHeaders(headers=base.HeaderMap(headers=entries))


def _metadata(question: Question) -> base.Metadata:
    """The claims, as Envoy's jwt_authn filter leaves them."""
    space, key = _JWT
    found = base.Metadata()
    found.filter_metadata[space].CopyFrom(ParseDict({key: question.claims}, Struct()))
    return found
