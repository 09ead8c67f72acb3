"""Reflection: what a tool needs that knows no interface beforehand."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb  # type: ignore[import-untyped]

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Streaming
from mcp_acl.adapters.reflection import PATHS
from mcp_acl.adapters.status import ApiError
from mcp_acl.adapters.table import for_people
from tests.runtime.weather import gate


def answer(path: str, **fields: str) -> pb.ServerReflectionResponse:
    streaming = for_people(gate())[path]
    assert isinstance(streaming, Streaming)
    session = streaming.open(())
    (found,) = session.feed(pb.ServerReflectionRequest(**fields).SerializeToString())
    assert () == session.close()
    return pb.ServerReflectionResponse.FromString(found)


@pytest.mark.parametrize("path", PATHS)
def test_services_are_listed(path: str) -> None:
    names = {one.name for one in answer(path, list_services="").list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_interface_is_told_with_all_that_it_needs() -> None:
    found = answer(PATHS[0], file_containing_symbol=SERVICE).file_descriptor_response.file_descriptor_proto
    files = {FileDescriptorProto.FromString(one).name for one in found}
    assert {"google/protobuf/struct.proto", "google/protobuf/timestamp.proto"} <= files
    assert any(name.endswith("acl.proto") for name in files)


def test_symbol_that_is_not_there_is_an_answer() -> None:
    assert 5 == answer(PATHS[0], file_containing_symbol="no.Such").error_response.error_code


def test_bytes_that_are_no_request_are_misuse() -> None:
    streaming = for_people(gate())[PATHS[0]]
    assert isinstance(streaming, Streaming)
    with pytest.raises(ApiError, match="ServerReflectionRequest"):
        streaming.open(()).feed(b"\xff\xff")
