from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class UnreadCheckRequest(_message.Message):
    __slots__ = ("server", "direction", "raw", "structured", "principal", "http", "attributes", "session_id", "filters_responses", "time", "sequence")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    STRUCTURED_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    HTTP_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FILTERS_RESPONSES_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    server: str
    direction: int
    raw: bytes
    structured: bytes
    principal: _containers.RepeatedScalarFieldContainer[bytes]
    http: _containers.RepeatedScalarFieldContainer[bytes]
    attributes: _containers.RepeatedScalarFieldContainer[bytes]
    session_id: str
    filters_responses: bool
    time: _containers.RepeatedScalarFieldContainer[bytes]
    sequence: int
    def __init__(self, server: _Optional[str] = ..., direction: _Optional[int] = ..., raw: _Optional[bytes] = ..., structured: _Optional[bytes] = ..., principal: _Optional[_Iterable[bytes]] = ..., http: _Optional[_Iterable[bytes]] = ..., attributes: _Optional[_Iterable[bytes]] = ..., session_id: _Optional[str] = ..., filters_responses: _Optional[bool] = ..., time: _Optional[_Iterable[bytes]] = ..., sequence: _Optional[int] = ...) -> None: ...

class UnreadHttp(_message.Message):
    __slots__ = ("method", "path", "headers", "remote_address")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    method: str
    path: str
    headers: _containers.RepeatedScalarFieldContainer[bytes]
    remote_address: str
    def __init__(self, method: _Optional[str] = ..., path: _Optional[str] = ..., headers: _Optional[_Iterable[bytes]] = ..., remote_address: _Optional[str] = ...) -> None: ...
