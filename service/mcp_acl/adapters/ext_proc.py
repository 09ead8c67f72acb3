"""Envoy's external processing: its messages to what the gate is asked, and to what it is told. Translations alone; knows no order of messages.

What the gateway says about itself counts as the request does: a set-up in which something would pass unseen is a reason to refuse.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from mcp_acl.adapters.facts import NAMESPACE, Told
from mcp_acl.adapters.handlers import Metadata
from mcp_acl.adapters.questions import MAX_HEADERS
from mcp_acl.adapters.saying import decision_struct, set_header, text_of
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.wire import json_of
from mcp_acl.domain import Denial, Http, Json
from mcp_acl.gen import envoy_base_pb2 as base
from mcp_acl.gen import envoy_ext_proc_pb2 as pb
from mcp_acl.problems import MessageError
from mcp_acl.runtime.gate import Answer, Reply

_LOG: Final = logging.getLogger("mcp_acl")

Headers = dict[str, list[str]]

FILTER: Final = "envoy.filters.http.ext_proc"
"""Under which attributes come, whatever the filter is called."""
CODE_DETAILS: Final = "response.code_details"
UPSTREAM: Final = "via_upstream"
"""What that attribute says of a response that is the server's."""

_ADDRESS: Final = "source.address"
_NAMES: Final = ("connection.uri_san_peer_certificate", "connection.dns_san_peer_certificate")
"""Attributes with a name of the client's certificate, the first that is there."""
_FORWARDING: Final = "`:method` or `:path` did not come; remove `forward_rules` from the gateway's ext_proc"
_WRONG_MODE: Final = "the gateway's ext_proc must be set to `{}`, and is to {}"
_REQUEST_MODES: Final = frozenset({pb.BUFFERED, pb.FULL_DUPLEX_STREAMED})
_RESPONSE_MODES: Final = frozenset({pb.STREAMED, pb.BUFFERED, pb.FULL_DUPLEX_STREAMED})
_UNTRUE: Final = ("content-length", "content-md5", "digest", "content-digest", "repr-digest", "etag", "accept-ranges")
"""Headers that say something of the bytes of a body, which has become another one."""


class ResponseHead(NamedTuple):
    """A response before its body. `details` is what the gateway says of where it is from, if it does."""

    status: int
    headers: Headers
    content_type: str
    is_empty: bool
    details: str

    @property
    def encoding(self) -> str:
        """How the body is encoded, or `''` if it is not."""
        encodings = [
            one.strip().lower() for value in self.headers.get("content-encoding", ()) for one in value.split(",")
        ]
        return ", ".join(one for one in encodings if one not in ("", "identity"))


# ---- from the wire ------------------------------------------------------------------------------------------------


def headers_from(entries: base.HeaderMap) -> Headers:
    """All values of each name, in lower case. What is not UTF-8 is replaced, because nothing may be left out."""
    if len(entries.headers) > MAX_HEADERS:
        raise ApiError(f"there are more than {MAX_HEADERS} headers; refuse such a request")
    found: Headers = {}
    for entry in entries.headers:
        name, value = entry.key.lower(), text_of(entry)
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def http_from(headers: Headers, attributes: Mapping[str, Json]) -> Http:
    """The HTTP request. Raises MessageError if the gateway keeps back what it is."""
    pseudo = {name: headers.pop(name) for name in [name for name in headers if name.startswith(":")]}
    method, path = pseudo.get(":method"), pseudo.get(":path")
    if method is None or path is None:
        raise MessageError("gateway", _FORWARDING)
    if ":authority" in pseudo:
        headers.setdefault("host", pseudo[":authority"])
    return Http(method[0], path[0], headers, _without_port(attributes.get(_ADDRESS)))


def _without_port(address: Json) -> str:
    """`[::1]:80` and `10.0.0.1:80` as addresses; what is neither as it is."""
    if not isinstance(address, str):
        return ""
    host, colon, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]") if colon and port.isdecimal() else address


def attributes_from(request: pb.ProcessingRequest) -> Mapping[str, Json]:
    """What the gateway was told to send, by the text of each expression. Raises ApiError."""
    if FILTER not in request.attributes:
        return {}
    try:
        return json_of(request.attributes[FILTER])
    except MessageError as error:
        raise ApiError(f"the attributes cannot be used: {error.message}") from None


def told_from(
    metadata: Metadata,
    request: pb.ProcessingRequest,
    attributes: Mapping[str, Json],
    headers: Mapping[str, Sequence[str]],
) -> Told:
    """What came beside the message."""
    names = (attributes.get(name) for name in _NAMES)
    return Told(
        metadata,
        request.metadata_context.filter_metadata,
        principal=next((name for name in names if isinstance(name, str) and name), ""),
        attributes=attributes,
        headers=headers,
    )


