import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_CLIENT_TO_SERVER: _ClassVar[Direction]
    DIRECTION_SERVER_TO_CLIENT: _ClassVar[Direction]

class TokenState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_STATE_UNSPECIFIED: _ClassVar[TokenState]
    TOKEN_STATE_NONE: _ClassVar[TokenState]
    TOKEN_STATE_INVALID: _ClassVar[TokenState]
    TOKEN_STATE_VALID: _ClassVar[TokenState]
    TOKEN_STATE_MISSING: _ClassVar[TokenState]

class MessageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_KIND_UNSPECIFIED: _ClassVar[MessageKind]
    MESSAGE_KIND_REQUEST: _ClassVar[MessageKind]
    MESSAGE_KIND_NOTIFICATION: _ClassVar[MessageKind]
    MESSAGE_KIND_RESPONSE: _ClassVar[MessageKind]

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALLOW: _ClassVar[Decision]
    DECISION_DENY: _ClassVar[Decision]

class ResponseNeeds(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESPONSE_NEEDS_UNSPECIFIED: _ClassVar[ResponseNeeds]
    RESPONSE_NEEDS_NONE: _ClassVar[ResponseNeeds]
    RESPONSE_NEEDS_LIST: _ClassVar[ResponseNeeds]
    RESPONSE_NEEDS_RESULT: _ClassVar[ResponseNeeds]
    RESPONSE_NEEDS_STREAM: _ClassVar[ResponseNeeds]

class Effect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_UNSPECIFIED: _ClassVar[Effect]
    EFFECT_ALLOW: _ClassVar[Effect]
    EFFECT_DENY: _ClassVar[Effect]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_CLIENT_TO_SERVER: Direction
DIRECTION_SERVER_TO_CLIENT: Direction
TOKEN_STATE_UNSPECIFIED: TokenState
TOKEN_STATE_NONE: TokenState
TOKEN_STATE_INVALID: TokenState
TOKEN_STATE_VALID: TokenState
TOKEN_STATE_MISSING: TokenState
MESSAGE_KIND_UNSPECIFIED: MessageKind
MESSAGE_KIND_REQUEST: MessageKind
MESSAGE_KIND_NOTIFICATION: MessageKind
MESSAGE_KIND_RESPONSE: MessageKind
DECISION_UNSPECIFIED: Decision
DECISION_ALLOW: Decision
DECISION_DENY: Decision
RESPONSE_NEEDS_UNSPECIFIED: ResponseNeeds
RESPONSE_NEEDS_NONE: ResponseNeeds
RESPONSE_NEEDS_LIST: ResponseNeeds
RESPONSE_NEEDS_RESULT: ResponseNeeds
RESPONSE_NEEDS_STREAM: ResponseNeeds
EFFECT_UNSPECIFIED: Effect
EFFECT_ALLOW: Effect
EFFECT_DENY: Effect

class CheckRequest(_message.Message):
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
    direction: Direction
    raw: bytes
    structured: StructuredMessage
    principal: Principal
    http: Http
    attributes: _struct_pb2.Struct
    session_id: str
    filters_responses: bool
    time: _timestamp_pb2.Timestamp
    sequence: int
    def __init__(self, server: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., raw: _Optional[bytes] = ..., structured: _Optional[_Union[StructuredMessage, _Mapping]] = ..., principal: _Optional[_Union[Principal, _Mapping]] = ..., http: _Optional[_Union[Http, _Mapping]] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., session_id: _Optional[str] = ..., filters_responses: _Optional[bool] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class StructuredMessage(_message.Message):
    __slots__ = ("string_id", "integer_id", "method", "params_struct", "params_json", "kind")
    STRING_ID_FIELD_NUMBER: _ClassVar[int]
    INTEGER_ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_STRUCT_FIELD_NUMBER: _ClassVar[int]
    PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    string_id: str
    integer_id: int
    method: str
    params_struct: _struct_pb2.Struct
    params_json: bytes
    kind: MessageKind
    def __init__(self, string_id: _Optional[str] = ..., integer_id: _Optional[int] = ..., method: _Optional[str] = ..., params_struct: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., params_json: _Optional[bytes] = ..., kind: _Optional[_Union[MessageKind, str]] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("claims_struct", "claims_json", "token")
    CLAIMS_STRUCT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_JSON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    claims_struct: _struct_pb2.Struct
    claims_json: bytes
    token: TokenState
    def __init__(self, claims_struct: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., claims_json: _Optional[bytes] = ..., token: _Optional[_Union[TokenState, str]] = ...) -> None: ...

class Http(_message.Message):
    __slots__ = ("method", "path", "headers", "remote_address")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    method: str
    path: str
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    remote_address: str
    def __init__(self, method: _Optional[str] = ..., path: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., remote_address: _Optional[str] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("name", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("decision", "reason", "rules", "errors", "revision", "decision_id", "response_needs", "context", "denial", "message", "sequence", "shadow")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_NEEDS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DENIAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    reason: str
    rules: _containers.RepeatedCompositeFieldContainer[RuleRef]
    errors: _containers.RepeatedCompositeFieldContainer[RuleError]
    revision: str
    decision_id: str
    response_needs: ResponseNeeds
    context: bytes
    denial: Denial
    message: str
    sequence: int
    shadow: ShadowDecision
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[RuleRef, _Mapping]]] = ..., errors: _Optional[_Iterable[_Union[RuleError, _Mapping]]] = ..., revision: _Optional[str] = ..., decision_id: _Optional[str] = ..., response_needs: _Optional[_Union[ResponseNeeds, str]] = ..., context: _Optional[bytes] = ..., denial: _Optional[_Union[Denial, _Mapping]] = ..., message: _Optional[str] = ..., sequence: _Optional[int] = ..., shadow: _Optional[_Union[ShadowDecision, _Mapping]] = ...) -> None: ...

class ShadowDecision(_message.Message):
    __slots__ = ("decision", "reason", "rules")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    reason: str
    rules: _containers.RepeatedCompositeFieldContainer[RuleRef]
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[RuleRef, _Mapping]]] = ...) -> None: ...

