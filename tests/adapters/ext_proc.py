"""Messages of Envoy's external processing as tests write them, and a session that takes and gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from mcp_acl.adapters.ext_proc import FILTER
from mcp_acl.adapters.ext_proc_session import PATH
from mcp_acl.adapters.facts import SERVER_METADATA
from mcp_acl.adapters.handlers import Metadata, Session, Streaming
from mcp_acl.adapters.table import Gateways, for_gateways
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.runtime.gate import Gate
from tests.runtime.weather import gate

STREAMED = pb.ProtocolConfiguration(request_body_mode=pb.BUFFERED, response_body_mode=pb.STREAMED)
BUFFERED = pb.ProtocolConfiguration(request_body_mode=pb.BUFFERED, response_body_mode=pb.BUFFERED)
DUPLEX = pb.ProtocolConfiguration(request_body_mode=pb.FULL_DUPLEX_STREAMED, response_body_mode=pb.FULL_DUPLEX_STREAMED)
WEATHER = ((SERVER_METADATA, "weather"),)
_POST = {":method": "POST", ":path": "/mcp", ":authority": "mcp.test", "content-type": "application/json"}


class Conversation:
    """One call: what is said to the session, and what it answers."""

    def __init__(self, of: Gate | None = None, metadata: Metadata = WEATHER, **gateways: Any) -> None:
        handler = for_gateways(of or gate(), Gateways(**gateways))[PATH]
        assert isinstance(handler, Streaming)
        self.session: Session = handler.open(metadata)

    def say(self, *messages: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
        answers = [answer for message in messages for answer in self.session.feed(message.SerializeToString())]
        return [pb.ProcessingResponse.FromString(answer) for answer in answers]

    def one(self, *messages: pb.ProcessingRequest) -> pb.ProcessingResponse:
        """The one answer to the last of them."""
        *_, last = messages
        self.say(*messages[:-1])
        (answer,) = self.say(last)
        return answer


def header_map(headers: Mapping[str, str | bytes | Sequence[str]]) -> base.HeaderMap:
    entries = []
    for name, value in headers.items():
        for one in [value] if isinstance(value, str | bytes) else value:
            raw = one if isinstance(one, bytes) else one.encode()
            entries.append(base.HeaderValue(key=name, raw_value=raw))
    return base.HeaderMap(headers=entries)


def request_headers(
    config: pb.ProtocolConfiguration | None = STREAMED,
    *,
    end: bool = False,
    attributes: Mapping[str, Any] | None = None,
    namespaces: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] = _POST,
    **more: Any,
) -> pb.ProcessingRequest:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    message = pb.ProcessingRequest(
        request_headers=pb.HttpHeaders(headers=header_map({**headers, **given}), end_of_stream=end),
        protocol_config=config,
    )
    return told(message, attributes, namespaces)


def told(
    message: pb.ProcessingRequest, attributes: Mapping[str, Any] | None, namespaces: Mapping[str, Any] | None = None
) -> pb.ProcessingRequest:
    if attributes is not None:
        message.attributes[FILTER].CopyFrom(struct(attributes))
    for name, fields in (namespaces or {}).items():
        message.metadata_context.filter_metadata[name].CopyFrom(struct(fields))
    return message


def struct(fields: Mapping[str, Any]) -> Struct:
    made = Struct()
    made.update(dict(fields))
    return made


def request_body(body: bytes, *, end: bool = True) -> pb.ProcessingRequest:
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=end))


def response_headers(
    content_type: str = "application/json", status: int = 200, *, end: bool = False, **more: Any
) -> pb.ProcessingRequest:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    of_type = {"content-type": content_type} if content_type else {}
    headers = header_map({":status": str(status), **of_type, **given})
    return pb.ProcessingRequest(response_headers=pb.HttpHeaders(headers=headers, end_of_stream=end))


def response_body(body: bytes, *, end: bool = False) -> pb.ProcessingRequest:
    return pb.ProcessingRequest(response_body=pb.HttpBody(body=body, end_of_stream=end))


REQUEST_TRAILERS = pb.ProcessingRequest(request_trailers=pb.HttpTrailers())
RESPONSE_TRAILERS = pb.ProcessingRequest(response_trailers=pb.HttpTrailers())


def told_metadata(answer: pb.ProcessingResponse) -> dict[str, Any]:
    fields: dict[str, Any] = MessageToDict(answer.dynamic_metadata)
    return dict(fields["mcp_acl"])


def set_headers(mutation: pb.HeaderMutation) -> dict[str, str]:
    for entry in mutation.set_headers:
        assert entry.header.value.encode() == entry.header.raw_value
    return {entry.header.key: entry.header.value for entry in mutation.set_headers}


def is_denied(answers: Sequence[pb.ProcessingResponse]) -> bool:
    return any(answer.HasField("immediate_response") for answer in answers)
