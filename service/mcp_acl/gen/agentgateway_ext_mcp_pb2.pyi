from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GuardedRequest(_message.Message):
    __slots__ = ("service_names", "method", "metadata_context", "params", "headers")
    SERVICE_NAMES_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    METADATA_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    service_names: _containers.RepeatedScalarFieldContainer[str]
    method: str
    metadata_context: _struct_pb2.Struct
    params: bytes
    headers: _containers.RepeatedCompositeFieldContainer[GuardedHeader]
    def __init__(self, service_names: _Optional[_Iterable[str]] = ..., method: _Optional[str] = ..., metadata_context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., params: _Optional[bytes] = ..., headers: _Optional[_Iterable[_Union[GuardedHeader, _Mapping]]] = ...) -> None: ...

class GuardedResponse(_message.Message):
    __slots__ = ("service_names", "method", "metadata_context", "result")
    SERVICE_NAMES_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    METADATA_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    service_names: _containers.RepeatedScalarFieldContainer[str]
    method: str
    metadata_context: _struct_pb2.Struct
    result: bytes
    def __init__(self, service_names: _Optional[_Iterable[str]] = ..., method: _Optional[str] = ..., metadata_context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., result: _Optional[bytes] = ...) -> None: ...

class GuardedHeader(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class RequestVerdict(_message.Message):
    __slots__ = ("passed", "mutated", "error", "metadata")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MUTATED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    passed: Pass
    mutated: bytes
    error: GuardError
    metadata: _struct_pb2.Struct
    def __init__(self, passed: _Optional[_Union[Pass, _Mapping]] = ..., mutated: _Optional[bytes] = ..., error: _Optional[_Union[GuardError, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ResponseVerdict(_message.Message):
    __slots__ = ("passed", "mutated", "error")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MUTATED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    passed: Pass
    mutated: bytes
    error: GuardError
    def __init__(self, passed: _Optional[_Union[Pass, _Mapping]] = ..., mutated: _Optional[bytes] = ..., error: _Optional[_Union[GuardError, _Mapping]] = ...) -> None: ...

class Pass(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GuardError(_message.Message):
    __slots__ = ("code", "reason", "payload")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[GuardError.Code]
        PERMISSION_DENIED: _ClassVar[GuardError.Code]
        RESOURCE_EXHAUSTED: _ClassVar[GuardError.Code]
        INVALID: _ClassVar[GuardError.Code]
    UNKNOWN: GuardError.Code
    PERMISSION_DENIED: GuardError.Code
    RESOURCE_EXHAUSTED: GuardError.Code
    INVALID: GuardError.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    code: GuardError.Code
    reason: str
    payload: bytes
    def __init__(self, code: _Optional[_Union[GuardError.Code, str]] = ..., reason: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...