class ShadowList(_message.Message):
    __slots__ = ("hidden_count", "shown_count", "hidden", "shown", "refused")
    HIDDEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    hidden_count: int
    shown_count: int
    hidden: _containers.RepeatedScalarFieldContainer[str]
    shown: _containers.RepeatedScalarFieldContainer[str]
    refused: str
    def __init__(self, hidden_count: _Optional[int] = ..., shown_count: _Optional[int] = ..., hidden: _Optional[_Iterable[str]] = ..., shown: _Optional[_Iterable[str]] = ..., refused: _Optional[str] = ...) -> None: ...

class RuleRef(_message.Message):
    __slots__ = ("policy", "rule", "file", "line")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    policy: str
    rule: str
    file: str
    line: int
    def __init__(self, policy: _Optional[str] = ..., rule: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

class RuleError(_message.Message):
    __slots__ = ("rule", "message")
    RULE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    rule: RuleRef
    message: str
    def __init__(self, rule: _Optional[_Union[RuleRef, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...

class Denial(_message.Message):
    __slots__ = ("status", "headers", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    body: bytes
    def __init__(self, status: _Optional[int] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., body: _Optional[bytes] = ...) -> None: ...

class FilterResponseRequest(_message.Message):
    __slots__ = ("context", "content_type", "body", "status", "report_hidden")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REPORT_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    context: bytes
    content_type: str
    body: bytes
    status: int
    report_hidden: bool
    def __init__(self, context: _Optional[bytes] = ..., content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., status: _Optional[int] = ..., report_hidden: _Optional[bool] = ...) -> None: ...

class FilterResponseResponse(_message.Message):
    __slots__ = ("content_type", "body", "status", "changed", "shown", "hidden_count", "hidden", "dropped", "errors", "revision", "refused", "shadow")
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    content_type: str
    body: bytes
    status: int
    changed: bool
    shown: int
    hidden_count: int
    hidden: _containers.RepeatedScalarFieldContainer[str]
    dropped: _containers.RepeatedScalarFieldContainer[str]
    errors: _containers.RepeatedCompositeFieldContainer[RuleError]
    revision: str
    refused: str
    shadow: ShadowList
    def __init__(self, content_type: _Optional[str] = ..., body: _Optional[bytes] = ..., status: _Optional[int] = ..., changed: _Optional[bool] = ..., shown: _Optional[int] = ..., hidden_count: _Optional[int] = ..., hidden: _Optional[_Iterable[str]] = ..., dropped: _Optional[_Iterable[str]] = ..., errors: _Optional[_Iterable[_Union[RuleError, _Mapping]]] = ..., revision: _Optional[str] = ..., refused: _Optional[str] = ..., shadow: _Optional[_Union[ShadowList, _Mapping]] = ...) -> None: ...

class FilterStreamRequest(_message.Message):
    __slots__ = ("start", "piece")
    START_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    start: FilterStreamStart
    piece: bytes
    def __init__(self, start: _Optional[_Union[FilterStreamStart, _Mapping]] = ..., piece: _Optional[bytes] = ...) -> None: ...

class FilterStreamStart(_message.Message):
    __slots__ = ("context", "content_type", "status", "report_hidden")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REPORT_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    context: bytes
    content_type: str
    status: int
    report_hidden: bool
    def __init__(self, context: _Optional[bytes] = ..., content_type: _Optional[str] = ..., status: _Optional[int] = ..., report_hidden: _Optional[bool] = ...) -> None: ...

class FilterStreamResponse(_message.Message):
    __slots__ = ("head", "body", "shown", "hidden_count", "hidden", "dropped", "errors", "revision", "refused", "shadow")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    head: FilterStreamHead
    body: bytes
    shown: int
    hidden_count: int
    hidden: _containers.RepeatedScalarFieldContainer[str]
    dropped: _containers.RepeatedScalarFieldContainer[str]
    errors: _containers.RepeatedCompositeFieldContainer[RuleError]
    revision: str
    refused: str
    shadow: ShadowList
    def __init__(self, head: _Optional[_Union[FilterStreamHead, _Mapping]] = ..., body: _Optional[bytes] = ..., shown: _Optional[int] = ..., hidden_count: _Optional[int] = ..., hidden: _Optional[_Iterable[str]] = ..., dropped: _Optional[_Iterable[str]] = ..., errors: _Optional[_Iterable[_Union[RuleError, _Mapping]]] = ..., revision: _Optional[str] = ..., refused: _Optional[str] = ..., shadow: _Optional[_Union[ShadowList, _Mapping]] = ...) -> None: ...

class FilterStreamHead(_message.Message):
    __slots__ = ("content_type", "status")
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    content_type: str
    status: int
    def __init__(self, content_type: _Optional[str] = ..., status: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("check", "foreign")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_FIELD_NUMBER: _ClassVar[int]
    check: CheckRequest
    foreign: ForeignQuestion
    def __init__(self, check: _Optional[_Union[CheckRequest, _Mapping]] = ..., foreign: _Optional[_Union[ForeignQuestion, _Mapping]] = ...) -> None: ...

class ForeignQuestion(_message.Message):
    __slots__ = ("ext_authz", "ext_proc", "ext_mcp", "metadata")
    EXT_AUTHZ_FIELD_NUMBER: _ClassVar[int]
    EXT_PROC_FIELD_NUMBER: _ClassVar[int]
    EXT_MCP_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ext_authz: bytes
    ext_proc: ExtProcMessages
    ext_mcp: bytes
    metadata: _containers.RepeatedCompositeFieldContainer[Header]
    def __init__(self, ext_authz: _Optional[bytes] = ..., ext_proc: _Optional[_Union[ExtProcMessages, _Mapping]] = ..., ext_mcp: _Optional[bytes] = ..., metadata: _Optional[_Iterable[_Union[Header, _Mapping]]] = ...) -> None: ...

class ExtProcMessages(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, messages: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision", "trials", "facts")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    decision: CheckResponse
    trials: _containers.RepeatedCompositeFieldContainer[Trial]
    facts: _containers.RepeatedCompositeFieldContainer[Fact]
    def __init__(self, decision: _Optional[_Union[CheckResponse, _Mapping]] = ..., trials: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ..., facts: _Optional[_Iterable[_Union[Fact, _Mapping]]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("name", "value", "origin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    origin: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("rule", "effect", "applies", "why", "saw", "missing", "remains", "in_shadow")
    RULE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    APPLIES_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    SAW_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REMAINS_FIELD_NUMBER: _ClassVar[int]
    IN_SHADOW_FIELD_NUMBER: _ClassVar[int]
    rule: RuleRef
    effect: Effect
    applies: bool
    why: str
    saw: _containers.RepeatedCompositeFieldContainer[Seen]
    missing: str
    remains: str
    in_shadow: bool
    def __init__(self, rule: _Optional[_Union[RuleRef, _Mapping]] = ..., effect: _Optional[_Union[Effect, str]] = ..., applies: _Optional[bool] = ..., why: _Optional[str] = ..., saw: _Optional[_Iterable[_Union[Seen, _Mapping]]] = ..., missing: _Optional[str] = ..., remains: _Optional[str] = ..., in_shadow: _Optional[bool] = ...) -> None: ...

class Seen(_message.Message):
    __slots__ = ("text", "value")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    text: str
    value: str
    def __init__(self, text: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class GetPolicySetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicySetResponse(_message.Message):
    __slots__ = ("revision", "policies", "findings", "since", "refused")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    revision: str
    policies: _containers.RepeatedCompositeFieldContainer[PolicyInfo]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    since: _timestamp_pb2.Timestamp
    refused: RefusedPolicySet
    def __init__(self, revision: _Optional[str] = ..., policies: _Optional[_Iterable[_Union[PolicyInfo, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refused: _Optional[_Union[RefusedPolicySet, _Mapping]] = ...) -> None: ...

class RefusedPolicySet(_message.Message):
    __slots__ = ("time", "problems")
    TIME_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    problems: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class PolicyInfo(_message.Message):
    __slots__ = ("id", "file", "servers", "rules")
    ID_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    id: str
    file: str
    servers: _containers.RepeatedScalarFieldContainer[str]
    rules: int
    def __init__(self, id: _Optional[str] = ..., file: _Optional[str] = ..., servers: _Optional[_Iterable[str]] = ..., rules: _Optional[int] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("code", "message", "hint", "file", "line", "column")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    hint: str
    file: str
    line: int
    column: int
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ...) -> None: ...