def response_from(request: pb.ProcessingRequest) -> ResponseHead:
    """A response before its body. Raises ApiError if it has no status."""
    headers = headers_from(request.response_headers.headers)
    (status,) = headers.get(":status", [""])[:1]
    if not (len(status) == 3 and status.isdecimal()):
        raise ApiError("the response has no status; remove `forward_rules` from the gateway's ext_proc")
    details = attributes_from(request).get(CODE_DETAILS)
    return ResponseHead(
        int(status),
        headers,
        ", ".join(headers.get("content-type", ())),
        request.response_headers.end_of_stream,
        details if isinstance(details, str) else "",
    )


def fault_of(request: pb.ProcessingRequest) -> str:
    """What in the gateway's set-up would let something pass unseen, and how it has to be; or `''`."""
    if not request.HasField("protocol_config"):
        return "the gateway does not say how its ext_proc is set up (`protocol_config`); use a version that does"
    config = request.protocol_config
    if config.request_body_mode not in _REQUEST_MODES:
        return _WRONG_MODE.format("request_body_mode: BUFFERED", _mode(config.request_body_mode))
    if config.response_body_mode not in _RESPONSE_MODES:
        return _WRONG_MODE.format("response_body_mode: STREAMED", _mode(config.response_body_mode))
    return ""


def _mode(mode: int) -> str:
    return f"`{pb.BodyMode.Name(mode)}`" if mode in pb.BodyMode.values() else "one that is not known"


@lru_cache(maxsize=64)
def warn(text: str) -> None:
    """Say once to people what only they can change."""
    _LOG.warning("ext_proc: %s", text)


# ---- to the wire --------------------------------------------------------------------------------------------------


def denied(answer: Answer, denial: Denial) -> bytes:
    """The answer to the client, and why, for the access log."""
    details = f"mcp_acl_denied{{{answer.decision.reason}}}"
    immediate = _immediate(denial.status, denial.headers, denial.body, details)
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString() + metadata_for(answer)


def withheld(reply: Reply) -> bytes:
    """An error in the place of a response that has not begun."""
    headers = (("content-type", reply.filtered.content_type),)
    immediate = _immediate(reply.status, headers, reply.filtered.body, "mcp_acl_withheld")
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString()


def taken_without_an_answer() -> bytes:
    """What MCP wants in answer to a notification or a response, in the place of messages of the server's that nobody has judged."""
    immediate = _immediate(202, (), b"", "mcp_acl_withheld")
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString()


def _immediate(status: int, headers: Sequence[tuple[str, str]], body: bytes, details: str) -> pb.ImmediateResponse:
    has_type = any(name == "content-type" for name, _ in headers)
    mutation = pb.HeaderMutation(
        set_headers=[set_header(name, value) for name, value in headers],
        # The gateway would say `text/plain` of a body that is not there.
        remove_headers=() if has_type else ("content-type",),
    )
    return pb.ImmediateResponse(status=base.HttpStatus(code=status), headers=mutation, body=body, details=details)


def mutation_for(content_type: str, head: ResponseHead, *set_headers: tuple[str, str]) -> pb.HeaderMutation:
    """Headers of a response whose body is another now."""
    of_type = (("content-type", content_type),) if content_type != head.content_type else ()
    return pb.HeaderMutation(
        set_headers=[set_header(name, value) for name, value in (*of_type, *set_headers)],
        remove_headers=[name for name in _UNTRUE if name in head.headers and name not in dict(set_headers)],
    )


def metadata_for(answer: Answer) -> bytes:
    """The decision as dynamic metadata, for filters that come later and the access log, to be put behind an answer.

    (One message after another is one message with the fields of both: protobuf encoding, "Last One Wins".)
    """
    told = pb.ProcessingResponse()
    told.dynamic_metadata.fields[NAMESPACE].struct_value.CopyFrom(decision_struct(answer))
    return told.SerializeToString()


_LARGEST_PIECE: Final = 64 * 1024
"""Bytes of one answer that brings a body, as Envoy's interface recommends."""


def pieces_of(body: bytes, *, is_last: bool) -> Iterator[pb.StreamedBody]:
    """A body as FULL_DUPLEX_STREAMED wants it; one that ends has at least one piece."""
    starts = range(0, max(len(body), 1 if is_last else 0), _LARGEST_PIECE)
    for start in starts:
        yield pb.StreamedBody(body=body[start : start + _LARGEST_PIECE], end_of_stream=is_last and start == starts[-1])
